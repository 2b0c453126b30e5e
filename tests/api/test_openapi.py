"""`openapi.json` against the routes that are registered and the responses that are really given."""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.api.event_stream import EventReader
from tests.api.json_schema import resolved, violations
from tests.api.scripted_control import FakeControl, other, view
from trayapp.api import api, openapi
from trayapp.api.controls import ClientNeeded, Rejected
from trayapp.api.events import Events
from trayapp.api.pagekeys import PageKeys
from trayapp.core.activity import Request
from trayapp.core.answered import Answered
from trayapp.core.checks import Check
from trayapp.core.client_settings import ClientAccess
from trayapp.core.log_lines import LogEntry, LogQuery
from trayapp.core.metrics import Counters
from trayapp.core.model import AccessToken, Problem, Secret
from trayapp.core.snapshot import AuthView, Detail, Snapshot, Status, Unavailable
from trayapp.importers.entries import ImportableEntry
from trayapp.importers.offers import Offer
from trayapp.server.server import LoopbackServer
from trayapp.storage.activity import Activity
from trayapp.storage.rows import HistoryRow
from trayapp.storage.timeline import Segment

BASE = "/api/v1beta"
WALL = 1_800_000_000.0
PROBLEM = Problem("http", "A firewall's page.", 403, "blocked")
FULL = AuthView(
    Detail.RETRYING,
    WALL,
    attempts=3,
    last_outcome="server_busy",
    last_error=PROBLEM,
    last_trigger="tick",
    next_attempt_at=WALL,
    ceiling_at=WALL,
    account="alice@example.com",
    token_expires_at=WALL,
    retrying_since=WALL,
    last_refreshed_at=WALL,
    lost_rotations=1,
    signing_in=True,
    sign_in_error=PROBLEM,
)


class Site:
    """A running server; every response is validated against the server's own document."""

    def __init__(
        self, control: FakeControl, client: aiohttp.ClientSession, events: Events, inspection: OneCheck
    ) -> None:
        self.control = control
        self.inspection = inspection
        self.client = client
        self.events = events
        self.document: dict[str, Any] = {}
        self.seen: set[tuple[str, str, int]] = set()  # method, path of the document, status

    async def ask(self, method: str, path: str, **kwargs: Any) -> Any:
        """The response's JSON, text or None, after validation."""
        async with self.client.request(method, path, **kwargs) as response:
            body = await response.read()
            template, operation = self.operation(method, path)
            self.seen.add((method, template, response.status))
            described = operation["responses"].get(str(response.status))
            assert described is not None, f"{method} {template} answers {response.status}, which is not described"
            if "content" not in described:
                assert body == b""
                return None
            (media,) = described["content"]
            assert media == response.content_type
            value = json.loads(body) if media == "application/json" else body.decode()
            assert [] == violations(self.document, described["content"][media]["schema"], value)
            return value

    def operation(self, method: str, path: str) -> tuple[str, Mapping[str, Any]]:
        """The document's entry for this request; paths without a placeholder come first."""
        for template in sorted(self.document["paths"], key=lambda each: each.count("{")):
            pattern = re.sub(r"\{\w+\}", "[^/]*", template)
            if re.fullmatch(pattern, path.split("?")[0]) and method.lower() in self.document["paths"][template]:
                return template, self.document["paths"][template][method.lower()]
        raise AssertionError(f"{method} {path} is not in the document")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    control = FakeControl(others={"toolhive/GitHub.v2": other()})
    hub = Events(control)
    keys, inspection = PageKeys(), OneCheck()
    activity = Activity(tmp_path / "activity.db", now_wall=lambda: WALL)
    await activity.switch(True)
    activity.record(Request(WALL, "github", "node", {"name": "zed", "version": "1"}, True, "ping", "", 200, True, 0.1))
    routes = api.routes(
        control,
        version="1.2.3",
        events=hub,
        page_keys=keys,
        history_reader=OneEventHistory(),
        now=lambda: 1000.0,
        activity=activity,
        inspection=inspection,
    )
    server = LoopbackServer(
        port=0, runtime_dir=tmp_path / "run", version="1.2.3", routes=routes, open_routes=api.open_routes(keys)
    )
    url = await server.start()
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {server.api_key.reveal()}"}) as client:
        made = Site(control, client, hub, inspection)
        async with client.get("/api/openapi.json") as response:
            made.document = await response.json()
        yield made
        hub.close()
    await server.close()
    await activity.close()


class OneEventHistory:
    """A history with a single segment for every workload."""

    async def read(self, names: list[str], since: float, limit: int) -> dict[str, tuple[list[Segment], bool]]:
        one = Segment(WALL, "auth_retrying", "amber", "retry", "offline", "There is no network.")
        return {name: ([one], limit == 1) for name in names}

    async def attempts(self, name: str, since: float, limit: int) -> list[HistoryRow]:
        return [HistoryRow(WALL, name, "attempt", "server_busy", "tick", PROBLEM, "auth_retrying", "retrying")]


class OneCheck:
    """An app that has looked at itself."""

    def __init__(self) -> None:
        self.problem: Problem | None = None

    async def checks(self) -> list[Check]:
        return [Check("clients", "problem", "Zed has an old key.", "Fix it: amberlight doctor --fix", fixable=True)]

    async def fix(self) -> list[Check] | Problem:
        return self.problem or []

    async def log(self, query: LogQuery) -> tuple[str, list[LogEntry], bool]:
        return "/home/ada/amberlight.log", [LogEntry(WALL, "info", "trayapp", "listening")], True

    async def bug_report(self) -> tuple[str, str]:
        return "amberlight-report.txt", "Amberlight report"


def filled(path: str) -> str:
    """The path for things that exist: workload, other program's workload, client."""
    if "{owner}" in path:
        return path.replace("{owner}", "toolhive").replace("{name}", "GitHub.v2")
    return path.replace("{name}", "github").replace("{client}", "zed")


def refs(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {value["$ref"]} if "$ref" in value else set().union(*map(refs, value.values()))
    return set().union(*map(refs, value)) if isinstance(value, list) else set()


def test_each_route_is_in_the_document_and_the_reverse() -> None:
    """Methods and paths are the same on both sides; only what is described as open needs no key."""

    control = FakeControl()
    keyed, free = api.routes(control, version="1"), api.open_routes()
    document = openapi.document("1")
    described = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()  # type: ignore[attr-defined]
        for method, operation in methods.items()
    }

    assert {(r.method, r.path) for r in (*keyed, *free)} == set(described)
    assert {(r.method, r.path) for r in free} == {key for key, each in described.items() if each.get("security") == []}
    assert len(described) == len(keyed) + len(free)


def test_the_document_is_whole() -> None:
    """OpenAPI 3.1 with unique ids; each reference leads somewhere, each shape is used, each placeholder is described."""

    document: Any = openapi.document("1.2.3")
    json.dumps(document)
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    ids = [each["operationId"] for each in operations]
    used = refs(document)

    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == "1.2.3"
    assert len(ids) == len(set(ids))
    assert all(resolved(document, ref) for ref in used)
    assert {f"#/components/schemas/{name}" for name in document["components"]["schemas"]} == used
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
            assert all(each["description"] for each in operation["responses"].values())


def test_the_validator_finds_what_is_wrong() -> None:
    """A key too many, one too few, a wrong type, word, time or number: each is seen."""

    document: Any = openapi.document("1")
    problem = {"$ref": "#/components/schemas/Problem"}
    good = {"kind": "http", "http_status": 403, "code": None, "summary": "no"}

    assert [] == violations(document, problem, good)
    bads: list[Any] = [
        good | {"more": 1},
        {"kind": "http"},
        good | {"http_status": "403"},
        good | {"code": 1},
        [],
        None,
    ]
    for bad in bads:
        assert violations(document, problem, bad), bad
    assert violations(document, {"enum": ["a"]}, "b")
    assert violations(document, {"type": "integer", "minimum": 0}, -1)
    assert violations(document, {"type": "integer"}, True)
    assert violations(document, {"const": True}, 1)
    with pytest.raises(AssertionError, match="does not know"):
        violations(document, {"minItems": 1}, [])


async def every_answer(site: Site) -> None:
    """Each operation once or more, in every way that it can go well, and some refusals."""
    control, one = site.control, f"{BASE}/workloads/github"
    control.views["idle"] = view("idle", Status.STOPPED)
    control.views["full"] = replace(view("full", Status.AUTH_RETRYING), auth=FULL)
    control.counts = Counters({("full", "refreshed", "due"): 1}, {("full", "retrying"): 2}, {("full", "200"): 1}, 1)
    for path in ("/health", "/metrics", "/api/openapi.json", f"{BASE}/version", f"{BASE}/status", f"{BASE}/doctor"):
        await site.ask("GET", path)
    for path in (f"{BASE}/workloads", f"{BASE}/workloads?all=true", f"{BASE}/workloads?all=maybe"):
        await site.ask("GET", path)
    for query in ("", "?q=notion", "?q=no+such", f"?q={'x' * 101}"):
        await site.ask("GET", f"{BASE}/catalog{query}")
    for path in (one, f"{one}/status", f"{BASE}/workloads/full/status", f"{BASE}/workloads/nobody/status"):
        await site.ask("GET", path)
    for asked in ("history", "history?limit=1&since=2026-01-02T03:04:05Z", "workloads/github/history?limit=2"):
        await site.ask("GET", f"{BASE}/{asked}")
    for wrong_one in ("limit=0", "limit=x", "since=yesterday", "since=2026-01-02T03:04:05"):
        await site.ask("GET", f"{BASE}/history?{wrong_one}")
    for word in ("retry", "stop", "restart"):
        await site.ask("POST", f"{one}/{word}")
        await site.ask("POST", f"{BASE}/workloads/{word}", json={} if word == "retry" else {"names": ["github"]})
    control.token_answer = AccessToken(1, Secret("at"), 0.0, 9.0, WALL)
    await site.ask("GET", f"{one}/token?min_validity=5&wait=30")
    control.token_answer = AccessToken(1, Secret("at"), 0.0, None)
    await site.ask("GET", f"{one}/token")
    control.token_answer = Unavailable("retrying", Status.AUTH_RETRYING, Detail.OFFLINE, WALL, 30, WALL, "Wait.")
    await site.ask("GET", f"{one}/token")
    await site.ask("GET", f"{one}/token?wait=31")
    await site.ask("POST", f"{one}/token-used", json={"access_token": "secret", "accepted": False})
    await site.ask("POST", f"{one}/token-used", json={"access_token": "secret"})
    await site.ask("GET", f"{one}/client")
    await site.ask("POST", f"{BASE}/workloads/clients", json={"names": ["github"]})
    for key in (Secret("k"), None):
        control.access = ClientAccess("github", "http://127.0.0.1:1/w/github", key)
        await site.ask("GET", f"{one}/client")
        await site.ask("POST", f"{BASE}/workloads/clients", json={"names": ["github"]})
        await site.ask("GET", f"{BASE}/aggregate/client")
    await every_answer_of_set_up(site)
    await every_answer_about_clients(site)
    await every_answer_about_the_past(site)
    await every_answer_about_other_programs(site)
    await every_answer_of_a_take_over(site)
    await site.ask("POST", f"{one}/reauthorize", json={"browser": False})
    await site.ask("POST", f"{one}/reauthorize", json={"browser": False})  # the page is there already
    control.page = None
    await site.ask("POST", f"{one}/reauthorize", json={"accept": True})
    control.page = Problem("busy", "Not now.")
    await site.ask("POST", f"{BASE}/workloads/idle/reauthorize")
    await site.ask("POST", f"{BASE}/workloads/idle/reauthorize")  # a second time within 10 s
    await site.ask("POST", f"{one}/callback", json={"url": "http://127.0.0.1/callback"})
    await site.ask("POST", f"{one}/cancel")
    await site.ask("POST", f"{one}/secret", json={"client_secret": "canary"})
    control.paste_answer = Problem("keyring", "The keyring did not keep it (locked).")
    await site.ask("POST", f"{one}/secret", json={"client_secret": ""})
    control.paste_answer = None
    await site.ask(
        "POST",
        f"{one}/callback",
        data=io.BytesIO(b"x" * (1 << 20) + b"x"),
        headers={"Content-Type": "application/json"},
    )
    await site.ask("POST", f"{one}/callback", data=b"a=b", headers={"Content-Type": "text/plain"})
    link = (await site.ask("POST", f"{BASE}/dashboard"))["url"]
    own = {"Origin": link.partition("/#")[0]}
    for _ in range(2):  # the second time it was used
        await site.ask("POST", f"{BASE}/session", json={"once": link.partition("#once=")[2]}, headers=own)
    await site.ask("POST", f"{BASE}/session", json={}, headers=own)
    await site.ask("POST", f"{BASE}/workloads", json={"name": "new", "url": "https://new.example", "ceiling": "1h"})
    await every_edit(site)
    await site.ask("POST", f"{BASE}/reload")
    for body in ({}, {"port": 9001}, {"port": 0}):
        await site.ask("POST", f"{BASE}/port", json=body)
    control.port_answer = Problem("port", "Port 9001 is in use by another program.")
    await site.ask("POST", f"{BASE}/port", json={"port": 9001})
    await site.ask("POST", f"{BASE}/quit")
    await site.ask("DELETE", f"{BASE}/workloads/idle")
    await site.ask("POST", f"{BASE}/workloads/delete", json={"names": ["github", "full"]})


async def every_edit(site: Site) -> None:
    control = site.control
    new = {"name": "new", "url": "https://new.example", "scopes": ["a"], "client_secret": "s", "check": True}
    await site.ask("GET", f"{BASE}/settings")
    await site.ask("GET", f"{BASE}/workloads/new/settings")
    await site.ask("PATCH", f"{BASE}/settings", json={"port": 9001, "muted": None}, headers={"If-Match": '"r1"'})
    await site.ask("PATCH", f"{BASE}/settings", json={})
    await site.ask("PATCH", f"{BASE}/workloads/new", json={"name": "other", "scopes": None})
    await site.ask("POST", f"{BASE}/workloads/other/sign-out")
    for rejected in (
        Rejected(409, "name_taken", "There is already a workload new.", {"name": "There is already a workload new."}),
        Rejected(
            409, "client_id_needed", "Create one.", {"client_id": "Create one."}, ClientNeeded("http://x", 1, "none")
        ),
        Rejected(412, "changed", "Somebody else has changed it."),
    ):
        control.rejected = rejected
        if rejected.status == 409:
            await site.ask("POST", f"{BASE}/workloads", json=new)
            await site.ask("GET", f"{BASE}/settings")
            await site.ask("GET", f"{BASE}/workloads/other/settings")
            await site.ask("DELETE", f"{BASE}/workloads/other")
        await site.ask("PATCH", f"{BASE}/settings", json={"port": 9001})
        await site.ask("PATCH", f"{BASE}/workloads/other", json={"url": "https://new.example"})
    control.rejected = None


async def every_answer_about_other_programs(site: Site) -> None:
    control, one = site.control, f"{BASE}/external/toolhive/GitHub.v2"
    control.others["toolhive/new"] = other(
        "new", "a_word_of_a_later_version", "Who knows.", "ToolHive is restarting it."
    )
    control.others_problems = ["ToolHive's API isn't responding."]
    for path in (f"{BASE}/external", f"{BASE}/external?all=true", f"{BASE}/external?all=maybe", one, f"{one}2"):
        await site.ask("GET", path)
    for query in ("", "?limit=1", "?days=7", "?days=2"):
        await site.ask("GET", f"{one}/history{query}")
    await site.ask("POST", f"{one}/restart")
    control.restart_answer = Problem("external", "ToolHive didn't restart it.")
    await site.ask("POST", f"{one}/restart", json={})


async def every_answer_of_a_take_over(site: Site) -> None:
    control, one = site.control, f"{BASE}/external/toolhive/GitHub.v2/take-over"
    back = f"{BASE}/workloads/github/give-back"
    for _ in range(2):
        await site.ask("GET", one)
        await site.ask("GET", f"{one}?name=hub")
        for body in ({}, {"browser": False, "name": "hub", "sign_in": False}, {"browser": 1}):
            await site.ask("POST", one, json=body)
        await site.ask("POST", back, json={})
        control.take_over_plan = replace(control.take_over_plan, configured_as="hub", problem="It can't be.", name="")
        control.moved = replace(control.moved, authorization_url="https://login.example/authorize")
    for status in (404, 409):
        control.rejected = Rejected(status, "cannot_take_over", "It can't be.", {"name": "It can't be."})
        await site.ask("GET", one)
        await site.ask("POST", one)
        await site.ask("POST", back)
    control.rejected = None


async def every_answer_about_the_past(site: Site) -> None:
    for days in ("1", "7", "30", "2", "0"):
        await site.ask("GET", f"{BASE}/workloads/github/history?days={days}")
    for query in ("", "?workload=github&client=zed&limit=1&before=9&since=2026-01-02T03:04:05Z", "?before=-1"):
        await site.ask("GET", f"{BASE}/activity{query}")
    for query in ("", "?workload=github", f"?workload={'x' * 64}"):
        await site.ask("GET", f"{BASE}/activity/clients{query}")
    await site.ask("DELETE", f"{BASE}/activity", json={})
    for path in ("diagnostics", "log?level=warning&workload=github&limit=3", "log?level=loud", "report"):
        await site.ask("GET", f"{BASE}/{path}")
    await site.ask("POST", f"{BASE}/diagnostics/fix", json={})
    site.inspection.problem = Problem("not_here", "The demo can't connect clients.")
    await site.ask("POST", f"{BASE}/diagnostics/fix", json={})


async def every_answer_of_set_up(site: Site) -> None:
    keys = {"url": "https://notes.example.com/mcp", "scopes": ("a", "b")}
    site.control.found = [Offer(ImportableEntry("Notes", keys, "notes"), ("Zed", "ToolHive"))]
    found = await site.ask("GET", f"{BASE}/offers")
    assert ["notes.example.com"] == [each["host"] for each in found["offers"]]
    one = f"{BASE}/workloads/github/check"
    for answer in (Answered("github answered: 3 tools", 3), Answered("No.", help="Try."), Problem("no_proxy", "Off.")):
        site.control.answers["github"] = answer
        await site.ask("POST", one)
    await site.ask("POST", f"{BASE}/workloads/nobody/check")
    site.control.clients_trouble = Problem("hanging", "It can't be read.")
    await site.ask("GET", f"{BASE}/offers")
    site.control.clients_trouble = None


async def every_answer_about_clients(site: Site) -> None:
    await site.ask("GET", f"{BASE}/clients")
    for word, names in (("connect", {"names": ["github"], "replace": True}), ("disconnect", {"all": True})):
        await site.ask("POST", f"{BASE}/clients/zed/{word}", json=names)
        await site.ask("POST", f"{BASE}/clients/nobody/{word}", json=names)
        await site.ask("POST", f"{BASE}/clients/zed/{word}", json={"names": ["nobody"]})
    for kind in ("client_file", "no_proxy"):
        site.control.clients_trouble = Problem(kind, "It can't be read.")
        await site.ask("GET", f"{BASE}/clients")
        await site.ask("POST", f"{BASE}/clients/zed/connect", json={"names": ["github"]})
    site.control.clients_trouble = None


async def test_every_answer_has_the_described_shape(site: Site) -> None:
    """Status, content type and JSON of each operation; no operation is left out."""

    await every_answer(site)
    described = {
        (method.upper(), path, int(status))
        for path, methods in site.document["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
        if int(status) < 300 and not path.endswith("/events")
    }

    assert described <= site.seen
    assert {400, 404, 409, 413, 415, 429, 503} <= {status for _, _, status in site.seen}


async def test_nobody_without_the_key_learns_more_than_health(site: Site) -> None:
    """Every described operation but the open one is 403, in the shape of an error."""

    for path, methods in list(site.document["paths"].items()):
        for method, operation in methods.items():
            if operation.get("security") != []:
                asked = filled(path)
                await site.ask(method.upper(), asked, headers={"Authorization": "Bearer wrong"})
    assert {403} == {status for _, _, status in site.seen}


async def test_the_events_carry_described_shapes(site: Site) -> None:
    """`reset` is the list, `workload` a row of it."""

    site.control.views["full"] = replace(view("full", Status.AUTH_RETRYING), auth=FULL)
    shapes = "#/components/schemas"
    async with site.client.get(f"{BASE}/events") as response:
        stream = EventReader(response)
        assert [] == violations(site.document, {"$ref": f"{shapes}/WorkloadList"}, (await stream.next()).data)
        site.events.published(Snapshot(1, dict(site.control.views)))
        assert [] == violations(site.document, {"$ref": f"{shapes}/Workload"}, (await stream.next()).data)


async def test_a_body_that_is_described_is_taken_and_no_other(site: Site) -> None:
    """A field that the document does not name is refused; one that it needs is missed. Our own page asks."""

    link = (await site.ask("POST", f"{BASE}/dashboard"))["url"]
    own = {"Origin": link.partition("/#")[0]}
    for path, methods in list(site.document["paths"].items()):
        for method, operation in methods.items():
            if "requestBody" not in operation:
                continue
            asked = filled(path)
            body = operation["requestBody"]
            error = await site.ask(method.upper(), asked, json={"surprise": 1}, headers=own)
            assert "bad_request" == error["error"]
            if body["required"]:
                assert "bad_request" == (await site.ask(method.upper(), asked, json={}, headers=own))["error"]
            assert violations(site.document, body["content"]["application/json"]["schema"], {"surprise": 1})


# --- several at once -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "calls"),
    [
        ("stop", [("post", "pause", "b"), ("post", "pause", "a")]),
        ("restart", [("post", "resume", "b"), ("post", "resume", "a")]),
        ("delete", [("remove", "b", "a")]),
    ],
)
async def test_several_at_once(site: Site, word: str, calls: list[tuple[str, ...]]) -> None:
    """Each name once, in the order asked for."""

    site.control.views.update(a=view("a"), b=view("b"))
    await site.ask("POST", f"{BASE}/workloads/{word}", json={"names": ["b", "a", "b"]})

    assert calls == site.control.calls


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (None, "bad_request"),
        ({}, "bad_request"),
        ({"names": []}, "bad_request"),
        ({"names": "github"}, "bad_request"),
        ({"names": [1]}, "bad_request"),
        ({"names": ["github", None]}, "bad_request"),
        ({"group": "default"}, "bad_request"),
        ({"names": ["github"], "group": "default"}, "bad_request"),
        ({"names": ["github", "Bad Name"]}, "bad_name"),
        ({"names": ["github", "nobody"]}, "unknown_workload"),
    ],
)
async def test_all_or_none(site: Site, body: object, error: str) -> None:
    """One wrong name, or a group (there are none here), and nothing is done to the others."""

    for word in ("stop", "restart", "delete"):
        asked = {} if body is None else {"json": body}
        assert error == (await site.ask("POST", f"{BASE}/workloads/{word}", **asked))["error"]
    assert [] == site.control.calls


# --- client settings -------------------------------------------------------------------------------------------------


async def test_client_settings(site: Site) -> None:
    """Address, header and the ready texts."""

    site.control.access = ClientAccess("github", "http://127.0.0.1:1/w/github", Secret("key-1"), lasting=False)
    made = await site.ask("GET", f"{BASE}/workloads/github/client")

    assert ("http://127.0.0.1:1/w/github", False) == (made["url"], made["lasting"])
    assert {"Authorization": "Bearer key-1"} == made["headers"]
    assert made["headers"] == json.loads(made["settings"]["claude-code"])["mcpServers"]["github"]["headers"]


async def test_no_browser_gets_client_settings(site: Site) -> None:
    """They hold a key."""

    site.control.access = ClientAccess("github", "http://127.0.0.1:1/w/github", Secret("key-1"))
    error = await site.ask("GET", f"{BASE}/workloads/github/client", headers={"Sec-Fetch-Site": "same-origin"})

    assert "forbidden" == error["error"]


# --- clients' files --------------------------------------------------------------------------------------------------


async def test_clients_and_what_they_have(site: Site) -> None:
    """One row a client, with each workload and the entry over all."""

    first, _ = (await site.ask("GET", f"{BASE}/clients"))["clients"]

    assert ("claude-code", True, None, "absent") == (first["name"], first["installed"], first["problem"], first["all"])
    assert [{"name": "github", "state": "absent", "entry": "github"}] == first["workloads"]
    assert "new session" in first["restart"]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"names": ["github", "github"]}, ["github"]),
        ({"names": ["github"], "all": False}, ["github"]),
        ({"names": ["github"], "all": True}, ["github", ""]),
        ({"all": True}, [""]),
    ],
)
async def test_connecting_a_client(site: Site, body: dict[str, object], names: list[str]) -> None:
    """By its name or another name of it; entries that are not ours are left alone unless it is asked for."""

    made = await site.ask("POST", f"{BASE}/clients/gemini/connect", json=body)
    await site.ask("POST", f"{BASE}/clients/gemini-cli/connect", json={**body, "replace": True})
    await site.ask("POST", f"{BASE}/clients/gemini-cli/disconnect", json=body)

    assert ("Connected to Gemini CLI.", True, ["Left alone."]) == (made["message"], made["changed"], made["kept"])
    assert "connected" == made["client"]["workloads"][0]["state"]
    connect = ("connect", "gemini-cli", *names)
    assert [connect, (*connect, "replace"), ("disconnect", "gemini-cli", *names)] == site.control.calls


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "bad_request"),
        ({"names": []}, "bad_request"),
        ({"all": False}, "bad_request"),
        ({"all": "yes"}, "bad_request"),
        ({"names": ["Bad Name"]}, "bad_name"),
        ({"names": ["github", "nobody"]}, "unknown_workload"),
        ({"names": ["nobody"], "all": True}, "unknown_workload"),
        ({"names": ["github"], "file": "/etc/passwd"}, "bad_request"),
    ],
)
async def test_nothing_is_written_after_a_bad_request(site: Site, body: dict[str, object], error: str) -> None:
    """A request names workloads, and nothing else: the file is the table's."""

    for word in ("connect", "disconnect"):
        assert error == (await site.ask("POST", f"{BASE}/clients/zed/{word}", json=body))["error"]
    assert "unknown_client" == (await site.ask("POST", f"{BASE}/clients/x/connect", json={"all": True}))["error"]
    assert [] == site.control.calls


async def test_no_web_page_connects_a_client(site: Site) -> None:
    """Not even one with the API key; that of the dashboard's own page may (tests/web)."""

    page = {"Sec-Fetch-Site": "same-origin"}
    for method, path in (("GET", "clients"), ("POST", "clients/zed/connect"), ("POST", "clients/zed/disconnect")):
        asked = {"json": {"all": True}} if method == "POST" else {}
        assert "forbidden" == (await site.ask(method, f"{BASE}/{path}", headers=page, **asked))["error"]
    assert [] == site.control.calls
