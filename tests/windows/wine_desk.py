"""`WineDesk`: the headless desktop with a Windows in Wine on it, whose icons and menus the panel and the screen show.

Wine's desktop is bound to one display, so the profile is the tests' own (`packaging/dev.sh test --windows-screen` makes
it), and everything in it ends with the desk.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import ImageChops

from tests import ROOT
from tests.desktop.desk import Desk, missing
from tests.desktop.screen import ICON, PANEL_SIZE, Box, wait_for
from tests.requirements import skip_or_fail
from trayapp.core.presentation import Action, TrayView, Verb
from trayapp.tray import art

PROFILE = os.environ.get("AMBERLIGHT_WINE_SCREEN", "")  # its WINEPREFIX; a test without it is skipped
PYTHON = os.environ.get("AMBERLIGHT_WINE_PYTHON", "")
WINE = os.environ.get("WINE", "/usr/lib/wine/wine64")
LIMIT = 60.0  # s for a program to start, on a machine with other work
DESKTOP_KEY = r"HKCU\Control Panel\Desktop"


def require_windows() -> None:
    """Skip with what is missing; fail under CI."""
    if lacking := missing():
        skip_or_fail(f"no Windows on a screen here: {lacking} not found")


class WineDesk(Desk):
    """The desktop. `dpi` is the scale of the screen: 96 for 100 %."""

    menu_class = r"^python\.exe$"  # of the windows that are menus; or the frozen program's

    def __init__(self, *, dark: bool = False, dpi: int = 96) -> None:
        super().__init__(dark=dark, notifications=False, keyring_password=None)
        self.dpi = dpi
        self.icon_size = max(22, 16 * dpi // 96)

    def _start(self) -> None:
        super()._start()
        self.env |= {
            "WINEPREFIX": PROFILE,
            "WINEARCH": "win64",
            "WINEDEBUG": os.environ.get("WINEDEBUG", "-all"),
            "WINEDLLOVERRIDES": "mscoree,mshtml=;winedbg.exe=d",
            "USER": os.environ.get("WINE_USER", "person"),
            "LANG": "C.UTF-8",
            "PYTHONUTF8": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self.env.pop("LC_ALL", None)
        self.end_windows()
        scale = (DESKTOP_KEY, "/v", "LogPixels", "/t", "REG_DWORD", "/d", str(self.dpi), "/f")
        self.windows("reg", "add", *scale)
        self.end_windows()

    def close(self) -> None:
        if "WINEPREFIX" in self.env:
            self.end_windows()
        super().close()

    def end_windows(self) -> None:
        """End every Windows program of this profile."""
        subprocess.run([str(Path(WINE).with_name("wineserver64")), "-k"], env=self.env, check=False)

    def windows(self, *command: str, limit: float = LIMIT) -> str:
        """Run a Windows program to its end; what it printed."""
        quiet = subprocess.DEVNULL
        done = subprocess.run(
            [WINE, *command],
            env=self.env,
            stdin=quiet,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit,
            check=False,
            cwd=ROOT,
        )
        return done.stdout.decode("utf-8", "replace")

    def run_windows(self, *command: str) -> int:
        """Run an installer to its end; its exit code. A pipe would stay open in the desktop that Wine starts with it."""
        quiet = subprocess.DEVNULL
        return subprocess.run(
            [WINE, *command], env=self.env, stdin=quiet, stdout=quiet, stderr=quiet, timeout=5 * LIMIT, check=False
        ).returncode

    def open_windows(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a Windows program with pipes: Wine's programs can't write into a file as their standard stream."""
        pipe = subprocess.PIPE
        both = subprocess.STDOUT
        process = subprocess.Popen([WINE, *command], env=self.env, stdin=pipe, stdout=pipe, stderr=both, cwd=ROOT)
        self._processes.append(process)
        return process

    @staticmethod
    def end_in_order(process: subprocess.Popen[bytes]) -> int:
        """End a program of `open_windows` by the end of its input; its exit code."""
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        return process.wait(20)

    def menus(self) -> list[Box]:
        """The open menus, in the order of their left edges."""
        return sorted(box for box in self._windows(self.menu_class) if box[2] > PANEL_SIZE and box[3] > PANEL_SIZE)

    def close_menu(self) -> None:
        """By Escape. Nothing has the keyboard on this desktop but what the mouse is over."""
        if menus := self.menus():
            self.over(menus[-1])
        super().close_menu()

    def over(self, menu: Box) -> None:
        """Move the mouse onto the menu, where it chooses nothing."""
        self.hover(menu[0] + 1, menu[1] + 1)

    def tips(self) -> list[Box]:
        """The tooltips, which Wine's desktop shows below the mouse."""
        return [box for box in self._shown_by_desktop() if box[1] >= PANEL_SIZE]

    def balloons(self) -> list[Box]:
        """The balloons, whose tip is in the icon."""
        return [box for box in self._shown_by_desktop() if 0 < box[1] < PANEL_SIZE]

    def _shown_by_desktop(self) -> list[Box]:
        return [box for box in self._windows(r"^explorer\.exe$") if box[2] > PANEL_SIZE]


class WindowsIcon:
    """The icon of `shown_icon.py` on the desk."""

    def __init__(self, desk: WineDesk) -> None:
        self.desk = desk
        self.said: queue.Queue[list[object]] = queue.Queue()
        self._process = desk.open_windows(PYTHON, "-m", "tests.windows.shown_icon")
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        for expected in ("ready", "host"):  # two threads say them
            assert self.said.get(timeout=LIMIT)[0] in ("ready", "host"), expected

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.startswith(b"["):
                    self.said.put(json.loads(line))
                else:
                    sys.stderr.write(line.decode("utf-8", "replace"))

    def publish(self, view: TrayView) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(base64.b64encode(pickle.dumps(view)) + b"\n")
        self._process.stdin.flush()

    def show(self, view: TrayView) -> None:
        """Show a view whose colour isn't the one on the screen."""
        self.publish(view)
        wait_for(lambda: self.desk.icon_share(view.icon.colour.value) > 0.05, f"a {view.icon.colour.name} icon", 20)

    def clicked(self) -> Action:
        word, verb, name = self.said.get(timeout=20)
        assert word == "action"
        return Action(Verb(str(verb)), str(name))

    def close(self) -> None:
        """End it; it takes its icon with it. Does nothing a second time."""
        if self._process.poll() is None:
            assert self.desk.end_in_order(self._process) == 0
            self._listener.join(20)
            assert self.said.get(timeout=1) == ["end"]


def off(desk: WineDesk, view: TrayView, side: int = 16) -> int:
    """How far the icon on the screen is from its drawing of this size: the largest difference of a pixel, 0 to 255.

    Only whole pixels count: behind the others Wine may leave what was there before it knew its place in the panel.
    """
    drawing = art.draw(view.icon, side)
    x = y = ICON[0] - side // 2
    found = desk.shot().crop((x, y, x + side, y + side))
    difference = ImageChops.difference(found, drawing.convert("RGB")).convert("L")
    whole = drawing.getchannel("A").point(lambda alpha: 255 * (alpha == 255))
    _, most = ImageChops.multiply(difference, whole).getextrema()
    assert isinstance(most, int)
    return most


@contextmanager
def second_program(desk: WineDesk) -> Iterator[SecondProgram]:
    """`second_program.py`, until the end of the statement."""
    process = desk.open_windows(PYTHON, "-m", "tests.windows.second_program")
    try:
        yield SecondProgram(process)
    finally:
        desk.end_in_order(process)
        assert process.stdout is not None
        process.stdout.close()


class SecondProgram:
    """Another Windows program, which does as it is told."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def does(self, *words: object) -> int:
        """Its answer to a command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())
