"""Whether a server can be reached: a connection, and a certificate that is trusted."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.external.tree import Tree
from trayapp.external import reachability, toolhive_files
from trayapp.external.reachability import Server, unreachable

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

CLOSED = Server("http", "127.0.0.1", 1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's own would count."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that accepts, with a certificate if there is a context; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        if context is not None:
                            context.wrap_socket(connection, server_side=True).close()
                    except OSError:
                        continue  # the client hung up

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        with suppress(OSError):  # Windows: closing is enough
            server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def test_one_that_listens() -> None:
    """It is enough for http."""

    with listening() as port:
        assert "" == unreachable([Server("http", "127.0.0.1", port)], 5)


def test_one_that_does_not() -> None:
    """Its host is named, after tries for as long as the limit says."""

    began = time.monotonic()
    assert "127.0.0.1" == unreachable([CLOSED], 1.2)
    assert 0.5 <= time.monotonic() - began < 5
    assert "" == unreachable([], 1.2)


def test_one_that_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a wake, the first tries fail."""

    real = socket.create_connection
    tries = []

    def late(address: tuple[str, int], timeout: float) -> socket.socket:
        tries.append(address)
        if len(tries) < 3:
            raise socket.gaierror("Temporary failure in name resolution")
        return real(address, timeout)

    monkeypatch.setattr(reachability, "PAUSE", 0.01)
    monkeypatch.setattr(socket, "create_connection", late)
    with listening() as port:
        assert "" == unreachable([Server("http", "127.0.0.1", port)], 5)
    assert 3 == len(tries)


def test_a_look_up_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes no longer than the limit."""

    held = threading.Event()

    def hang(address: tuple[str, int], timeout: float) -> socket.socket:
        held.wait(10)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", hang)
    began = time.monotonic()
    assert "mcp.example.com" == unreachable([Server("https", "mcp.example.com", 443)], 0.3)
    assert time.monotonic() - began < 3
    held.set()


@pytest.mark.usefixtures("trusted")
def test_a_certificate_that_is_trusted(authority: trustme.CA) -> None:
    """That of the host, from an authority of this machine."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with listening(context) as port:
        assert "" == unreachable([Server("https", "127.0.0.1", port)], 5)


@pytest.mark.usefixtures("trusted")
def test_a_portal_in_its_place(authority: trustme.CA) -> None:
    """It has a certificate of its own, or none."""

    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with listening(context) as port:
        assert "127.0.0.1" == unreachable([Server("https", "127.0.0.1", port)], 0.6)
    with listening() as port:
        assert "127.0.0.1" == unreachable([Server("https", "127.0.0.1", port)], 0.6)


def test_one_behind_a_proxy_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a request would tell."""

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert "" == unreachable([Server("http", "mcp.example.com", 80)], 1)


def test_a_name_that_is_none() -> None:
    """No traceback."""

    name = "a" * 70 + ".example"
    assert name == unreachable([Server("http", name, 80)], 0.1)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({}, [Server("https", "mcp.example.com", 443)]),
        (
            {
                "remote_auth_config": {
                    "token_url": "https://as.example.com:8443/token",
                    "issuer": "https://as.example.com",
                }
            },
            [
                Server("https", "mcp.example.com", 443),
                Server("https", "as.example.com", 443),
                Server("https", "as.example.com", 8443),
            ],
        ),
        (
            {"remote_url": "http://127.0.0.1/mcp", "remote_auth_config": {"TokenURL": "http://127.0.0.1/token"}},
            [Server("http", "127.0.0.1", 80)],
        ),
        ({"remote_url": "ftp://x", "remote_auth_config": {"issuer": 7, "token_url": "https://[x"}}, []),
        ({"remote_auth_config": "none"}, [Server("https", "mcp.example.com", 443)]),
    ],
)
def test_what_a_workload_of_toolhive_needs(tmp_path: Path, config: dict[str, object], wanted: list[Server]) -> None:
    """Its server and those of its sign-in, as they are configured."""

    tree = Tree(tmp_path)
    tree.configure("a", **config)
    found = toolhive_files.run_config(toolhive_files.places(tree.machine), "a")
    assert found is not None
    assert wanted == list(found.servers)
