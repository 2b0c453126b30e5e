"""`connect`, `disconnect` and `import --from` with the running program, in a home of their own."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from trayapp.cli import main
from trayapp.clients import connecting
from trayapp.clients.places import Machine
from trayapp.clients.table import TABLE
from trayapp.config.paths import Paths
from trayapp.oauthtest import OAuthServer

Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.oauth_server(access_token_lifetime=60.0)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a space and letters that are not ASCII."""
    home = tmp_path / "Jürgen's höme"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    return home


@pytest.fixture
def program(home: Path, tmp_path: Path, server: OAuthServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    program = Program(tmp_path)
    program.write(CONFIG.format(port=free_port(), server=server))
    program.keystore._logins["one"] = login_of(server)
    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: program.paths))
    with program:
        program.becomes("running ok")
        yield program


def key_of(program: Program) -> str:
    found = json.loads(program.paths.keys_file.read_text())["keys"]["one"]
    assert isinstance(found, str)
    return found


def mode(file: Path) -> int:
    """What POSIX calls private, also where an access list says it (tests/system/test_windows_private.py)."""
    return 0o600 if sys.platform == "win32" else stat.S_IMODE(file.stat().st_mode)


def written(home: Path, text: str = '{\n  // mine\n  "mcpServers": {}\n}\n', name: str = ".cursor/mcp.json") -> Path:
    file = home / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_in_and_out_of_a_file(program: Program, home: Path, capsys: Capture) -> None:
    """The entry works with the proxy, the file is private, and comes back byte for byte."""

    file = written(home)
    before = file.read_bytes()
    assert 0 == main(["connect", "cursor"])
    assert "Connected one to Cursor (~/.cursor/mcp.json)." in capsys.readouterr().out
    entry = json.loads(re.sub("//.*mine", "", file.read_text()))["mcpServers"]["one"]
    assert "/w/one" in entry["url"]
    assert f"Bearer {key_of(program)}" == entry["headers"]["Authorization"]
    assert 0o600 == mode(file)
    backups = list(file.parent.glob("*backup*"))
    assert [before] == [each.read_bytes() for each in backups]
    assert [0o600] == [mode(each) for each in backups]

    assert 0 == main(["connect", "cursor", "one"])
    assert "is already up to date" in capsys.readouterr().out
    assert 0 == main(["disconnect", "cursor"])
    assert before == file.read_bytes()
    assert [file] == list(file.parent.iterdir())


def test_a_file_that_was_made_is_deleted(program: Program, home: Path) -> None:
    """Its directory stays, as it may be the client's by now."""

    (home / ".codex").mkdir()
    assert 0 == main(["connect", "codex"])
    file = home / ".codex/config.toml"
    assert 0o600 == mode(file)
    assert "one" in tomllib.loads(file.read_text())["mcp_servers"]
    assert 0 == main(["disconnect"])
    assert not file.exists()


def test_what_the_client_changed_since_is_kept(program: Program, home: Path) -> None:
    """Only our entry is taken out then."""

    file = written(home, '{"theme": "dark"}')
    assert 0 == main(["connect", "cursor"])
    file.write_text(file.read_text().replace("dark", "light"))
    assert 0 == main(["disconnect", "cursor"])
    assert {"theme": "light"} == json.loads(file.read_text())


def test_an_entry_of_the_clients_own_is_replaced_only_if_agreed(program: Program, home: Path, capsys: Capture) -> None:
    """By its address it is known, whatever its name; and it is put back."""

    file = written(home, '{"mcpServers": {"mine": {"url": "http://127.0.0.1:9/mcp/"}}}')
    before = file.read_bytes()
    assert 1 == main(["connect", "cursor"])
    assert "signs in to one separately (entry mine)" in capsys.readouterr().err
    assert before == file.read_bytes()
    assert 0 == main(["connect", "cursor", "--replace"])
    assert ["mine"] == list(json.loads(file.read_text())["mcpServers"])
    assert 0 == main(["disconnect", "cursor"])
    assert before == file.read_bytes()


def test_a_name_that_is_taken(program: Program, home: Path, capsys: Capture) -> None:
    file = written(home, '{"mcpServers": {"one": {"command": "x"}}}')
    before = file.read_bytes()
    assert 1 == main(["connect", "cursor"])
    assert "has another server called one" in capsys.readouterr().err
    assert before == file.read_bytes()


def test_a_project_gets_no_key(program: Program, home: Path, tmp_path: Path) -> None:
    """Teams commit these files, so the client starts a program that reads the key."""

    assert 0 == main(["connect", "vscode", "one", "--project", str(tmp_path / "p")])
    text = (tmp_path / "p/.vscode/mcp.json").read_text()
    assert "Bearer" not in text
    assert 0 == main(["connect", "cursor", "--stdio"])
    assert "Bearer" not in (home / ".cursor/mcp.json").read_text()
    assert ["stdio", "one"] == json.loads(text)["servers"]["one"]["args"][-2:]


def test_disconnecting_everything_reaches_projects(program: Program, home: Path, tmp_path: Path) -> None:
    """Those that we wrote to; with a project alone, no client's own file is touched."""

    own, project = written(home), tmp_path / "p/.vscode/mcp.json"
    assert 0 == main(["connect", "cursor", "one"])
    for _ in range(2):
        assert 0 == main(["connect", "vscode", "one", "--project", str(tmp_path / "p")])
        connected = own.read_text()
        assert 0 == main(["disconnect", "--project", str(tmp_path / "p")])
        assert (connected, False) == (own.read_text(), project.exists())
    assert 0 == main(["connect", "vscode", "one", "--project", str(tmp_path / "p")])
    assert 0 == main(["disconnect"])
    assert not project.exists()
    assert "one" not in own.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a script")
def test_a_project_names_the_program_as_others_have_it(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is found by its name, no path of this machine is in the file."""

    script = tmp_path / "bin/amberlight"
    script.parent.mkdir()
    script.touch(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    assert 0 == main(["connect", "vscode", "one", "--project", str(tmp_path / "p")])
    entry = json.loads((tmp_path / "p/.vscode/mcp.json").read_text())["servers"]["one"]
    assert ("amberlight", ["stdio", "one"]) == (entry["command"], entry["args"])


def test_the_overview(program: Program, home: Path, capsys: Capture) -> None:
    """Which client has what, and what is stale."""

    file = written(home)
    (home / ".codex").mkdir()
    main(["connect", "cursor"])
    capsys.readouterr()
    assert 0 == main(["connect"])
    out = capsys.readouterr().out
    assert re.search(r"cursor +one: connected\n", out)
    assert re.search(r"codex +not connected\n", out)
    file.write_text(file.read_text().replace(key_of(program), "old"))
    assert 0 == main(["connect", "--format", "json"])
    rows: list[Any] = json.loads(capsys.readouterr().out)
    assert {"cursor": {"one": "old_key"}, "codex": {"one": "absent"}} == {r["client"]: r["workloads"] for r in rows}
    assert 0 == main(["connect", "cursor"])
    assert key_of(program) in file.read_text()


def test_a_dry_run_shows_no_key(program: Program, home: Path, capsys: Capture) -> None:
    """And writes nothing."""

    file = written(home)
    before = file.read_bytes()
    assert 0 == main(["connect", "cursor", "--dry-run"])
    out = capsys.readouterr().out
    assert '+    "one": {' in out
    assert key_of(program) not in out
    assert before == file.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="needs links, pipes and modes")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("malformed", "valid JSON"),
        ("directory", "directory"),
        ("fifo", "named pipe"),
        ("dangling", "is a link to a file"),
        ("huge", "is larger than"),
        ("bytes", "isn't UTF-8"),
        ("read-only folder", "can't be replaced"),
    ],
)
def test_a_file_that_can_not_be_edited(program: Program, home: Path, capsys: Capture, kind: str, reason: str) -> None:
    """A sentence with its name; nothing is written and nothing hangs."""

    folder = home / ".cursor"
    folder.mkdir()
    file = folder / "mcp.json"
    if kind == "malformed":
        file.write_text('{"mcpServers": {')
    elif kind == "directory":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "dangling":
        file.symlink_to(home / "gone")
    elif kind == "huge":
        with file.open("wb") as stream:
            stream.truncate(33 << 20)
    elif kind == "bytes":
        file.write_bytes(b'{"a": "\xff"}')
    else:
        file.write_text("{}")
        if os.geteuid() == 0:
            pytest.skip("root writes everywhere")
        folder.chmod(0o500)
    assert 1 == main(["connect", "cursor"])
    err = capsys.readouterr().err
    assert reason in err
    assert "mcp.json" in err
    assert [file] == list(folder.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_link_stays_one(program: Program, home: Path, tmp_path: Path) -> None:
    """Dotfile managers keep files elsewhere."""

    real = tmp_path / "dotfiles.json"
    real.write_text("{}")
    (home / ".cursor").mkdir()
    (home / ".cursor/mcp.json").symlink_to(real)
    assert 0 == main(["connect", "cursor"])
    assert (home / ".cursor/mcp.json").is_symlink()
    assert "one" in json.loads(real.read_text())["mcpServers"]
    assert 0 == main(["disconnect", "cursor"])
    assert "{}" == real.read_text()


def test_import_from_a_client(program: Program, home: Path, capsys: Capture) -> None:
    """Its file is found, and then it goes through Amberlight, whatever the format."""

    text = '[mcp_servers.docs]\nurl = "https://docs.example.com/mcp"\n\n[mcp_servers.local]\ncommand = "x"\n'
    file = written(home, text, ".codex/config.toml")
    assert 0 == main(["import", "--from", "codex", "--yes"])
    assert "1 more runs on this machine" in capsys.readouterr().out
    entry = tomllib.loads(file.read_text())["mcp_servers"]["docs"]
    assert entry["url"].endswith("/w/docs")
    assert 0 == main(["disconnect"])
    assert text == file.read_text()


def test_all_at_once(program: Program, home: Path, capsys: Capture) -> None:
    """One entry over all workloads; another server on this machine with such an address is left alone."""

    file = written(home, '{"mcpServers": {"local": {"url": "http://localhost:3000/mcp"}}}')
    before = file.read_bytes()
    assert 0 == main(["connect", "cursor", "--all"])
    assert "amberlight" in json.loads(file.read_text())["mcpServers"]
    capsys.readouterr()
    assert 0 == main(["connect"])
    assert "single entry for all workloads" in capsys.readouterr().out
    assert 0 == main(["disconnect"])
    assert before == file.read_bytes()


def test_an_address_for_this_run_only(program: Program, home: Path, capsys: Capture) -> None:
    """No client is connected to it, one sentence says how to keep it, and the overview works."""

    file = written(home)
    before = file.read_bytes()
    program.runtime.clients._port = lambda: 1
    assert 1 == main(["connect", "cursor"])
    err = capsys.readouterr().err
    assert f"set port = {program.client.port} under [settings] in config.toml" in err
    assert 1 == err.count("amberlight:")
    assert before == file.read_bytes()
    assert 0 == main(["connect"])
    assert re.search(r"cursor +not connected\n", capsys.readouterr().out)


def test_unknown_names(program: Program, home: Path, capsys: Capture) -> None:
    assert 2 == main(["connect", "notepad"])
    assert "Known clients: claude-code," in capsys.readouterr().err
    assert 1 == main(["connect", "cursor", "nope"])
    assert "no workload nope" in capsys.readouterr().err
    assert 2 == main(["connect", "windsurf", "--project", "."])
    assert "has no project file" in capsys.readouterr().err


@pytest.mark.linux("needs /proc")
def test_who_can_see_the_key(
    program: Program, home: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only files of the clients that nobody else can read: no output, no project, no command line, no backup."""

    key, seen = key_of(program), []
    spawn = subprocess.Popen.__init__

    def watched(process: Any, command: Any, *arguments: Any, **options: Any) -> None:
        seen.append(repr(command))
        spawn(process, command, *arguments, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", watched)
    for client in TABLE:
        for more in (["--dry-run"], [], ["--dry-run", "--stdio"]):
            assert 0 == main(["connect", client.name, "one", *more])
        if client.project is not None:
            assert 0 == main(["connect", client.name, "one", "--project", str(tmp_path / "project")])
    assert 0 == main(["connect"])
    out = capsys.readouterr()
    assert key not in out.out + out.err + "".join(seen)
    holders = [
        each
        for each in [*home.rglob("*"), *(tmp_path / "project").rglob("*"), *program.paths.state_dir.rglob("*")]
        if each.is_file() and key in each.read_bytes().decode("utf-8", "replace")
    ]
    here = Machine("linux", {}, home)
    by_url = {here.file(client) for client in TABLE if client.url is not None}
    assert by_url == {each for each in holders if each != program.paths.keys_file}
    assert [0o600] * len(holders) == [mode(each) for each in holders]
    assert 0 == main(["disconnect"])
    assert not [each for each in by_url if each.exists()]


def test_a_client_that_is_open(program: Program, home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said; and if it writes its own version right after, that is found out."""

    file = written(home, "{}", ".claude.json")
    monkeypatch.setattr(connecting, "SETTLE", 0.0)
    monkeypatch.setattr(connecting, "runs", lambda programs: "claude" in programs)
    assert 0 == main(["connect", "claude-code"])
    assert "Claude Code is running and may overwrite this change." in capsys.readouterr().out
    assert 0 == main(["disconnect", "claude-code"])
    monkeypatch.setattr("time.sleep", lambda _: file.write_text('{"its": "own"}'))
    capsys.readouterr()
    assert 1 == main(["connect", "claude-code"])
    assert "Claude Code has overwritten the change. Quit it and try again." in capsys.readouterr().err
    assert '{"its": "own"}' == file.read_text()
