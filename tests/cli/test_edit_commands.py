"""`edit`, `rename`, `set`, `sign-out` and `config`, with an app and without one."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.fake_app import FakeApp, row
from trayapp.cli.editors import windows_words
from trayapp.cli.entry import main
from trayapp.config.loader import load
from trayapp.config.paths import Paths

Capture = pytest.CaptureFixture[str]
FILE = """# mine
[workloads.github]  # keep
url = "https://github.example.com/mcp"
scopes = ["read"]
"""


@pytest.fixture
def paths(paths: Paths) -> Paths:
    paths.config_file.parent.mkdir(parents=True)
    paths.config_file.write_text(FILE)
    return paths


# A program that ends with 1.
FAILS = "false" if os.name == "posix" else subprocess.list2cmdline([sys.executable, "-c", "import sys; sys.exit(1)"])


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """An editor that does this with `text`, and counts its calls."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import sys, pathlib\nfile = pathlib.Path(sys.argv[-1])\ntext = file.read_text()\n"
        f"calls = pathlib.Path({str(tmp_path / 'calls')!r})\n"
        "calls.write_text((calls.read_text() if calls.exists() else '') + 'x')\nturn = len(calls.read_text())\n"
        f"{code}\nfile.write_text(text)\n"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    join = shlex.join if os.name == "posix" else subprocess.list2cmdline
    monkeypatch.setenv("EDITOR", join([sys.executable, str(script)]))


# --- edit ------------------------------------------------------------------------------------------------------------


def test_edit_by_options(app: FakeApp, paths: Paths, capsys: Capture) -> None:
    """The app changes it; what was typed is corrected first."""

    app.replies["PATCH /workloads/github"] = 200, {"message": "Changed github.", "notes": [], "workload": row()}

    assert 0 == main(["edit", "github", "--url", "mcp.example.com", "--scope", "a", "--unset", "resource"])
    assert "Changed github.\n" == capsys.readouterr().out
    assert [{"url": "https://mcp.example.com", "scopes": ["a"], "resource": None}] == app.bodies(
        "PATCH /workloads/github"
    )


def test_edit_without_an_app(paths: Paths, capsys: Capture) -> None:
    """Only the file is changed; a workload that isn't there is named."""

    assert 0 == main(["edit", "github", "--client-id", "c", "--unset", "scopes"])
    assert ("c", ()) == (load(paths, {}).workloads["github"].client_id, load(paths, {}).workloads["github"].scopes)
    assert paths.config_file.read_text().startswith("# mine\n[workloads.github]  # keep\n")
    assert 0 == main(["edit", "github", "--client-id", "c"])
    assert "github already has these values." in capsys.readouterr().out
    assert 1 == main(["edit", "nobody", "--client-id", "c"])
    assert "there's no workload nobody" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "http://x.example"], "URL: must start with https://"),
        (["--unset", "colour"], "--unset: there's no key colour"),
        (["--scope", "a b", "--resource", "x"], "--resource: must be"),
    ],
)
def test_edit_wrongly(paths: Paths, capsys: Capture, arguments: list[str], words: str) -> None:
    """Each mistake once, nothing is changed, and the exit code is that of wrong usage."""

    assert 2 == main(["edit", "github", *arguments])
    assert 1 == capsys.readouterr().err.count(words)
    assert FILE == paths.config_file.read_text()


def test_edit_in_an_editor(
    app: FakeApp, paths: Paths, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own lines only, with their comments; the app then reads the file."""

    app.replies["POST /reload"] = 200, {"ok": True, "errors": [], "warnings": []}
    editor(tmp_path, monkeypatch, "assert '# mine' not in text\ntext = text.replace('read', 'write')")

    assert 0 == main(["edit", "github"])
    assert "Changed github.\n" == capsys.readouterr().out
    assert FILE.replace("read", "write") == paths.config_file.read_text()
    assert ["POST /reload"] == [what for what, _ in app.requests]


@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_an_editor_of_windows(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bom: str) -> None:
    """It ends lines in its own way, and may mark the file as UTF-8: the line ends of the configuration stay."""

    paths.config_file.write_text(FILE, encoding="utf-8", newline="\n")
    saved = f"file.write_bytes(({bom!r} + text.replace('read', 'write')).replace('\\n', '\\r\\n').encode()); sys.exit()"
    editor(tmp_path, monkeypatch, saved)

    assert 0 == main(["edit", "github"])
    assert FILE.replace("read", "write").encode() == paths.config_file.read_bytes()


def test_a_draft_in_another_encoding(
    paths: Paths, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused with what to do, and kept."""

    editor(tmp_path, monkeypatch, "file.write_bytes(text.encode() + b'# \\xe9\\n'); sys.exit()")

    assert 0 != main(["edit", "github"])
    assert "isn't UTF-8 text. Save it as UTF-8" in capsys.readouterr().err
    assert FILE == paths.config_file.read_text()


def test_a_draft_that_is_wrong_is_offered_again(
    paths: Paths, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a terminal; the mistake is printed."""

    editor(tmp_path, monkeypatch, "text = text.replace('https', 'ftp') if turn == 1 else text.replace('ftp', 'https')")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "readline", lambda: "\n", raising=False)

    assert 0 == main(["edit", "github"])
    told = capsys.readouterr()
    assert "config.toml:3: workloads.github.url" in told.err
    assert "Nothing was changed." in told.out
    assert "xx" == (tmp_path / "calls").read_text()


def test_a_draft_that_is_given_up_is_kept(
    paths: Paths, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file stays as it is, and the draft is named."""

    editor(tmp_path, monkeypatch, "text += '[oops'")

    assert 1 == main(["edit", "github"])
    err = capsys.readouterr().err
    assert FILE == paths.config_file.read_text()
    draft = Path(err.rpartition("Your draft: ")[2].strip())
    assert draft.read_text().endswith("[oops")


def test_a_file_that_changed_meanwhile_is_not_overwritten(
    paths: Paths, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else edited the same lines."""

    other = FILE.replace("read", "admin")
    code = f"pathlib.Path({str(paths.config_file)!r}).write_text({other!r})\ntext = text.replace('read', 'write')"
    editor(tmp_path, monkeypatch, code)

    assert 1 == main(["edit", "github"])
    assert "has changed since you opened it" in capsys.readouterr().err
    assert other == paths.config_file.read_text()


@pytest.mark.parametrize(
    ("command", "words"),
    [("no-such-editor-x", "can't be started"), (FAILS, "failed (exit code 1)"), ('"', "quotation mark")],
)
def test_an_editor_that_does_not_work(
    paths: Paths, capsys: Capture, monkeypatch: pytest.MonkeyPatch, command: str, words: str
) -> None:
    """One sentence, and nothing is changed."""

    monkeypatch.setenv("VISUAL", command)

    assert 1 == main(["edit", "github"])
    assert words in capsys.readouterr().err
    assert FILE == paths.config_file.read_text()


# --- rename, sign-out ------------------------------------------------------------------------------------------------


def test_rename(app: FakeApp, paths: Paths, capsys: Capture) -> None:
    """The app does it, and says what became of clients."""

    app.replies["PATCH /workloads/github"] = (
        200,
        {
            "message": "Renamed github to code.",
            "notes": ["Updated Claude Code (~/.claude.json)."],
            "workload": row("code"),
        },
    )

    assert 0 == main(["rename", "github", "Code"])
    assert "Renamed github to code.\nUpdated Claude Code (~/.claude.json).\n" == capsys.readouterr().out
    assert [{"name": "code"}] == app.bodies("PATCH /workloads/github")
    assert 0 == main(["rename", "github", "code", "--format", "json"])
    assert ["Updated Claude Code (~/.claude.json)."] == json.loads(capsys.readouterr().out)["notes"]


def test_rename_needs_the_app(paths: Paths, capsys: Capture) -> None:
    """The login is the app's to move."""

    assert 3 == main(["rename", "github", "code"])
    assert "amberlight run" in capsys.readouterr().err
    assert FILE == paths.config_file.read_text()


def test_sign_out(app: FakeApp, paths: Paths, capsys: Capture) -> None:
    """Once; what is left to do is said."""

    app.replies["GET /workloads/github/status"] = 200, row()
    app.replies["POST /workloads/github/sign-out"] = 202, None
    app.replies["GET /status"] = 200, {"removals": []}

    assert 0 == main(["sign-out", "github"])
    assert "Signed out of github." in capsys.readouterr().out
    app.replies["GET /workloads/github/status"] = 200, row("github", "unauthenticated", "never_signed_in")
    assert 0 == main(["sign-out", "github"])
    assert "github isn't signed in.\n" == capsys.readouterr().out
    assert 1 == len(app.bodies("POST /workloads/github/sign-out"))


# --- set -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (["port", "9000"], "/settings", {"port": 9000}),
        (["muted", "on"], "/settings", {"muted": True}),
        (["start_at_login", "off"], "/settings", {"start_at_login": False}),
        (["quiet_hours", "22:00-07:00"], "/settings", {"quiet_hours": "22:00-07:00"}),
        (["notifications", "sign_in", "ending"], "/settings", {"notifications": ["sign_in", "ending"]}),
        (["retry_factor", "1.5"], "/settings", {"retry_factor": 1.5}),
        (["again", "0s,2s"], "/settings", {"again": ["0s", "2s"]}),
        (["port", "--reset"], "/settings", {"port": None}),
        (["github", "ceiling", "12h"], "/workloads/github", {"ceiling": "12h"}),
        (["github", "scopes", "read", "write"], "/workloads/github", {"scopes": ["read", "write"]}),
        (["github", "url", "mcp.example.com"], "/workloads/github", {"url": "https://mcp.example.com"}),
        (["github", "scopes", "--reset"], "/workloads/github", {"scopes": None}),
        (["port", "mcp", "off"], "/workloads/port", {"mcp": "off"}),
    ],
)
def test_set(app: FakeApp, paths: Paths, capsys: Capture, words: list[str], path: str, body: object) -> None:
    """A setting of the app, or of a workload whose name comes first."""

    app.replies[f"PATCH {path}"] = 200, {"message": "Changed it.", "notes": []}

    assert 0 == main(["set", *words])
    assert [body] == app.bodies(f"PATCH {path}")
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["prot", "9000"], "Did you mean port?"),
        (["port"], "port: add its value, or --reset"),
        (["port", "x"], "port: must be a port number"),
        (["muted", "maybe"], "muted: must be true or false"),
        (["quiet_hours", "evening"], "quiet_hours: must be two times"),
        (["url", "https://x.example"], "amberlight set NAME url VALUE"),
        (["github", "port", "1"], "amberlight set port VALUE"),
        (["github", "ceiling", "1h", "2h"], "takes one value"),
        (["github", "colour", "red"], "there's no setting colour."),
    ],
)
def test_set_wrongly(paths: Paths, capsys: Capture, words: list[str], said: str) -> None:
    """The sentence names the key, and what would be right."""

    assert 2 == main(["set", *words])
    assert said in capsys.readouterr().err
    assert FILE == paths.config_file.read_text()


def test_set_without_an_app(paths: Paths, capsys: Capture) -> None:
    """The file is changed."""

    assert 0 == main(["set", "port", "9000"])
    assert 0 == main(["set", "github", "mcp", "on"])
    assert (9000, "on") == (load(paths, {}).settings.port, load(paths, {}).workloads["github"].mcp)
    assert "port is 9000 now.\nChanged github in" in capsys.readouterr().out
    assert 0 == main(["set", "port", "--reset"])
    assert 8765 == load(paths, {}).settings.port


# --- config ----------------------------------------------------------------------------------------------------------


def test_config_path(paths: Paths, capsys: Capture) -> None:
    """One line, for scripts."""

    assert 0 == main(["config"])
    assert f"{paths.config_file}\n" == capsys.readouterr().out
    assert 0 == main(["config", "path", "--format", "json"])
    assert json.loads(capsys.readouterr().out)["exists"] is True


def test_config_check(paths: Paths, capsys: Capture) -> None:
    """Valid, or every mistake with its line; also without a file."""

    assert 0 == main(["config", "check"])
    assert f"{paths.config_file} is valid: 1 workload.\n" == capsys.readouterr().out
    paths.config_file.write_text(FILE + "[settings]\nport = -1\nlog_level = 3\n")
    assert 1 == main(["config", "check"])
    assert 2 == capsys.readouterr().err.count("config.toml:")
    assert 1 == main(["config", "check", "--format", "json"])
    assert 2 == len(json.loads(capsys.readouterr().out)["mistakes"])
    paths.config_file.unlink()
    assert 0 == main(["config", "check"])
    assert "doesn't exist yet" in capsys.readouterr().out


def test_config_edit(paths: Paths, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole file; nothing is written if nothing was changed."""

    editor(tmp_path, monkeypatch, "pass")
    assert 0 == main(["config", "edit"])
    assert "Nothing was changed.\n" == capsys.readouterr().out
    editor(tmp_path, monkeypatch, "text = text.replace('# mine', '# ours')")
    assert 0 == main(["config", "edit"])
    assert FILE.replace("# mine", "# ours") == paths.config_file.read_text()


def test_config_edit_makes_the_file(
    paths: Paths, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From an example, which alone is no configuration."""

    paths.config_file.unlink()
    editor(tmp_path, monkeypatch, "pass")
    assert 0 == main(["config", "edit"])
    assert not paths.config_file.exists()
    editor(tmp_path, monkeypatch, "text = '[settings]\\nport = 1\\n'")
    assert 0 == main(["config", "edit"])
    assert 1 == load(paths, {}).settings.port


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", []),
        ("notepad", ["notepad"]),
        (r"C:\Tools\ed.exe  -w ", [r"C:\Tools\ed.exe", "-w"]),
        (r'"C:\Program Files\Zoë\ed.exe" --wait -c "a b"', [r"C:\Program Files\Zoë\ed.exe", "--wait", "-c", "a b"]),
        (r'--config="C:\a b\c d".ini x', [r"--config=C:\a b\c d.ini", "x"]),
        ("ed 'a b'", ["ed", "'a", "b'"]),
    ],
)
def test_the_words_of_an_editor_on_windows(command: str, words: list[str]) -> None:
    """Backslashes are part of paths; double quotation marks alone hold spaces together."""

    assert words == windows_words(command)


def test_an_editor_whose_path_has_spaces_needs_no_quotation_marks(tmp_path: Path) -> None:
    """As the settings of Windows invite to write it; one that has no end is an error."""

    program = tmp_path / "Program Files" / "my editor.exe"
    program.parent.mkdir()
    program.write_bytes(b"")
    assert [str(program)] == windows_words(str(program))
    with pytest.raises(ValueError, match="ed"):
        windows_words('"C:\\ed.exe')
