"""Fixtures: one authorization server behind one relay for the whole run.

A test whose tools are not installed is skipped with a reason on a laptop and fails under CI=true, so that a run that
tested nothing can't pass for a green one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.real import browser, node
from tests.real.idp import Idp
from tests.real.relay import Relay

ACCESS_TTL = 30.0  # s


def skip_or_fail(what: str) -> None:
    """Something the test needs is missing: skip, or fail under CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def _world() -> Iterator[tuple[Relay, Idp]]:
    try:
        node.packages()
    except node.NodeMissing as error:
        skip_or_fail(str(error))
    with Relay() as relay, Idp(relay.url, access_ttl=ACCESS_TTL) as idp:
        relay.upstream = idp.address
        yield relay, idp


@pytest.fixture
def relay(_world: tuple[Relay, Idp]) -> Iterator[Relay]:
    """The route to the authorization server: good at first, with an empty log."""
    relay, _ = _world
    relay.clear()
    yield relay
    relay.clear()


@pytest.fixture
def idp(_world: tuple[Relay, Idp]) -> Iterator[Idp]:
    """npm's oidc-provider, whose issuer is the relay's URL; without the grants and registrations of other tests."""
    _, idp = _world
    yield idp
    idp.revoke_all()
    idp.forget_clients()
    if idp.access_ttl != ACCESS_TTL:
        idp.set_access_ttl(ACCESS_TTL)


@pytest.fixture
def chromium() -> None:
    """Requires Chromium and its driver."""
    if missing := browser.missing():
        skip_or_fail(f"{missing} not found: apt-get install chromium chromium-driver")
