"""Clients' files when a workload is taken over: pointed to us, and put back byte for byte."""

from __future__ import annotations

import json
import stat
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from trayapp.clients import connecting, edits
from trayapp.clients.changes import Changes
from trayapp.clients.entries import Access, own_access, seen
from trayapp.clients.places import Machine
from trayapp.clients.projects import everywhere
from trayapp.clients.repointing import repoint
from trayapp.clients.table import BY_NAME
from trayapp.core.client_settings import ClientAccess
from trayapp.core.model import Secret
from trayapp.external.moving import Done, move, originals, put_back, restarts
from trayapp.external.pointing import pointing
from trayapp.external.taken_over import Entry, Records, TakenOver

KEY = "local-key-0123456789abcdefghijk"
PROXY = "http://127.0.0.1:21000/mcp"
OURS = own_access(
    ClientAccess(
        "github",
        "http://127.0.0.1:8765/w/github",
        Secret(KEY),
        lasting=True,
        command=("/opt/amberlight", "stdio", "github"),
    )
)

CURSOR = """{
    // mine
    "mcpServers": {
        "notes": { "url": "https://notes.example/mcp", "headers": { "Authorization": "Bearer CANARY" } },
        "github": {   "url": "http://127.0.0.1:21000/mcp" },  // ToolHive
        "last": { "command": "node" },
    },
    "more": [1, 2]
}
"""
VS_CODE = '{\r\n\t"inputs": [],\r\n\t"servers": {\r\n\t\t"github": {"type": "http", "url": "http://localhost:21000/mcp/"}\r\n\t}\r\n}'
CODEX = """model = "gpt"   # the one

[mcp_servers.github]
url = "http://127.0.0.1:21000/mcp"
startup_timeout_sec = 20

[mcp_servers.github.tools.search]
approval_mode = "approve"

[mcp_servers.notes]
command = "notes"
env = { TOKEN = "CANARY" }
"""
CLAUDE_CODE = json.dumps(
    {
        "numStartups": 7,
        "mcpServers": {"github": {"type": "http", "url": PROXY}, "notes": {"command": "notes"}},
        "projects": {"/a": {"history": ["x" * 200]}},
    },
    indent=2,
)
CLAUDE_DESKTOP = json.dumps(
    {"mcpServers": {"github": {"command": "npx", "args": ["-y", "mcp-remote", PROXY, "--allow-http"]}}}, indent=2
)
GOOSE = """GOOSE_PROVIDER: x  # mine
extensions:
  developer:
    type: builtin
    enabled: true
  github:
    description: ''
    enabled: true
    name: github
    timeout: 60
    type: streamable_http
    uri: http://127.0.0.1:21000/mcp
"""
TEXTS = {
    "cursor": CURSOR,
    "vscode": VS_CODE,
    "codex": CODEX,
    "claude-code": CLAUDE_CODE,
    "claude-desktop": CLAUDE_DESKTOP,
    "goose": GOOSE,
}


class World:
    """A home with clients' files."""

    def __init__(self, root: Path) -> None:
        self.machine = Machine("linux", {}, root / "home", lambda program: None)
        self.changes = Changes(root / "state", lambda: "2026-01-02")
        self.records = Records(root / "state")
        self.before: dict[Path, bytes] = {}

    def file(self, client: str) -> Path:
        return self.machine.path(BY_NAME[client].linux[0])

    def write(self, client: str, text: str, file: Path | None = None) -> Path:
        place = file or self.file(client)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode())
        self.before[place] = text.encode()
        return place

    def entries(self, client: str, file: Path | None = None) -> Mapping[str, Any]:
        return edits.servers(BY_NAME[client], (file or self.file(client)).read_bytes().decode())

    def record(self) -> TakenOver:
        found = pointing(everywhere(self.machine, self.changes), PROXY)
        entries = tuple(Entry(each.client.name, str(each.file), each.name, each.before) for each in found)
        return TakenOver("toolhive", "github", "https://github.example/mcp", PROXY, True, True, entries)

    def move(self, meanwhile: Any = None, access: Access = OURS) -> tuple[TakenOver, list[Done]]:
        """Take over; `meanwhile` is what happens to the files while the workload is stopped there."""
        record = self.record()
        texts = originals(record.entries)
        if meanwhile is not None:
            meanwhile()
        record, done = move(self.machine, self.changes, access, record, texts)
        self.records.keep("github", record)
        kept = self.records.get("github")
        assert record == kept
        return kept, done

    def back(self, record: TakenOver, name: str = "github") -> list[Done]:
        return put_back(self.machine, self.changes, name, record)

    def is_as_before(self) -> bool:
        """Every file, and no backup is left."""
        same = all(file.read_bytes() == data for file, data in self.before.items())
        return same and not list(self.machine.home.rglob("*backup*"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def fine(done: list[Done]) -> list[str]:
    assert [""] * len(done) == [each.problem for each in done]
    return [each.title for each in done]


@pytest.mark.parametrize("client", TEXTS)
def test_there_and_back(world: World, client: str) -> None:
    """The entry reaches us, everything else stays, and then the file is as it was to the byte."""

    file = world.write(client, TEXTS[client])
    record, done = world.move()
    assert [BY_NAME[client].title] == fine(done)
    entries = world.entries(client)
    assert "github" == seen("github", entries["github"]).proxied
    before = edits.servers(BY_NAME[client], TEXTS[client])
    assert [*before] == [*entries]
    assert {**before, "github": None} == {**entries, "github": None}
    assert "21000" not in file.read_text()
    if sys.platform != "win32" and KEY in file.read_text():
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)

    assert [BY_NAME[client].title] == fine(world.back(record))
    assert world.is_as_before()
    assert [] == world.back(record)


def test_all_of_them_at_once(world: World) -> None:
    for client, text in TEXTS.items():
        world.write(client, text)
    record, done = world.move()
    assert len(TEXTS) == len(fine(done))
    assert len(TEXTS) == len(fine(world.back(record)))
    assert world.is_as_before()


def test_codex_keeps_what_its_person_allowed(world: World) -> None:
    """The tables within the entry, and its time limit."""

    world.write("codex", CODEX)
    world.move()
    entry = tomllib.loads(world.file("codex").read_text())["mcp_servers"]["github"]
    assert (20, "approve") == (entry["startup_timeout_sec"], entry["tools"]["search"]["approval_mode"])
    assert f"Bearer {KEY}" == entry["http_headers"]["Authorization"]


@pytest.mark.parametrize("client", TEXTS)
def test_its_owner_takes_the_entry_out_when_it_stops(world: World, client: str) -> None:
    """The entry is there nevertheless, in its old place, and then the file is as it was before that."""

    file = world.write(client, TEXTS[client])

    def taken_out() -> None:
        text = edits.drop(BY_NAME[client], file.read_bytes().decode(), "github")
        file.write_bytes(text.encode())

    record, done = world.move(taken_out)
    fine(done)
    assert [*edits.servers(BY_NAME[client], TEXTS[client])] == [*world.entries(client)]
    assert "github" == seen("github", world.entries(client)["github"]).proxied
    fine(world.back(record))
    assert world.is_as_before()


def test_its_owner_writes_the_file_anew(world: World) -> None:
    """A file that lost its comments and its order to that has them again."""

    file = world.write("codex", CODEX)

    def rewritten() -> None:
        file.write_text('[mcp_servers.notes]\nenv = {TOKEN = "CANARY"}\ncommand = "notes"\n[x]\n'.replace("[x]\n", ""))
        file.write_text('model = "gpt"\n' + file.read_text())

    record, done = world.move(rewritten)
    fine(done)
    assert "# the one" in file.read_text()
    fine(world.back(record))
    assert world.is_as_before()


def test_the_client_writes_its_file_meanwhile(world: World) -> None:
    """What it wrote stays, there and back."""

    file = world.write("cursor", '{"mcpServers": {"github": {"url": "http://127.0.0.1:21000/mcp"}}, "n": 1}')
    record, done = world.move(lambda: file.write_text('{"n": 2, "mcpServers": {}}'))
    fine(done)
    assert "github" == seen("github", world.entries("cursor")["github"]).proxied
    assert 2 == json.loads(file.read_text())["n"]
    fine(world.back(record))
    assert {"n": 2, "mcpServers": {"github": {"url": PROXY}}} == json.loads(file.read_text())


def test_an_entry_that_somebody_changes_meanwhile(world: World) -> None:
    """It stays as they want it, and that is said."""

    file = world.write("cursor", CURSOR)
    text = CURSOR.replace("http://127.0.0.1:21000/mcp", "https://elsewhere.example")
    record, done = world.move(lambda: file.write_text(text))
    assert ["Cursor (~/.cursor/mcp.json): github has changed since, so it was left as it is."] == [
        each.problem for each in done
    ]
    assert text == file.read_text()
    assert [] == world.back(record)
    assert text == file.read_text()


def test_a_file_that_is_broken_by_then(world: World) -> None:
    """The others are done, and its sentence names it. Asked once more, it's done as well."""

    file = world.write("cursor", CURSOR)
    world.write("codex", CODEX)
    record, done = world.move(lambda: file.write_text("{ oops"))
    texts = {each.title: each.problem for each in done}
    assert "" == texts["Codex"]
    assert texts["Cursor"].startswith("Cursor (~/.cursor/mcp.json) wasn't updated: it isn't valid JSON")
    assert texts["Cursor"].endswith(".")
    assert "{ oops" == file.read_text()

    file.write_bytes(CURSOR.encode())
    record, done = move(world.machine, world.changes, OURS, record, originals(record.entries))
    assert ["Cursor"] == fine(done)
    fine(world.back(record))
    assert world.is_as_before()


def test_a_file_that_is_gone_by_then(world: World) -> None:
    """It is made anew, with nothing but our entry, and goes with it."""

    file = world.write("cursor", '{"mcpServers": {"github": {"url": "http://127.0.0.1:21000/mcp"}}}')
    _, done = world.move(file.unlink)
    fine(done)
    assert "github" == seen("github", world.entries("cursor")["github"]).proxied


def test_moving_twice_changes_nothing(world: World) -> None:
    """Also where the record of the first time was lost."""

    file = world.write("cursor", CURSOR)
    lost = world.record()
    world.move()
    once = file.read_bytes()
    again, done = move(world.machine, world.changes, OURS, lost, {})
    fine(done)
    assert once == file.read_bytes()
    assert [True] == [each.moved for each in again.entries]
    fine(world.back(again))
    assert {"url": PROXY} == world.entries("cursor")["github"]


def test_other_workloads_of_ours_in_the_file_stay(world: World) -> None:
    """And taking out the last one restores the file as it was before the first."""

    file = world.write("cursor", CURSOR)
    other = Access("one", "http://127.0.0.1:8765/w/one", Secret(KEY), ("/opt/amberlight", "stdio", "one"))
    cursor = BY_NAME["cursor"]
    connecting.write(world.changes, cursor, file, connecting.put_all(cursor, {"one": other}))
    with_one = file.read_bytes()
    record, done = world.move()
    fine(done)
    assert {"one", "github", "notes", "last"} == set(world.entries("cursor"))
    fine(world.back(record))
    assert with_one == file.read_bytes()
    connecting.write(world.changes, cursor, file, connecting.drop_all(cursor))
    assert world.is_as_before()


def test_after_the_file_was_edited_only_the_entry_goes_back(world: World) -> None:
    """What the person wrote stays, in the file and in the entry."""

    file = world.write("cursor", CURSOR)
    record, done = world.move()
    fine(done)
    file.write_text(
        file.read_text()
        .replace('"more": [1, 2]', '"more": [3]')
        .replace('"url": "http://127.0.0.1:8765', '"mine": 1, "url": "http://127.0.0.1:8765')
    )
    assert ["Cursor"] == fine(world.back(record))
    assert {"url": PROXY, "mine": 1} == world.entries("cursor")["github"]
    assert "[3]" in file.read_text()
    assert "// ToolHive" in file.read_text()
    assert KEY not in file.read_text()


@pytest.mark.parametrize("there", ['{"url": "https://elsewhere.example"}', None])
def test_an_entry_that_was_changed_or_taken_out_since(world: World, there: str | None) -> None:
    """It is as the person wants it, and that is said."""

    file = world.write("cursor", CURSOR)
    record, _ = world.move()
    entries = {"github": json.loads(there)} if there else {}
    file.write_text(json.dumps({"mcpServers": entries}))
    before = file.read_bytes()
    assert ["Cursor (~/.cursor/mcp.json): github has changed since, so it was left as it is."] == [
        each.problem for each in world.back(record)
    ]
    assert before == file.read_bytes()


def test_after_a_new_port(world: World) -> None:
    """The entry has been rewritten by us since, and is still ours."""

    file = world.write("cursor", CURSOR)
    record, _ = world.move()
    file.write_text(file.read_text().replace(":8765/", ":8766/"))
    fine(world.back(record))
    assert {"url": PROXY} == world.entries("cursor")["github"]


def test_after_it_was_renamed(world: World) -> None:
    """The entry that follows the workload's name gets its old one."""

    world.write("cursor", CURSOR)
    record, _ = world.move()
    repoint(world.machine, world.changes, "github", "hub")
    assert "hub" in world.entries("cursor")
    fine(world.back(record, "hub"))
    assert {"url": PROXY} == world.entries("cursor")["github"]
    assert "hub" not in world.entries("cursor")


def test_a_project_that_was_connected(world: World, tmp_path: Path) -> None:
    """Its file gets no key, as others share it."""

    cursor = BY_NAME["cursor"]
    file = world.write(
        "cursor", '{"mcpServers": {"github": {"url": "http://127.0.0.1:21000/mcp"}}}', tmp_path / "p/.cursor/mcp.json"
    )
    one = Access("one", "http://127.0.0.1:8765/w/one", None, ("/opt/amberlight", "stdio", "one"))
    connecting.write(world.changes, cursor, file, connecting.put_all(cursor, {"one": one}, stdio=True))
    record, done = world.move()
    assert ["Cursor"] == fine(done)
    assert ["stdio", "github"] == world.entries("cursor", file)["github"]["args"]
    assert KEY not in file.read_text()
    fine(world.back(record))
    assert {"url": PROXY} == world.entries("cursor", file)["github"]


def test_disconnecting_later_brings_their_entry_back(world: World) -> None:
    """As it does with any entry that was replaced, also when its owner had taken it out."""

    file = world.write("cursor", CURSOR)

    def taken_out() -> None:
        file.write_text(edits.drop(BY_NAME["cursor"], CURSOR, "github"))

    world.move(taken_out)
    connecting.write(world.changes, BY_NAME["cursor"], file, connecting.drop_all(BY_NAME["cursor"]))
    assert world.is_as_before()


def test_what_a_record_holds(world: World) -> None:
    """Neither our key nor anybody's in other entries, and only its person can read it."""

    for client, text in TEXTS.items():
        world.write(client, text)
    world.move()
    file = next((world.machine.home.parent / "state").glob("take-overs.json"))
    assert KEY not in file.read_text()
    assert "CANARY" not in file.read_text()
    if sys.platform != "win32":
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert "CANARY" not in repr(world.records.get("github"))
    assert KEY not in repr(world.records.get("github"))


def test_what_to_restart(world: World) -> None:
    """Once for each client that was changed."""

    assert "Start a new session. Codex is running." == restarts(
        [
            Done("Codex", "Start a new session.", note="Codex is running."),
            Done("Zed"),
            Done("Kiro", "no", problem="It failed."),
            Done("Amp", "Start a new session."),
        ]
    )


@pytest.mark.parametrize(
    ("titles", "said"),
    [
        (("claude-code",), "Start a new session, or run /mcp in an open one."),
        (
            ("claude-code", "codex"),
            "In Claude Code, start a new session, or run /mcp in an open one. In Codex, start a new session.",
        ),
        (
            ("codex", "claude-code", "gemini-cli"),
            "In Codex and Gemini CLI, start a new session. In Claude Code, start a new session, or run /mcp in an open one.",
        ),
        (("codex", "claude-desktop"), "In Codex, start a new session. Quit and reopen Claude Desktop."),
        (("vscode", "codex"), "In VS Code, run MCP: List Servers and start it. In Codex, start a new session."),
    ],
)
def test_what_to_restart_where_clients_differ(titles: tuple[str, ...], said: str) -> None:
    """Each sentence names its clients, unless it does so already; no two of them contradict each other."""

    assert said == restarts([Done(BY_NAME[each].title, BY_NAME[each].restart) for each in titles])
