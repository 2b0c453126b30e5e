"""The command that a login is to run: absolute, and such that it outlives an upgrade of what it belongs to.

An installed Amberlight has a script of its own beside its interpreter (pipx, uv tool, a virtual environment, a user
install), and links to it are not followed: `/usr/bin/amberlight` of a package stays right when /opt changes. A frozen
program is its own script. Otherwise the interpreter is told the module, which works from every directory only if the
package is installed.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trayapp.autostart.state import AutostartError

NAME = "amberlight"
RUN = "run"
PACKAGED = Path("/usr/bin/amberlight")  # what the Debian package links to its program below /opt


class CannotStartError(AutostartError):
    """There is nothing that a login could start."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What is running now, as Python knows it."""

    executable: Path
    scripts: tuple[Path, ...]  # where the scripts of installed packages lie, likeliest first
    frozen: bool
    installed: bool
    windows: bool = False
    packaged: Path = PACKAGED

    @classmethod
    def current(cls, environ: Mapping[str, str] = os.environ) -> Interpreter:
        """This process."""
        image = environ.get("APPIMAGE", "")  # an AppImage is mounted at another place at each start
        return cls(
            executable=Path(image or sys.executable),
            scripts=tuple(_scripts()),
            frozen=bool(getattr(sys, "frozen", False)),
            installed=_installed(),
            windows=sys.platform == "win32",
        )


def login_command(running: Interpreter | None = None) -> tuple[str, ...]:
    """The command, without a shell. Raises `CannotStartError` if Amberlight is only checked out."""
    now = running or Interpreter.current()
    if now.frozen:
        return str(_silent(now, "amberlightw.exe") if now.windows else _link_to(now)), RUN
    if now.windows:
        return _windows(now)
    for folder in now.scripts:
        if _executable(folder / NAME):
            return str(folder / NAME), RUN
    if now.installed:
        return str(now.executable), "-m", "trayapp", RUN
    raise CannotStartError(
        "This Amberlight is not installed, so a login could not find it. Install it (pipx install .) and try again."
    )


def _link_to(now: Interpreter) -> Path:
    """The package's link if it leads to this very program, or else the program."""
    try:
        linked = now.packaged.resolve(strict=True) == now.executable.resolve()
    except OSError:
        linked = False
    return now.packaged if linked else now.executable


def _windows(now: Interpreter) -> tuple[str, ...]:
    """Scripts are console programs there."""
    if not now.installed:
        raise CannotStartError("This Amberlight is not installed, so a login could not find it. Install it first.")
    return str(_silent(now, "pythonw.exe")), "-m", "trayapp", RUN


def _silent(now: Interpreter, name: str) -> Path:
    """The twin of the program that opens no window, where there is one."""
    twin = now.executable.with_name(name)
    return twin if twin.is_file() else now.executable


def _scripts() -> Iterator[Path]:
    """Of this interpreter's environment; then of the user's own packages, if they are in use."""
    yield Path(sysconfig.get_path("scripts"))
    user = f"{os.name}_user"
    if sys.prefix == sys.base_prefix and user in sysconfig.get_scheme_names():
        yield Path(sysconfig.get_path("scripts", user))


def _installed() -> bool:
    import importlib.metadata  # half of the standard library's e-mail comes with it

    try:
        importlib.metadata.distribution(NAME)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
