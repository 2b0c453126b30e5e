"""Desks with other panels: LXQt's (Qt) and MATE's (GTK, with another menu library than Xfce's).

`python -m tests.desktop.panels FOLDER` takes screenshots of every state on the three panels, light and dark, at single
and double density, for a visual check.
"""

from __future__ import annotations

import os
import queue
import shutil
import sys
import threading
import time
from pathlib import Path

from PIL import Image

from tests.desktop.desk import WATCHER, Desk
from tests.desktop.screen import PANEL_SIZE, Box, wait_for
from trayapp.core.presentation import Action, Colour, Glyph, IconView, MenuItem, TrayView, Verb
from trayapp.tray.icon import TrayIcon

LXQT_CONF = """\
[General]
panels=panel1
[panel1]
alignment=-1
animation-duration=0
background-image={image}
desktop=0
hidable=false
iconSize=22
lineCount=1
opacity=100
panelSize={size}
plugins=statusnotifier
position=Top
width=100
width-percent=true
[statusnotifier]
alignment=Left
type=statusnotifier
"""
MATE_KEYFILE = """\
[org/mate/panel/general]
object-id-list=['tray']
toplevel-id-list=['top']

[org/mate/panel/toplevels/top]
expand=true
orientation='top'
size={size}
y=0

[org/mate/panel/toplevels/top/background]
type='color'
color='{colour}'

[org/mate/panel/objects/tray]
applet-iid='NotificationAreaAppletFactory::NotificationArea'
object-type='applet'
toplevel-id='top'
position=0
locked=true
"""


class Panel(Desk):
    """A desk with one of the panels; `scale` is the density of the screen."""

    program = "xfce4-panel"

    def __init__(self, *, dark: bool = False, scale: int = 1) -> None:
        super().__init__(size=f"{500 * scale}x{400 * scale}", dark=dark, notifications=False, keyring_password=None)
        self.dark, self.scale = dark, scale

    @classmethod
    def installed(cls) -> bool:
        return shutil.which(cls.program) is not None

    def _start_display(self) -> None:
        """Set the scale before the bus starts, as activated services such as MATE's applets inherit its environment."""
        self.env |= {"GDK_SCALE": str(self.scale), "QT_SCALE_FACTOR": str(self.scale)}
        super()._start_display()

    def icon_box(self) -> Box:
        """The area of the first icon: the panel's height, twice as wide."""
        side = PANEL_SIZE * self.scale
        return 0, 0, side * 2, side

    def menu_box(self) -> Box:
        """The area of an open menu: whatever is not the black ground below the panel."""
        below = PANEL_SIZE * self.scale
        image = self.shot()
        found = image.crop((0, below + 4, image.width, image.height)).getbbox()
        return (found[0], found[1] + below + 4, found[2] - found[0], found[3] - found[1]) if found else (0, 0, 0, 0)


class Xfce(Panel):
    pass


class Lxqt(Panel):
    program = "lxqt-panel"

    def start_panel(self) -> None:
        self.env |= {"XDG_CURRENT_DESKTOP": "LXQt", "QT_QPA_PLATFORM": "xcb"}
        image = self.root / "ground.png"
        Image.new("RGB", (8, 8), self.panel_colour).save(image)
        conf = self.root / "config/lxqt/panel.conf"
        conf.parent.mkdir(parents=True, exist_ok=True)
        conf.write_text(LXQT_CONF.format(size=PANEL_SIZE, image=image))
        self._panel = self.spawn(self.program)
        wait_for(lambda: self.has_name(WATCHER), "LXQt's tray", 20)


class Mate(Panel):
    program = "mate-panel"

    def start_panel(self) -> None:
        self.env |= {"XDG_CURRENT_DESKTOP": "MATE", "GSETTINGS_BACKEND": "keyfile"}
        keyfile = self.root / "config/glib-2.0/settings/keyfile"
        keyfile.parent.mkdir(parents=True, exist_ok=True)
        colour = "#{:02x}{:02x}{:02x}".format(*self.panel_colour)
        keyfile.write_text(MATE_KEYFILE.format(size=PANEL_SIZE, colour=colour))
        self._panel = self.spawn(self.program)
        wait_for(lambda: self.has_name(WATCHER), "MATE's tray", 20)


PANELS: tuple[type[Panel], ...] = (Xfce, Lxqt, Mate)
GREEN, AMBER, RED, BLUE, GREY = Colour.GREEN, Colour.AMBER, Colour.RED, Colour.BLUE, Colour.GREY
VIEWS = (
    IconView(Glyph.TICK, GREEN, (GREEN,) * 3),
    IconView(Glyph.RETRY, AMBER, (GREEN, AMBER, GREEN)),
    IconView(Glyph.WARNING, RED, (RED, GREEN, GREEN), attention=True),
    IconView(Glyph.CROSS, RED, attention=True),
    IconView(Glyph.OPEN, BLUE, (BLUE,)),
    IconView(Glyph.SQUARE, GREY, (GREY,)),
    IconView(Glyph.RETRY, AMBER),
)
MENU = (
    MenuItem("summary", "1 sign-in needed · 2 connected", enabled=False),
    MenuItem("top", "Reauthorize git_hub…", Action(Verb.REAUTHORIZE, "git_hub")),
    MenuItem("line", separator=True),
    MenuItem(
        "sub", "⚠ git_hub: Sign-in needed", items=(MenuItem("retry", "Retry now", Action(Verb.RETRY, "git_hub")),)
    ),
    MenuItem("mute", "Mute notifications", Action(Verb.MUTE), checked=True),
    MenuItem("autostart", "Start at login", Action(Verb.AUTOSTART), checked=False),
    MenuItem("quit", "Quit", Action(Verb.QUIT)),
)


class ShownIcon:
    """An icon of this process on a panel, and the actions of its clicks. The environment must point to the desk."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.actions: queue.Queue[Action] = queue.Queue()
        ready = threading.Event()
        self.icon = TrayIcon(self.actions.put, ready.set)
        self._thread = threading.Thread(target=self.icon.run)
        self._thread.start()
        assert ready.wait(10)

    def show(self, view: IconView) -> Image.Image:
        """Show a view; returns the panel's icon area once it no longer changes."""
        self.icon.publish(TrayView(view, "Amberlight", MENU))
        wait_for(lambda: self.share(view.colour) > 0.01, f"{view.colour} on {self.panel.program}")
        time.sleep(0.4)  # the painter pauses for 0.25 s between two changes
        self.panel.settle(self.panel.icon_box())
        x, y, width, height = self.panel.icon_box()
        return self.panel.shot().crop((x, y, x + width, y + height))

    def share(self, colour: Colour) -> float:
        """The share of the icon's area that has this colour, 0 to 1."""
        x, y, width, height = self.panel.icon_box()
        image = self.panel.shot().crop((x, y, x + width, y + height))
        wanted = tuple(int(colour.value[i : i + 2], 16) for i in (1, 3, 5))
        near = sum(
            count
            for count, spot in image.getcolors(width * height) or ()
            if isinstance(spot, tuple) and all(abs(a - b) <= 24 for a, b in zip(spot, wanted, strict=True))
        )
        return near / (width * height)

    def open_menu(self) -> Box:
        scale = self.panel.scale
        self.panel.hover(400 * scale, 300 * scale)
        self.panel.click(PANEL_SIZE * scale // 2, PANEL_SIZE * scale // 2, 3)
        wait_for(lambda: self.panel.menu_box()[3] > 60 * scale, f"the menu of {self.panel.program}")
        self.panel.settle(self.panel.menu_box())
        return self.panel.menu_box()

    def close(self) -> None:
        self.icon.stop()
        self._thread.join(10)


def take_screenshots(folder: Path) -> None:
    """Save one image for each panel, background and density: all states in a row, and the menu below."""
    for kind in (kind for kind in PANELS if kind.installed()):
        for dark in (False, True):
            for scale in (1, 2):
                with kind(dark=dark, scale=scale) as panel:
                    os.environ |= {name: panel.env[name] for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS")}
                    shown = ShownIcon(panel)
                    try:
                        icons = [shown.show(view) for view in VIEWS]
                        shown.open_menu()
                        menu = panel.shot()
                    finally:
                        shown.close()
                    image = Image.new("RGB", (icons[0].width * len(icons), icons[0].height + menu.height))
                    for place, icon in enumerate(icons):
                        image.paste(icon, (place * icon.width, 0))
                    image.paste(menu, (0, icons[0].height))
                    image.save(folder / f"{kind.__name__.lower()}-{'dark' if dark else 'light'}-{scale}x.png")


if __name__ == "__main__":
    take_screenshots(Path(sys.argv[1]))
