"""Setup.exe in Wine: installed, used, upgraded while it runs, and removed. `packaging/dev.sh release --windows` runs this."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trayapp import __version__
from trayapp.autostart.windows import APPROVED, NAME, RUN
from trayapp.system.activation import APP_KEY, COMMAND_KEY, SCHEME_KEY

DELIVERY = os.environ.get("AMBERLIGHT_DELIVERY", "")
WINE = shutil.which("wine64") or "/usr/lib/wine/wine64"
APPS, SCHEME, COMMAND = APP_KEY, SCHEME_KEY, COMMAND_KEY
UNINSTALL = r"Software\Microsoft\Windows\CurrentVersion\Uninstall\Amberlight"
LIMIT = 300.0  # s for anything that is waited for, on a machine with other work

pytestmark = [
    pytest.mark.delivery,
    pytest.mark.skipif(not DELIVERY, reason="packaging/dev.sh release --windows runs it"),
]


class Computer:
    """The Windows computer that WINEPREFIX names."""

    def __init__(self) -> None:
        self.disk = Path(os.environ["WINEPREFIX"], "drive_c")

    @property
    def local(self) -> Path:
        (place,) = (path / "AppData/Local" for path in (self.disk / "users").iterdir() if path.name != "Public")
        return place

    @property
    def home(self) -> Path:
        return self.local / "Programs/Amberlight"

    def run(self, program: Path | str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end. Its output goes through pipes: Wine's files are no consoles."""
        command, quiet = [WINE, str(program), *arguments], subprocess.DEVNULL
        return subprocess.run(command, stdin=quiet, capture_output=True, encoding="utf-8", timeout=LIMIT, check=False)

    def silently(self, program: Path) -> int:
        """Run an installer; its exit code. A pipe would stay open: the desktop that Wine starts with it has it, too."""
        quiet = subprocess.DEVNULL
        command = [WINE, str(program), "/S"]
        return subprocess.run(command, stdin=quiet, stdout=quiet, stderr=quiet, timeout=LIMIT, check=False).returncode

    def amberlight(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(self.home / "amberlight.exe", *arguments)

    def value(self, key: str, name: str) -> str:
        """A value of the user's hive as `reg` prints it; empty if there is none."""
        done = self.run("reg", "query", f"HKCU\\{key}", "/v", name)
        return done.stdout.split("REG_SZ", 1)[-1].strip() if done.returncode == 0 else ""

    def default(self, key: str) -> str:
        """The default value of a key."""
        done = self.run("reg", "query", f"HKCU\\{key}", "/ve")
        return done.stdout.split("REG_SZ", 1)[-1].strip() if done.returncode == 0 else ""

    def link(self) -> Path:
        roaming = self.local.with_name("Roaming")
        return roaming / "Microsoft/Windows/Start Menu/Programs/Amberlight.lnk"


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen"
        time.sleep(0.5)


@pytest.fixture
def computer() -> Iterator[Computer]:
    computer = Computer()
    yield computer
    subprocess.run([str(Path(WINE).with_name("wineserver64")), "-k"], check=False)


def test_installed_used_upgraded_and_removed(computer: Computer) -> None:
    """Silently, and nothing is left but what was to be kept: configuration, history and logins."""

    setup = Path(DELIVERY, f"amberlight-{__version__}-setup.exe")

    assert 0 == computer.silently(setup)
    assert f"amberlight {__version__}" == computer.amberlight("version").stdout.strip()
    assert __version__ == computer.value(UNINSTALL, "DisplayVersion")
    assert "Amberlight" == computer.value(APPS, "DisplayName")
    assert Path(computer.home, "_internal/trayapp/tray/app.png").is_file()  # what IconUri names
    assert "URL:Amberlight" == computer.default(SCHEME)
    assert computer.default(COMMAND).lower().endswith(r'\programs\amberlight\amberlightw.exe" activate "%1"')
    assert computer.link().is_file()
    assert "" == computer.value(RUN, NAME), "start at login is the person's choice"

    assert 0 != computer.amberlight("list").returncode, "Setup starts nothing unasked"
    quiet = subprocess.DEVNULL
    command = [WINE, str(computer.home / "amberlightw.exe"), "run", "--no-page"]
    app = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
    until(lambda: computer.amberlight("list").returncode == 0, "the start")
    doctor = computer.amberlight("doctor")
    assert "Traceback" not in doctor.stdout + doctor.stderr
    assert "Windows" in doctor.stdout, doctor.stdout
    assert 0 == computer.amberlight("autostart", "on").returncode
    assert "amberlightw.exe" in computer.value(RUN, NAME)

    assert 0 == computer.silently(setup)
    assert 0 == app.wait(LIMIT), "the old one has quit in order"
    until(lambda: computer.amberlight("list").returncode == 0, "the start of the new one")
    assert "amberlightw.exe" in computer.value(RUN, NAME)

    computer.silently(computer.home / "uninstall.exe")
    until(lambda: not computer.home.exists(), "the removal")
    until(lambda: not computer.value(UNINSTALL, "DisplayVersion"), "the end of the removal")
    assert not computer.link().exists()
    assert "" == computer.default(SCHEME) == computer.default(COMMAND)
    for key, name in ((RUN, NAME), (APPROVED, NAME), (APPS, "DisplayName")):
        assert "" == computer.value(key, name)
    assert (computer.local / "amberlight").is_dir(), "what the person has is kept"
    running = [line for line in computer.run("tasklist").stdout.splitlines() if "amberlight" in line.lower()]
    assert [] == running
