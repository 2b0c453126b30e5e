"""Opening a browser: by the real xdg-open where there is one, and by programs that fail, hang or are missing."""

from __future__ import annotations

import os
import shutil
import sys
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest

from trayapp.system.browser import NoBrowserError, browse

URL = "http://127.0.0.1:9/authorize?state=canary-state&a=b"
Program = Callable[[str, str], Path]

pytestmark = pytest.mark.linux("elsewhere the system opens it")
needs_xdg_open = pytest.mark.skipif(shutil.which("xdg-open") is None, reason="xdg-open is not there")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Makes programs; the path has no others but those of a minimal system, and the desktop is unknown."""
    folder = tmp_path / "bin"
    folder.mkdir()
    usual = tmp_path / "usual"
    usual.mkdir()
    for name in (
        "sh",
        "sed",
        "grep",
        "cat",
        "cut",
        "head",
        "awk",
        "sleep",
        "which",
        "tr",
        "dirname",
        "env",
        "uname",
        "touch",
        "basename",
        "readlink",
        "file",
        "egrep",
    ):
        if found := shutil.which(name):
            (usual / name).symlink_to(found)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{usual}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DISPLAY", ":99")
    for name in list(os.environ):
        if name.startswith(("XDG_", "KDE_", "GNOME_", "BROWSER", "WAYLAND", "DESKTOP_SESSION", "DBUS_")):
            monkeypatch.delenv(name)

    def make(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


def real_xdg_open(program: Program) -> None:
    target = shutil.which("xdg-open", path=os.defpath + ":/usr/bin:/usr/local/bin")
    assert target is not None
    program("xdg-open", f'exec sh {target} "$@"')


def test_the_program_gets_the_address(program: Program, tmp_path: Path) -> None:
    """As one argument, whatever characters it has."""

    program("xdg-open", f'printf "%s" "$*" > {tmp_path}/got')
    assert browse(URL + "&x=%s'\"$(id)")
    assert URL + "&x=%s'\"$(id)" == (tmp_path / "got").read_text()


@needs_xdg_open
@pytest.mark.parametrize(("desktop", "code"), [("", 3), ("GNOME", 4)])
def test_xdg_open_that_finds_no_browser(
    program: Program, desktop: str, code: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The failure names the exit code; what xdg-open complains about, with the address, is dropped."""

    real_xdg_open(program)
    program("gio", "[ $1 = help ] || { echo no handler for $2 >&2; exit 2; }")
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", desktop)
    with pytest.raises(NoBrowserError, match=f"^xdg-open ended with {code}$"):
        browse(URL)
    assert ("", "") == capfd.readouterr()


@needs_xdg_open
def test_xdg_open_that_finds_one(program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The address reaches it unchanged."""

    real_xdg_open(program)
    program("gio", f'[ $1 = help ] || printf "%s" "$2" > {tmp_path}/got')
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", "GNOME")
    assert browse(URL)
    assert URL == (tmp_path / "got").read_text()


def test_a_program_that_stays_is_left_alone(program: Program, tmp_path: Path) -> None:
    """It may be the browser itself. It still runs when the answer is known."""

    program("xdg-open", f"sleep 0.3; touch {tmp_path}/done")
    began = time.monotonic()
    assert not browse(URL, limit=0.05)
    assert time.monotonic() - began < 0.3
    while not (tmp_path / "done").exists():
        time.sleep(0.02)


@pytest.mark.parametrize(
    "setting", ["{0}/mine", "{0}/mine %s", "{0}/mine %s &", "{0}/mine --url=%s", "'{0}/mine:/nowhere/b %s:{0}/mine"]
)
def test_browser_variable(program: Program, setting: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """BROWSER comes first, in the forms that `webbrowser` knows; an entry that cannot be used is passed over."""

    program("xdg-open", "exit 9")
    folder = program("mine", f'printf "%s" "$*" > {tmp_path}/got').parent
    monkeypatch.setenv("BROWSER", setting.format(folder))
    assert browse(URL)
    assert (tmp_path / "got").read_text() in (URL, f"--url={URL}")


def test_without_any_program(program: Program) -> None:
    """The reason says so."""

    with pytest.raises(NoBrowserError, match="no program"):
        browse(URL)


def test_a_program_that_cannot_be_started(program: Program) -> None:
    """Such as one whose interpreter is missing."""

    program("xdg-open", "").write_text("#!/nowhere/sh\n")
    with pytest.raises(NoBrowserError, match=r"xdg-open can't be started \(no such file"):
        browse(URL)


def test_without_a_display(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is tried: a browser would come up inside the terminal."""

    monkeypatch.delenv("DISPLAY")
    program("xdg-open", "exit 0")
    with pytest.raises(NoBrowserError, match="no display"):
        browse(URL)


@pytest.mark.parametrize("answer", [True, False, OSError("x")])
def test_elsewhere_the_system_answers(answer: bool | OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS and Windows."""

    def opens(url: str) -> bool:
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(webbrowser, "open", opens)
    if answer is True:
        assert browse(URL)
    else:
        with pytest.raises(NoBrowserError):
            browse(URL)
