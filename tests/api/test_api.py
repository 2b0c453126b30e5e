"""The workloads API over a real socket, against a strict scripted control."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.api.scripted_control import FakeControl, view
from trayapp.api import api
from trayapp.api.controls import Control, Rejected
from trayapp.core.model import AccessToken, Problem, Secret
from trayapp.core.public import auth_json
from trayapp.core.snapshot import Detail, Status, Unavailable
from trayapp.server.server import LoopbackServer

CANARY = "canary-access-token-1"
BASE = "/api/v1beta"
STEPS = ["Found the sign-in server login.example.com."]
GITHUB = f"{BASE}/workloads/github"


@dataclass
class Site:
    """A running server, its control, a client that has the key, and a clock to be moved by hand."""

    control: FakeControl
    client: aiohttp.ClientSession
    now: list[float] = field(default_factory=lambda: [1000.0])

    async def ask(self, method: str, path: str, **kwargs: Any) -> tuple[int, Any, Any]:
        """Status, JSON (None without a body) and headers."""
        async with self.client.request(method, path, **kwargs) as response:
            body = await response.read()
            return response.status, await response.json() if body else None, response.headers


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    fake = FakeControl()
    control: Control = fake  # it fits by shape
    now = [1000.0]
    routes = api.routes(control, version="1.2.3", now=lambda: now[0])
    server = LoopbackServer(
        port=0, runtime_dir=tmp_path / "run", version="1.2.3", routes=routes, open_routes=api.open_routes()
    )
    url = await server.start()
    key = {"Authorization": f"Bearer {server.api_key.reveal()}"}
    async with aiohttp.ClientSession(url, headers=key) as client:
        yield Site(fake, client, now)
    await server.close()


async def test_health_needs_no_key(site: Site) -> None:
    """`/health` answers 204 without a body."""

    assert (await site.ask("GET", "/health", headers={"Authorization": ""}))[:2] == (204, None)


async def test_version(site: Site) -> None:
    """The version is told."""

    assert (await site.ask("GET", f"{BASE}/version"))[:2] == (200, {"version": "1.2.3"})


async def test_the_list_leaves_out_paused_workloads(site: Site) -> None:
    """A paused workload is only in the list of all; the port of a row is the server's."""

    site.control.views["idle"] = view("idle", Status.STOPPED)
    status, short, _ = await site.ask("GET", f"{BASE}/workloads")
    _, full, _ = await site.ask("GET", f"{BASE}/workloads?all=true")

    assert status == 200
    assert [row["name"] for row in short["workloads"]] == ["github"]
    assert [row["name"] for row in full["workloads"]] == ["github", "idle"]
    row = short["workloads"][0]
    assert row["port"] == site.client._base_url.port  # type: ignore[union-attr]
    assert (row["created_at"], row["started_at"]) == ("2023-11-14T22:13:20.000Z", "2027-01-15T08:00:00.000Z")
    assert row["auth"] == auth_json(site.control.views["github"].auth)


async def test_all_is_true_or_false(site: Site) -> None:
    """Any other word is refused, and the parameter named."""

    status, body, _ = await site.ask("GET", f"{BASE}/workloads?all=yes")

    assert (status, body["error"]) == (400, "bad_request")
    assert "all" in body["message"]


async def test_the_configuration_of_one(site: Site) -> None:
    """A workload's own address shows how it is configured."""

    status, body, _ = await site.ask("GET", GITHUB)

    assert (status, body["client_id"], body["url"]) == (200, "client-1", "https://github.example/mcp")


async def test_the_status_of_one(site: Site) -> None:
    """Its status carries the structured auth object."""

    status, body, _ = await site.ask("GET", f"{GITHUB}/status")

    assert (status, body["status"], body["health"], body["auth"]["detail"]) == (200, "running", "healthy", "ok")


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/workloads/github/retry", ("post", "retry", "github")),
        ("/workloads/retry", ("post", "retry_all", "")),
        ("/workloads/github/stop", ("post", "pause", "github")),
        ("/workloads/github/restart", ("post", "resume", "github")),
        ("/quit", ("quit",)),
    ],
)
async def test_clicks_are_posted(site: Site, path: str, call: tuple[str, ...]) -> None:
    """Retry, stop, restart and quit are accepted at once and done later."""

    assert (await site.ask("POST", BASE + path))[:2] == (202, None)
    assert site.control.calls == [call]


async def test_a_workload_may_be_called_retry(site: Site) -> None:
    """The address of "retry all" does not hide a workload of that name."""

    site.control.views["retry"] = view("retry")

    assert (await site.ask("GET", f"{BASE}/workloads/retry"))[1]["name"] == "retry"
    await site.ask("POST", f"{BASE}/workloads/retry/retry")
    assert site.control.calls == [("post", "retry", "retry")]


ONE = [
    ("GET", ""),
    ("DELETE", ""),
    ("GET", "/status"),
    ("GET", "/token"),
    ("POST", "/retry"),
    ("POST", "/stop"),
    ("POST", "/restart"),
    ("POST", "/reauthorize"),
    ("POST", "/callback"),
]


@pytest.mark.parametrize(("method", "tail"), ONE)
async def test_unknown_and_bad_names(site: Site, method: str, tail: str) -> None:
    """A name that nobody has is 404, one that nobody can have is 400, and the control is not asked."""

    status, body, _ = await site.ask(method, f"{BASE}/workloads/nobody{tail}")
    assert (status, body["error"]) == (404, "unknown_workload")

    for name in ("Upper", "_x", "a" * 64, "a%2Fb", "%C3%A4"):
        status, body, _ = await site.ask(method, f"{BASE}/workloads/{name}{tail}")
        assert (status, body["error"]) == (400, "bad_name"), name
    assert site.control.calls == []


async def test_what_is_not_there(site: Site) -> None:
    """A wrong address is 404 and a wrong method 405 with Allow, both in JSON."""

    status, body, _ = await site.ask("GET", f"{BASE}/nothing")
    assert (status, body["error"]) == (404, "not_found")

    status, body, headers = await site.ask("PUT", f"{GITHUB}/retry")
    assert (status, body["error"], headers["Allow"]) == (405, "method_not_allowed", "POST")


# --- token -----------------------------------------------------------------------------------------------------------


async def test_a_token_is_handed_out(site: Site) -> None:
    """The one answer that holds a token: its value, its type and its end."""

    site.control.token_answer = AccessToken(1, Secret(CANARY), 0.0, 10.0, 1_800_000_300.0)
    status, body, headers = await site.ask("GET", f"{GITHUB}/token?min_validity=120")

    assert status == 200
    assert body == {"access_token": CANARY, "token_type": "Bearer", "expires_at": "2027-01-15T08:05:00.000Z"}
    assert headers["Cache-Control"] == "no-store"
    assert site.control.calls == [("token", "github", 120.0, 0.0)]


async def test_a_token_without_an_end(site: Site) -> None:
    """Where the server did not say how long it lives, `expires_at` is null; a minute is asked for by default."""

    site.control.token_answer = AccessToken(1, Secret(CANARY), 0.0, None)

    assert (await site.ask("GET", f"{GITHUB}/token"))[1]["expires_at"] is None
    assert site.control.calls == [("token", "github", 60.0, 0.0)]


@pytest.mark.parametrize(("seconds", "header"), [(17, "17"), (None, None)])
async def test_no_token(site: Site, seconds: int | None, header: str | None) -> None:
    """Without one the caller gets 503, the reason, and Retry-After only where waiting helps."""

    site.control.token_answer = Unavailable(
        "retrying", Status.AUTH_RETRYING, Detail.PORTAL, 1_800_000_000.0, seconds, 1_800_000_017.0, "Wait."
    )
    status, body, headers = await site.ask("GET", f"{GITHUB}/token")

    assert (503, header) == (status, headers.get("Retry-After"))
    assert body["next_attempt_at"] == "2027-01-15T08:00:17.000Z"
    assert set(body) == {"error", "status", "detail", "since", "next_attempt_at", "help"}


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "soon", "1e9", ""])
async def test_min_validity_is_a_number_of_seconds(site: Site, text: str) -> None:
    """Nonsense is refused, and the parameter named."""

    status, body, _ = await site.ask("GET", f"{GITHUB}/token?min_validity={text}")

    assert status == 400
    assert "min_validity" in body["message"]


@pytest.mark.parametrize("header", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "own"}])
async def test_no_browser_gets_a_token(site: Site, header: dict[str, str]) -> None:
    """Not even our own page may read one."""

    site.control.token_answer = AccessToken(1, Secret(CANARY), 0.0, None)
    own = {key: str(site.client._base_url).rstrip("/") if text == "own" else text for key, text in header.items()}
    status, body, _ = await site.ask("GET", f"{GITHUB}/token", headers=own)

    assert (status, body["error"]) == (403, "forbidden")
    assert site.control.calls == []


async def test_the_token_is_in_no_other_answer(site: Site) -> None:
    """Every other route that reads is free of the token."""

    site.control.token_answer = AccessToken(1, Secret(CANARY), 0.0, None)
    await site.ask("GET", f"{GITHUB}/token")
    for path in (f"{BASE}/workloads?all=true", GITHUB, f"{GITHUB}/status", f"{BASE}/doctor", f"{BASE}/version"):
        async with site.client.get(path) as response:
            assert response.status == 200
            assert CANARY not in await response.text()


# --- reauthorize -----------------------------------------------------------------------------------------------------


async def test_reauthorize_tells_the_page(site: Site) -> None:
    """The answer names the page; without a body the browser opens and nothing is agreed beforehand."""

    status, body, _ = await site.ask("POST", f"{GITHUB}/reauthorize")

    assert (202, {"authorization_url": site.control.page, "steps": STEPS, "registered": True}) == (status, body)
    assert site.control.calls == [("reauthorize", "github", True, False)]


async def test_reauthorize_as_asked(site: Site) -> None:
    """`browser` and `accept` are passed on."""

    await site.ask("POST", f"{GITHUB}/reauthorize", json={"browser": False, "accept": True})

    assert site.control.calls == [("reauthorize", "github", False, True)]


async def test_one_sign_in_page_in_ten_seconds(site: Site) -> None:
    """A second sign-in within 10 s of one that is over is 429 and says how long to wait; then it is taken again."""

    await site.ask("POST", f"{GITHUB}/reauthorize")
    site.now[0] += 4.0
    status, body, headers = await site.ask("POST", f"{GITHUB}/reauthorize")
    assert (status, body["error"], headers["Retry-After"]) == (429, "too_many_requests", "6")

    site.control.views["other"] = view("other")
    assert (await site.ask("POST", f"{BASE}/workloads/other/reauthorize"))[0] == 202
    site.now[0] += 6.0
    assert (await site.ask("POST", f"{GITHUB}/reauthorize"))[0] == 202
    assert len(site.control.calls) == 3


async def test_the_page_under_way_is_told_again(site: Site) -> None:
    """While a sign-in is under way another call gets the same page, and no second tab is opened."""

    await site.ask("POST", f"{GITHUB}/reauthorize")
    site.control.sign_in("github", True)
    site.now[0] += 4.0

    assert (await site.ask("POST", f"{GITHUB}/reauthorize"))[:2] == (
        202,
        {"authorization_url": site.control.page, "steps": STEPS, "registered": True},
    )
    assert len(site.control.calls) == 1


async def test_accepting_is_not_rate_limited(site: Site) -> None:
    """Who accepts the login of a sign-in that was asked for a moment ago is heard."""

    await site.ask("POST", f"{GITHUB}/reauthorize")
    site.control.page = None

    assert (await site.ask("POST", f"{GITHUB}/reauthorize", json={"accept": True}))[:2] == (
        202,
        {"authorization_url": None, "steps": STEPS, "registered": True},
    )
    assert site.control.calls[-1] == ("reauthorize", "github", True, True)


async def test_two_calls_at_once_share_a_page(site: Site) -> None:
    """A call that comes before the page is ready waits for the same one."""

    site.control.page_gate = asyncio.Event()
    first = asyncio.create_task(site.ask("POST", f"{GITHUB}/reauthorize"))
    second = asyncio.create_task(site.ask("POST", f"{GITHUB}/reauthorize"))
    await site.control.asked.wait()
    site.control.page_gate.set()

    assert (
        (await first)[:2]
        == (await second)[:2]
        == (202, {"authorization_url": site.control.page, "steps": STEPS, "registered": True})
    )
    assert len(site.control.calls) == 1


async def test_a_sign_in_that_cannot_begin(site: Site) -> None:
    """A named problem comes back as 409 with its sentence, and counts as the one call of 10 s."""

    site.control.page = Problem("config", "It has no authorization endpoint.")
    status, body, _ = await site.ask("POST", f"{GITHUB}/reauthorize")
    assert (status, body) == (409, {"error": "config", "message": "It has no authorization endpoint."})

    assert (await site.ask("POST", f"{GITHUB}/reauthorize"))[0] == 429


async def test_a_pasted_address(site: Site) -> None:
    """The address that the browser ended up at goes to the waiting sign-in."""

    url = "http://127.0.0.1:1/callback/x?code=secret&state=y"

    assert (await site.ask("POST", f"{GITHUB}/callback", json={"url": url}))[0] == 202
    assert site.control.calls == [("paste", "github", url)]


async def test_a_pasted_address_that_is_not_taken(site: Site) -> None:
    """Otherwise the reason is told, and never the address."""

    site.control.paste_answer = Problem("state", "This is the address of another sign-in.")
    status, body, _ = await site.ask("POST", f"{GITHUB}/callback", json={"url": "http://x/?code=canary"})

    assert (status, body) == (400, {"error": "state", "message": "This is the address of another sign-in."})


# --- the rest --------------------------------------------------------------------------------------------------------


async def test_remove(site: Site) -> None:
    """A workload is removed; one that went meanwhile is 404."""

    assert (await site.ask("DELETE", GITHUB))[0] == 202
    site.control.rejected = Rejected(404, "unknown_workload", "There's no workload of this name.")
    assert (await site.ask("DELETE", GITHUB))[0] == 404


async def test_a_removal_outlives_its_caller(site: Site) -> None:
    """Who hangs up does not stop what was begun."""

    site.control.remove_gate = asyncio.Event()
    caller = asyncio.create_task(site.ask("DELETE", GITHUB))
    await site.control.asked.wait()
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await asyncio.sleep(0.05)
    site.control.remove_gate.set()
    await asyncio.sleep(0.01)

    assert site.control.calls == [("remove", "github"), ("removed", "github")]


async def test_reload(site: Site) -> None:
    """Reading the configuration again tells errors and warnings."""

    assert (await site.ask("POST", f"{BASE}/reload"))[1] == {"ok": True, "errors": [], "warnings": []}
    site.control.problems = (["config.toml line 3: no such key"], ["odd"])
    assert (await site.ask("POST", f"{BASE}/reload"))[1] == {
        "ok": False,
        "errors": ["config.toml line 3: no such key"],
        "warnings": ["odd"],
    }


async def test_doctor(site: Site) -> None:
    """Every check has a name, a state, a sentence and what to do; the command line needs no second question."""

    status, body, _ = await site.ask("GET", f"{BASE}/doctor")

    assert status == 200
    said = {"text": "The keyring is locked.", "help": "Unlock it.", "fixable": False}
    line = {"name": "keyring", "state": "failed", **said}
    assert body == {"checks": [line], "tray": True, "token_endpoints": {"github": "https://login.example/token"}}


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "word"),
    [
        (b"{", JSON, 400, "JSON"),
        (b"\xff", JSON, 400, "JSON"),
        (b"[" * 100_000, JSON, 400, "JSON"),
        (b"[]", JSON, 400, "object"),
        (b'{"browser": 1}', JSON, 400, "browser"),
        (b'{"browser": null}', JSON, 400, "browser"),
        (b'{"accept": "yes"}', JSON, 400, "accept"),
        (b'{"canary-field": true}', JSON, 400, "accept, browser"),
        (b"browser=true", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "application/json"),
        (b" " * (1024 * 1024 + 1), JSON, 413, "larger"),
    ],
)
async def test_bad_bodies(site: Site, body: bytes, headers: dict[str, str], status: int, word: str) -> None:
    """A body that is not what it should be is refused with the field's name, and nothing of it is repeated."""

    got, answer, _ = await site.ask("POST", f"{GITHUB}/reauthorize", data=io.BytesIO(body), headers=headers)

    assert status == got
    assert word in answer["message"]
    assert "canary" not in answer["message"]
    assert site.control.calls == []


async def test_clicks_take_no_fields(site: Site) -> None:
    """A field where none is expected is refused rather than ignored."""

    assert (await site.ask("POST", f"{GITHUB}/retry", json={"force": True}))[0] == 400
    assert (await site.ask("POST", f"{GITHUB}/callback", json={}))[0] == 400
    assert site.control.calls == []
