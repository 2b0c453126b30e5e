"""Where clients' files are, on the three systems: all places stand in a golden file, so that a change is seen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.requirements import require_links
from trayapp.clients.places import Machine
from trayapp.clients.table import BY_NAME, TABLE, Client

GOLDEN = Path(__file__).with_name("golden")
SYSTEMS = {"linux": "/home/ü m", "darwin": "/Users/ü m", "win32": "C:/Users/ü m"}


def machine(platform: str, home: str | Path = "/home/m", found: str = "", **environ: str) -> Machine:
    return Machine(platform, environ, Path(home), lambda program: program if program == found else None)


@pytest.mark.parametrize("platform", SYSTEMS)
def test_the_places_of_each_system(platform: str) -> None:
    """Of every client, the first one first."""

    made = []
    for client in TABLE:
        here = machine(platform, SYSTEMS[platform])
        made += [f"{client.name}: {here.path(each).as_posix()}\n" for each in client.files(platform)]
    golden = GOLDEN / f"places-{platform}.txt"
    if os.environ.get("AMBERLIGHT_WRITE_GOLDEN") == "1":
        golden.write_text("".join(made), encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == "".join(made)


@pytest.mark.parametrize(
    ("name", "platform", "variable", "place"),
    [
        ("claude-code", "linux", "CLAUDE_CONFIG_DIR", ".claude.json"),
        ("codex", "darwin", "CODEX_HOME", "config.toml"),
        ("copilot-cli", "win32", "COPILOT_HOME", "mcp-config.json"),
        ("vscode", "linux", "XDG_CONFIG_HOME", "Code/User/mcp.json"),
        ("vscode", "win32", "APPDATA", "Code/User/mcp.json"),
        ("crush", "win32", "LOCALAPPDATA", "crush/crush.json"),
        ("mistral-vibe", "linux", "VIBE_HOME", "config.toml"),
        ("kimi-cli", "linux", "KIMI_SHARE_DIR", "mcp.json"),
    ],
)
def test_a_variable_moves_it(name: str, platform: str, variable: str, place: str) -> None:
    """An empty one does not."""

    client = BY_NAME[name]
    assert Path("/else where") / place == machine(platform, **{variable: "/else where"}).file(client)
    assert machine(platform).file(client) == machine(platform, **{variable: ""}).file(client)


def test_the_first_place_that_exists_counts(tmp_path: Path) -> None:
    """And if none does, the first of all."""

    client = BY_NAME["antigravity"]
    here = machine("linux", tmp_path)
    assert tmp_path / ".gemini/config/mcp_config.json" == here.file(client)
    old = tmp_path / ".gemini/antigravity/mcp_config.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    assert old == here.file(client)


def test_a_dangling_link_is_still_the_place(tmp_path: Path) -> None:
    """It is reported, and no other file is written instead."""

    require_links(tmp_path)
    client = BY_NAME["opencode"]
    folder = tmp_path / ".config/opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.jsonc").symlink_to(tmp_path / "gone")
    assert folder / "opencode.jsonc" == machine("linux", tmp_path).file(client)


@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_what_counts_as_installed(client: Client, tmp_path: Path) -> None:
    """Nothing in an empty home; a program on the PATH, or the client's file."""

    assert not machine("linux", tmp_path).installed(client)
    if client.programs:
        assert machine("linux", tmp_path, client.programs[0]).installed(client)
    file = machine("linux", tmp_path).file(client)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")
    assert machine("linux", tmp_path).installed(client)


def test_names_are_unique() -> None:
    """Also the other names that `connect` takes."""

    names = [name for client in TABLE for name in (client.name, *client.aliases)]
    assert len(set(names)) == len(names)
