"""Whether anything listens at a workload's port: only this machine is asked, and no name is looked up."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from trayapp.external.toolhive_processes import Liveness
from trayapp.system import running


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is looked up, which needs no name server for an address."""

    found: list[str] = []
    original = socket.getaddrinfo

    def getaddrinfo(host: str, *arguments: Any, **more: Any) -> Any:
        found.append(host)
        return original(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "[::]", "", "localhost", "LOCALHOST", "[127.0.0.1]"])
def test_this_machine_is_asked(port: int, host: str) -> None:
    """By whichever of its names it is configured."""

    assert Liveness(()).listens(host, port)


def test_nobody_listens() -> None:
    """At a port that was free a moment ago, or isn't one."""

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for each in (port, 0, -1, 1 << 16, 1 << 70):
        assert not Liveness(()).listens("127.0.0.1", each)


@pytest.mark.parametrize(
    "host",
    [
        "a..b",
        f"{'x' * 64}.example",
        "x" * 70000,
        "127.0.0.1\0",
        "\0",
        "\ud800",
        "mcp.example.com",
        "192.0.2.7",
        "2001:db8::1",
        "fe80::1%lo",
        "::1%a..b",
        "127.1",
        "2130706433",
        "0x7f.1",
        " 127.0.0.1",
        "１２７.0.0.1",
        "255.255.255.255",
        "224.0.0.1",
    ],
)
def test_no_other_machine_is_asked(port: int, host: str, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a name looked up, which would have no limit of time; whatever is no address isn't one of ours."""

    connected: list[object] = []

    def connect(_: socket.socket, address: object) -> None:
        connected.append(address)
        raise OSError

    monkeypatch.setattr(socket.socket, "connect", connect)
    assert not Liveness(()).listens(host, port)
    assert [] == connected
    assert not [each for each in asked if each != host or not each.isascii() or each.isalpha()]


def test_numbers_that_are_no_processes() -> None:
    """They run nowhere, and don't hide those that do."""

    assert frozenset() == Liveness([1 << 70, int("9" * 4000), -1, 0]).processes


def test_ps_is_asked_about_possible_numbers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """It refuses the whole list for one that is too large."""

    asked: list[str] = []

    def run(command: list[str], **_: object) -> object:
        asked.append(command[-1])
        raise OSError

    monkeypatch.setattr(subprocess, "run", run)
    running._named_by_ps([7, 1 << 70])
    running._named_by_ps([1 << 70])
    assert ["7"] == asked
