"""Fixtures: one authorization server behind one relay for the whole run.

A test whose tools are not installed is skipped with a reason on a laptop and fails under CI=true, so that a run that
tested nothing can't pass for a green one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.desk import Desk, missing
from tests.real import browser, node, protected_servers
from tests.real.first_start import StandIn
from tests.real.idp import Idp
from tests.real.relay import Relay
from tests.requirements import skip_or_fail

ACCESS_TTL = 30.0  # s


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
    if lacks := browser.missing():
        skip_or_fail(f"{lacks} not found: apt-get install chromium chromium-driver")


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desktop session of its own, with an unlocked keyring and directories that nobody else uses."""
    if lacks := missing():
        skip_or_fail(f"{lacks} not found: `packaging/dev.sh test` installs it")
    with Desk() as session:
        yield session


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """The server that stands in for one of the catalog."""
    with StandIn.running() as stand_in:
        yield stand_in


@pytest.fixture
def titles(tmp_path: Path) -> Path:
    """Where the browser writes what it saw."""
    return tmp_path / "titles"


@pytest.fixture
def mcp_server(idp: Idp) -> Iterator[str]:
    """The URL of a FastMCP server with remote auth, whose tokens oidc-provider gives."""
    if lacks := protected_servers.fastmcp_missing():
        skip_or_fail(lacks)
    with protected_servers.fastmcp(idp.issuer) as url:
        yield url
