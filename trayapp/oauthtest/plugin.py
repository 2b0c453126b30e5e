"""The pytest fixtures `oauth_server` and `echo_workload`.

Put `pytest_plugins = ["trayapp.oauthtest.plugin"]` into the topmost `conftest.py`. Options go into a marker:
`@pytest.mark.oauth_server(rotate=False, canary="CANARY")`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from trayapp.oauthtest.mcp import EchoWorkload
from trayapp.oauthtest.server import OAuthServer


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, so that `--strict-markers` accepts it."""
    config.addinivalue_line("markers", "oauth_server(**options): the options of the oauth_server fixture")


@pytest.fixture
def oauth_server(request: pytest.FixtureRequest) -> Iterator[OAuthServer]:
    """A running `OAuthServer`. The test fails at its end if the client misbehaved or the script wasn't used up."""
    marker = request.node.get_closest_marker("oauth_server")
    with OAuthServer(**(marker.kwargs if marker else {})) as server:
        yield server


@pytest.fixture
def echo_workload(oauth_server: OAuthServer) -> Iterator[EchoWorkload]:
    """A running `EchoWorkload` that requires tokens of `oauth_server`."""
    with EchoWorkload(oauth_server) as workload:
        yield workload
