"""The XDG autostart entry: written and read back, and as a desktop or a package may have written it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.autostart import AutostartError, Kind, linux
from trayapp.autostart.linux import DesktopEntry, command_of, escaped, exec_quoted, exec_words, read_entry, unescaped

pytestmark = pytest.mark.linux("the XDG entry")

ME = (sys.executable, "-m", "trayapp", "run")


@pytest.fixture
def entry(tmp_path: Path) -> DesktopEntry:
    return DesktopEntry(tmp_path / "config", (tmp_path / "etc", tmp_path / "usr"), ("XFCE",))


def write(entry: DesktopEntry, *lines: str) -> None:
    entry.file.parent.mkdir(parents=True, exist_ok=True)
    entry.file.write_text("\n".join(("[Desktop Entry]", "Type=Application", "Name=Amberlight", *lines, "")))


def system(entry: DesktopEntry, *lines: str) -> None:
    """Write a system entry, as a package installs one."""
    file = entry.system[0] / "autostart/amberlight.desktop"
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(("[Desktop Entry]", f"Exec={sys.executable}", *lines)))


def test_on_and_off(entry: DesktopEntry) -> None:
    """Both return the state that was read back, both are idempotent, and off leaves no file behind."""

    assert Kind.OFF is entry.status().kind
    for _ in range(2):
        state = entry.on(ME)
        assert state.on
        assert sys.executable in state.text
    assert ME == command_of(read_entry(entry.file)["Exec"])
    assert Path(read_entry(entry.file)["Icon"]).is_file()
    for _ in range(2):
        assert Kind.OFF is entry.off().kind
    assert [] == list(entry.file.parent.iterdir())


@pytest.mark.skipif(shutil.which("desktop-file-validate") is None, reason="desktop-file-validate is not there")
def test_the_entry_is_valid(entry: DesktopEntry, tmp_path: Path) -> None:
    """freedesktop.org's own tool accepts it, also with an awkward path."""

    awkward = tmp_path / 'with "quotes", $HOME, `ticks`, 100 % and \\'
    awkward.symlink_to(sys.executable)
    for command in (ME, (str(awkward), "run")):
        entry.on(command)
        done = subprocess.run(["desktop-file-validate", entry.file], capture_output=True, text=True, check=False)
        assert ("", 0) == (done.stdout, done.returncode)


@given(st.lists(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_any_command_survives_the_exec_key(words: list[str]) -> None:
    """Quoting and splitting are inverse."""

    assert tuple(words) == exec_words(" ".join(exec_quoted(word) for word in words))


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"])))
def test_any_string_survives_its_escapes(text: str) -> None:
    """Escaping and unescaping are inverse, as TryExec needs it."""

    assert text == unescaped(escaped(text))


def test_a_path_with_a_line_break_is_refused(entry: DesktopEntry) -> None:
    """It would end the line of the entry, so nothing is written."""

    with pytest.raises(AutostartError) as raised:
        entry.on(("/opt/a\nExec=evil", "run"))
    assert "Can't start at login: the path contains a control character ('/opt/a\\nExec=evil')." == str(raised.value)
    assert not entry.file.exists()


def test_a_program_that_is_gone(entry: DesktopEntry, tmp_path: Path) -> None:
    """The state is BROKEN; switching on again fixes it."""

    program = tmp_path / "amberlight"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert entry.on((str(program), "run")).on
    program.unlink()
    state = entry.status()
    assert Kind.BROKEN is state.kind
    assert f"{program} no longer exists" in state.text
    assert "amberlight autostart on" in state.help
    assert entry.on(ME).on


def test_a_program_that_is_not_executable_counts_as_gone(entry: DesktopEntry, tmp_path: Path) -> None:
    """A file without its x bit cannot be started."""

    program = tmp_path / "amberlight"
    program.write_text("")
    assert Kind.BROKEN is entry.on((str(program),)).kind


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        ("Hidden=true", Kind.OFF, "Hidden=true"),
        ("X-GNOME-Autostart-enabled=false", Kind.DISABLED, "X-GNOME-Autostart-enabled=false"),
        ("OnlyShowIn=GNOME;KDE;", Kind.DISABLED, "Off in this desktop (XFCE)"),
        ("NotShowIn=XFCE;", Kind.DISABLED, "Off in this desktop (XFCE)"),
        ("TryExec=/nowhere/amberlight", Kind.BROKEN, "/nowhere/amberlight no longer exists"),
        ("OnlyShowIn=XFCE;", Kind.ON, "starts at login"),
        ("Hidden=false", Kind.ON, "starts at login"),
        ("# Hidden=true", Kind.ON, "starts at login"),
        ("[Desktop Action x]\nHidden=true", Kind.ON, "starts at login"),
    ],
)
def test_what_a_desktop_wrote(entry: DesktopEntry, line: str, kind: Kind, words: str) -> None:
    """Every way in which desktop settings switch an entry off is recognised; `on` switches it on again."""

    write(entry, f"Exec={sys.executable} -m trayapp run %U", line)
    assert kind is entry.status().kind
    assert words in entry.status().text
    assert entry.on(ME).on


@pytest.mark.parametrize("content", [b"\xff\xfe\0", b"", b"[Desktop Entry]\nName=x\n", b"Exec=/bin/true\n"])
def test_a_file_that_is_no_entry(entry: DesktopEntry, content: bytes) -> None:
    """The state is BROKEN; off removes the file."""

    entry.file.parent.mkdir(parents=True)
    entry.file.write_bytes(content)
    assert Kind.BROKEN is entry.status().kind
    assert Kind.OFF is entry.off().kind
    assert not entry.file.exists()


def test_a_system_entry_is_hidden_by_ours(entry: DesktopEntry) -> None:
    """Off writes a hidden entry where the system has one; on overrides the system's."""

    system(entry)
    assert entry.status().on
    assert Kind.OFF is entry.off().kind
    assert "true" == read_entry(entry.file)["Hidden"]
    assert entry.on(ME).on


def test_a_system_entry_that_is_switched_off(entry: DesktopEntry) -> None:
    """Off until the user switches it on; off again leaves only the package's entry."""

    system(entry, "Hidden=true")
    assert Kind.OFF is entry.status().kind
    assert entry.on(ME).on
    assert Kind.OFF is entry.off().kind
    assert not entry.file.exists()


def test_an_enabled_systemd_unit_counts_as_on(entry: DesktopEntry, tmp_path: Path) -> None:
    """It is reported and not ours to switch off; a dangling link does not count."""

    link = entry.config_home / "systemd/user/default.target.wants/amberlight.service"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "amberlight.service")
    assert Kind.OFF is entry.status().kind

    (tmp_path / "amberlight.service").write_text("[Service]")
    assert "systemd starts Amberlight without an icon" in entry.status().text
    off = entry.off()
    assert off.on
    assert "systemctl --user disable amberlight" in off.help
    assert not entry.file.exists()
    assert sys.executable in entry.on(ME).text


def test_a_link_is_replaced_and_not_followed(entry: DesktopEntry, tmp_path: Path) -> None:
    """The link's target stays unchanged."""

    mine = tmp_path / "mine"
    mine.write_text("mine")
    entry.file.parent.mkdir(parents=True)
    entry.file.symlink_to(mine)
    assert entry.on(ME).on
    assert "mine" == mine.read_text()
    assert not entry.file.is_symlink()


def test_a_directory_that_cannot_be_written(entry: DesktopEntry) -> None:
    """The error is one sentence with the path and the reason."""

    entry.config_home.parent.mkdir(exist_ok=True)
    entry.config_home.write_text("a file where a directory should be")
    with pytest.raises(AutostartError, match=r"amberlight\.desktop can't be written: (not a directory|file exists)"):
        entry.on(ME)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home(entry: DesktopEntry) -> None:
    """No temporary file is left behind."""

    entry.file.parent.mkdir(parents=True)
    entry.file.parent.chmod(0o500)
    with pytest.raises(AutostartError, match="can't be written"):
        entry.on(ME)
    assert [] == list(entry.file.parent.iterdir())


def test_paths_from_the_environment(tmp_path: Path) -> None:
    """The XDG variables and their defaults; relative paths are ignored."""

    found = DesktopEntry.of(
        {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": "/a:b:/c", "XDG_CURRENT_DESKTOP": "ubuntu:GNOME"}
    )
    assert DesktopEntry(tmp_path, (Path("/a"), Path("/c")), ("ubuntu", "GNOME")) == found
    assert DesktopEntry(Path.home() / ".config", (Path("/etc/xdg"),)) == DesktopEntry.of({"XDG_CONFIG_HOME": "x"})


# --- as GLib reads it, which starts the entries of most desktops -------------------------------------------------------

AWKWARD = (
    "plain",
    "a b",
    "100 %",
    "%U %%f",
    'a "b" `c` $HOME',
    "back\\slash\\",
    "é ü 漢字",
    "a=b",
    "~",
    "'",
    "a;b&c|d#e",
    "--help",
    "a\u2028b\x85c",  # line breaks for Python only
)
needs_gio = pytest.mark.skipif(shutil.which("gio") is None, reason="gio is not there")


def program_in(folder: Path) -> Path:
    """A program that notes its arguments beside itself."""
    program = folder / "amberlight"
    folder.mkdir(parents=True)
    program.write_text('#!/bin/sh\nprintf "%s|" "$@" > "${0%/*}/draft"; mv "${0%/*}/draft" "${0%/*}/ran"\n')
    program.chmod(0o755)
    return program


def launch(entry: DesktopEntry) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["gio", "launch", entry.file], check=False, timeout=20, capture_output=True, text=True)


@needs_gio
@pytest.mark.parametrize("folder", AWKWARD)
def test_glib_starts_the_entry(entry: DesktopEntry, tmp_path: Path, folder: str) -> None:
    """The program, with its arguments, whatever its path is; and what GLib starts is what we read back."""

    program = program_in(tmp_path / folder)
    command = (str(program), "run", folder)
    state = entry.on(command)
    assert state.on
    assert command == command_of(read_entry(entry.file)["Exec"])
    assert ("", 0) == ((done := launch(entry)).stderr, done.returncode)
    ran = program.with_name("ran")
    for _ in range(500):
        if ran.exists():
            break
        time.sleep(0.02)
    assert f"run|{folder}|" == ran.read_text()


@pytest.mark.skipif(shutil.which("dex") is None, reason="dex is not there")
@pytest.mark.parametrize("folder", ["plain", "a b", "é ü 漢字", "a;b&c|d#e"])
def test_dex_starts_the_entry(entry: DesktopEntry, tmp_path: Path, folder: str) -> None:
    """i3 and other window managers start entries by dex, which unescapes nothing within quotes; LXQt is the same."""

    program = program_in(tmp_path / folder)
    entry.on((str(program), "run"))
    done = subprocess.run(["dex", "--wait", entry.file], check=False, timeout=20, capture_output=True, text=True)
    assert ("", 0) == (done.stderr, done.returncode)
    assert "run|" == program.with_name("ran").read_text()


@needs_gio
@pytest.mark.parametrize("folder", ["plain", "100 %"])
def test_glib_skips_an_entry_whose_program_was_uninstalled(entry: DesktopEntry, tmp_path: Path, folder: str) -> None:
    """By TryExec. What does not look at that starts a shell that does nothing and says nothing."""

    program = program_in(tmp_path / folder)
    entry.on((str(program), "run"))
    shutil.rmtree(program.parent)
    assert Kind.BROKEN is entry.status().kind
    assert str(program) in entry.status().text
    assert 0 != launch(entry).returncode
    entry.file.write_text(re.sub("(?m)^TryExec=.*\n", "", entry.file.read_text()))
    assert Kind.BROKEN is entry.status().kind
    assert ("", 0) == ((done := launch(entry)).stderr, done.returncode)


@needs_gio
def test_a_percent_sign_that_glib_does_not_read(entry: DesktopEntry, tmp_path: Path) -> None:
    """An entry with one in its first word, as the specification allows and as an earlier version wrote it, is not on."""

    program = program_in(tmp_path / "100 %")
    write(entry, f"Exec={exec_quoted(str(program))} run")
    assert 0 != launch(entry).returncode
    assert Kind.BROKEN is entry.status().kind
    assert entry.on((str(program), "run")).on


def test_a_module_that_was_uninstalled(entry: DesktopEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the login starts `python -m trayapp`, that Python may stay while the module goes."""

    module = tmp_path / "__main__.py"
    module.write_text("")
    monkeypatch.setattr(linux, "MODULE", module)
    assert entry.on(ME).on
    module.unlink()
    assert Kind.BROKEN is entry.status().kind
    assert f"{module} no longer exists" in entry.status().text
    shell = exec_words(read_entry(entry.file)["Exec"])
    done = subprocess.run(shell, check=False, timeout=20, capture_output=True, text=True)
    assert ("", "", 0) == (done.stdout, done.stderr, done.returncode)
