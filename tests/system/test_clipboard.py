"""Clipboard programs get the text on standard input, never as an argument."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from trayapp.system import clipboard

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the programs of Linux desktops")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which only these programs are found."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(directory: Path, name: str, body: str, first: str = "#!/bin/sh") -> None:
    file = directory / name
    file.write_text(f"{first}\n{body}\n")
    file.chmod(0o755)


def keeping(directory: Path, name: str) -> str:
    """The body of a program that keeps its arguments and its standard input."""
    return f'echo "$@" > {directory}/{name}.arguments; /bin/cat > {directory}/{name}.text'


async def test_the_text_goes_by_standard_input(programs: Path) -> None:
    """Whole, with all its lines and letters; nothing of it can be seen in a list of processes."""

    program(programs, "xclip", keeping(programs, "xclip"))
    text = "zeile 1\nzeile 2: größer ✔\n" * 2000
    assert await clipboard.copy(text)
    assert text == (programs / "xclip.text").read_text()
    assert "-selection clipboard\n" == (programs / "xclip.arguments").read_text()


async def test_the_next_program_is_asked_when_one_cannot(programs: Path) -> None:
    """Wayland's program on X11 fails, another one cannot even be run, the third takes it."""

    program(programs, "wl-copy", "exit 1")
    program(programs, "xclip", "", first="#!/no/such/interpreter")
    program(programs, "xsel", keeping(programs, "xsel"))
    assert await clipboard.copy("text")
    assert "text" == (programs / "xsel.text").read_text()


async def test_without_any_program_nobody_took_it(programs: Path) -> None:
    """That is no error: the caller shows the text instead."""

    assert not await clipboard.copy("text")


async def test_a_program_that_hangs_is_ended(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time, and the next one is asked."""

    monkeypatch.setattr(clipboard, "LIMIT", 0.1)
    program(programs, "wl-copy", "exec /bin/sleep 60")
    program(programs, "xclip", keeping(programs, "xclip"))
    began = time.monotonic()
    assert await clipboard.copy("text")
    assert time.monotonic() - began < 5.0


async def test_a_program_that_does_not_read_its_input_succeeds(programs: Path) -> None:
    """It ends immediately with success: a broken pipe is no failure of ours."""

    program(programs, "wl-copy", "exit 0")
    assert await clipboard.copy("x" * 1_000_000)


async def test_macos_is_told_that_the_text_is_utf8(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a login no locale is set, and pbcopy would take each byte for a letter."""

    monkeypatch.setattr(sys, "platform", "darwin")
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    program(programs, "pbcopy", f'echo "$LC_CTYPE" > {programs}/locale; /bin/cat > {programs}/text')
    assert await clipboard.copy("größer ✔")
    assert ("UTF-8\n", "größer ✔") == ((programs / "locale").read_text(), (programs / "text").read_text())
