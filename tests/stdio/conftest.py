"""A stand-in for the app in front of a scripted MCP server, and waits as short as the tests'."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy.mcp_upstream import McpServer
from tests.stdio.stand import App, Client
from trayapp.stdio import legacy, listener, reach, requests


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "NO_START_WAIT", 0.3)
    monkeypatch.setattr(reach, "HELLO_WAIT", 1.0)
    for module in (listener, requests, legacy):
        monkeypatch.setattr(module, "FIRST_PAUSE", 0.02)
        monkeypatch.setattr(module, "LONGEST_PAUSE", 0.05)
    monkeypatch.setattr(listener, "RETRY", 0.02)
    monkeypatch.setattr(requests, "RETRY", 0.02)


@pytest.fixture
def server() -> McpServer:
    return McpServer()


@pytest.fixture
def app(tmp_path: Path, server: McpServer) -> Iterator[App]:
    app = App(tmp_path, server.handle)
    app.start()
    yield app
    app.close()


@pytest.fixture
def client(app: App) -> Iterator[Client]:
    with Client(app) as client:
        yield client
