"""`Screen`: reading an X display by screenshots, and mouse and keyboard through xdotool.

A test asserts what a person would see and clicks what a person would click: the lines of a menu and the buttons of a
notification are found by the ink on the screen, not by asking the program that drew them.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from PIL import Image, ImageGrab

T = TypeVar("T")
Box = tuple[int, int, int, int]  # x, y, width, height
Rgb = tuple[int, int, int]

PANEL_SIZE = 32  # px: the first icon's middle is at (16, 16)
ICON = (PANEL_SIZE // 2, PANEL_SIZE // 2)
AWAY = (900, 600)
INK = 100  # of 255: the contrast of text with its background, greyed text included; borders and shadows have less


def wait_for(condition: Callable[[], T], what: str, timeout: float = 10.0) -> T:
    """The first true value of `condition`, polled every 30 ms. Raises AssertionError that names `what`."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"timed out after {timeout:.0f} s waiting for {what}"
        time.sleep(0.03)
    return value


class Screen:
    """One display, with a panel at its top edge that begins with the tray."""

    def __init__(self) -> None:
        self.env: dict[str, str] = {}

    # --- reading the screen -------------------------------------------------------------------------------------------

    def shot(self, path: Path | str | None = None) -> Image.Image:
        """A screenshot, also saved at `path` if that is given."""
        image = ImageGrab.grab(xdisplay=self.env["DISPLAY"]).convert("RGB")
        if path is not None:
            image.save(path)
        return image

    def pixel(self, x: int, y: int) -> Rgb:
        red, green, blue = self._rgb(self.shot(), x, y)
        return red, green, blue

    @staticmethod
    def _rgb(image: Image.Image, x: int, y: int) -> Rgb:
        value = image.getpixel((x, y))
        assert isinstance(value, tuple)
        return int(value[0]), int(value[1]), int(value[2])

    def icon(self) -> Image.Image:
        """The first icon of the panel, with its surroundings: a square as high as the panel."""
        return self.shot().crop((0, 0, PANEL_SIZE, PANEL_SIZE))

    def icon_share(self, colour: str, tolerance: int = 24) -> float:
        """The share of the icon's square that has this colour (`#rrggbb`), 0 to 1."""
        return self.icon_shares(colour, tolerance=tolerance)[colour]

    def icon_shares(self, *colours: str, tolerance: int = 24) -> dict[str, float]:
        """The same for several colours, from one screenshot."""
        image = self.icon()
        spots = image.getcolors(image.width * image.height) or []
        shares = {}
        for colour in colours:
            wanted = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
            near = sum(
                count
                for count, spot in spots
                if isinstance(spot, tuple) and all(abs(a - b) <= tolerance for a, b in zip(spot, wanted, strict=True))
            )
            shares[colour] = near / (image.width * image.height)
        return shares

    # --- mouse and keyboard -------------------------------------------------------------------------------------------

    def xdo(self, *arguments: object) -> str:
        command = ["xdotool", *(str(argument) for argument in arguments)]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False).stdout.strip()

    def hover(self, x: int, y: int) -> None:
        """Move the mouse there."""
        self.xdo("mousemove", x, y, "sleep", "0.1")

    def click(self, x: int, y: int, button: int = 1) -> None:
        """Move the mouse there, then press: a panel wants to see the pointer enter first."""
        self.xdo("mousemove", x, y, "sleep", "0.15", "click", button)

    def click_icon(self, button: int = 1) -> None:
        self.xdo("mousemove", *AWAY, "sleep", "0.05")
        self.click(*ICON, button)

    def menus(self) -> list[Box]:
        """The open menus of the tray icon, in the order of their left edges: menu, submenu."""
        found = self._windows("Wrapper-2.0") or self._windows("wrapper-2.0")
        return sorted(box for box in found if box[3] > PANEL_SIZE and box[2] > PANEL_SIZE)

    def _windows(self, name: str) -> list[Box]:
        boxes = []
        for window in self.xdo("search", "--onlyvisible", "--class", name).split():
            lines = self.xdo("getwindowgeometry", "--shell", window).splitlines()
            values = dict(line.split("=", 1) for line in lines if "=" in line)
            with contextlib.suppress(KeyError):  # it closed between the two calls
                boxes.append((int(values["X"]), int(values["Y"]), int(values["WIDTH"]), int(values["HEIGHT"])))
        return boxes

    def open_menu(self, button: int = 3) -> Box:
        """Open the icon's menu with the mouse; returns its area."""
        self.click_icon(button)
        box = wait_for(self.menus, "the menu")[0]
        self.settle(box)
        return box

    def close_menu(self) -> None:
        for _ in range(3):
            if not self.menus():
                return
            self.xdo("key", "Escape", "sleep", "0.1")
        wait_for(lambda: not self.menus(), "the menu to close")

    def settle(self, box: Box) -> None:
        """Wait until the screen inside a box stops changing: menus and notifications fade in."""
        before = None
        for _ in range(40):
            x, y, width, height = box
            now = self.shot().crop((x, y, x + width, y + height)).tobytes()
            if now == before:
                return
            before = now
            time.sleep(0.08)

    def rows(self, box: Box) -> list[int]:
        """The y of the middle of each line of an open menu: bands of ink between gaps. No line may be highlighted."""
        x, y, width, height = box
        image = self.shot().crop((x + 4, y, x + width - 4, y + height)).convert("L")
        inked = [_contrast(image, row) > INK for row in range(height)]
        return [y + (begin + end) // 2 for begin, end in _bands(inked) if end - begin >= 5]

    def click_row(self, box: Box, index: int) -> None:
        """Click the `index`th line of an open menu with the mouse."""
        self.click(box[0] + 40, self.rows(box)[index])

    def hover_row(self, box: Box, index: int) -> None:
        self.xdo("mousemove", box[0] + 40, self.rows(box)[index], "sleep", "0.2")

    def choose(self, *downs: int, button: int = 3) -> None:
        """Open the menu and choose by keyboard: Down so many times, Right into a submenu, Return.

        The toolkit skips separators and disabled lines.
        """
        self.open_menu(button)
        for depth, count in enumerate(downs):
            if depth:
                self.xdo("key", "Right", "sleep", "0.2")
            for _ in range(count if depth == 0 else count - 1):
                self.xdo("key", "Down", "sleep", "0.05")
        self.xdo("key", "Return")

    # --- notifications and dialogs -------------------------------------------------------------------------------------

    def notifications(self) -> list[Box]:
        """The areas of the notifications on the screen."""
        return sorted(box for box in self._windows("Xfce4-notifyd") if box[2] > 100)

    def notification(self) -> Box:
        """The area of the one notification on the screen, once it stops moving."""
        box = wait_for(self.notifications, "a notification", 40.0)[0]  # it may be slow on a busy machine
        self.settle(box)
        return self.notifications()[0]

    def buttons(self, box: Box) -> list[tuple[int, int]]:
        """The middles of a notification's buttons, left to right, found as groups of ink in its lowest row."""
        x, y, width, height = box
        strip = (x + 8, y + height - 34, x + width - 8, y + height - 10)
        image = self.shot().crop(strip).convert("L").rotate(90, expand=True)  # columns become rows
        inked = [_contrast(image, row) > INK for row in range(image.height)]
        bands = _join(_bands(inked), 14)
        columns = [image.height - 1 - (begin + end) // 2 for begin, end in bands]
        return [(strip[0] + column, y + height - 22) for column in sorted(columns)]

    def press_button(self, index: int) -> None:
        """Press a button of the notification on the screen with the mouse."""
        self.click(*self.buttons(self.notification())[index])

    def prompts(self) -> list[Box]:
        """The areas of the dialogs that ask for the keyring's password."""
        return [box for box in self._windows("Gcr-prompter") if box[2] > 100]


def _contrast(image: Image.Image, row: int) -> int:
    """The range of brightness along a row of a grey image."""
    low, high = image.crop((0, row, image.width, row + 1)).getextrema()
    assert isinstance(low, int | float)
    assert isinstance(high, int | float)
    return int(high - low)


def _bands(marks: list[bool]) -> Iterator[tuple[int, int]]:
    """Begin and end of each run of True."""
    begin = None
    for place, mark in enumerate([*marks, False]):
        if mark and begin is None:
            begin = place
        elif not mark and begin is not None:
            yield begin, place
            begin = None


def _join(bands: Iterator[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    """Join bands that are closer than `gap`: letters to words, words to a button."""
    joined: list[tuple[int, int]] = []
    for begin, end in bands:
        if joined and begin - joined[-1][1] < gap:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined
