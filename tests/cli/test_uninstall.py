"""`amberlight uninstall`: asks first, undoes what was set up, and says what is left."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fake_app import FakeApp, row
from trayapp.autostart import AutostartError, Kind, State
from trayapp.cli import main, uninstall
from trayapp.cli.uninstall import remove_program
from trayapp.config.loader import Paths

Capture = pytest.CaptureFixture[str]
ALL, DELETE, QUIT = "GET /workloads?all=true", "POST /workloads/delete", "POST /quit"
ENTRY = {"type": "http", "url": "http://127.0.0.1:8765/w/notes", "headers": {"Authorization": "Bearer k"}}


class AtLogin:
    """Start at login, which is on."""

    def __init__(self) -> None:
        self.kind, self.broken, self.forgotten = Kind.ON, False, 0

    def status(self) -> State:
        return State(self.kind, "")

    def off(self) -> State:
        if self.broken:
            raise AutostartError("The entry can't be removed.")
        self.kind = Kind.OFF
        return self.status()

    def forget_app(self) -> None:
        """What notifications have left in Windows' registry."""
        self.forgotten += 1
        raise OSError("not this time")


@pytest.fixture(autouse=True)
def at_login(monkeypatch: pytest.MonkeyPatch) -> AtLogin:
    system = AtLogin()
    monkeypatch.setattr(uninstall, "native", lambda: system)
    monkeypatch.setattr(uninstall, "POLL", 0.01)
    monkeypatch.setattr(uninstall, "forget_app", system.forget_app)
    return system


@pytest.fixture
def client_file(paths: Paths, tmp_path: Path) -> Path:
    """Claude Code's file, which has an entry of ours and one of its own; and this installation's files."""
    paths.make()
    paths.config_file.write_text('[workloads.notes]\nurl = "https://notes.example.com/mcp"\n')
    for file in (paths.keys_file, paths.state_db, paths.install_file, paths.log_file):
        file.write_text("x")
    file = tmp_path / "home" / ".claude.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"mcpServers": {"notes": ENTRY, "own": {"command": "own"}}}))
    return file


def runs(app: FakeApp, *, removals: Sequence[dict[str, Any]] = (), stuck: bool = False) -> None:
    rows = [row("notes")]
    app.replies |= {ALL: [(200, {"workloads": rows}), (200, {"workloads": rows if stuck else []})], QUIT: (202, None)}
    app.replies |= {DELETE: (202, None), "GET /status": (200, {"removals": list(removals)})}


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    """These lines are typed into a terminal."""
    answers = io.StringIO("".join(f"{line}\n" for line in lines))
    monkeypatch.setattr(answers, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", answers)


def servers(file: Path) -> list[str]:
    return list(json.loads(file.read_text())["mcpServers"])


def posted(app: FakeApp) -> list[str]:
    return [what for what, _ in app.requests if not what.startswith("GET")]


def test_it_wants_a_yes(paths: Paths, client_file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal, by option."""

    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert 2 == main(["uninstall"])
    assert "To confirm, add --yes.\n" in capsys.readouterr().err
    assert ["notes", "own"] == servers(client_file)


@pytest.mark.parametrize("answers", [["n", "n"], ["y", "n", "n"], ["y", "y", ""]])
def test_a_no_changes_nothing(
    paths: Paths, app: FakeApp, client_file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, answers: list[str]
) -> None:
    """Whatever was answered before: the last question follows the list of what would be done."""

    runs(app)
    typed(monkeypatch, *answers)

    assert 0 == main(["uninstall"])
    out = capsys.readouterr().out
    assert "  - take Amberlight's entries out of Claude Code\n" in out
    assert (answers[0] == "y") is ("  - revoke and delete the logins of notes" in out)
    assert out.endswith("Nothing was changed.\n")
    assert ([], ["notes", "own"]) == (posted(app), servers(client_file))


def test_what_was_set_up_is_undone(
    paths: Paths, app: FakeApp, client_file: Path, capsys: Capture, at_login: AtLogin
) -> None:
    """Clients, start at login and the app; logins and files stay, and that is said."""

    runs(app)

    assert 0 == main(["uninstall", "--yes"])
    assert (["own"], Kind.OFF, [QUIT], 1) == (servers(client_file), at_login.kind, posted(app), at_login.forgotten)
    out = capsys.readouterr().out
    assert "  The logins of notes, in the keyring. Delete them: amberlight uninstall --logins\n" in out
    own = [paths.config_file, paths.state_dir, paths.data_dir]
    if not paths.log_file.is_relative_to(paths.state_dir):  # on Linux it is there
        own.append(paths.log_file.parent)
    assert f"  Files: {', '.join(map(str, own))}\n" in out
    assert "  The program itself. " in out
    assert paths.install_file.exists()


def test_with_logins_and_files_nothing_is_left(paths: Paths, app: FakeApp, client_file: Path, capsys: Capture) -> None:
    """But the program. What others have in the directory of the settings stays."""

    runs(app)
    for name in ("mine", paths.install_file.name, ".config.toml.0b77ba18"):
        (paths.config_file.parent / name).write_text("x")

    assert 0 == main(["uninstall", "--yes", "--logins", "--files"])
    assert [DELETE, QUIT] == posted(app)
    assert [{"names": ["notes"]}] == app.bodies(DELETE)
    kept = [place for place in (paths.config_file, *paths.own_directories) if place.exists()]
    assert [paths.runtime_dir] == kept
    assert [paths.quit_file] == list(paths.runtime_dir.iterdir()), "no client starts it again until the next login"
    assert ["mine"] == [file.name for file in paths.config_file.parent.iterdir()]
    out = capsys.readouterr().out
    assert "Removed notes and its login.\n" in out
    assert 1 == len(out.split("What is left:\n")[1].splitlines())


def test_files_stay_while_a_login_needs_them(paths: Paths, app: FakeApp, client_file: Path, capsys: Capture) -> None:
    """Behind a locked keyring: without them nobody would find it."""

    removal = {"name": "notes", "server": "as.test", "deleted": False, "revoked": True, "until": None}
    runs(app, removals=[removal])

    assert 0 == main(["uninstall", "--yes", "--logins", "--files"])
    out = capsys.readouterr().out
    assert "still in the keyring" in out
    assert "so that Amberlight can delete these logins" in out
    assert paths.install_file.exists()


def test_what_was_not_revoked_is_not_retried(paths: Paths, app: FakeApp, client_file: Path, capsys: Capture) -> None:
    """As Amberlight has quit by then."""

    removal = {"name": "notes", "server": "as.test", "deleted": True, "revoked": False, "until": "2026-01-02T03:04:05Z"}
    runs(app, removals=[removal])

    assert 0 == main(["uninstall", "--yes", "--logins", "--files"])
    out = capsys.readouterr().out
    assert "may still be valid at as.test, which didn't confirm that it's revoked. To be sure, remove" in out


def test_a_workload_that_stays_is_a_failure(
    paths: Paths, app: FakeApp, client_file: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uninstall, "REMOVAL_LIMIT", 0.0)
    runs(app, stuck=True)

    assert 1 == main(["uninstall", "--yes", "--logins", "--files"])
    assert "notes couldn't be removed in time" in capsys.readouterr().err
    assert paths.install_file.exists()


def test_logins_need_the_app(paths: Paths, client_file: Path, capsys: Capture) -> None:
    """Nothing is half done then."""

    assert 3 == main(["uninstall", "--yes", "--logins"])
    assert "Start it: amberlight run --background\n" in capsys.readouterr().err
    assert ["notes", "own"] == servers(client_file)


def test_files_need_the_logins_gone(paths: Paths, capsys: Capture) -> None:
    assert 2 == main(["uninstall", "--yes", "--files"])
    assert "--files needs --logins" in capsys.readouterr().err


def test_nothing_is_set_up(paths: Paths, capsys: Capture, at_login: AtLogin) -> None:
    at_login.kind = Kind.OFF

    assert 0 == main(["uninstall", "--yes"])
    assert 1 == len(capsys.readouterr().out.split("What is left:\n")[1].splitlines())


def test_a_failure_stops_nothing_else(
    paths: Paths, app: FakeApp, client_file: Path, capsys: Capture, at_login: AtLogin
) -> None:
    at_login.broken = True
    runs(app)

    assert 1 == main(["uninstall", "--yes"])
    assert "The entry can't be removed." in capsys.readouterr().err
    assert (["own"], [QUIT]) == (servers(client_file), posted(app))


def test_as_json(paths: Paths, app: FakeApp, client_file: Path, capsys: Capture) -> None:
    """What was done and what is left, a text each."""

    runs(app)

    assert 0 == main(["uninstall", "--yes", "--format", "json"])
    said = json.loads(capsys.readouterr().out)
    assert {"message", "done", "left"} == said.keys()
    assert "Amberlight has quit." in said["done"]
    assert 3 == len(said["left"])


@pytest.mark.parametrize(
    ("platform", "prefix", "executable", "said"),
    [
        ("linux", "/home/a/.local/share/pipx/venvs/amberlight", "", "Remove it: pipx uninstall amberlight"),
        ("linux", "/home/a/.local/share/uv/tools/amberlight", "", "Remove it: uv tool uninstall amberlight"),
        ("linux", "/home/a/venv", "", "It is in /home/a/venv: remove it the way you installed it."),
        ("linux", "/x", "/opt/amberlight/amberlight", "Remove it: sudo apt remove amberlight"),
        ("linux", "/x", "/home/a/amberlight/amberlight", "Delete it: /home/a/amberlight"),
        ("win32", r"C:\Users\Zoë Å\pipx\venvs\amberlight", "", "Remove it: pipx uninstall amberlight"),
        ("win32", r"C:\Users\Zoë Å\AppData\Roaming\uv\tools\amberlight", "", "Remove it: uv tool uninstall amberlight"),
        ("win32", r"D:\venv", "", r"It is in D:\venv: remove it the way you installed it."),
        (
            "win32",
            "x",
            r"C:\Users\a\scoop\apps\amberlight\current\amberlight.exe",
            "Remove it: scoop uninstall amberlight",
        ),
        ("win32", "x", r"D:\Scoop\Apps\amberlight\0.1.0\amberlight.exe", "Remove it: scoop uninstall amberlight"),
        ("win32", "x", r"D:\my apps\amberlight-0.1.0\amberlight.exe", r"Delete it: D:\my apps\amberlight-0.1.0"),
    ],
)
def test_how_the_program_is_removed(platform: str, prefix: str, executable: str, said: str) -> None:
    """On each system, by where it is; only a frozen program is its own executable."""

    assert said == remove_program(prefix, executable, frozen=bool(executable), platform=platform)


def test_what_setup_installed_is_removed_in_the_settings(tmp_path: Path) -> None:
    """On Windows; the portable archive has no uninstaller, and is deleted."""

    program = tmp_path / "amberlight.exe"
    assert f"Delete it: {tmp_path}" == remove_program("x", str(program), frozen=True)
    (tmp_path / "uninstall.exe").write_bytes(b"")
    assert "Remove it in Settings, under Apps." == remove_program("x", str(program), frozen=True)
