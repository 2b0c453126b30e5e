"""`connect` as a process of its own: several at once, as another user, and what others can see of it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from trayapp.cli import main
from trayapp.clients.places import Machine
from trayapp.clients.table import TABLE

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("one", "two", "three", "four")
NOBODY = 65534
BEFORE = b'{\r\n  // mine\r\n  "mcpServers": {"own": {"command": "x", "env": {"KEY": "sk-canary"}}},\r\n}\r\n'

pytestmark = pytest.mark.linux("needs /proc and setpriv")


@pytest.fixture
def home() -> Iterator[Path]:
    """In a directory that others may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="amberlight-home-") as place:
        Path(place).chmod(0o755)
        home = Path(place) / "Jürgen's höme"
        config = home / ".config/amberlight/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text("".join(f'[workloads.{name}]\nurl = "https://{name}.example.com/mcp"\n' for name in NAMES))
        (home / ".cursor").mkdir()
        (home / ".cursor/mcp.json").write_bytes(BEFORE)
        yield home


def start(home: Path, *words: str, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    env: Mapping[str, str] = {"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "trayapp", *words],
        env=env,
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def as_nobody(home: Path) -> Sequence[str]:
    """The prefix of a command that runs as another user, who owns this home."""
    prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become somebody else")
    for each in (home, *home.rglob("*")):
        os.chown(each, NOBODY, NOBODY)
    loaded = [
        *prefix,
        sys.executable,
        "-c",
        "import sys, trayapp; open(sys.argv[1]).close()",
        str(home / ".cursor/mcp.json"),
    ]
    tried = subprocess.run(loaded, capture_output=True, check=False, cwd="/", env={"PYTHONPATH": str(ROOT)})
    if tried.returncode:
        pytest.skip("another user can run neither this Python nor reach its temporary files")
    return prefix


def test_several_at_once(home: Path) -> None:
    """None overwrites another's entry, and the file comes back byte for byte. No app runs and no key exists yet."""

    file = home / ".cursor/mcp.json"
    ends = [finish(each) for each in [start(home, "connect", "cursor", name, "--stdio") for name in NAMES]]
    assert [0] * len(NAMES) == [code for code, _ in ends], ends
    assert all(f'"{name}": {{' in file.read_text() for name in NAMES)
    ends = [finish(each) for each in [start(home, "disconnect", "cursor", name) for name in NAMES]]
    assert [0] * len(NAMES) == [code for code, _ in ends], ends
    assert file.read_bytes() == BEFORE
    assert [file] == list(file.parent.iterdir())
    assert not list(home.rglob("keys.json"))


def test_a_folder_that_can_not_be_written(home: Path) -> None:
    """Nothing is left behind there."""

    prefix = as_nobody(home)
    file = home / ".cursor/mcp.json"
    file.parent.chmod(0o555)
    code, output = finish(start(home, "connect", "cursor", "one", "--stdio", prefix=prefix))
    assert (1, True) == (code, "mcp.json can't be replaced: Permission denied" in output), output
    assert file.read_bytes() == BEFORE
    assert [file] == list(file.parent.iterdir())


@pytest.mark.parametrize(("rights", "reason"), [(0o644, "belongs to another user"), (0o600, "Permission denied")])
def test_a_file_of_another_user(home: Path, rights: int, reason: str) -> None:
    """It stays theirs, whatever the folder would allow."""

    prefix = as_nobody(home)
    file = home / ".cursor/mcp.json"
    os.chown(file, 0, 0)
    file.chmod(rights)
    code, output = finish(start(home, "connect", "cursor", "one", "--stdio", prefix=prefix))
    assert (1, True) == (code, reason in output), output
    assert (file.read_bytes(), file.stat().st_uid) == (BEFORE, 0)
    assert [file] == list(file.parent.iterdir())


def test_a_project_in_a_repository(home: Path) -> None:
    """Only the client's file is new there."""

    project = home / "project"
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    (project / ".vscode").mkdir()
    (project / ".vscode/mcp.json").write_text('{"servers": {}}')
    for words in (("vscode", "one"), ("claude-code", "two")):
        code, output = finish(start(home, "connect", *words, "--project", "project"))
        assert code == 0, output
    found = {each.relative_to(project).as_posix() for each in project.rglob("*") if ".git/" not in str(each)}
    assert {".git", ".mcp.json", ".vscode", ".vscode/mcp.json"} == found
    entry = json.loads((project / ".vscode/mcp.json").read_text())["servers"]["one"]
    assert {"type", "command", "args"} == set(entry)
    for name in ("vscode", "claude-code"):
        assert finish(start(home, "disconnect", name, "--project", "project"))[0] == 0
    assert (project / ".vscode/mcp.json").read_text() == '{"servers": {}}'
    assert not (project / ".mcp.json").exists()


def test_another_entrys_secret_is_not_shown(home: Path) -> None:
    """Of the file only our lines are shown."""

    code, output = finish(start(home, "connect", "cursor", "one", "--stdio", "--dry-run"))
    assert (0, True, False) == (code, '"one"' in output, "sk-canary" in output), output


def test_every_client_has_a_place_that_can_be_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty home: connected by command, private, and gone again."""

    here = Machine("linux", {}, home, lambda program: None)
    monkeypatch.setenv("HOME", str(home))
    for name in [name for name in os.environ if name.startswith(("XDG_", "CODEX", "CLAUDE", "COPILOT"))]:
        monkeypatch.delenv(name)
    (home / ".cursor/mcp.json").unlink()
    for client in TABLE:
        assert main(["connect", client.name, "one", "--stdio"]) == 0
        assert 0o600 == stat.S_IMODE(here.file(client).stat().st_mode)
    assert main(["disconnect"]) == 0
    assert [] == [client.name for client in TABLE if here.file(client).exists()]
