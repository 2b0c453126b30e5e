"""Private session bus with a real gnome-keyring, in a directory of its own and without a display."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import secretstorage
from secretstorage.util import DBusAddressWrapper, format_secret, open_session

from tests.requirements import skip_or_fail

PASSWORD = b"lab password"

BUS_CONF = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
<servicedir>{services}</servicedir></busconfig>"""  # an empty directory: nothing is started automatically


def require() -> None:
    """Skip with a reason on a laptop; fail in CI, where the programs must be there."""
    missing = [program for program in ("dbus-daemon", "gnome-keyring-daemon") if shutil.which(program) is None]
    if missing:
        skip_or_fail(f"not installed: {', '.join(missing)}")


def wait_for(condition: Callable[[], object], what: str, limit: float = 30.0) -> None:
    """Poll until `condition` holds."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.02)


def _accepts(path: Path) -> bool:
    """Whether somebody listens there; the file of a socket appears a moment before."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
        return probe.connect_ex(str(path)) == 0


class SecretService:
    """The bus, and a daemon that can be started, locked and ended. Only its own processes are touched."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.services = root / "services"
        for name in ("home", "data", "run", "config", "services"):
            (root / name).mkdir(mode=0o700)
        address = root / "run" / "bus"
        self.env = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("XDG_", "DBUS_", "DISPLAY", "WAYLAND", "GNOME_KEYRING"))
        } | {
            "HOME": str(root / "home"),
            "XDG_DATA_HOME": str(root / "data"),
            "XDG_CONFIG_HOME": str(root / "config"),
            "XDG_RUNTIME_DIR": str(root / "run"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={address}",
        }
        self._address = address
        self._conf = root / "bus.conf"
        self._conf.write_text(BUS_CONF.format(path=address, services=self.services))
        self._daemon: subprocess.Popen[bytes] | None = None
        self.start_bus()

    def start_bus(self) -> None:
        """Start the bus, also again at the same address."""
        self._bus = self._spawn("dbus-daemon", f"--config-file={self._conf}", "--nofork", "--nopidfile")
        wait_for(lambda: _accepts(self._address), "the bus")

    def end_bus(self) -> None:
        """End the bus as a logout does; a daemon on it ends too."""
        self._bus.terminate()
        self._bus.wait(10)
        assert self._bus.stdin is not None
        self._bus.stdin.close()
        self._address.unlink(missing_ok=True)
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.terminate()
            daemon.wait(10)

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._root / "log").open("ab") as log:
            return subprocess.Popen(command, env=self.env, stdin=subprocess.PIPE, stdout=log, stderr=log)

    def up(self) -> None:
        """Start gnome-keyring with its password, so that its login collection exists and is open."""
        self._daemon = self._spawn("gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
        assert self._daemon.stdin is not None
        self._daemon.stdin.write(PASSWORD)
        self._daemon.stdin.close()
        wait_for(lambda: self._call("ReadAlias", "string:default").count("/collection/"), "the default collection")

    def down(self) -> None:
        """End the daemon; its keyring stays on disk."""
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(10)
            wait_for(lambda: not self.has_owner(), "the name to be free")

    def lock(self) -> None:
        """Lock the keyring as a session does."""
        self._call("Lock", "array:objpath:/org/freedesktop/secrets/collection/login")

    def unlock(self) -> None:
        """Unlock with the password over a private interface of gnome-keyring: no dialog, and the usual signals."""
        collection = "/org/freedesktop/secrets/collection/login"
        with contextlib.closing(secretstorage.dbus_init()) as connection:
            session = open_session(connection)
            service = DBusAddressWrapper(
                "/org/freedesktop/secrets",
                "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface",
                connection,
            )
            secret = format_secret(session, PASSWORD, "text/plain")
            service.call("UnlockWithMasterPassword", "o(oayays)", collection, secret)

    def has_owner(self) -> bool:
        return "true" in self._send("org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner", _NAME)

    def _call(self, member: str, *arguments: str) -> str:
        where = ("org.freedesktop.secrets", "/org/freedesktop/secrets")
        return self._send(*where, f"org.freedesktop.Secret.Service.{member}", *arguments)

    def _send(self, to: str, path: str, member: str, *arguments: str) -> str:
        command = ["dbus-send", "--session", "--print-reply", f"--dest={to}", path, member, *arguments]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False).stdout

    def close(self) -> None:
        with contextlib.suppress(TimeoutError):
            self.down()
        self._bus.terminate()
        self._bus.wait(10)
        assert self._bus.stdin is not None
        self._bus.stdin.close()


_NAME = "string:org.freedesktop.secrets"


@contextlib.contextmanager
def secret_service(root: Path) -> Iterator[SecretService]:
    """A private bus; while it lasts, its environment is this process's."""
    require()
    service = SecretService(root)
    saved = dict(os.environ)
    os.environ.clear()
    os.environ.update(service.env)
    try:
        yield service
    finally:
        os.environ.clear()
        os.environ.update(saved)
        service.close()
