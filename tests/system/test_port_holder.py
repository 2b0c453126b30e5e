"""Who has a port: from /proc as it is here, and as other machines write it."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from trayapp.system.port_holder import PortHolder, holder_text, port_holder

pytestmark = pytest.mark.linux("only /proc tells")

PORT = 8765  # 223D
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = "   0: {address}:223D 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {user:5d}        0 4711 1 0 100 0\n"
OTHER = os.geteuid() + 54321


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
def test_our_own_process(host: str) -> None:
    """Whatever address it listens on that is in our way."""

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, 0))
        sock.listen()
        found = port_holder(sock.getsockname()[1])
    assert found is not None
    assert (os.geteuid(), os.getpid(), True, False) == (found.user, found.process, found.own, found.amberlight)
    assert holder_text(found).endswith(f" (process {os.getpid()})")


def test_a_port_that_is_free_or_only_used_for_connections() -> None:
    """A connection from a port doesn't keep anybody from listening there."""

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert port_holder(client.getsockname()[1]) is None
    assert port_holder(1) is None
    assert "" == holder_text(None)


def machine(root: Path, *, user: int, address: str = "0100007F", state: str = "0A", table: str = "tcp") -> Path:
    """A /proc with one socket."""
    (root / "net").mkdir(parents=True)
    (root / "net" / table).write_text(HEAD + LINE.format(address=address, state=state, user=user))
    return root


def process(proc: Path, number: int, *words: str, inode: int = 4711, name: str = "python3") -> None:
    (proc / str(number) / "fd").mkdir(parents=True)
    (proc / str(number) / "fd" / "3").symlink_to(f"socket:[{inode}]")
    (proc / str(number) / "cmdline").write_bytes("\0".join((*words, "")).encode())
    (proc / str(number) / "comm").write_text(f"{name}\n")


def test_another_users(tmp_path: Path) -> None:
    """Only whose it is: the kernel says no more, and this user can't end it."""

    found = port_holder(PORT, machine(tmp_path, user=OTHER))
    assert PortHolder(OTHER) == found
    assert f"a program of another user ({OTHER})" == holder_text(found)
    if os.geteuid() != 0:
        assert "a system service" == holder_text(PortHolder(0))


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        (("/opt/x/bin/python3", "/home/ada/.local/bin/amberlight", "run"), True),
        (("/opt/amberlight/amberlight",), True),
        (("python3", "-m", "trayapp", "run"), True),
        (("/home/ada/amberlight/.venv/bin/python3", "-m", "http.server"), False),
        (("vim", "notes", "amberlight"), False),
    ],
)
def test_another_amberlight(tmp_path: Path, words: tuple[str, ...], ours: bool) -> None:
    """One of another installation, or one that lost its lock, is called by its name."""

    proc = machine(tmp_path, user=os.geteuid())
    process(proc, 9, "ssh", inode=1)
    process(proc, 10, *words)
    (proc / "self").mkdir()
    found = port_holder(PORT, proc)
    assert PortHolder(os.geteuid(), 10, "python3", ours) == found
    assert holder_text(found) == f"{'another Amberlight' if ours else 'python3'} (process 10)"


def test_a_process_that_cannot_be_found(tmp_path: Path) -> None:
    """It ended meanwhile, or is in another namespace: some program of this user."""

    found = port_holder(PORT, machine(tmp_path, user=os.geteuid(), address="0" * 32, table="tcp6"))
    assert (PortHolder(os.geteuid()), "") == (found, holder_text(found))


@pytest.mark.parametrize(("address", "state"), [("0200007F", "0A"), ("0100007F", "01")])
def test_what_is_in_nobodys_way(tmp_path: Path, address: str, state: str) -> None:
    """Another loopback address, and a connection."""

    assert port_holder(PORT, machine(tmp_path, user=OTHER, address=address, state=state)) is None


def test_elsewhere_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS and Windows have no /proc."""

    monkeypatch.setattr(sys, "platform", "darwin")
    assert port_holder(PORT) is None
