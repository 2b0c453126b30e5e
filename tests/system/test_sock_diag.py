"""The kernel's word on whose a connection is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from trayapp.system import sock_diag
from trayapp.system.sock_diag import SockDiag

pytestmark = pytest.mark.linux("sock_diag is Linux's")
root = pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root becomes another user")

CONNECT = (
    'import socket, sys; c = socket.create_connection(("127.0.0.1", int(sys.argv[1]))); print(flush=True); input()'
)


@pytest.fixture
def kernel() -> Iterator[SockDiag]:
    asked = SockDiag()
    yield asked
    asked.close()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_the_user_behind_a_connection(kernel: SockDiag, listening: socket.socket, family: socket.AddressFamily) -> None:
    """Ours, through an IPv6 socket too and after a half-close; nobody's when it is closed."""

    own = listening.getsockname()
    with socket.socket(family) as asking:
        try:
            asking.connect(own if family == socket.AF_INET else (f"::ffff:{own[0]}", own[1]))
        except OSError:
            pytest.skip("no IPv6 here")
        with listening.accept()[0] as taken:
            peer = taken.getpeername()
            assert os.getuid() == kernel.user_id(peer, own)
            asking.shutdown(socket.SHUT_WR)
            assert os.getuid() == kernel.user_id(peer, own)
            asking.close()
            assert kernel.user_id(peer, own) is None  # the kernel still has it, as root's


def test_a_connection_over_ipv6(kernel: SockDiag) -> None:
    """From ::1 to ::1."""

    try:
        listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with listening, socket.create_connection(listening.getsockname()[:2]) as asking:
        assert os.getuid() == kernel.user_id(asking.getsockname()[:2], listening.getsockname()[:2])


def test_what_is_no_connection(kernel: SockDiag, listening: socket.socket) -> None:
    """Neither a port that nobody uses nor one on which somebody listens."""

    assert kernel.user_id(("127.0.0.1", 1), listening.getsockname()) is None
    assert kernel.user_id(listening.getsockname(), ("127.0.0.1", 1)) is None


@root
def test_another_user(kernel: SockDiag, listening: socket.socket) -> None:
    """A real one."""

    port = listening.getsockname()[1]
    command = ["setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-I", "-c", CONNECT, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        with listening.accept()[0] as taken:
            assert 65534 == kernel.user_id(taken.getpeername(), listening.getsockname())
        other.communicate(b"\n")


def test_where_the_kernel_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox may forbid netlink; then nothing is known of anybody."""

    def forbidden() -> SockDiag:
        raise PermissionError("netlink")

    assert sock_diag.is_supported()
    monkeypatch.setattr(sock_diag, "SockDiag", forbidden)
    sock_diag.is_supported.cache_clear()
    try:
        assert not sock_diag.is_supported()
    finally:
        sock_diag.is_supported.cache_clear()
