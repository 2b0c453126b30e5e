"""Requests that edit the configuration: what they pass on, and how refusals name what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_api import BASE, GITHUB, Site, site
from trayapp.api.controls import ClientNeeded, Draft, Rejected
from trayapp.core.model import Problem, Secret

__all__ = ["site"]  # a fixture

NEW = {"name": "New", "url": "new.example", "scopes": None, "ceiling": "1h"}
CANARY = "canary-client-secret"


async def test_add_passes_on_what_was_typed(site: Site) -> None:
    """Null is like nothing; the secret is a `Secret` from here on."""

    status, body, _ = await site.ask("POST", f"{BASE}/workloads", json={**NEW, "client_secret": CANARY, "check": True})

    assert (201, "New") == (status, body["name"])
    assert [("add", "New", {"url": "new.example", "ceiling": "1h"}, Secret(CANARY), "check")] == site.control.calls
    assert CANARY not in repr(site.control.calls)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name", "url"]),
        ({"name": "a"}, ["url"]),
        ({"name": 7, "url": "x"}, ["name"]),
        ({"name": "a", "url": ["x"]}, ["url"]),
        ({"name": "a", "url": "x", "client_secret": f"{CANARY}\n"}, ["client_secret"]),
        ({"name": "a", "url": "x", "client_secret": 7}, ["client_secret"]),
    ],
)
async def test_add_wrongly(site: Site, body: dict[str, Any], fields: list[str]) -> None:
    """Everything that is wrong is named; nothing of it is repeated."""

    status, answer, _ = await site.ask("POST", f"{BASE}/workloads", json=body)

    assert (400, fields) == (status, list(answer["fields"]))
    assert fields[0] == answer["field"]
    assert CANARY not in str(answer)
    assert [] == site.control.calls


async def test_an_unknown_key_is_refused(site: Site) -> None:
    """Before anything is done."""

    assert 400 == (await site.ask("POST", f"{BASE}/workloads", json={**NEW, "colour": "red"}))[0]
    assert 400 == (await site.ask("PATCH", GITHUB, json={"colour": "red"}))[0]
    assert 400 == (await site.ask("PATCH", f"{BASE}/settings", json={"url": "x"}))[0]
    assert 400 == (await site.ask("PATCH", f"{BASE}/settings", json={}))[0]
    assert [] == site.control.calls


@pytest.mark.parametrize(
    ("header", "revision"), [(None, ""), ('"r1"', "r1"), ("r1", "r1"), ('W/"r1"', "r1"), ("*", ""), ('  "r1" ', "r1")]
)
async def test_a_revision_is_passed_on(site: Site, header: str | None, revision: str) -> None:
    """However `If-Match` is written."""

    headers = {} if header is None else {"If-Match": header}
    await site.ask("PATCH", f"{BASE}/settings", json={"port": None}, headers=headers)
    await site.ask("PATCH", GITHUB, json={"name": "New", "scopes": None, "client_secret": ""}, headers=headers)

    assert ("change_settings", {"port": None}, revision) == site.control.calls[0]
    assert ("edit", "github", Draft("New", {"scopes": None}, Secret(""), False, revision)) == site.control.calls[-1]


async def test_settings_have_their_revision(site: Site) -> None:
    """In the header too, for whoever prefers that."""

    status, body, headers = await site.ask("GET", f"{BASE}/settings")
    (port,) = [row for row in body["settings"] if row["name"] == "port"]

    assert (200, "r1", '"r1"') == (status, body["revision"], headers["ETag"])
    assert (9000, 8765, True, "file", "Is in use.", 0, 65535) == tuple(
        port[key] for key in ("value", "default", "changed", "source", "note", "minimum", "maximum")
    )


async def test_a_client_that_is_needed(site: Site) -> None:
    """The refusal has all that a form asks for."""

    client = ClientNeeded("http://127.0.0.1:50001/callback", 50001, "required", "at example.com")
    site.control.rejected = Rejected(409, "client_id_needed", "Create one.", {"client_id": "Create one."}, client)
    status, answer, _ = await site.ask("POST", f"{BASE}/workloads", json={"name": "a", "url": "x"})

    assert 409 == status
    assert {
        "error": "client_id_needed",
        "message": "Create one.",
        "field": "client_id",
        "fields": {"client_id": "Create one."},
        "redirect_uri": "http://127.0.0.1:50001/callback",
        "redirect_port": 50001,
        "client_secret": "required",
        "client_from": "at example.com",
    } == answer


async def test_a_rename_answers_with_the_new_row(site: Site) -> None:
    """And with what is left to do."""

    status, body, _ = await site.ask("PATCH", GITHUB, json={"name": "code"})

    assert (200, "code", ["Updated Claude Code."]) == (status, body["workload"]["name"], body["notes"])


async def test_web_pages_of_others_edit_nothing(site: Site) -> None:
    """Not even with the key."""

    for method, path in (("POST", f"{BASE}/workloads"), ("PATCH", GITHUB), ("PATCH", f"{BASE}/settings")):
        headers = {"Origin": "https://evil.example"}
        assert 403 == (await site.ask(method, path, json=NEW, headers=headers))[0]
    assert [] == site.control.calls


async def test_a_sign_in_that_lacks_a_client_names_the_field(site: Site) -> None:
    """So that the page can ask for it."""

    site.control.page = Problem("registration", "login.example.com doesn't register apps.")
    status, answer, _ = await site.ask("POST", f"{GITHUB}/reauthorize")

    assert (409, "registration", "client_id") == (status, answer["error"], answer["field"])
