"""The SDKs' clients that the other tests need anyway, against the running program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import node
from tests.real.clients import stories
from tests.real.clients.client import Client
from tests.real.clients.model import Model
from tests.real.clients.sdks import QUICK
from tests.requirements import skip_or_fail

pytestmark = pytest.mark.real


@pytest.fixture(params=QUICK, ids=lambda kind: str(kind.name))
def opened(request: pytest.FixtureRequest) -> Iterator[stories.Open]:
    """A client of each kind."""
    try:
        packages = node.packages()
    except node.NodeMissing as error:
        skip_or_fail(str(error))
    kind: type[Client] = request.param
    with Model() as model:
        yield stories.opening(kind, model, packages)


def test_a_whole_life(opened: stories.Open, tmp_path: Path) -> None:
    """Amber, green, restarts, red and signed in again, in one client process."""
    stories.whole_life(tmp_path, opened)


def test_nothing_noted(opened: stories.Open, tmp_path: Path) -> None:
    """Started while amber, when nothing is known of the server yet."""
    stories.nothing_noted(tmp_path, opened)
