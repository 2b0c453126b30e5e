"""`Desk`: a headless Linux desktop as a context manager. It ends whatever it started and touches nothing else.

Xvfb on a free display, a private session bus, gnome-keyring with a known password, xfce4-panel with its systray plugin,
xfce4-notifyd; on request a private system bus with mocked logind and NetworkManager. Everything lives in one temporary
directory, so that several test runs can have desks at the same time.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from jeepney import DBusAddress, new_method_call  # type: ignore[import-untyped]
from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]

from tests.desktop.screen import PANEL_SIZE, Screen, wait_for

WATCHER = "org.kde.StatusNotifierWatcher"
NOTIFICATIONS = "org.freedesktop.Notifications"
SYSTEM_PYTHON = "/usr/bin/python3"  # python3-dbusmock is a Debian package
NOTIFYD = f"/usr/lib/{platform.machine()}-linux-gnu/xfce4/notifyd/xfce4-notifyd"
NEEDED = ("Xvfb", "dbus-daemon", "dbus-send", "xdotool", "xfce4-panel", "gnome-keyring-daemon", NOTIFYD)
MOCKS = {"networkmanager": "org.freedesktop.NetworkManager", "logind": "org.freedesktop.login1"}
LIGHT = (0xF6, 0xF5, 0xF4)
DARK = (0x2B, 0x2B, 0x2B)

PANEL_XML = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array"><value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="length" type="uint" value="100"/>
      <property name="size" type="uint" value="{size}"/>
      <property name="background-style" type="uint" value="1"/>
      <property name="background-rgba" type="array">{rgba}</property>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="systray">
      <property name="square-icons" type="bool" value="true"/>
      <property name="icon-size" type="int" value="{icon_size}"/>
    </property>
  </property>
</channel>"""

SERVICES = Path("/usr/share/dbus-1/services")  # services that a session bus can activate
SYSTEM_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/></policy></busconfig>"""
SESSION_BUS = SYSTEM_BUS.replace("<type>system</type>", "<type>session</type><servicedir>{services}</servicedir>")


def missing() -> str:
    """The programs that this machine lacks for a desk, as text; empty if none."""
    return ", ".join(name for name in NEEDED if shutil.which(name) is None)


def _die_with_parent() -> None:
    """In the child: end when the test process dies, however it dies (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Desk(Screen):
    """The desktop. Use it with `with`; `env` is the environment of programs that run on it."""

    icon_size = 22  # px, of an icon in the panel

    def __init__(
        self,
        *,
        size: str = "1280x800",
        dark: bool = False,
        panel: bool = True,
        notifications: bool = True,
        activates_notifications: bool = True,
        keyring_password: str | None = "correct horse",
        system_bus: bool = False,
    ) -> None:
        super().__init__()
        self._not_activated = [] if keyring_password is not None else ["keyring"]
        if not activates_notifications:
            self._not_activated.append(NOTIFICATIONS)
        self.root = Path(tempfile.mkdtemp(prefix="desk-"))
        self.size = size
        self.panel_colour = DARK if dark else LIGHT
        self.keyring_password = keyring_password
        self._options = (panel, notifications, system_bus)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._panel: subprocess.Popen[bytes] | None = None
        self._notifyd: subprocess.Popen[bytes] | None = None
        self._bus: subprocess.Popen[bytes] | None = None
        self._keyring: int | None = None
        self._mocks: dict[str, subprocess.Popen[bytes]] = {}
        self._logs = 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- starting and ending ------------------------------------------------------------------------------------------

    def _start(self) -> None:
        panel, notifications, system_bus = self._options
        for name in ("config", "cache", "data", "state", "run", "home"):
            (self.root / name).mkdir(mode=0o700)
        ours = ("XDG_", "DBUS_", "DISPLAY", "WAYLAND", "PYSTRAY", "GNOME_", "GTK_", "AMBERLIGHT", "TOOLHIVE")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.env |= {
            "HOME": str(self.root / "home"),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "XDG_DATA_HOME": str(self.root / "data"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_RUNTIME_DIR": str(self.root / "run"),
            "XDG_CURRENT_DESKTOP": "XFCE",
            "XDG_SESSION_TYPE": "x11",
            "NO_AT_BRIDGE": "1",
            "LC_ALL": "C.UTF-8",
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.root}/run/bus",
            # Never the machine's own system bus: a service that is not mocked does not exist.
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.root}/run/system_bus",
        }
        self._start_display()
        self._start_session_bus()
        if self.keyring_password is not None:
            self.start_keyring()
        if notifications:
            self.start_notifications()
        if panel:
            self.start_panel()
        if system_bus:
            self._start_system_bus()

    def _start_display(self) -> None:
        """Start Xvfb on a free display. Its number is read to the newline, as Xvfb dies if the pipe closes before."""
        read, write = os.pipe()
        screen = ("-screen", "0", f"{self.size}x24", "-nolisten", "tcp", "-noreset")
        self.spawn("Xvfb", "-displayfd", str(write), *screen, pass_fds=(write,))
        os.close(write)
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        assert number, "Xvfb gave no display: " + self.log("Xvfb")
        self.env["DISPLAY"] = f":{number}"

    def _start_session_bus(self) -> None:
        """Start a session bus that can activate the machine's services, except those that this desk must not have."""
        how = ["--session", "--address=" + self.env["DBUS_SESSION_BUS_ADDRESS"]]
        if self._not_activated:
            services = self.root / "services"
            services.mkdir(exist_ok=True)
            for file in SERVICES.glob("*.service"):
                text = file.read_text(errors="replace")
                link = services / file.name
                if not any(word in text for word in self._not_activated) and not link.is_symlink():
                    link.symlink_to(file)
            config = self.root / "session.conf"
            config.write_text(SESSION_BUS.format(path=self.root / "run/bus", services=services))
            how = [f"--config-file={config}"]
        self._bus = self.spawn("dbus-daemon", *how, "--nofork", "--nopidfile")
        wait_for((self.root / "run/bus").exists, "the session bus")

    def _start_system_bus(self) -> None:
        config, path = self.root / "system.conf", self.root / "run/system_bus"
        config.write_text(SYSTEM_BUS.format(path=path))
        self.spawn("dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile")
        wait_for(path.exists, "the system bus")
        for template in MOCKS:
            self.start_mock(template)

    def start_mock(self, template: str) -> None:
        """Start a mocked service of the system bus: one of `MOCKS`."""
        self._mocks[template] = self.spawn(SYSTEM_PYTHON, "-m", "dbusmock", "--system", "--template", template)
        wait_for(lambda: self.has_name(MOCKS[template], system=True), f"the mock of {template}")

    def stop_mock(self, template: str) -> None:
        """End a mocked service, and wait until its name has left the bus."""
        self.end(self._mocks.pop(template))
        wait_for(lambda: not self.has_name(MOCKS[template], system=True), f"the end of {template}")

    def spawn(self, *command: str, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        """Start a program on this desk; it ends with the desk. `log` returns its output."""
        self._logs += 1
        with (self.root / f"{self._logs:02}-{Path(command[0]).name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=pass_fds,
                preexec_fn=_die_with_parent,
            )
        self._processes.append(process)
        return process

    def log(self, name: str) -> str:
        """The output of a program of this desk."""
        found = sorted(self.root.glob(f"*-{name}.log"))
        return "\n".join(path.read_text(errors="replace") for path in found)

    def end(self, process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGTERM) -> None:
        """End a process of this desk and wait for it."""
        if process in self._processes:
            self._processes.remove(process)
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def close(self) -> None:
        self.stop_keyring()
        for process in reversed(self._processes[:]):
            self.end(process)
        shutil.rmtree(self.root, ignore_errors=True)

    # --- the session bus ----------------------------------------------------------------------------------------------

    def call(self, name: str, path: str, member: str, *arguments: str, system: bool = False) -> str:
        """`dbus-send` with a reply; its text, empty after an error."""
        bus = "--system" if system else "--session"
        command = [
            "dbus-send",
            bus,
            "--print-reply",
            "--reply-timeout=5000",
            f"--dest={name}",
            path,
            member,
            *arguments,
        ]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False).stdout

    def end_session_bus(self) -> None:
        """End the bus as a logout does; panel, notifications and keyring end with it."""
        assert self._bus is not None
        self.end(self._bus)

    def restart_session_bus(self) -> None:
        """End the bus, and everything on it, and start another at the same address."""
        self.end_session_bus()
        for process in (self._panel, self._notifyd):
            if process is not None:
                self.end(process)
        self._panel = self._notifyd = self._keyring = None
        (self.root / "run/bus").unlink(missing_ok=True)
        self._start_session_bus()

    def has_name(self, name: str, *, system: bool = False) -> bool:
        query = "org.freedesktop.DBus.NameHasOwner"
        return "true" in self.call("org.freedesktop.DBus", "/", query, f"string:{name}", system=system)

    def mock(self, name: str, path: str, statement: str) -> None:
        """A control call to a dbusmock object of the system bus, such as `EmitSignal(…)` or `SetConnectivity(2)`."""
        program = (
            "import dbus; dbus.Interface(dbus.SystemBus().get_object"
            f"({name!r}, {path!r}), 'org.freedesktop.DBus.Mock').{statement}"
        )
        subprocess.run([SYSTEM_PYTHON, "-c", program], env=self.env, check=True)

    # --- panel and tray -----------------------------------------------------------------------------------------------

    def start_panel(self) -> None:
        folder = self.root / "config/xfce4/xfconf/xfce-perchannel-xml"
        folder.mkdir(parents=True, exist_ok=True)
        parts = (*(part / 255 for part in self.panel_colour), 1.0)
        rgba = "".join(f'<value type="double" value="{part:.6f}"/>' for part in parts)
        (folder / "xfce4-panel.xml").write_text(PANEL_XML.format(size=PANEL_SIZE, icon_size=self.icon_size, rgba=rgba))
        self._panel = self.spawn("xfce4-panel", "--disable-wm-check")
        wait_for(lambda: self.has_name(WATCHER), "the tray host")

    def stop_panel(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Kill the panel, and with it the watcher: its systray plugin is a separate process, which ends too."""
        if self._panel is not None:
            self.end(self._panel, how)
            self._panel = None
        wait_for(lambda: not self.has_name(WATCHER), "the end of the tray host")

    def restart_panel(self) -> None:
        self.stop_panel()
        self.start_panel()

    def tray_items(self) -> list[str]:
        """The bus names of the icons that the watcher knows."""
        properties = "org.freedesktop.DBus.Properties.Get"
        query = (f"string:{WATCHER}", "string:RegisteredStatusNotifierItems")
        text = self.call(WATCHER, "/StatusNotifierWatcher", properties, *query)
        return [line.split('"')[1] for line in text.splitlines() if line.strip().startswith('string "')]

    # --- notifications ------------------------------------------------------------------------------------------------

    def start_notifications(self) -> None:
        self._notifyd = self.spawn(NOTIFYD)
        wait_for(lambda: self.has_name(NOTIFICATIONS), "the notification daemon")

    @property
    def notification_daemon(self) -> subprocess.Popen[bytes]:
        """The running notification daemon."""
        assert self._notifyd is not None
        return self._notifyd

    def stop_notifications(self) -> None:
        if self._notifyd is not None:
            self.end(self._notifyd)
            self._notifyd = None
        wait_for(lambda: not self.has_name(NOTIFICATIONS), "the end of the notification daemon")

    # --- keyring ------------------------------------------------------------------------------------------------------

    def start_keyring(self) -> None:
        """Start gnome-keyring with its login collection unlocked. Without systemd it daemonises itself."""
        assert self.keyring_password is not None
        subprocess.run(
            ["gnome-keyring-daemon", "--unlock", "--components=secrets"],
            env=self.env,
            input=(self.keyring_password or "\n").encode(),  # an empty password is one newline; no bytes, no collection
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        wait_for(lambda: self.has_name("org.freedesktop.secrets"), "the keyring")
        self._keyring = self._keyring_process()

    def _keyring_process(self) -> int:
        query = "org.freedesktop.DBus.GetConnectionUnixProcessID"
        return int(self.call("org.freedesktop.DBus", "/", query, "string:org.freedesktop.secrets").split()[-1])

    def restart_keyring(self, pause: float) -> None:
        """End the keyring, and have an unlocked one again after `pause` seconds. A call in between has the bus start one,
        which is locked."""
        self._keyring = self._keyring_process()
        self.stop_keyring()
        time.sleep(pause)
        if not self.has_name("org.freedesktop.secrets"):
            self.start_keyring()
        self.unlock_keyring()
        self._keyring = self._keyring_process()

    def stop_keyring(self) -> None:
        if self._keyring is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._keyring, signal.SIGTERM)
            self._keyring = None
            for _ in range(100):
                if not self.has_name("org.freedesktop.secrets"):
                    return
                time.sleep(0.03)

    def lock_keyring(self) -> None:
        """Lock the login collection, as a screen lock may. A prompt or `unlock_keyring` unlocks it again."""
        self._secrets("Lock")
        wait_for(self.keyring_locked, "the keyring to lock")

    def unlock_keyring(self) -> None:
        """Unlock it with the password and without a prompt, by a call of gnome-keyring's own.

        The password belongs to a session, and the session to a connection, so this is one connection and not two
        `dbus-send`s.
        """
        assert self.keyring_password is not None
        secrets = DBusAddress("/org/freedesktop/secrets", "org.freedesktop.secrets", "org.freedesktop.Secret.Service")
        with open_dbus_connection(self.env["DBUS_SESSION_BUS_ADDRESS"]) as bus:
            opened = bus.send_and_get_reply(new_method_call(secrets, "OpenSession", "sv", ("plain", ("s", ""))))
            own = secrets.with_interface("org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface")
            password = (opened.body[1], b"", self.keyring_password.encode(), "text/plain")
            collection = "/org/freedesktop/secrets/collection/login"
            bus.send_and_get_reply(
                new_method_call(own, "UnlockWithMasterPassword", "o(oayays)", (collection, password))
            )
        wait_for(lambda: not self.keyring_locked(), "the keyring to unlock")

    def keyring_locked(self) -> bool:
        text = self.call(
            "org.freedesktop.secrets",
            "/org/freedesktop/secrets/aliases/default",
            "org.freedesktop.DBus.Properties.Get",
            "string:org.freedesktop.Secret.Collection",
            "string:Locked",
        )
        return "boolean true" in text

    def has_default_collection(self) -> bool:
        query = "org.freedesktop.Secret.Service.ReadAlias"
        return "/collection/" in self.call(
            "org.freedesktop.secrets", "/org/freedesktop/secrets", query, "string:default"
        )

    def _secrets(self, member: str) -> None:
        collection = "array:objpath:/org/freedesktop/secrets/collection/login"
        self.call(
            "org.freedesktop.secrets",
            "/org/freedesktop/secrets",
            f"org.freedesktop.Secret.Service.{member}",
            collection,
        )
