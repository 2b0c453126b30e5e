"""What is shown of ToolHive's workloads: from its files, whatever state they are in."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.external.api_server import ApiServer
from tests.external.tree import CANARY, SINCE_WALL, URL, Tree
from trayapp.clients.places import Machine
from trayapp.core.external import ExternalWorkload
from trayapp.core.presentation import Verb
from trayapp.external import toolhive_files
from trayapp.external.owner import ExternalError
from trayapp.external.owners import owners
from trayapp.external.toolhive import ToolHive
from trayapp.external.toolhive_files import client_url, moment, places
from trayapp.importers.entries import ImportableEntry, SkippedEntry

BOTH = (Verb.RESTART, Verb.TAKE_OVER)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_it_is_one_of_the_programs_that_are_shown(tree: Tree) -> None:
    """By the id that names begin with."""

    assert [("toolhive", "ToolHive")] == [(each.id, each.title) for each in owners(tree.machine)]


def test_without_toolhive_there_is_nothing(tree: Tree, tmp_path: Path) -> None:
    """Nothing is created; what would appear is named."""

    found = tree.owner().read()
    assert ((), False, (), True) == (tuple(found.workloads), found.running, tuple(found.problems), found.reports)
    assert {tree.run_configs, tree.statuses, tree.server} == found.files
    assert [] == list(tmp_path.iterdir())


def test_a_remote_workload(tree: Tree) -> None:
    """Name, addresses, status, reason and since when, and the process whose end matters."""

    tree.command = "/usr/bin/thv"
    tree.add("Notes.one", "auth_retrying", 4711, "Token refresh failing transiently")
    found = tree.owner().read()
    wanted = ExternalWorkload(
        "Notes.one",
        URL,
        "http://127.0.0.1:19101/mcp",
        "auth_retrying",
        "Token refresh failing transiently",
        found.workloads[0].since,
    )
    assert [wanted] == list(found.workloads)
    assert abs(found.workloads[0].since - SINCE_WALL) < 0.001
    assert (BOTH, True, frozenset({4711}), True) == (found.actions, found.running, found.processes, found.reports)


def test_programs_on_this_machine_are_not_shown(tree: Tree) -> None:
    """Nor is what has never been run, nor a file that is no configuration."""

    tree.add("container", "running", 12, remote_url="")
    tree.configure("new")
    (tree.run_configs / ".new.json.tmp-123").write_text("{", encoding="utf-8")
    (tree.run_configs / "-rf.json").write_text("{", encoding="utf-8")
    (tree.run_configs / "README").write_text("{", encoding="utf-8")
    found = tree.owner().read()
    assert ([], []) == (list(found.workloads), list(found.problems))


@pytest.mark.parametrize("word", ["running", "starting", "auth_retrying", "unauthenticated", "unhealthy", "stopping"])
def test_a_word_counts_while_its_process_runs(tree: Tree, word: str) -> None:
    """A killed process leaves its last word, and so does a restart of the machine."""

    tree.add("a", word, 4711)
    assert word == tree.workload("a").word
    del tree.processes[4711]
    assert "stopped" == tree.workload("a").word
    tree.processes[4711] = "firefox"  # the number is used again
    assert "stopped" == tree.workload("a").word
    tree.ports.add(19101)  # the program has another name
    assert word == tree.workload("a").word


@pytest.mark.parametrize("word", ["running", "starting", "auth_retrying", "unauthenticated"])
def test_a_stop_leaves_the_word_and_takes_the_process(tree: Tree, word: str) -> None:
    """`thv stop` writes `stopped` only in place of `running`. In a terminal, a process isn't recorded at first."""

    tree.add("a", word)
    assert ("stopped", f"Its process has ended. Its last status was {word}.") == (
        tree.workload("a").word,
        tree.workload("a").context,
    )
    tree.ports.add(19101)
    assert word == tree.workload("a").word


def test_an_error_stays_until_a_stop(tree: Tree) -> None:
    """Its process has always ended; a stop takes the number out of the record."""

    tree.add("a", "error", 4711, "OAuth flow timed out")
    del tree.processes[4711]
    assert ("error", "OAuth flow timed out") == (tree.workload("a").word, tree.workload("a").context)
    tree.status("a", "error", 0, "OAuth flow timed out")
    assert "stopped" == tree.workload("a").word


@pytest.mark.parametrize("word", ["stopped", "removing", "policy_stopped", "unknown", "quarantined", "Läuft"])
def test_other_words_are_shown_as_they_are(tree: Tree, word: str) -> None:
    """Also those of a later version."""

    tree.add("a", word)
    assert word == tree.workload("a").word


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is damaged: it isn't valid JSON"),
        ('{"status": "runn', "is damaged: it isn't valid JSON"),
        ("[" * 10000, "is damaged: it isn't valid JSON"),
        ("\xff\xfe", "is damaged: it isn't valid JSON"),
        ("[]", "is damaged: it isn't a JSON object"),
        ("{}", "is damaged: it has no status"),
        ('{"status": 7}', "is damaged: it has no status"),
        (" " * 70000, "is larger than 64 KiB"),
    ],
)
def test_a_damaged_status_file(tree: Tree, text: str, what: str) -> None:
    """The workload is unknown, a sentence names the file, and the others are shown."""

    tree.add("a", "running", 1)
    tree.add("b", "running", 2)
    file = tree.statuses / "a.json"
    file.write_text(text, encoding="latin-1")
    found = tree.owner().read()
    assert [("a", "unknown"), ("b", "running")] == [(each.name, each.word) for each in found.workloads]
    assert [f"ToolHive's file {file} {what}."] == list(found.problems)
    assert text == file.read_text(encoding="latin-1")


def test_a_damaged_run_configuration(tree: Tree) -> None:
    """Whether it is a remote one isn't known, so a sentence is all there is."""

    tree.add("a", "running", 1)
    tree.add("b", "running", 2)
    file = tree.run_configs / "a.json"
    file.write_text('{"remote_url": "https://x", "client_secret": "' + CANARY, encoding="utf-8")
    found = tree.owner().read()
    assert ["b"] == [each.name for each in found.workloads]
    assert [f"ToolHive's file {file} is damaged: it isn't valid JSON."] == list(found.problems)


@pytest.mark.linux("named pipes")
def test_a_pipe_in_place_of_a_file(tree: Tree) -> None:
    """Nothing waits for a writer."""

    tree.add("a", "running", 1)
    (tree.statuses / "a.json").unlink()
    os.mkfifo(tree.statuses / "a.json")
    os.mkfifo(tree.run_configs / "b.json")
    found = tree.owner().read()
    assert ["unknown"] == [each.word for each in found.workloads]
    assert all("it's a named pipe, not a file" in each for each in found.problems)
    assert 2 == len(found.problems)


@pytest.mark.linux("symbolic links")
def test_links_are_followed_but_not_round_in_circles(tree: Tree) -> None:
    """People keep configurations elsewhere."""

    tree.add("a", "running", 1)
    real = tree.run_configs.with_name("elsewhere.json")
    (tree.run_configs / "a.json").rename(real)
    (tree.run_configs / "a.json").symlink_to(real)
    (tree.run_configs / "b.json").symlink_to("b.json")
    found = tree.owner().read()
    assert ["a"] == [each.name for each in found.workloads]
    assert 1 == len(found.problems)


def test_no_secret_is_read(tree: Tree, caplog: pytest.LogCaptureFixture) -> None:
    """Not into what is shown, not into a representation, an error or the log."""

    caplog.set_level(logging.DEBUG)
    tree.add("a", "running", 1)
    tree.add("b", "running", 2, transport=7, port=f"{CANARY}", host=[CANARY], proxy_mode={CANARY: 1})
    (tree.run_configs / "c.json").write_text(f'{{"remote_url": "{CANARY}', encoding="utf-8")
    tree.status("c", "running")
    owner = tree.owner()
    found = owner.read()
    entry = owner.entry("a")
    with pytest.raises(ExternalError) as refused:
        owner.restart("a")
    texts = repr((found, found.workloads, found.problems, vars(owner), entry, refused.value)) + caplog.text
    assert isinstance(entry, ImportableEntry)
    assert CANARY not in texts
    assert ["a", "b"] == [each.name for each in found.workloads]


@pytest.mark.parametrize(
    ("text", "wall"),
    [
        ("2026-11-30T06:18:45.43790095Z", 1796019525.4379),
        ("2026-11-30T08:18:45+02:00", 1796019525.0),
        ("2026-11-30T06:18:45", None),
        ("0001-01-01T00:00:00Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times_of_go(text: str, wall: float | None) -> None:
    """With nanoseconds and a zone; its zero is none."""

    found = moment(text)
    assert found is None if wall is None else found is not None and abs(found - wall) < 0.001


def test_without_a_time_it_is_that_of_the_file(tree: Tree) -> None:
    """When it was written."""

    tree.add("a", "running", 1)
    tree.status("a", "running", 1, updated_at="soon")
    os.utime(tree.statuses / "a.json", (1000, 1000))
    assert 1000 == tree.workload("a").since


@pytest.mark.parametrize(
    ("mode", "host", "port", "url", "wanted"),
    [
        ("streamable-http", "127.0.0.1", 80, "https://x.example/a/mcp?toolsets=core", "http://127.0.0.1:80/a/mcp"),
        ("streamable-http", "0.0.0.0", 80, "https://x.example/", "http://127.0.0.1:80"),
        ("sse", "", 80, "https://x.example", "http://127.0.0.1:80/sse#N.1"),
        ("sse", "::1", 80, "https://x.example/events", "http://[::1]:80/events#N.1"),
        ("streamable-http", "192.0.2.7", 80, "https://x.example/mcp", "http://192.0.2.7:80/mcp"),
        ("stdio", "127.0.0.1", 80, "https://x.example/mcp", ""),
        ("streamable-http", "127.0.0.1", 0, "https://x.example/mcp", ""),
        ("streamable-http", "127.0.0.1", 80, "https://[x", ""),
        ("streamable-http", "a host\n", 80, "https://x.example/mcp", ""),
        ("streamable-http", "user@x.example/", 80, "https://x.example/mcp", ""),
        ("streamable-http", "127.0.0.1", 80, "no address", "http://127.0.0.1:80"),
    ],
)
def test_where_clients_reach_it(mode: str, host: str, port: int, url: str, wanted: str) -> None:
    """The path of the server at the proxy's port, as ToolHive writes it into the files of clients."""

    assert wanted == client_url(mode, host, port, "N.1", url)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"transport": "stdio", "proxy_mode": "sse"}, "http://127.0.0.1:19101/mcp#a"),
        ({"transport": "stdio", "proxy_mode": ""}, "http://127.0.0.1:19101/mcp"),
        ({"transport": "sse"}, "http://127.0.0.1:19101/mcp#a"),
        ({"port": True}, ""),
        ({"port": 70000}, ""),
        ({"port": -1}, ""),
    ],
)
def test_the_transport_decides(tree: Tree, config: dict[str, Any], wanted: str) -> None:
    """A legacy one, or by way of standard input and output."""

    tree.add("a", "running", 1, **config)
    assert wanted == tree.workload("a").client_url


@pytest.mark.parametrize(
    ("platform", "environ", "state", "data"),
    [
        ("linux", {}, ".local/state", ".local/share"),
        ("linux", {"XDG_STATE_HOME": "relative", "XDG_DATA_HOME": "relative"}, ".local/state", ".local/share"),
        ("darwin", {}, "Library/Application Support", "Library/Application Support"),
        ("win32", {}, "AppData/Local", "AppData/Local"),
    ],
)
def test_its_directories(tmp_path: Path, platform: str, environ: dict[str, str], state: str, data: str) -> None:
    """Those of the Go library, on every system."""

    at = places(Machine(platform, environ, tmp_path))
    assert tmp_path / state / "toolhive" / "runconfigs" == at.run_configs
    assert tmp_path / state / "toolhive" / "server" / "server.json" == at.server_file
    assert tmp_path / data / "toolhive" / "statuses" == at.statuses


def test_windows_may_have_its_directories_elsewhere(tmp_path: Path) -> None:
    """By LOCALAPPDATA."""

    at = places(Machine("win32", {"LOCALAPPDATA": str(tmp_path / "L")}, tmp_path))
    assert tmp_path / "L" / "toolhive" / "statuses" == at.statuses


def test_two_hundred_workloads(tree: Tree) -> None:
    """They take a tenth of a second, with everything looked at for real."""

    for number in range(200):
        tree.add(f"w{number:03}", "auth_retrying", os.getpid(), port=1)
    began = time.process_time()
    found = ToolHive(tree.machine).read()
    assert time.process_time() - began < 3
    assert {f"w{number:03}" for number in range(200)} == {each.name for each in found.workloads}


def test_a_workload_that_goes_while_it_is_read(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """It isn't there any more, and nothing is wrong."""

    tree.add("b", "running", 2)
    monkeypatch.setattr(toolhive_files, "names", lambda _: iter(["a", "b"]))
    found = tree.owner().read()
    assert (["b"], []) == ([each.name for each in found.workloads], list(found.problems))


def test_restart_needs_a_way(tree: Tree) -> None:
    """Its command or its API; taking over needs neither."""

    tree.add("a", "running", 1)
    assert (Verb.TAKE_OVER,) == tree.owner().read().actions
    tree.command = "/usr/bin/thv"
    assert BOTH == tree.owner().read().actions
    tree.command = None
    with ApiServer().on_port() as api:
        tree.serves(api.url, pid=77)
        found = tree.owner().read()
        assert (BOTH, frozenset({1, 77})) == (found.actions, found.processes)
        tree.serves(api.url, nonce="another")
        assert (Verb.TAKE_OVER,) == tree.owner().read().actions


def test_a_version_without_such_files_is_asked(tree: Tree) -> None:
    """Its API tells everything but the server's address, and no changes."""

    row = {
        "name": "a",
        "url": "http://127.0.0.1:1/mcp",
        "status": "auth_retrying",
        "status_context": "dial",
        "remote": True,
    }
    with ApiServer().on_port() as api:
        tree.serves(api.url, pid=77)
        api.lists(row, {**row, "name": "b", "remote": False}, {**row, "name": "--all"}, {**row, "name": 7})
        found = tree.owner().read()
        assert [ExternalWorkload("a", "", "http://127.0.0.1:1/mcp", "auth_retrying", "dial")] == list(found.workloads)
        assert ((Verb.RESTART,), True, False) == (found.actions, found.running, found.reports)
        api.lists()
        assert [] == list(tree.owner().read().workloads)
        tree.run_configs.mkdir(parents=True)
        assert tree.owner().read().reports


def test_the_entry_to_take_over(tree: Tree) -> None:
    """As the import reads it; a program on this machine isn't one."""

    tree.add("a", "running", 1)
    entry = tree.owner().entry("a")
    assert isinstance(entry, ImportableEntry)
    assert ("a", URL) == (entry.original_name, entry.url)
    tree.configure("b", remote_auth_config={"bearer_token": "x"})
    assert isinstance(tree.owner().entry("b"), SkippedEntry)
    assert isinstance(tree.owner().entry("gone"), SkippedEntry)
    tree.configure("c", remote_url="")
    with pytest.raises(ExternalError, match="c is no longer a remote workload"):
        tree.owner().entry("c")
    with pytest.raises(ExternalError, match="ToolHive has no workload"):
        tree.owner().entry("../a")


@pytest.mark.linux("permissions")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_a_directory_that_may_not_be_read(tree: Tree) -> None:
    """One sentence."""

    tree.add("a", "running", 1)
    tree.run_configs.chmod(0)
    try:
        with pytest.raises(ExternalError, match="Can't read ToolHive's workloads: Permission denied"):
            tree.owner().read()
    finally:
        tree.run_configs.chmod(0o700)


def test_a_file_in_place_of_its_directory(tree: Tree) -> None:
    """One sentence."""

    tree.run_configs.parent.mkdir(parents=True)
    tree.run_configs.write_text(json.dumps({}), encoding="utf-8")
    with pytest.raises(ExternalError, match="Can't read ToolHive's workloads"):
        tree.owner().read()
