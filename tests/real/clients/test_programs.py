"""Agents, bridges and the other SDKs against the running program; installed only when asked for.

AMBERLIGHT_CLIENTS=1 packaging/dev.sh test tests/real/clients
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real import node
from tests.real.clients import install, stories
from tests.real.clients.agents import AGENTS
from tests.real.clients.bridges import Inspector, McpRemote
from tests.real.clients.client import Client
from tests.real.clients.model import Model
from tests.real.clients.sdks import OTHERS, Go

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not install.wanted(), reason="installs 2.2 GB of clients: set AMBERLIGHT_CLIENTS=1 to run it"),
]
KINDS = (*AGENTS, McpRemote, Inspector, *OTHERS)


@pytest.fixture(params=KINDS, ids=lambda kind: str(kind.name))
def opened(request: pytest.FixtureRequest) -> Iterator[stories.Open]:
    """A client of each kind."""
    kind: type[Client] = request.param
    try:
        packages = install.go_client() if issubclass(kind, Go) else install.packages()
    except node.NodeMissing as error:
        pytest.fail(str(error), pytrace=False)
    with Model() as model:
        yield stories.opening(kind, model, packages)


def test_a_whole_life(opened: stories.Open, tmp_path: Path) -> None:
    """Amber, green, restarts, red and signed in again, in one client process."""
    stories.whole_life(tmp_path, opened)


def test_a_whole_life_before_an_older_server(opened: stories.Open, tmp_path: Path) -> None:
    """The same before a server that speaks no revision without sessions."""
    stories.whole_life(tmp_path, opened, modern=False)


def test_nothing_noted(opened: stories.Open, tmp_path: Path) -> None:
    """Started while amber, when nothing is known of the server yet."""
    stories.nothing_noted(tmp_path, opened)
