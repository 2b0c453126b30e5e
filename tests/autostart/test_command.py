"""The command that a login runs, for each way of installing Amberlight."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from trayapp.autostart import CannotStartError, login_command
from trayapp.autostart.command import Interpreter


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def interpreter(root: Path, **how: object) -> Interpreter:
    given: dict[str, object] = {
        "executable": program(root / "bin/python"),
        "scripts": (root / "bin", root / "local"),
        "frozen": False,
        "installed": True,
        "packaged": root / "usr/bin/amberlight",
        **how,
    }
    return Interpreter(**given)  # type: ignore[arg-type]


def test_the_script_beside_the_interpreter(tmp_path: Path) -> None:
    """As with pipx, uv tool or a virtual environment."""

    script = program(tmp_path / "bin/amberlight")
    assert (str(script), "run") == login_command(interpreter(tmp_path))


def test_a_user_install(tmp_path: Path) -> None:
    """The script is not beside the system's interpreter but in the user's script directory."""

    script = program(tmp_path / "local/amberlight")
    assert (str(script), "run") == login_command(interpreter(tmp_path))


def test_installed_without_a_script(tmp_path: Path) -> None:
    """The command is then the interpreter with `-m trayapp`."""

    assert (str(tmp_path / "bin/python"), "-m", "trayapp", "run") == login_command(interpreter(tmp_path))


def test_a_checkout_is_refused(tmp_path: Path) -> None:
    """A login has no working directory and no PYTHONPATH: refused, with a hint."""

    with pytest.raises(CannotStartError, match="pipx install"):
        login_command(interpreter(tmp_path, installed=False))


@pytest.mark.linux("a package's link")
def test_frozen(tmp_path: Path) -> None:
    """The program itself, or the package's link if it resolves to this program."""

    executable = program(tmp_path / "opt/amberlight/amberlight")
    frozen = interpreter(tmp_path, executable=executable, frozen=True, installed=False)
    assert (str(executable), "run") == login_command(frozen)
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/amberlight").symlink_to(program(tmp_path / "opt/other/amberlight"))
    assert (str(executable), "run") == login_command(frozen)
    (tmp_path / "usr/bin/amberlight").unlink()
    (tmp_path / "usr/bin/amberlight").symlink_to(executable)
    assert (str(tmp_path / "usr/bin/amberlight"), "run") == login_command(frozen)


def test_a_mac_runs_downloads_from_a_place_that_vanishes(tmp_path: Path) -> None:
    """Until the bundle has been moved: refused, with a hint."""

    place = tmp_path / "AppTranslocation/0A1B/d/Amberlight.app/Contents/MacOS/amberlight"
    with pytest.raises(CannotStartError, match="Applications folder"):
        login_command(interpreter(tmp_path, executable=program(place), frozen=True, installed=False))


def test_windows_opens_no_console(tmp_path: Path) -> None:
    """pythonw where it exists, as scripts would open a console window."""

    program(tmp_path / "bin/amberlight")
    here = interpreter(tmp_path, executable=program(tmp_path / "bin/python.exe"), windows=True)
    assert str(tmp_path / "bin/python.exe") == login_command(here)[0]
    silent = program(tmp_path / "bin/pythonw.exe")
    assert (str(silent), "-m", "trayapp", "run") == login_command(here)
    frozen = replace(here, executable=program(tmp_path / "app/amberlight.exe"), frozen=True)
    assert (str(tmp_path / "app/amberlight.exe"), "run") == login_command(frozen)
    assert (str(program(tmp_path / "app/amberlightw.exe")), "run") == login_command(frozen)
    with pytest.raises(CannotStartError):
        login_command(interpreter(tmp_path, windows=True, installed=False))


def test_this_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds its script directory; an AppImage is its own program, wherever it is mounted."""

    now = Interpreter.current({})
    assert Path(sys.executable) == now.executable
    assert Path(sys.prefix) in now.scripts[0].parents
    assert not now.frozen
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert Interpreter.current({"APPIMAGE": "/home/me/Amberlight.AppImage"}).frozen
    image = Path("/home/me/Amberlight.AppImage")
    assert image == Interpreter.current({"APPIMAGE": str(image)}).executable
    assert Path("/usr/bin/amberlight") == now.packaged


@pytest.mark.parametrize(
    ("name", "installed"),
    [
        ("amberlight-1.2.3.dist-info", True),
        ("Amberlight.egg-info", True),
        ("amberlight_more-1.0.dist-info", False),
        ("amberlight", False),
    ],
)
def test_pips_record_of_an_installation(
    name: str, installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is beside the packages, and as good as a script; folders that can't be read have none."""

    (tmp_path / "packages" / name).mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "gone"), str(tmp_path / "packages")])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin/python"))
    assert installed == Interpreter.current({}).installed
