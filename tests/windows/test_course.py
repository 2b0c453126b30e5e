"""The whole course on Windows, in Wine: from Setup.exe to the uninstaller, on the screen, with the mouse.

With AMBERLIGHT_DELIVERY, a directory with Setup.exe, it is the delivered program, installed and removed; otherwise this
checkout, which Windows' Python runs. AMBERLIGHT_SHOTS is a directory for a picture of each step.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT
from tests.desktop import fake_browser
from tests.desktop.screen import wait_for
from tests.windows.wine_desk import PROFILE, PYTHON, WineDesk, require_windows
from trayapp import __version__
from trayapp.core.presentation import Colour
from trayapp.oauthtest import EchoWorkload, Mode, OAuthServer

DELIVERY = os.environ.get("AMBERLIGHT_DELIVERY", "")
SHOTS = os.environ.get("AMBERLIGHT_SHOTS", "")
SOON = 90.0  # s for a change of state on a busy machine; the tokens live for LIFETIME
LIFETIME = 12.0  # s
NAME = "notes"

# The product's rules with shorter waits, and any free port: other tests of this machine have a program, too.
CONFIG = """\
[settings]
port = 0
initial_retry_interval = "1s"
max_retry_interval = "2s"
usable_margin = "1s"
again = ["0s", "500ms", "1s"]
impossible_grace = "500ms"
refresh_spacing = "500ms"
automatic_attempts = 1000
"""

pytestmark = [
    pytest.mark.wine,
    pytest.mark.delivery,
    pytest.mark.linux("it starts Wine"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(not PROFILE, reason="packaging/dev.sh test --windows-screen runs it"),
]


class Person:
    """Who installs the program, looks at the screen and clicks. Everything is of the desk's Windows profile."""

    def __init__(self, desk: WineDesk, folder: Path) -> None:
        self.desk = desk
        self._shots = Path(SHOTS) if SHOTS else folder
        self._count = 0
        self.visits_file = folder / "visits"
        (self.local,) = (
            place / "AppData/Local" for place in Path(PROFILE, "drive_c/users").iterdir() if place.name != "Public"
        )
        self.home = self.local / "Programs/Amberlight"
        shutil.rmtree(self.local / "amberlight", ignore_errors=True)
        self._browser(folder / "bin")

    def _browser(self, folder: Path) -> None:
        """What opens addresses: Wine asks Linux for it."""
        folder.mkdir()
        opener = folder / "xdg-open"
        opener.write_text(
            f'#!/bin/sh\ncd "{ROOT}"\nexec "{sys.executable}" -m tests.desktop.fake_browser "{self.visits_file}" "$1"\n'
        )
        opener.chmod(0o700)
        self.desk.env["PATH"] = f"{folder}{os.pathsep}{self.desk.env['PATH']}"

    # --- the program ------------------------------------------------------------------------------------------------------

    def install(self) -> None:
        """Run Setup.exe, if there is one."""
        if DELIVERY:
            setup = Path(DELIVERY, f"amberlight-{__version__}-setup.exe").resolve()
            self.desk.run_windows(str(setup), "/S")
            assert (self.home / "amberlightw.exe").is_file()

    def _program(self, name: str) -> list[str]:
        return [str(self.home / f"{name}.exe")] if DELIVERY else [PYTHON, "-m", "trayapp"]

    def start(self, *options: str) -> None:
        """Start the app as the Start menu does, and wait for its icon."""
        self.app = self.desk.open_windows(*self._program("amberlightw"), "run", *options)

    def command(self, *words: str) -> str:
        """What a command of the terminal prints."""
        return self.desk.windows(*self._program("amberlight"), *words, limit=SOON)

    def configure(self) -> None:
        """Short waits."""
        file = self.local / "amberlight/config.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(CONFIG)

    def wait_ended(self) -> None:
        """Wait until the app has quit in order."""
        assert self.app.wait(SOON) == 0
        for stream in (self.app.stdin, self.app.stdout):
            assert stream is not None
            stream.close()

    # --- the screen -------------------------------------------------------------------------------------------------------

    def sees(self, colour: Colour, step: str) -> None:
        """The icon gets this colour. A picture of it with its tooltip, and of the menu."""
        wait_for(lambda: self.desk.icon_share(colour.value) > 0.05, f"a {colour.name} icon ({step})", SOON)
        time.sleep(0.6)  # the painter pauses for 0.25 s between two changes
        self.picture(step)

    def picture(self, step: str) -> None:
        """The icon with its tooltip, then with its menu."""
        self._nothing_shown()
        self.desk.hover(16, 16)
        self.desk.hover(17, 17)
        self.desk.settle(wait_for(self.desk.tips, "the tooltip")[0])
        self.shot(step)
        self.desk.open_menu()
        self.shot(step, "-menu")
        self.desk.close_menu()

    def _nothing_shown(self) -> None:
        """Take the mouse away, and wait until neither a tooltip nor a balloon is shown; a balloon stays for 10 s."""
        self.desk.hover(900, 600)
        wait_for(lambda: not self.desk.tips() and not self.desk.balloons(), "the end of the tooltip", SOON)

    def gets_balloon(self, step: str) -> None:
        """A balloon comes out of the icon. A picture of it."""
        self.desk.hover(900, 600)
        balloon = wait_for(self.desk.balloons, "a balloon", SOON)[0]
        self.desk.settle(balloon)
        self.shot(step)

    def shot(self, step: str, more: str = "") -> None:
        """A numbered picture of the screen; of the same step if there is `more`."""
        self._count += not more
        self.desk.shot(self._shots / f"course-{self._count:02}-{step}{more}.png")

    def clicks(self, find: Callable[[list[int]], int]) -> None:
        """Open the menu and click one of its lines."""
        menu = self.desk.open_menu()
        self.desk.click(menu[0] + 40, find(self.desk.rows(menu)))

    def visits(self) -> int:
        """How many pages the browser has opened to their end."""
        return len(fake_browser.visits(self.visits_file)) // 2


def test_from_setup_to_the_uninstaller(tmp_path: Path) -> None:
    """Green, amber while the server is away, red when it refuses, green again by two clicks, and the login stays."""

    require_windows()
    with (
        OAuthServer(registration=True, access_token_lifetime=LIFETIME) as server,
        EchoWorkload(server, name=NAME) as workload,
        WineDesk() as desk,
    ):
        panel = "#{:02x}{:02x}{:02x}".format(*desk.panel_colour)
        desk.menu_class = r"^(python|amberlightw)\.exe$"
        person = Person(desk, tmp_path)
        person.install()
        person.configure()

        person.start("--page")
        wait_for(lambda: desk.icon_share(panel) < 0.95, "the icon", SOON)  # the logo
        person.gets_balloon("first-start")
        assert 1 == person.visits(), "the set-up"
        person.picture("no-workloads")

        added = person.command("add", NAME, workload.url)
        assert NAME in added, added
        person.sees(Colour.GREEN, "green")
        assert 2 == person.visits()

        server.down()
        person.sees(Colour.AMBER, "server-down")
        server.up()
        person.sees(Colour.GREEN, "back")

        server.mode = Mode.INVALID_GRANT
        person.gets_balloon("notification")
        person.sees(Colour.RED, "refused")
        server.mode = Mode.SUCCESS
        person.clicks(lambda rows: rows[1])  # "Reauthorize notes…", below the summary
        person.sees(Colour.GREEN, "reauthorized")
        assert 3 == person.visits()

        person.clicks(lambda rows: rows[-1])  # "Quit"
        person.wait_ended()
        wait_for(lambda: desk.icon_share(Colour.GREEN.value) == 0, "the icon to go")
        person.start()
        person.sees(Colour.GREEN, "restarted")
        assert 3 == person.visits(), "the login was kept"

        if DELIVERY:
            desk.run_windows(str(person.home / "uninstall.exe"), "/S")
            wait_for(lambda: not person.home.exists(), "the removal", SOON)
        else:
            person.clicks(lambda rows: rows[-1])
        person.wait_ended()
        wait_for(lambda: desk.icon_share(Colour.GREEN.value) == 0, "the icon to go")
        person.shot("removed")
