"""The session bus without DBUS_SESSION_BUS_ADDRESS: a real dbus-daemon where a login manager has it, and who owns it."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tray.bus import Bus, require_dbus
from trayapp.system import session_bus

pytestmark = pytest.mark.linux("the session bus")

VARIABLE = "DBUS_SESSION_BUS_ADDRESS"

SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$XDG_RUNTIME_DIR/asked"
[ "$*" = "--user show-environment" ] || exit 64
cat "$XDG_RUNTIME_DIR/environment"
"""


@pytest.fixture
def runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of this test's own, and an environment as ssh or cron leaves it."""
    if not hasattr(os, "getuid"):
        pytest.skip("there are no runtime directories on Windows")
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        monkeypatch.delenv(VARIABLE, raising=False)
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setattr(session_bus, "RUNTIME_DIRS", Path(folder) / "user")
        monkeypatch.setattr(session_bus._Found, "address", "")
        monkeypatch.setattr(session_bus._Found, "ask_at", 0.0)
        yield Path(folder)


@pytest.fixture
def bus(runtime_dir: Path) -> Iterator[Bus]:
    """A session bus at the place that the base directory specification's users agreed on."""
    require_dbus()
    bus = Bus(runtime_dir)
    bus.start()
    yield bus
    bus.stop()


async def reaches_a_bus() -> bool:
    """Whether this process's session bus can be reached the way everything here reaches it."""
    from dbus_fast.errors import InvalidAddressError

    from trayapp.system.dbus import SessionBus

    try:
        connection = await SessionBus().connect()
    except InvalidAddressError:
        return False
    connection.disconnect()
    await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]
    return True


def listen(path: Path) -> socket.socket:
    """A socket that somebody listens at."""
    path.parent.mkdir(exist_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


async def test_the_bus_of_the_runtime_directory_is_found(bus: Bus) -> None:
    """As libdbus, GLib and systemd find it. Libraries and child processes find it from then on."""

    assert await reaches_a_bus()
    assert os.environ[VARIABLE] == bus.address


async def test_a_bus_that_starts_later_is_found(runtime_dir: Path) -> None:
    """The app may be started at boot, before anybody logs in."""

    require_dbus()
    assert not await reaches_a_bus()
    assert VARIABLE not in os.environ
    bus = Bus(runtime_dir)
    bus.start()
    assert await reaches_a_bus()
    bus.stop()


async def test_an_address_in_the_environment_is_not_second_guessed(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever names another bus, or none, means it."""

    monkeypatch.setenv(VARIABLE, "disabled:")
    assert session_bus.address() == "disabled:"
    assert os.environ[VARIABLE] == "disabled:"
    monkeypatch.setenv(VARIABLE, "")
    assert session_bus.address() == bus.address


async def test_another_users_runtime_directory_is_not_used(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """`su` leaves XDG_RUNTIME_DIR as it was: the own directory counts, where login managers make it."""

    if os.getuid() != 0:
        pytest.skip("only root can give a directory away")
    runtime_dir = bus.path.parent
    monkeypatch.setattr(session_bus, "RUNTIME_DIRS", runtime_dir / "user")
    mine = runtime_dir / "user" / str(os.getuid())
    mine.mkdir(parents=True, mode=0o700)
    os.chown(runtime_dir, 65534, 65534)
    assert session_bus.address() is None
    with listen(mine / "bus"):
        assert session_bus.address() == f"unix:path={mine}/bus"


@pytest.mark.parametrize("address", ["unix:path={}/bus", "unix:path={}/bus,guid=0123456789abcdef0123456789abcdef"])
def test_the_bus_that_su_leaves_in_the_environment_is_not_used(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """It is the other user's, who refuses us, if we have one of our own; otherwise the reason is theirs to give."""

    if os.getuid() != 0:
        pytest.skip("only root can give a socket away")
    theirs, mine = runtime_dir / "theirs", runtime_dir / "mine"
    mine.mkdir(mode=0o700)
    with listen(theirs / "bus"):
        os.chown(theirs / "bus", 65534, 65534)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(mine))
        named = address.format(theirs)
        monkeypatch.setenv(VARIABLE, named)
        assert session_bus.address() == named
        with listen(mine / "bus"):
            assert session_bus.address() == f"unix:path={mine}/bus" == os.environ[VARIABLE]


@pytest.mark.parametrize(
    "named",
    [
        "unix:path={}/no/socket",
        "unix:path={}/left,guid=0123456789abcdef0123456789abcdef",
        "unix:abstract={}/ended",
        "unix:path={}/no/socket;unix:path={}/left",
    ],
)
async def test_a_bus_that_has_ended_is_not_used(bus: Bus, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """tmux, screen and long-lived shells keep the address of a session that is over."""

    address = named.replace("{}", str(bus.path.parent))
    listen(bus.path.parent / "left").close()
    monkeypatch.setenv(VARIABLE, address)
    assert session_bus.address() == bus.address
    assert os.environ[VARIABLE] == bus.address
    assert await reaches_a_bus()
    bus.stop()
    monkeypatch.setenv(VARIABLE, address)
    assert session_bus.address() == address


@pytest.mark.parametrize("named", ["disabled:", "unix:path=/dev/null", "/dev/null", "tcp:host=127.0.0.1,port=9"])
def test_no_bus_may_be_what_is_wanted(bus: Bus, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    """Only a socket of this machine can be seen to have ended; one whose service is busy is there."""

    monkeypatch.setenv(VARIABLE, named)
    assert session_bus.address() == named
    with listen(bus.path.parent / "busy") as busy, contextlib.ExitStack() as waiting:
        busy.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            client.connect_ex(busy.getsockname())
        monkeypatch.setenv(VARIABLE, f"unix:path={busy.getsockname()}")
        assert session_bus.address() == f"unix:path={busy.getsockname()}"


@pytest.mark.parametrize("runtime", ["", "relative", "/nonexistent"])
async def test_without_a_usable_variable_the_usual_place_counts(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    """cron sets no XDG_RUNTIME_DIR."""

    (bus.path.parent / "user").mkdir()
    (bus.path.parent / "user" / str(os.getuid())).symlink_to(bus.path.parent)
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    assert await reaches_a_bus()


def test_a_socket_of_another_user_is_not_used(runtime_dir: Path) -> None:
    """Whoever owns the bus reads what the keyring says."""

    if os.getuid() != 0:
        pytest.skip("only root can give a socket away")
    with listen(runtime_dir / "bus"):
        assert session_bus.address() is not None
        os.environ.pop(VARIABLE)
        os.chown(runtime_dir / "bus", 65534, 65534)
        assert session_bus.address() is None


def test_a_directory_that_others_can_write_is_not_used(runtime_dir: Path) -> None:
    """They could put a socket of theirs in the place of the bus."""

    with listen(runtime_dir / "bus"):
        runtime_dir.chmod(0o777)
        assert session_bus.address() is None
        runtime_dir.chmod(0o700)
        assert session_bus.address() is not None


@pytest.mark.parametrize("kind", ["file", "directory", "dangling"])
def test_only_a_socket_is_a_bus(runtime_dir: Path, kind: str) -> None:
    """Anything else of that name is left alone."""

    path = runtime_dir / "bus"
    match kind:
        case "file":
            path.touch()
        case "directory":
            path.mkdir()
        case _:
            path.symlink_to("nowhere")
    assert session_bus.address() is None


async def test_a_path_with_other_characters_is_escaped(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the D-Bus specification demands it, and its libraries check it."""

    odd = bus.path.parent / "Ümläut, 100 %"
    odd.mkdir(mode=0o700)
    (odd / "bus").symlink_to(bus.path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(odd))
    assert await reaches_a_bus()


# --- systemd ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def systemd(runtime_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The runtime directory of a `systemd --user`; in its file `environment` is what `systemctl` shows.

    The program `systemctl` is a stand-in that refuses any other question: here systemd isn't the first process.
    """
    program = runtime_dir / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(SYSTEMCTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    with listen(runtime_dir / "systemd" / "private"):
        yield runtime_dir


async def test_the_bus_that_systemd_knows_is_used(systemd: Path) -> None:
    """A session that dbus-launch started tells systemd of its bus, which is not in the runtime directory."""

    require_dbus()
    with tempfile.TemporaryDirectory(prefix="bus-") as elsewhere:
        bus = Bus(Path(elsewhere))
        bus.start()
        (systemd / "environment").write_text(f"LANG=C\n{VARIABLE}={bus.address},guid=00\nX={VARIABLE}=unix:no\n")
        assert session_bus.address() == f"{bus.address},guid=00"
        (systemd / "environment").write_text(f"{VARIABLE}={bus.address}\n")
        session_bus._Found.ask_at = 0.0
        assert await reaches_a_bus()
        bus.stop()


def test_systemd_is_asked_once_a_minute_at_most(systemd: Path) -> None:
    """Whoever has no bus looks for one every few seconds."""

    (systemd / "environment").write_text("LANG=C\n")
    assert [None, None, None] == [session_bus.address() for _ in range(3)]
    assert ["--user show-environment"] == (systemd / "asked").read_text().splitlines()


@pytest.mark.parametrize("shown", ["tcp:host=192.0.2.1,port=1", "$'unix:path=/a b'", "", "unix:path=/a'b"])
def test_only_a_plain_local_address_is_taken_from_systemd(systemd: Path, shown: str) -> None:
    """An address that leads elsewhere is for whoever set it to name."""

    (systemd / "environment").write_text(f"{VARIABLE}={shown}\n")
    assert session_bus.address() is None


def test_without_systemctl_nothing_is_raised(systemd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """elogind leaves no such program, and a minimal container none at all."""

    monkeypatch.setenv("PATH", "/nonexistent")
    assert session_bus.address() is None


def test_a_systemctl_that_hangs_is_given_up(systemd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The icon does not wait for it."""

    monkeypatch.setattr(session_bus, "SYSTEMD_LIMIT", 0.1)
    (systemd / "environment").unlink(missing_ok=True)
    os.mkfifo(systemd / "environment")
    assert stat.S_ISFIFO((systemd / "environment").stat().st_mode)
    assert session_bus.address() is None
