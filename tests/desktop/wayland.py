"""Desks without X: sway without a screen, with waybar or with its own bar, read by grim and clicked by a virtual pointer."""

from __future__ import annotations

import io
import os
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path

from PIL import Image

from tests.desktop.desk import WATCHER
from tests.desktop.panels import Panel
from tests.desktop.screen import PANEL_SIZE, Box, wait_for

WIDTH, HEIGHT = 500, 400
SWAY_CONF = """\
output HEADLESS-1 resolution {width}x{height} position 0 0
output * bg #000000 solid_color
default_border none
xwayland disable
"""
SWAYBAR_CONF = "bar {\n  position top\n  tray_output *\n}\n"
WAYBAR_CONF = '{"layer": "top", "position": "top", "height": 32, "modules-left": ["tray"], "tray": {"icon-size": 22, "spacing": 6}}'
WAYBAR_STYLE = "window#waybar { background: #f6f5f4; } #tray { padding: 0 5px; }"
BUTTONS = {1: 0x110, 3: 0x111}  # X's numbers → the kernel's (linux/input-event-codes.h)


class Pointer:
    """A mouse for a compositor, by the protocol wlr-virtual-pointer-unstable-v1, spoken without a library.

    A message is its object, its size and number, and 32-bit arguments; https://wayland.freedesktop.org/docs/html/.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._last = 1  # wl_display
        registry, listed = self._new(), self._new()
        self._send(1, 1, registry)
        self._send(1, 0, listed)
        manager = self._bind(registry, "zwlr_virtual_pointer_manager_v1", self._globals(listed))
        self._pointer = self._new()
        self._send(manager, 0, 0, self._pointer)

    def close(self) -> None:
        self._socket.close()

    def move(self, x: int, y: int) -> None:
        self._send(self._pointer, 1, self._now(), x, y, WIDTH, HEIGHT)
        self._send(self._pointer, 4)

    def press(self, button: int) -> None:
        for state in (1, 0):
            self._send(self._pointer, 2, self._now(), BUTTONS[button], state)
            self._send(self._pointer, 4)
            time.sleep(0.05)

    def _globals(self, listed: int) -> dict[bytes, int]:
        """The number of each global object, by its interface, up to the answer that ends the list."""
        found: dict[bytes, int] = {}
        data = b""
        while True:
            while len(data) < 8 or len(data) < struct.unpack_from("I", data, 4)[0] >> 16:
                data += self._socket.recv(65536)
            target, head = struct.unpack_from("II", data)
            body, data = data[8 : head >> 16], data[head >> 16 :]
            if target == listed:
                return found
            number, length = struct.unpack_from("II", body)
            found[body[8 : 8 + length - 1]] = number

    def _bind(self, registry: int, interface: str, known: dict[bytes, int]) -> int:
        made, name = self._new(), interface.encode() + b"\0"
        padded = name.ljust(-(-len(name) // 4) * 4, b"\0")
        self._send(registry, 0, known[interface.encode()], len(name), padded, 1, made)
        return made

    def _new(self) -> int:
        self._last += 1
        return self._last

    def _send(self, target: int, number: int, *arguments: int | bytes) -> None:
        body = b"".join(part if isinstance(part, bytes) else struct.pack("I", part) for part in arguments)
        self._socket.sendall(struct.pack("II", target, (len(body) + 8) << 16 | number) + body)

    @staticmethod
    def _now() -> int:
        return int(time.monotonic() * 1000) & 0xFFFFFFFF


class Sway(Panel):
    """Sway's own bar, which has icons but no menus."""

    program = "sway"
    bar = SWAYBAR_CONF
    needed: tuple[str, ...] = ("sway", "grim")

    @classmethod
    def installed(cls) -> bool:
        return all(shutil.which(name) for name in cls.needed)

    def _start_display(self) -> None:
        self.env |= {"XDG_SESSION_TYPE": "wayland", "XDG_CURRENT_DESKTOP": "sway", "GDK_BACKEND": "wayland"}
        self.env |= {"WLR_BACKENDS": "headless", "WLR_LIBINPUT_NO_DEVICES": "1", "WLR_RENDERER": "pixman"}
        self.env |= {"LIBSEAT_BACKEND": "noop"}

    def start_panel(self) -> None:
        conf = self.root / "sway.conf"
        conf.write_text(SWAY_CONF.format(width=WIDTH, height=HEIGHT) + self.bar)
        # It refuses to run as root; in a user namespace without one it can't tell.
        demoted = ("unshare", "--user", "--map-user=1000", "--map-group=1000") if os.getuid() == 0 else ()
        self._panel = self.spawn(*demoted, "sway", "--config", str(conf))
        (path,) = wait_for(lambda: list((self.root / "run").glob("wayland-?")), "sway")
        self.env["WAYLAND_DISPLAY"] = path.name
        pointer = wait_for(lambda: self._connected(path), "sway's socket")
        assert pointer is not None
        self._pointer = pointer
        self.start_bar()
        wait_for(lambda: self.has_name(WATCHER), "the tray host")

    @staticmethod
    def _connected(path: Path) -> Pointer | None:
        try:
            return Pointer(path)
        except ConnectionError:
            return None

    def start_bar(self) -> None:
        """Nothing: sway starts its own."""

    def icon_box(self) -> Box:
        return WIDTH - 40, 0, 40, 20

    def shot(self, path: Path | str | None = None) -> Image.Image:
        data = subprocess.run(["grim", "-"], env=self.env, capture_output=True, check=True).stdout
        image = Image.open(io.BytesIO(data)).convert("RGB")
        if path is not None:
            image.save(path)
        return image

    def hover(self, x: int, y: int) -> None:
        self._pointer.move(x, y)
        time.sleep(0.1)

    def click(self, x: int, y: int, button: int = 1) -> None:
        self.hover(x, y)
        self._pointer.press(button)

    def close(self) -> None:
        if hasattr(self, "_pointer"):
            self._pointer.close()
        super().close()


class Waybar(Sway):
    """Waybar, with GTK's menus."""

    program = "waybar"
    bar = ""
    needed = ("sway", "grim", "waybar")

    def start_bar(self) -> None:
        conf, style = self.root / "waybar.json", self.root / "waybar.css"
        conf.write_text(WAYBAR_CONF)
        style.write_text(WAYBAR_STYLE)
        self.spawn("waybar", "--config", str(conf), "--style", str(style))

    def icon_box(self) -> Box:
        return 0, 0, PANEL_SIZE, PANEL_SIZE
