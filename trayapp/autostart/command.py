"""The command that a login runs: absolute, and chosen so that it survives an upgrade of the installation.

An installed Amberlight has a script beside its interpreter (pipx, uv tool, a virtual environment, a user install). Links
to it are not resolved: a package's `/usr/bin/amberlight` stays right when /opt changes. A frozen program is its own
script. Otherwise the command is `python -m trayapp`, which works from every directory only if the package is installed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trayapp.autostart.state import AutostartError

NAME = "amberlight"
RUN = "run"
# Of a start at login, and of one in the background.
NOT_INSTALLED = "This Amberlight isn't installed, so it can only be started by hand. Install it"
TRANSLOCATED = "AppTranslocation"  # in the path where macOS runs a download until somebody moves it
_INSTALLED = re.compile(rf"{NAME}(-.*)?\.(dist|egg)-info", re.IGNORECASE)  # beside the packages
PACKAGED = Path("/usr/bin/amberlight")  # what the Debian package links to its program below /opt


class CannotStartError(AutostartError):
    """There is no installed program that a login could start."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The running interpreter and how Amberlight was installed."""

    executable: Path
    scripts: tuple[Path, ...]  # the directories for scripts of installed packages, likeliest first
    frozen: bool
    installed: bool
    windows: bool = False
    packaged: Path = PACKAGED

    @classmethod
    def current(cls, environ: Mapping[str, str] = os.environ) -> Interpreter:
        """The interpreter of this process."""
        image = environ.get("APPIMAGE", "")  # an AppImage is mounted at a different path at each start
        scripts, windows = tuple(_script_folders()), sys.platform == "win32"
        return cls(
            executable=Path(image or sys.executable),
            scripts=scripts,
            frozen=bool(getattr(sys, "frozen", False)),
            installed=any(_executable(folder / _script(windows=windows)) for folder in scripts) or _is_distribution(),
            windows=windows,
        )


def login_command(given: Interpreter | None = None) -> tuple[str, ...]:
    """The command, without a shell. Raises `CannotStartError` if Amberlight is only checked out."""
    running = given or Interpreter.current()
    if running.frozen:
        if TRANSLOCATED in running.executable.parts:
            raise CannotStartError("Can't start at login from here. Move Amberlight to the Applications folder first.")
        return str(_windowless(running, "amberlightw.exe") if running.windows else _packaged_link(running)), RUN
    if running.windows:
        return _windows(running)
    for folder in running.scripts:
        if _executable(folder / NAME):
            return str(folder / NAME), RUN
    if running.installed:
        return str(running.executable), "-m", "trayapp", RUN
    raise CannotStartError(f"{NOT_INSTALLED} (`pipx install .`) and try again.")


def client_command(*arguments: str, given: Interpreter | None = None) -> tuple[str, ...]:
    """The command by which another program starts ours, with these arguments: the one with standard input and output."""
    running = given or Interpreter.current()
    if running.frozen:
        console = running.executable.with_name("amberlight.exe") if running.windows else _packaged_link(running)
        return str(console), *arguments
    for folder in running.scripts:
        script = folder / _script(windows=running.windows)
        if _executable(script):
            return str(script), *arguments
    return str(running.executable), "-m", "trayapp", *arguments


def _packaged_link(running: Interpreter) -> Path:
    """The package's link if it resolves to the running program, or else the program itself."""
    try:
        linked = running.packaged.resolve(strict=True) == running.executable.resolve()
    except OSError:
        linked = False
    return running.packaged if linked else running.executable


def _windows(running: Interpreter) -> tuple[str, ...]:
    """The command on Windows: pythonw with the module, as scripts are console programs there."""
    if not running.installed:
        raise CannotStartError(f"{NOT_INSTALLED} and try again.")
    return str(_windowless(running, "pythonw.exe")), "-m", "trayapp", RUN


def _windowless(running: Interpreter, windowless_name: str) -> Path:
    """The variant of the program that opens no console window, if there is one."""
    windowless = running.executable.with_name(windowless_name)
    return windowless if windowless.is_file() else running.executable


def _script_folders() -> Iterator[Path]:
    """The script directory of this interpreter's environment; then that of user installs, if they are in use."""
    if sys.prefix != sys.base_prefix:  # a virtual environment has one, and needs no table of schemes (0.4 MB)
        yield Path(sys.executable).parent
        return
    import sysconfig

    yield Path(sysconfig.get_path("scripts"))
    user = f"{os.name}_user"
    if user in sysconfig.get_scheme_names():
        yield Path(sysconfig.get_path("scripts", user))


def _script(*, windows: bool) -> str:
    return f"{NAME}.exe" if windows else NAME


def _is_distribution() -> bool:
    """Whether pip has installed it: what `importlib.metadata` would say, which is 0.8 MB."""
    for place in sys.path:
        try:
            names = [each.name for each in Path(place).iterdir()]
        except OSError:
            continue
        if any(_INSTALLED.fullmatch(name) for name in names):
            return True
    return False


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
