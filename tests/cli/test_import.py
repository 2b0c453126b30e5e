"""`amberlight import` through the real `main`, against a fake app: what is shown, asked, added and changed."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.access import is_private, make_private, open_to_others
from tests.cli.fake_app import FakeApp, running
from tests.hanging import hanging_mount
from trayapp.cli import main
from trayapp.cli.output import Style
from trayapp.config import editor
from trayapp.config.loader import ConfigError, Mistake, Paths, load
from trayapp.importers import proxy_edit, toolhive
from trayapp.system.plain_files import within

Capture = pytest.CaptureFixture[str]

NOTION = "https://mcp.notion.example/mcp"
LINEAR = "https://mcp.linear.example/sse"
LIST = {
    "mcpServers": {
        "Notion": {"url": NOTION},
        "linear": {"type": "sse", "url": LINEAR},
        "fs": {"command": "npx", "args": ["fs"]},
        "static": {"url": "https://x.example/mcp", "headers": {"Authorization": "Bearer CANARY"}},
    }
}


@pytest.fixture
def app(paths: Paths) -> Iterator[FakeApp]:
    with running(paths.runtime_dir) as fake:
        fake.replies["POST /reload"] = 200, {"ok": True, "errors": [], "warnings": []}
        for name in ("notion", "linear"):
            fake.replies[f"GET /workloads/{name}/client"] = 200, client(name)
        yield fake


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps(LIST, indent=2))
    return make_private(file)


def client(name: str, **changed: Any) -> dict[str, Any]:
    """How the app says a workload is reached."""
    entry = {"type": "http", "url": proxy(name), "headers": {"Authorization": "Bearer KEY"}}
    texts = {
        client_name: json.dumps({"mcpServers": {name: entry}}) for client_name in ("claude-code", "cursor", "vscode")
    }
    made = {"name": name, "url": proxy(name), "headers": entry["headers"], "lasting": True, "transport": "http"}
    return made | {"settings": texts} | changed


def proxy(name: str) -> str:
    return f"http://127.0.0.1:8765/w/{name}"


class Typed:
    """Standard input of a terminal: these lines, then end of file."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return f"{self.lines.pop(0)}\n" if self.lines else ""


def names(paths: Paths) -> set[str]:
    return set(load(paths, {}).workloads)


@pytest.fixture(autouse=True)
def state_home(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ToolHive keeps its files on this system."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("LOCALAPPDATA" if sys.platform == "win32" else "XDG_STATE_HOME", str(tmp_path / "STATE_HOME"))


def toolhive_folder(tmp_path: Path) -> Path:
    return toolhive.folder(sys.platform, os.environ, tmp_path / "home")


def run_configs(tmp_path: Path, **texts: str) -> None:
    folder = toolhive_folder(tmp_path)
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / f"{name}.json").write_text(text)


# --- ToolHive --------------------------------------------------------------------------------------------------------


def given_toolhive(tmp_path: Path) -> None:
    login = {"cached_refresh_token_ref": "CANARY", "client_secret": "CANARY", "client_id": "c", "scopes": ["read"]}
    run_configs(
        tmp_path,
        notion=json.dumps({"name": "Notion", "remote_url": NOTION, "remote_auth_config": login}),
        linear=json.dumps({"name": "linear", "remote_url": LINEAR}),
        files=json.dumps({"name": "files", "image": "x"}),
        broken='{"name": "CANARY',
    )


def test_toolhive_is_taken_over(tmp_path: Path, app: FakeApp, paths: Paths, capsys: Capture) -> None:
    """All of it with --yes; damaged files are named, containers counted, and no secret is shown or kept."""

    given_toolhive(tmp_path)
    assert 0 == main(["import", "toolhive", "--yes"])

    spec = load(paths, {}).workloads["notion"]
    assert (NOTION, "c", ("read",)) == (spec.url, spec.client_id, spec.scopes)
    assert {"notion", "linear"} == names(paths)
    assert [("POST /reload", None)] * 2 == app.requests  # before, as there is no file yet, and after
    out = capsys.readouterr().out
    assert re.search(rf"notion +{re.escape(NOTION)} +named Notion there", out)
    assert "two programs can't share a rotating token" in out
    assert "Skipped broken.json: the file is damaged" in out
    assert "1 more runs on this machine and needs no sign-in." in out
    assert "amberlight secret set notion" in out
    assert "amberlight reauthorize linear\n  amberlight reauthorize notion" in out
    assert "CANARY" not in out + paths.config_file.read_text()


def test_a_dry_run_changes_nothing(tmp_path: Path, app: FakeApp, paths: Paths, capsys: Capture) -> None:
    """It says what would be done."""

    given_toolhive(tmp_path)
    assert 0 == main(["import", "toolhive", "--dry-run"])
    assert "Would add: linear and notion." in capsys.readouterr().out
    assert (False, []) == (paths.config_file.exists(), app.requests)


def test_nobody_to_ask(tmp_path: Path, paths: Paths, capsys: Capture) -> None:
    """Without a terminal only --yes agrees."""

    given_toolhive(tmp_path)
    assert 2 == main(["import", "toolhive"])
    assert "--yes" in capsys.readouterr().err
    assert not paths.config_file.exists()


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        (("y",), {"notion", "linear"}),
        (("n",), set()),
        ((), set()),  # the end of the input
        (("e", "y", "n"), {"linear"}),
        (("each", "", "yes"), {"notion"}),
    ],
)
def test_all_none_or_each(
    typed: tuple[str, ...], taken: set[str], tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person chooses."""

    given_toolhive(tmp_path)
    monkeypatch.setattr(sys, "stdin", Typed(*typed))
    assert 0 == main(["import", "toolhive"])
    assert taken == names(paths)


def test_a_second_time_there_is_nothing_to_do(tmp_path: Path, paths: Paths, capsys: Capture) -> None:
    """What is here is recognised by its address."""

    given_toolhive(tmp_path)
    assert 0 == main(["import", "toolhive", "--yes"])
    before = paths.config_file.read_text()
    capsys.readouterr()
    assert 0 == main(["import", "toolhive", "--yes"])
    out = capsys.readouterr().out
    assert ("Nothing new to add." in out, out.count("already added")) == (True, 2)
    assert before == paths.config_file.read_text()


def test_a_file_that_cannot_be_read_is_passed_over(tmp_path: Path, paths: Paths, capsys: Capture) -> None:
    """The others are taken."""

    given_toolhive(tmp_path)
    (toolhive_folder(tmp_path) / "folder.json").mkdir()
    assert 0 == main(["import", "toolhive", "--yes"])
    assert "Skipped folder.json: " in capsys.readouterr().out
    assert {"notion", "linear"} == names(paths)


def test_only_containers(tmp_path: Path, paths: Paths, capsys: Capture) -> None:
    """Then there is nothing to take, and no sentence about its tokens."""

    run_configs(tmp_path, a='{"image": "x"}', b='{"image": "y"}')
    assert 0 == main(["import", "toolhive", "--yes"])
    out = capsys.readouterr().out
    assert ("None can be added." in out, "2 more run on this machine" in out) == (True, True)
    assert "refresh tokens" not in out
    assert not paths.config_file.exists()


def test_what_the_app_says_against_it_is_printed(tmp_path: Path, app: FakeApp, paths: Paths, capsys: Capture) -> None:
    """The entries are in the file; the app goes on with what it had."""

    given_toolhive(tmp_path)
    app.replies["POST /reload"] = 200, {"ok": False, "errors": ["a mistake elsewhere"], "warnings": []}
    assert 1 == main(["import", "toolhive", "--yes"])
    assert "a mistake elsewhere" in capsys.readouterr().err


def test_an_entry_that_is_refused_is_told(
    tmp_path: Path, paths: Paths, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name, with every reason; the others are added."""

    add = editor.add_all

    def picky(paths: Paths, entries: Mapping[str, Mapping[str, Any]]) -> None:
        if "linear" in entries:
            raise ConfigError((Mistake(paths.config_file, None, "workloads.linear", "is not wanted"),))
        add(paths, entries)

    given_toolhive(tmp_path)
    monkeypatch.setattr(editor, "add_all", picky)
    assert 1 == main(["import", "toolhive", "--yes"])
    assert {"notion"} == names(paths)
    assert "linear wasn't added:\n" in (err := capsys.readouterr().err)
    assert "workloads.linear: is not wanted" in err


def test_without_toolhive(paths: Paths, tmp_path: Path, capsys: Capture) -> None:
    """The place where it would be is named."""

    assert 1 == main(["import", "toolhive"])
    assert str(toolhive_folder(tmp_path)) in capsys.readouterr().err


def test_a_configuration_that_is_not_right_is_told_first(tmp_path: Path, paths: Paths, capsys: Capture) -> None:
    """Nothing is added to it."""

    given_toolhive(tmp_path)
    paths.config_file.parent.mkdir(parents=True)
    paths.config_file.write_text("[workloads.a]\nnonsense = 1\n")
    assert 1 == main(["import", "toolhive", "--yes"])
    assert "config.toml:2" in capsys.readouterr().err
    assert "[workloads.a]\nnonsense = 1\n" == paths.config_file.read_text()


# --- lists of MCP servers --------------------------------------------------------------------------------------------


def test_a_list_is_taken_over_and_sent_through(listed: Path, app: FakeApp, paths: Paths, capsys: Capture) -> None:
    """With --yes: entries, a copy of the old file, and the file itself."""

    before = listed.read_bytes()
    assert 0 == main(["import", "mcp-json", str(listed), "--yes"])

    assert {"notion", "linear"} == names(paths)
    made = json.loads(listed.read_text())["mcpServers"]
    key = {"Authorization": "Bearer KEY"}
    assert {"url": proxy("notion"), "type": "http", "headers": key} == made["Notion"]
    assert {"type": "sse", "url": proxy("linear"), "headers": key} == made["linear"]
    assert LIST["mcpServers"]["fs"] == made["fs"]
    assert LIST["mcpServers"]["static"] == made["static"]
    (backup,) = listed.parent.glob("mcp.json.amberlight-backup-*")
    assert (before, True) == (backup.read_bytes(), is_private(backup))
    printed = capsys.readouterr()
    assert "Skipped static: it has a fixed key in its headers" in printed.out
    assert f"Backup: {backup}" in printed.out
    assert "CANARY" not in printed.out + printed.err
    assert "KEY" not in printed.out + printed.err
    assert "" == printed.err


def test_the_file_is_changed_for_those_that_were_taken(
    listed: Path, app: FakeApp, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only if a person says so."""

    before = listed.read_bytes()
    monkeypatch.setattr(sys, "stdin", Typed("e", "n", "y", "n"))
    assert 0 == main(["import", "mcp-json", str(listed)])
    assert ({"linear"}, before) == (names(paths), listed.read_bytes())

    monkeypatch.setattr(sys, "stdin", Typed("n", "y"))
    assert 0 == main(["import", "mcp-json", str(listed)])
    made = json.loads(listed.read_text())["mcpServers"]
    assert (NOTION, proxy("linear")) == (made["Notion"]["url"], made["linear"]["url"])


def test_the_file_can_be_kept(listed: Path, app: FakeApp, paths: Paths) -> None:
    """`--keep-file` asks nothing about it."""

    before = listed.read_bytes()
    assert 0 == main(["import", "mcp-json", str(listed), "--yes", "--keep-file"])
    assert ({"notion", "linear"}, before) == (names(paths), listed.read_bytes())


def test_without_an_app_the_file_stays(listed: Path, paths: Paths, capsys: Capture) -> None:
    """It alone knows where its proxy listens; the entries are added all the same."""

    before = listed.read_bytes()
    assert 0 == main(["import", "mcp-json", str(listed), "--yes"])
    assert ({"notion", "linear"}, before) == (names(paths), listed.read_bytes())
    assert "start Amberlight (amberlight run) and import again" in capsys.readouterr().out


def test_a_dry_run_of_a_list(listed: Path, app: FakeApp, paths: Paths, capsys: Capture) -> None:
    """Neither configuration nor file is touched."""

    before = listed.read_bytes()
    assert 0 == main(["import", "mcp-json", str(listed), "--dry-run"])
    assert (False, before) == (paths.config_file.exists(), listed.read_bytes())
    assert "Would point notion and linear in" in capsys.readouterr().out
    assert [listed] == list(listed.parent.glob("mcp.json*"))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((200, client("notion", lasting=False)), "set port ="),
        ((200, client("notion", url=None)), "unexpected answer"),
        ((409, {"error": "broken", "message": "Its configuration is wrong."}), "Its configuration is wrong."),
    ],
)
def test_one_that_cannot_be_reached_is_left_out(
    reply: tuple[int, Any], words: str, listed: Path, app: FakeApp, capsys: Capture
) -> None:
    """The others are sent through Amberlight."""

    app.replies["GET /workloads/notion/client"] = reply
    assert 0 == main(["import", "mcp-json", str(listed), "--yes"])
    made = json.loads(listed.read_text())["mcpServers"]
    assert (NOTION, proxy("linear")) == (made["Notion"]["url"], made["linear"]["url"])
    assert words in capsys.readouterr().err


def test_a_port_that_changes_is_said_once(listed: Path, app: FakeApp, capsys: Capture) -> None:
    """However many workloads there are; the file stays as it is."""

    before = listed.read_bytes()
    for name in ("notion", "linear"):
        app.replies[f"GET /workloads/{name}/client"] = 200, client(name, lasting=False)
    main(["import", "mcp-json", str(listed), "--yes"])
    assert 1 == capsys.readouterr().err.count("set port = ")
    assert before == listed.read_bytes()


def test_nobody_else_can_read_it_any_more(listed: Path, app: FakeApp, capsys: Capture) -> None:
    """Neither through the file's mode nor its access list; on the next import there is nothing to say."""

    open_to_others(listed)
    assert 0 == main(["import", "mcp-json", str(listed), "--yes"])
    assert "Bearer KEY" in listed.read_text()
    assert is_private(listed)
    mode = "" if sys.platform == "win32" else " (mode 0600)"
    assert f"{listed} now contains local keys, so only its owner can read it{mode}.\n" in capsys.readouterr().err
    assert 0 == main(["import", "mcp-json", str(listed), "--yes"])
    assert "" == capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
@pytest.mark.parametrize(("mode", "then"), [(0o644, 0o600), (0o664, 0o600), (0o755, 0o700), (0o600, 0o600)])
def test_nobody_else_can_read_a_file_that_holds_local_keys(
    mode: int, then: int, listed: Path, app: FakeApp, capsys: Capture
) -> None:
    """Its mode is tightened, also behind a link, and that is said; so is version control."""

    listed.chmod(mode)
    (listed.parent / ".git").mkdir()
    link = listed.with_name("link.json")
    link.symlink_to(listed)
    assert 0 == main(["import", "mcp-json", str(link), "--yes"])
    assert "Bearer KEY" in listed.read_text()
    assert (True, then) == (link.is_symlink(), listed.stat().st_mode & 0o777)
    err = capsys.readouterr().err
    assert ("only its owner can read it" in err, "version control" in err) == (mode != then, True)


@pytest.mark.alone
def test_thousands_are_asked_for_in_a_few_requests(tmp_path: Path, app: FakeApp, paths: Paths, capsys: Capture) -> None:
    """And taken in a second or two; one that the app does not know yet leaves the others as they are."""

    file = tmp_path / "mcp.json"
    entries = {f"Server {n}": {"url": f"https://{n}.example/mcp"} for n in range(3000)}
    file.write_text(json.dumps({"mcpServers": entries}, indent=2))

    def answer(body: Any) -> tuple[int, Any]:
        if "server-2999" in body["names"]:
            return 404, {"error": "unknown_workload", "message": "There's no workload of this name."}
        return 200, {"clients": [client(name) for name in body["names"]]}

    app.replies["POST /workloads/clients"] = answer
    began = time.monotonic()
    assert 0 == main(["import", "mcp-json", str(file), "--yes"])
    assert time.monotonic() - began < 10
    made = json.loads(file.read_text())["mcpServers"]
    assert proxy("server-2499") == made["Server 2499"]["url"]
    assert entries["Server 2999"] == made["Server 2999"]
    assert 6 == len(app.bodies("POST /workloads/clients"))
    assert "server-2999 can't be reached" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_a_file_without_local_keys_keeps_its_mode(listed: Path, app: FakeApp) -> None:
    """A workload that needs no key puts nothing private into it."""

    listed.chmod(0o644)
    for name in ("notion", "linear"):
        app.replies[f"GET /workloads/{name}/client"] = 200, client(name, headers={})
    assert 0 == main(["import", "mcp-json", str(listed), "--yes"])
    assert proxy("notion") in listed.read_text()
    assert 0o644 == listed.stat().st_mode & 0o777


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")
def test_a_source_that_would_wait_for_ever_ends_with_a_sentence(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe, a device, a directory, and a share that is gone."""

    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path / "pipe", "named pipe"), ("/dev/zero", "device"), (tmp_path, "directory")):
        assert 1 == main(["import", "mcp-json", str(path), "--yes"])
        assert f"{path} can't be read: it's a {words}" in capsys.readouterr().err
    monkeypatch.setattr(within, "__defaults__", (0.1,))
    with hanging_mount(tmp_path / "share"):
        assert 1 == main(["import", "mcp-json", str(tmp_path / "share" / "mcp.json")])
        assert "isn't responding" in capsys.readouterr().err
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "share"))
        assert 1 == main(["import", "toolhive"])
        assert "isn't responding" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"mcpServers": {', "mcp.json: line 1: "),
        ('{"other": 1}', "no list of MCP servers"),
        (None, "doesn't exist"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    text: str | None, words: str, tmp_path: Path, paths: Paths, capsys: Capture
) -> None:
    """In one sentence that names it."""

    file = tmp_path / "mcp.json"
    if text is not None:
        file.write_text(text)
    assert 1 == main(["import", "mcp-json", str(file), "--yes"])
    err = capsys.readouterr().err
    assert words in err
    assert 1 == err.count("\n")


def test_a_file_that_cannot_be_changed_safely_stays(
    listed: Path, app: FakeApp, paths: Paths, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entries are added; the sentence says why the file is as it was."""

    def unsafe(*_: object, **__: object) -> str:
        raise proxy_edit.ProxyEditError("other parts of the file would change")

    before = listed.read_bytes()
    monkeypatch.setattr(proxy_edit, "point_at_proxy", unsafe)
    assert 1 == main(["import", "mcp-json", str(listed), "--yes"])
    assert ({"notion", "linear"}, before) == (names(paths), listed.read_bytes())
    assert "is unchanged: other parts" in capsys.readouterr().err
    assert [listed] == list(listed.parent.glob("mcp.json*"))


def test_open_workloads_put_no_key_into_the_file(listed: Path, app: FakeApp, capsys: Capture) -> None:
    """Nothing to warn of then."""

    listed.chmod(0o644)
    for name in ("notion", "linear"):
        texts = {"claude-code": json.dumps({"mcpServers": {name: {"type": "http", "url": proxy(name)}}})}
        app.replies[f"GET /workloads/{name}/client"] = 200, client(name, settings=texts, headers={})
    assert 0 == main(["import", "mcp-json", str(listed), "--yes"])
    assert "" == capsys.readouterr().err
    assert {"url": proxy("notion"), "type": "http"} == json.loads(listed.read_text())["mcpServers"]["Notion"]


def test_a_narrow_terminal_shortens_addresses(
    listed: Path, paths: Paths, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is broken for them."""

    monkeypatch.setattr(Style, "of", lambda *_: Style(width=40))
    assert 0 == main(["import", "mcp-json", str(listed), "--dry-run"])
    assert re.search(r"^  notion  https://mcp\.notion\.[a-z/]*… +named Notion", capsys.readouterr().out, re.M)


def test_names_from_elsewhere_do_no_harm_to_a_terminal(tmp_path: Path, paths: Paths, capsys: Capture) -> None:
    """No control character is printed."""

    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"\x1b[31mred": {"url": NOTION}, "\x1b[2J": {"url": "http://x\x1b"}}}))
    assert 0 == main(["import", "mcp-json", str(file), "--dry-run"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "Would add: 31mred." in out


def test_the_source_has_to_be_named(capsys: Capture) -> None:
    """Wrong usage, with the way to the help."""

    assert 2 == main(["import"])
    assert "amberlight import --help" in capsys.readouterr().err
