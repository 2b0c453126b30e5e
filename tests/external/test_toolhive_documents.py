"""Whatever stands in ToolHive's files and in the answers of its API: all else is shown, and what is shown can be written."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.external.api_server import Answer, ApiServer
from tests.external.tree import Tree
from trayapp.cli.output import Style
from trayapp.cli.workload_text import status_lines, table
from trayapp.core.external import (
    CONTEXT_MAX,
    URL_MAX,
    WORD_MAX,
    ExternalWorkload,
    external_advice,
    external_view,
    unwell_notice,
)
from trayapp.core.public import list_row_json, status_json
from trayapp.core.snapshot import WorkloadView
from trayapp.external.owner import ExternalError, Reading

EVIL = (
    "a..b",
    f"{'x' * 64}.example",
    "\0",
    "127.0.0.1\0",
    "\ud800",
    "\udcff",
    "\u202egnp.exe",
    "\x1b[2J",
    "\r\nX: y",
    "http://[::1%lo]/",
    "http://[",
    "https://x.example:99999/",
    "https://x.example:١/",
    "https://user:pw@x.example/?key=v",
    "::1%a b",
    "~nobody",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "0002-01-01T00:00:00+23:59",
    "2026-02-30T00:00:00Z",
)
TEXTS = st.sampled_from(EVIL) | st.text(st.characters(exclude_categories=()), max_size=30)
NUMBERS = st.integers(-(1 << 70), 1 << 70) | st.floats() | st.sampled_from([0, 1, 80, 65535, 65536, 1 << 31, 1 << 64])
VALUES = (
    st.none()
    | st.booleans()
    | NUMBERS
    | TEXTS
    | st.lists(TEXTS, max_size=2)
    | st.dictionaries(TEXTS, TEXTS, max_size=2)
)
CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "remote_url": VALUES,
        "host": VALUES,
        "port": VALUES,
        "transport": VALUES | st.sampled_from(["sse", "stdio", "streamable-http"]),
        "proxy_mode": VALUES | st.sampled_from(["sse", "streamable-http"]),
        "remote_auth_config": VALUES | st.dictionaries(st.sampled_from(["issuer", "token_url", "Issuer"]), VALUES),
        "name": VALUES,
    },
)
STATUS = st.fixed_dictionaries(
    {"status": VALUES | st.sampled_from(["running", "auth_retrying", "unauthenticated", "error", "stopped"])},
    optional={"status_context": VALUES, "updated_at": VALUES, "process_id": VALUES},
)
SERVER = st.fixed_dictionaries({}, optional={"url": VALUES, "nonce": VALUES, "pid": VALUES}) | VALUES
CHECKS = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)  # each example writes its own files
ROWS = st.lists(
    VALUES
    | st.fixed_dictionaries(
        {"name": TEXTS | st.just("a"), "remote": st.just(True)},
        optional={"url": VALUES, "status": VALUES, "status_context": VALUES},
    ),
    max_size=3,
)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def written(reading: Reading) -> list[WorkloadView]:
    """The views of all that was read, once each of them has been through everything that shows it."""
    json.dumps(list(reading.problems))
    views = [external_view("toolhive", "ToolHive", each, reading.actions) for each in reading.workloads]
    for view in views:
        rows = (list_row_json(view, port=0, created_at=0.0, started_at=0.0), status_json(view))
        for row in rows:
            json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
        notice = unwell_notice("key", view)
        now = time.time()
        lines = status_lines(rows[1], Style(), now, verbose=True), table([rows[0]], Style(), now)
        texts = (*lines, notice.title, notice.body, *external_advice(view))
        for text in texts:
            assert text.replace("\n", "").isprintable()
            text.encode()
    return views


def shown(views: list[WorkloadView]) -> dict[str, str]:
    return {view.title: view.external.word for view in views if view.external}


@settings(deadline=None, suppress_health_check=CHECKS)
@given(config=CONFIG, status=STATUS, server=SERVER)
def test_one_workload_hides_no_other(tree: Tree, config: dict[str, Any], status: dict[str, Any], server: Any) -> None:
    """And breaks nothing that shows it."""

    tree.add("good", "auth_retrying", 4711)
    tree.run_configs.joinpath("evil.json").write_text(json.dumps(config), encoding="utf-8")
    tree.statuses.joinpath("evil.json").write_text(json.dumps(status), encoding="utf-8")
    tree.server.mkdir(exist_ok=True)
    tree.server.joinpath("server.json").write_text(json.dumps(server), encoding="utf-8")
    found = shown(written(tree.owner().read()))
    assert "auth_retrying" == found["good (ToolHive)"]
    found = shown(written(tree.owner(real=True).read()))
    assert {"good (ToolHive)"} <= set(found)


@settings(deadline=None, suppress_health_check=CHECKS)
@given(data=st.binary(max_size=40))
def test_no_bytes_hide_another(tree: Tree, data: bytes) -> None:
    """In place of any of its files."""

    tree.add("good", "running", 4711)
    tree.add("evil", "running", 4711)
    tree.server.mkdir(exist_ok=True)
    for file in (tree.statuses / "evil.json", tree.run_configs / "evil.json", tree.server / "server.json"):
        file.write_bytes(data)
        assert "running" == shown(written(tree.owner().read()))["good (ToolHive)"]


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    with ApiServer().on_port() as api:
        yield api


@settings(deadline=None, suppress_health_check=CHECKS, max_examples=50)
@given(rows=ROWS | VALUES)
def test_a_list_of_anything(tree: Tree, api: ApiServer, rows: Any) -> None:
    """From the API: what can't be understood is left out, or said in a sentence."""

    tree.serves(api.url)
    api.answers["GET /api/v1beta/workloads?all=true"] = Answer(200, json.dumps({"workloads": rows}).encode())
    try:
        written(tree.owner().read())
    except ExternalError as error:
        assert "Can't read ToolHive's workloads: it didn't answer with a list of workloads." == str(error)


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf{}",
        '{"status": "running"}'.encode("utf-16"),
        b"\xff\xfe",
        b"\0" * 100,
        b'{"status": NaN}',
        b'{"status": Infinity, "process_id": -Infinity}',
        b'{"status": "running", "process_id": ' + b"9" * 5000 + b"}",
        b'{"status": "running", "process_id": 1e400}',
        b"[" * 60000,
        b'{"a":' * 12000,
        b'{"status": "running", "status": 7}',
        b'"\\ud800"',
    ],
)
def test_documents_of_other_kinds(tree: Tree, text: bytes) -> None:
    """Other encodings, numbers that are none, and deep nesting."""

    tree.add("good", "running", 4711)
    tree.add("evil", "running", 4711)
    for file in (tree.statuses / "evil.json", tree.run_configs / "evil.json"):
        file.write_bytes(text)
        assert "running" == shown(written(tree.owner().read()))["good (ToolHive)"]


@pytest.mark.linux("named pipes, devices and symbolic links")
@pytest.mark.parametrize("kind", ["pipe", "zero", "loop", "directory", "huge", "dangling"])
def test_something_else_in_place_of_a_file(tree: Tree, kind: str) -> None:
    """Nothing waits, and nothing is read without an end."""

    tree.add("good", "running", 4711)
    tree.add("evil", "running", 4711)
    tree.server.mkdir()
    for file in (tree.statuses / "evil.json", tree.run_configs / "evil.json", tree.server / "server.json"):
        file.unlink(missing_ok=True)
        match kind:
            case "pipe":
                os.mkfifo(file)
            case "zero":
                file.symlink_to("/dev/zero")
            case "loop":
                file.symlink_to(file)
            case "directory":
                file.mkdir()
            case "dangling":
                file.symlink_to(file.with_name("nothing"))
            case "huge":
                file.touch()
                os.truncate(file, 100 << 20)
        began = time.process_time()
        assert "running" == shown(written(tree.owner().read()))["good (ToolHive)"]
        assert time.process_time() - began < 2


@pytest.mark.parametrize("piece", ["x", "token", "a.", "a-b_", "a://", "?key", "&token=", "@", "\u202e", "\ud800", " "])
def test_very_long_texts(piece: str) -> None:
    """They are cut, in a time that doesn't grow with them."""

    text = piece * ((1 << 20) // len(piece))
    began = time.process_time()
    (view,) = written(Reading([ExternalWorkload("a", f"http://x/{text}", text, text, text)]))
    assert time.process_time() - began < 5
    assert view.external is not None
    assert len(view.url) <= URL_MAX
    assert len(view.external.client_url) <= URL_MAX
    assert len(view.external.word) <= WORD_MAX
    assert len(view.status_context) <= CONTEXT_MAX


def test_an_error_within_one_workload(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a mistake of ours hides no other, and its text, which may hold a secret, is nowhere."""

    from trayapp.external import toolhive_files

    tree.add("evil", "running", 4711)
    tree.add("good", "running", 4711)
    original = toolhive_files.client_url

    def fails(mode: str, host: str, port: int, name: str, url: str) -> str:
        if name == "evil":
            raise KeyError("CANARY")
        return original(mode, host, port, name, url)

    monkeypatch.setattr(toolhive_files, "client_url", fails)
    found = tree.owner().read()
    assert ["good"] == [each.name for each in found.workloads]
    assert [f"ToolHive's file {tree.run_configs / 'evil.json'} can't be read: KeyError."] == found.problems
