"""Which entries in clients' files are not as they should be, and what a repair changes in them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from trayapp.clients import edits, entries
from trayapp.clients.connections import State, connection, connections
from trayapp.clients.entries import Access, transport_for
from trayapp.clients.repairs import Fault, Finding, findings, repair
from trayapp.clients.table import BY_NAME, TABLE, Client
from trayapp.core.model import Secret

NEW_KEY = "new-key-0123456789abcdefghijklm"
OLD_KEY = "old-key-0123456789abcdefghijklm"
COMMAND = ("/opt/amberlight", "stdio", "notion")
NEW = Access("notion", "http://127.0.0.1:8765/w/notion", Secret(NEW_KEY), COMMAND)
OLD = Access("notion", "http://127.0.0.1:4321/w/notion", Secret(OLD_KEY), COMMAND)
ALL = Access("amberlight", "http://127.0.0.1:8765/mcp", Secret(NEW_KEY), COMMAND)
ACCESSES = {"notion": NEW, "": ALL}
URLS = {"notion": "https://mcp.notion.com/mcp"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"url": NEW.url, "headers": bearer(NEW_KEY)}, None),
        ({"url": OLD.url, "headers": bearer(NEW_KEY)}, Fault.OLD_PORT),
        ({"url": NEW.url, "headers": bearer(OLD_KEY)}, Fault.OLD_KEY),
        ({"url": NEW.url}, Fault.OLD_KEY),
        ({"url": NEW.url, "headers": bearer("${AMBERLIGHT_KEY}")}, None),
        ({"url": NEW.url, "headers": bearer("{env:AMBERLIGHT_KEY}")}, None),
        ({"command": "amberlight", "args": ["stdio", "notion"]}, None),
        ({"url": "https://MCP.notion.com/mcp/"}, Fault.DIRECT),
        ({"command": "npx", "args": ["mcp-remote", "https://mcp.notion.com/mcp"]}, Fault.DIRECT),
        ({"url": "https://mcp.example.com/mcp"}, None),
        ({"url": "http://127.0.0.1:8765/w/gone", "headers": bearer(OLD_KEY)}, Fault.GONE),
        (None, None),
    ],
)
def test_what_is_wrong_with_an_entry(entry: Any, fault: Fault | None) -> None:
    """A variable can't be judged, and other servers are nobody's business."""

    workload = "gone" if fault is Fault.GONE else "notion"

    expected = [] if fault is None else [Finding("mine", workload, fault)]
    assert expected == findings({"mine": entry}, ACCESSES, URLS)


def test_each_entry_is_looked_at() -> None:
    """One that goes past us is found beside one that is well: they are two logins."""

    both = {"a": {"url": NEW.url, "headers": bearer(NEW_KEY)}, "b": {"url": URLS["notion"]}}

    assert [Finding("b", "notion", Fault.DIRECT)] == findings(both, ACCESSES, URLS)


@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_every_clients_entry_is_repaired(client: Client) -> None:
    """An old port and key become the new ones; what the person added to the entry stays."""

    old = {**entries.entry(client, OLD, transport_for(client, OLD)), "mine": True}
    text = edits.put(client, "", "notion", {**old, "name": "notion"} if client.listed else old)

    repaired = repair(client, ACCESSES)(text)

    found = edits.servers(client, repaired)
    assert State.CONNECTED is connection(found, NEW, "notion").state
    assert found["notion"]["mine"] is True
    assert OLD_KEY not in repaired
    assert repaired == repair(client, ACCESSES)(repaired)


@pytest.mark.parametrize(
    ("entry", "repaired"),
    [
        (
            {"url": "http://localhost:1/w/notion/sub?x=1", "headers": {"X-Mine": "1", **bearer(OLD_KEY)}},
            {"url": "http://localhost:8765/w/notion/sub?x=1", "headers": {"X-Mine": "1", **bearer(NEW_KEY)}},
        ),
        ({"url": f"http://127.0.0.1:1/k/{OLD_KEY}/w/notion"}, {"url": f"http://127.0.0.1:8765/k/{NEW_KEY}/w/notion"}),
        (
            {"url": "http://127.0.0.1/w/notion", "headers": bearer(NEW_KEY)},
            {"url": "http://127.0.0.1:8765/w/notion", "headers": bearer(NEW_KEY)},
        ),
        (
            {"command": "npx", "args": ["mcp-remote", OLD.url], "env": {"AUTHORIZATION": f"bearer {OLD_KEY}"}},
            {"command": "npx", "args": ["mcp-remote", NEW.url], "env": {"AUTHORIZATION": f"bearer {NEW_KEY}"}},
        ),
        ({"url": NEW.url, "note": OLD_KEY}, {"url": NEW.url, "note": OLD_KEY, "headers": bearer(NEW_KEY)}),
        (
            {"url": OLD.url, "headers": bearer("${KEY}")},
            {"url": NEW.url, "headers": bearer("${KEY}")},
        ),
    ],
)
def test_only_address_and_key_change(entry: dict[str, Any], repaired: dict[str, Any]) -> None:
    """Wherever they stand; a host, a path or a variable that the person chose stays."""

    text = json.dumps({"mcpServers": {"notion": entry, "other": {"url": URLS["notion"], "headers": bearer(OLD_KEY)}}})

    found = json.loads(repair(BY_NAME["cursor"], ACCESSES)(text))["mcpServers"]

    assert repaired == found["notion"]
    assert {"url": URLS["notion"], "headers": bearer(OLD_KEY)} == found["other"]


def test_the_entry_over_all_is_repaired_by_its_name() -> None:
    """Another server at an address of that kind is none of ours."""

    url = {"url": "http://127.0.0.1:1/mcp", "headers": bearer(OLD_KEY)}
    text = json.dumps({"mcpServers": {"amberlight": url, "other": url}})

    found = json.loads(repair(BY_NAME["cursor"], ACCESSES)(text))["mcpServers"]

    assert {"amberlight": {"url": ALL.url, "headers": bearer(NEW_KEY)}, "other": url} == found


def test_thousands_of_entries_and_workloads() -> None:
    """Each is looked at once, and repairing them is what it costs to write them."""

    names = [f"w{number}" for number in range(3000)]
    made = {name: Access(name, f"http://127.0.0.1:8765/w/{name}", Secret(NEW_KEY), COMMAND) for name in names}
    urls = {name: f"https://{name}.example/mcp" for name in names}
    there = {name: {"url": urls[name] if name.endswith("7") else made[name].url} for name in names}

    began = time.perf_counter()
    states = [each.state for each in connections(there, made, urls)]
    faults = [each.fault for each in findings(there, made, urls)]

    assert (300, 2700) == (states.count(State.DIRECT), states.count(State.OLD_KEY))
    assert (300, 2700) == (faults.count(Fault.DIRECT), faults.count(Fault.OLD_KEY))
    assert 2.0 > time.perf_counter() - began
