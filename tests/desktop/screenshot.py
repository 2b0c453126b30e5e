"""`python -m tests.desktop.screenshot assets/screenshot.png`: the README's screenshot, from a real desk with the demo.

Panel, icon, open menu and notification while the demo is red; only the wallpaper is drawn here. Twice the usual size,
so that it is sharp on every screen.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from PIL import Image
from Xlib import X  # type: ignore[import-untyped]
from Xlib.display import Display  # type: ignore[import-untyped]

from tests import ROOT
from tests.desktop.desk import Desk
from tests.desktop.screen import wait_for
from trayapp.core.presentation import Colour

SCALE = 2
SIZE = (1500, 600)
TOP, BOTTOM = (46, 62, 92), (24, 32, 48)  # of the wallpaper
NOTIFYD_XML = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-notifyd" version="1.0">
  <property name="notify-location" type="uint" value="3"/>
  <property name="initial-opacity" type="double" value="1.0"/>
</channel>"""


class ScreenshotDesk(Desk):
    """A small desk, enlarged, with the notification in the lower right corner, beside the menu."""

    def start_notifications(self) -> None:
        self.env["GDK_SCALE"] = str(SCALE)
        folder = self.root / "config/xfce4/xfconf/xfce-perchannel-xml"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "xfce4-notifyd.xml").write_text(NOTIFYD_XML)
        super().start_notifications()


def wallpaper(size: tuple[int, int]) -> Image.Image:
    """A vertical gradient."""
    height = size[1]
    column = Image.new("RGB", (1, height))
    for y in range(height):
        part = y / height
        column.putpixel((0, y), tuple(round(a + (b - a) * part) for a, b in zip(TOP, BOTTOM, strict=True)))
    return column.resize(size)


def set_wallpaper(image: Image.Image, display: Display) -> None:
    """Set the wallpaper, in strips, as the size of an X request is limited."""
    screen = display.screen()
    root = screen.root
    pixmap = root.create_pixmap(image.width, image.height, screen.root_depth)
    gc = pixmap.create_gc()
    for y in range(0, image.height, 20):
        strip = image.crop((0, y, image.width, min(y + 20, image.height)))
        pixmap.put_pil_image(gc, 0, y, strip)
    root.change_attributes(background_pixmap=pixmap)
    root.clear_area(0, 0, 0, 0)
    display.sync()
    display.set_close_down_mode(X.RetainPermanent)  # the wallpaper outlives this connection
    display.close()


def take_screenshot(target: Path) -> None:
    with ScreenshotDesk(size=f"{SIZE[0]}x{SIZE[1]}", keyring_password=None) as desk:
        set_wallpaper(wallpaper(SIZE), Display(desk.env["DISPLAY"]))
        desk.env["PYTHONPATH"] = str(ROOT)
        demo = desk.spawn(sys.executable, "-m", "trayapp", "demo")
        wait_for(lambda: desk.icon_share(Colour.RED.value) > 0.02, "the red icon", 90)
        desk.settle(desk.notification())
        desk.xdo("mousemove", 700, 500, "sleep", "0.2", "mousemove", 30, 30, "sleep", "0.3", "click", 3)
        box = wait_for(lambda: [box for box in desk.menus() if box[3] > 32 * SCALE], "the menu")[0]
        desk.settle(box)
        desk.xdo("mousemove", box[0] + 200, desk.rows(box)[1], "sleep", "0.4")
        time.sleep(0.3)
        desk.shot().save(target, optimize=True)  # in all its colours: with a palette the icon's would fade
        desk.end(demo, signal.SIGTERM)


if __name__ == "__main__":
    take_screenshot(Path(sys.argv[1]))
