"""The steady MCP endpoint: clients keep session, lists and streams while the workload or its server can't be reached."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.proxy.mcp_upstream import TOOLS, Json, McpServer
from tests.proxy.proxying import NAME, Site, proxied, token, unavailable, upstream
from trayapp.core.snapshot import Status

ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
MODERN = "2026-07-28"
HANDSHAKE = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
LIMIT = 5.0  # s


@dataclass
class Client:
    """An MCP client that is as strict as the SDKs: one session id, 202 for notifications, ids of its own."""

    site: Site
    version: str = "2025-11-25"
    capabilities: Json = field(default_factory=dict)
    head: dict[str, str] = field(default_factory=dict)
    path: str = f"/w/{NAME}"
    session: str | None = None
    number: int = 0

    async def post(self, message: Any) -> tuple[int, Any, Any]:
        head = {**ACCEPT, **self.head}
        if self.session is not None:
            head |= {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": self.version}
        if self.version == MODERN:
            head |= {"MCP-Protocol-Version": self.version, "Mcp-Method": message["method"]}
        status, body, answered = await self.site.ask("POST", self.path, headers=head, data=json.dumps(message))
        if body and answered["Content-Type"].startswith("text/event-stream"):
            body = next(line[6:] for line in body.splitlines() if line.startswith(b"data: "))
        if self.session is not None and status != 404:
            assert self.session == answered.get("Mcp-Session-Id", self.session)
        return status, json.loads(body) if body else None, answered

    def message(self, method: str, params: Json | None = None) -> Json:
        self.number += 1
        params = dict(params or {})
        if self.version == MODERN:
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": self.capabilities,
            }
        return {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}

    async def request(self, method: str, params: Json | None = None) -> Json:
        """The whole response, which is HTTP 200 and carries our id."""
        status, answer, _ = await self.post(self.message(method, params))
        assert 200 == status, answer
        assert self.number == answer["id"]
        return dict(answer)

    async def result(self, method: str, params: Json | None = None) -> Json:
        answer = await self.request(method, params)
        assert "result" in answer, answer
        return dict(answer["result"])

    async def connect(self) -> Json:
        params = {"protocolVersion": self.version, "capabilities": self.capabilities, "clientInfo": {"name": "c"}}
        status, answer, head = await self.post(self.message("initialize", params))
        assert 200 == status, answer
        self.session = head["Mcp-Session-Id"]
        status, body, _ = await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert (202, None) == (status, body)
        return dict(answer["result"])

    async def call(self) -> Json:
        return await self.result("tools/call", {"name": "echo", "arguments": {"text": "hi"}})


@dataclass
class Lab:
    """A proxy before a scripted MCP server."""

    site: Site
    server: McpServer
    directory: Path
    url: str

    def client(self, **more: Any) -> Client:
        return Client(self.site, **more)

    def amber(self, **more: Any) -> None:
        self.site.tokens.answer = unavailable(**more)
        self.site.proxy.steady.published()

    def green(self) -> None:
        self.site.tokens.answer = token(3)
        self.site.proxy.steady.published()


@contextlib.asynccontextmanager
async def lab(directory: Path, server: McpServer | None = None, **more: Any) -> AsyncIterator[Lab]:
    server = server or McpServer()
    async with upstream(server.handle) as there, proxied(f"{there.url}/mcp", directory, **more) as site:
        yield Lab(site, server, directory, there.url)
        assert [] == server.problems


def sentence(call: Json) -> str:
    assert call["isError"] is True
    return str(call["content"][0]["text"])


# --- amber from the start --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", HANDSHAKE)
async def test_a_client_connects_while_amber(tmp_path: Path, version: str) -> None:
    """It gets a session, empty lists and, for a call, the sentence; nothing reaches the upstream."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client(version=version)

        told = await client.connect()

        assert version == told["protocolVersion"]
        assert {name: {"listChanged": True} for name in ("tools", "prompts", "resources")} == told["capabilities"]
        assert told["instructions"].startswith("one wasn't available when this session began. one is reconnecting.")
        assert {"tools": []} == await client.result("tools/list")
        assert {} == await client.result("ping")
        call = await client.call()
        assert sentence(call).startswith("one is reconnecting. It heals. Try again in 7 seconds.")
        assert 7 == call["_meta"]["io.github.amberlight/workload"]["retry_after"]
        assert [] == it.server.seen


@pytest.mark.parametrize("sse", [False, True])
async def test_a_client_that_starts_while_amber_gets_what_was_noted(tmp_path: Path, sse: bool) -> None:
    """The greeting and the lists are those of the last green answers, to a client that would have got the same."""
    async with lab(tmp_path, McpServer(sse=sse)) as it:
        first = it.client()
        await first.connect()
        assert {"tools": TOOLS} == await first.result("tools/list")
        it.amber()
        second = it.client()

        told = await second.connect()

        assert "Be kind." == told["instructions"]
        assert {"tools": {"listChanged": True}} == told["capabilities"]
        assert {"tools": TOOLS} == await second.result("tools/list")


@pytest.mark.parametrize(
    "other",
    [
        {"capabilities": {"roots": {}}},
        {"capabilities": {}},
        {"capabilities": {"sampling": {}}, "version": "2025-06-18"},
        {"capabilities": {"sampling": {}}, "head": {"X-Toolsets": "repos"}},
        {"capabilities": {"sampling": {}}, "path": f"/w/{NAME}/other"},
        {"capabilities": {"sampling": {}}, "path": f"/w/{NAME}?readonly=1"},
    ],
)
async def test_a_list_never_reaches_a_caller_that_would_not_have_got_it(tmp_path: Path, other: Any) -> None:
    """Another capability, revision, header, path or query is another list."""
    async with lab(tmp_path) as it:
        first = it.client(capabilities={"sampling": {}})
        await first.connect()
        await first.result("tools/list")
        it.amber()
        second = it.client(**other)

        await second.connect()

        assert {"tools": []} == await second.result("tools/list")


@pytest.mark.parametrize("other", [{"capabilities": {"sampling": {}}}, {"version": "2025-06-18"}])
async def test_a_client_that_begins_in_an_outage_has_what_every_client_gets(tmp_path: Path, other: Any) -> None:
    """What one without any capabilities was told, such as Amberlight's own look after a sign-in."""
    async with lab(tmp_path) as it:
        first = it.client()
        await first.connect()
        await first.result("tools/list")
        it.amber()
        second = it.client(**other)

        told = await second.connect()

        assert "Be kind." == told["instructions"]
        assert {"tools": TOOLS} == await second.result("tools/list")
        assert (await second.call())["isError"]
        it.green()
        second.version = told["protocolVersion"]
        assert "isError" not in await second.call()


@pytest.mark.parametrize("other", [{"head": {"X-Toolsets": "repos"}}, {"path": f"/w/{NAME}/other"}])
async def test_headers_and_paths_choose_what_every_client_gets(tmp_path: Path, other: Any) -> None:
    async with lab(tmp_path) as it:
        first = it.client()
        await first.connect()
        await first.result("tools/list")
        it.amber()
        second = it.client(capabilities={"sampling": {}}, **other)

        await second.connect()

        assert {"tools": []} == await second.result("tools/list")


async def test_an_unknown_client_is_told_the_revision_that_others_were_told(tmp_path: Path) -> None:
    """It gets nothing else of theirs; but with another revision than the server's its session would end when green."""
    async with lab(tmp_path, McpServer(version="2025-03-26")) as it:
        await it.client(capabilities={"sampling": {}}).connect()
        it.amber()
        client = it.client(capabilities={"roots": {}})

        told = await client.connect()

        assert ("2025-03-26", "amberlight") == (told["protocolVersion"], told["serverInfo"]["name"])
        it.green()
        client.version = "2025-03-26"
        assert "isError" not in await client.call()


async def test_another_account_is_told_nothing_of_the_first_ones(tmp_path: Path) -> None:
    """Notes are dropped when the account changes, also while the workload is red."""
    async with lab(tmp_path) as it:
        first = it.client()
        await first.connect()
        await first.result("tools/list")
        it.amber()
        it.site.tokens.whose = "bob"

        await (second := it.client()).connect()

        assert {"tools": []} == await second.result("tools/list")


async def test_a_session_survives_another_sign_in(tmp_path: Path) -> None:
    """A new upstream session is made with the new login, and the next call works: who signed in knows why."""
    async with lab(tmp_path) as it:
        client = it.client()
        await client.connect()
        assert "isError" not in await client.call()
        it.site.tokens.whose = "bob"

        assert "isError" not in await client.call()
        assert 2 == it.server.number


async def test_an_unreadable_login_is_the_same_login(tmp_path: Path) -> None:
    """A locked keyring hides whose login it is; it has not changed by that."""
    async with lab(tmp_path) as it:
        first = it.client()
        await first.connect()
        await first.result("tools/list")
        it.amber()
        it.site.tokens.whose = None

        await (second := it.client()).connect()

        assert {"tools": TOOLS} == await second.result("tools/list")


async def test_all_pages_are_noted_and_joined(tmp_path: Path) -> None:
    """A list of three pages is one page while amber, and an old cursor is answered with an error."""
    tools: list[Json] = [{"name": f"t{number}", "inputSchema": {"type": "object"}} for number in range(5)]
    async with lab(tmp_path, McpServer(tools=tools, page=2)) as it:
        client = it.client()
        await client.connect()
        page = await client.result("tools/list")
        while "nextCursor" in page:
            page = await client.result("tools/list", {"cursor": page["nextCursor"]})
        it.amber()

        assert {"tools": tools} == await client.result("tools/list")
        assert -32602 == (await client.request("tools/list", {"cursor": "2"}))["error"]["code"]


class Lingering(McpServer):
    """Its event streams stay open after the answer."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = await super().handle(request)
        if not isinstance(answer, web.Response) or answer.content_type != "text/event-stream":
            return answer
        stream = web.StreamResponse(headers=answer.headers)
        stream.headers.popall("Content-Length", None)
        await stream.prepare(request)
        assert isinstance(answer.body, bytes)
        await stream.write(answer.body)
        await asyncio.sleep(LIMIT)
        return stream


async def test_an_answer_counts_when_it_is_whole_not_when_its_stream_ends(tmp_path: Path) -> None:
    """The upstream leaves its streams open; the client leaves each as soon as it has the answer, and the list is noted."""
    async with lab(tmp_path, Lingering(sse=True)) as it:
        client = it.client()
        async with asyncio.timeout(LIMIT / 2):
            await client.connect()
        head = {**ACCEPT, "Mcp-Session-Id": client.session or ""}
        body = json.dumps(client.message("tools/list"))
        async with it.site.client.post(client.path, headers=head, data=body) as answer:
            while b'"tools"' not in await answer.content.readany():
                pass
        notes = await it.site.proxy.steady._store.notes(NAME)
        await until(lambda: any(each.lists for each in notes._variants.values()))
        it.amber()
        await (second := it.client()).connect()

        assert {"tools": TOOLS} == await second.result("tools/list")


async def test_notes_and_sessions_outlive_a_restart(tmp_path: Path) -> None:
    """A client goes on with its id after Amberlight was restarted, amber or green."""
    server = McpServer()
    async with upstream(server.handle) as there:
        async with proxied(f"{there.url}/mcp", tmp_path) as site:
            client = Client(site)
            await client.connect()
            await client.result("tools/list")
        async with proxied(f"{there.url}/mcp", tmp_path) as site:
            site.tokens.answer = unavailable()
            client.site = site
            assert {"tools": TOOLS} == await client.result("tools/list")
            site.tokens.answer = token()
            assert {"content": [{"type": "text", "text": "done"}]} == await client.call()
    assert 1 == server.methods().count("initialize")
    for file in (tmp_path / "mcp").iterdir():
        if sys.platform != "win32":  # where an access list says it
            assert 0o600 == file.stat().st_mode & 0o777


async def test_only_failed_calls_are_callers_turned_away(tmp_path: Path) -> None:
    """What amber notifications speak of is a failed call, never a greeting, a list or a notification (M15)."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client()
        await client.connect()
        await client.result("tools/list")
        assert 0 == it.site.tokens.turned_away

        await client.call()

        assert 1 == it.site.tokens.turned_away


@pytest.mark.parametrize("method", ["prompts/get", "resources/read", "completion/complete", "made/up"])
async def test_other_requests_get_an_error_that_carries_the_sentence(tmp_path: Path, method: str) -> None:
    """JSON-RPC error -32603 in HTTP 200, so that every SDK shows it."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client()
        await client.connect()

        error = (await client.request(method, {"uri": "x://y", "name": "n"}))["error"]

        assert -32603 == error["code"]
        assert error["message"].startswith("one is reconnecting.")
        assert "auth_retrying" == error["data"]["status"]


@pytest.mark.parametrize(
    ("id_", "code"),
    [("a", None), ("1", None), (10**30, None), (0, None), (None, -32600), (1.5, -32600), ({}, -32600), (True, -32600)],
)
async def test_ids_are_echoed_exactly_or_refused(tmp_path: Path, id_: Any, code: int | None) -> None:
    """A string stays a string, a huge integer stays what it is; what is no id is answered with null."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client()
        await client.connect()

        status, answer, _ = await client.post({"jsonrpc": "2.0", "id": id_, "method": "ping"})

        expected = (200, id_, None) if code is None else (400, None, code)
        assert expected == (status, answer["id"], answer.get("error", {}).get("code"))


# --- green again -----------------------------------------------------------------------------------------------------


async def test_the_first_request_after_amber_makes_a_real_session(tmp_path: Path) -> None:
    """The client's own `initialize` goes upstream, then `initialized`, then the request; the client's id stays."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client(capabilities={"roots": {}})
        await client.connect()
        it.green()

        assert {"content": [{"type": "text", "text": "done"}]} == await client.call()

        assert ["initialize", "notifications/initialized", "tools/call"] == it.server.methods()
        params = it.server.seen[0][1]["params"]
        assert {"roots": {}} == params["capabilities"]


async def test_many_requests_at_once_make_one_session(tmp_path: Path) -> None:
    """Twenty racing calls after the outage begin one session upstream."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client()
        await client.connect()
        it.green()

        calls = [client.post({"jsonrpc": "2.0", "id": n, "method": "tools/list"}) for n in range(20)]
        answers = await asyncio.gather(*calls)

        assert [(200, n) for n in range(20)] == [(status, answer["id"]) for status, answer, _ in answers]
        assert 1 == it.server.methods().count("initialize")


async def test_a_server_that_speaks_another_revision_ends_the_session(tmp_path: Path) -> None:
    """The client was told a revision that the server doesn't speak: 404, as the specification says, and a new start works."""
    async with lab(tmp_path, McpServer(version="2025-03-26")) as it:
        it.amber()
        client = it.client()
        await client.connect()
        it.green()

        status, answer, _ = await client.post(client.message("tools/list"))

        assert (404, None, -32001) == (status, answer["id"], answer["error"]["code"])
        client.session, client.version = None, "2025-03-26"
        await client.connect()
        assert {"tools": TOOLS} == await client.result("tools/list")


async def test_promised_capabilities_that_are_gone_end_the_session(tmp_path: Path) -> None:
    """What a note promised and the server no longer has; a mere guess promises nothing."""
    async with lab(tmp_path, McpServer(capabilities={"tools": {}, "prompts": {}})) as it:
        first = it.client()
        await first.connect()
        it.amber()
        second = it.client()
        await second.connect()
        it.server.capabilities = {"tools": {}}
        it.green()

        status, _, _ = await second.post(second.message("tools/list"))

        assert 404 == status


async def test_what_was_set_while_amber_is_set_upstream(tmp_path: Path) -> None:
    """A log level and a subscription are accepted, and told to the real session."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client()
        await client.connect()
        assert {} == await client.result("logging/setLevel", {"level": "debug"})
        assert {} == await client.result("resources/subscribe", {"uri": "memo://1"})
        it.green()

        await client.result("ping")

        assert ["logging/setLevel", "resources/subscribe", "ping"] == it.server.methods()[2:]


async def test_what_was_set_while_green_is_set_again_after_a_restart(tmp_path: Path) -> None:
    """The server forgot its sessions, and with them a log level and all subscriptions but the one that was ended."""
    async with lab(tmp_path) as it:
        client = it.client()
        await client.connect()
        for method, params in (
            ("logging/setLevel", {"level": "debug"}),
            ("resources/subscribe", {"uri": "memo://1"}),
            ("resources/subscribe", {"uri": "memo://2"}),
            ("resources/unsubscribe", {"uri": "memo://1"}),
        ):
            await client.result(method, params)
        it.server.forget()
        before = len(it.server.methods())

        await client.result("ping")

        again = it.server.methods()[before:]
        assert ["logging/setLevel", "resources/subscribe", "ping"] == [each for each in again if "init" not in each][
            -3:
        ]
        subscribed = [params for method, params in it.server.seen if method == "resources/subscribe"]
        assert "memo://2" == subscribed[-1]["params"]["uri"]


# --- the upstream loses its session ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, None),
        (404, {"jsonrpc": "2.0", "id": "server-error", "error": {"code": -32600, "message": "Session not found"}}),
        (
            400,
            {"jsonrpc": "2.0", "id": None, "error": {"code": -32000, "message": "Bad Request: Server not initialized"}},
        ),
        (
            400,
            {
                "jsonrpc": "2.0",
                "id": None,
                "error": {"code": -32000, "message": "Bad Request: No valid session ID provided"},
            },
        ),
    ],
)
async def test_a_list_after_a_restart_of_the_server_is_asked_again(
    tmp_path: Path, status: int, body: Json | None
) -> None:
    """In a new session; the client notices nothing."""
    async with lab(tmp_path, McpServer(lost_status=status, lost_body=body)) as it:
        client = it.client()
        await client.connect()
        await client.call()
        it.server.forget()

        assert {"tools": TOOLS} == await client.result("tools/list")
        assert 2 == it.server.number


async def test_a_call_is_repeated_only_if_none_had_succeeded(tmp_path: Path) -> None:
    """Before the first success nothing in the session can depend on anything; after it the client is told."""
    async with lab(tmp_path) as it:
        client = it.client()
        await client.connect()
        it.server.forget()
        assert "isError" not in await client.call()
        it.server.forget()

        told = sentence(await client.call())

        assert told.startswith("one restarted its session, so this call wasn't made")
        assert "isError" not in await client.call()
        assert 2 + 2 == it.server.methods().count("tools/call")  # one more each time that the session was lost


@pytest.mark.parametrize("noticed", ["list", "stream", "restart"])
async def test_a_lost_session_is_told_to_the_next_call_whoever_noticed(tmp_path: Path, noticed: str) -> None:
    """A list or the stream made the new session; the next call is still told, once, that the old one is gone."""
    server = McpServer()
    async with upstream(server.handle) as there:
        async with proxied(f"{there.url}/mcp", tmp_path) as site:
            client = Client(site)
            await client.connect()
            assert "isError" not in await client.call()
            server.forget()
            if noticed == "stream":
                async with listening(client) as queue:
                    assert "notifications/tools/list_changed" == (await next_of(queue))["method"]
            await client.result("tools/list")
            if noticed != "restart":
                assert sentence(await client.call()).startswith("one restarted its session")
                assert "isError" not in await client.call()
        if noticed == "restart":
            async with proxied(f"{there.url}/mcp", tmp_path) as site:
                client.site = site
                assert sentence(await client.call()).startswith("one restarted its session")


async def test_a_late_word_of_the_old_session_does_not_end_the_new_one(tmp_path: Path) -> None:
    """Two requests meet the lost session; the second hears of it when the first has made a new one already."""
    late = asyncio.Event()

    class Server(McpServer):
        async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
            answer = await super().handle(request)
            if request.method == "POST" and answer.status == 404 and b"late" in await request.read():
                await late.wait()
            return answer

    async with lab(tmp_path, Server()) as it:
        client = it.client()
        await client.connect()
        it.server.forget()
        waiting = asyncio.create_task(client.post({"jsonrpc": "2.0", "id": "late", "method": "tools/list"}))
        await until(lambda: it.server.methods().count("tools/list") == 1)
        assert {"tools": TOOLS} == await client.result("tools/list")
        late.set()

        assert (200, "late") == ((answered := await waiting)[0], answered[1]["id"])
        assert 2 == it.server.number


async def test_other_bad_requests_are_the_clients_own(tmp_path: Path) -> None:
    """A 400 whose words are not known to mean a lost session passes as it is."""
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "error": {"code": -32600, "message": "Bad Request: Unsupported protocol version"},
    }
    async with lab(tmp_path, McpServer(lost_status=400, lost_body=body)) as it:
        client = it.client()
        await client.connect()
        it.server.forget()

        status, answer, _ = await client.post(client.message("tools/list"))

        assert (400, body) == (status, answer)
        assert 1 == it.server.number


# --- a session that can't be made -------------------------------------------------------------------------------------


async def test_a_connection_that_breaks_while_a_session_is_made_leaves_the_call_unmade(tmp_path: Path) -> None:
    """Nothing of the call was sent: its fate is known, and it may be called again."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client()
        await client.connect()
        it.server.breaking = "initialize"
        it.green()

        told = sentence(await client.call())

        assert told.startswith("one isn't available.")
        assert 0 == it.server.methods().count("tools/call")
        it.server.breaking = ""
        assert "isError" not in await client.call()


@pytest.mark.parametrize("status", [403, 429, 500, 503])
async def test_a_server_that_refuses_a_session_for_now_is_named(tmp_path: Path, status: int) -> None:
    """The call was not made, the client keeps its session, and the next call works."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client()
        await client.connect()
        it.server.failing = lambda message: web.Response(status=status) if message["method"] == "initialize" else None
        it.green()

        assert f"127.0.0.1 answered {status} for one." == sentence(await client.call())

        it.server.failing = lambda message: None
        assert "isError" not in await client.call()


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_server_without_handshake_ends_a_session_that_was_guessed(tmp_path: Path, status: int) -> None:
    """It speaks 2026-07-28 only, or the legacy transport: 404, and the client's new start meets the server itself."""
    body = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32022, "message": "Unsupported protocol version"}}

    def failing(message: Json) -> web.Response | None:
        return web.json_response(body, status=status) if message["method"] == "initialize" else None

    async with lab(tmp_path) as it:
        it.amber()
        client = it.client()
        await client.connect()
        it.server.failing = failing
        it.green()

        assert 404 == (await client.post(client.message("tools/list")))[0]

        client.session = None
        params = {"protocolVersion": client.version, "capabilities": {}, "clientInfo": {"name": "c"}}
        answered, answer, _ = await client.post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
        assert (status, body) == (answered, answer)


async def test_what_can_not_be_set_again_ends_no_session(tmp_path: Path) -> None:
    """A subscription that the new session refuses is lost; the session is not."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client()
        await client.connect()
        await client.result("resources/subscribe", {"uri": "memo://1"})
        it.server.failing = lambda message: (
            web.Response(status=400) if message["method"] == "resources/subscribe" else None
        )
        it.green()

        assert "isError" not in await client.call()


async def test_a_server_that_gives_the_handshake_up_is_known_to_have_done_so(tmp_path: Path) -> None:
    """It was updated: what was noted of its handshake is not told to anybody any more."""
    body = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32022, "message": "Unsupported protocol version"}}

    def failing(message: Json) -> web.Response | None:
        return web.json_response(body, status=400) if message["method"] == "initialize" else None

    async with lab(tmp_path) as it:
        await it.client().connect()
        it.server.failing, it.server.modern = failing, True
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c"}}
        client = it.client()
        assert 400 == (await client.post(client.message("initialize", params)))[0]
        await it.client(version=MODERN).result("server/discover")
        it.amber()

        assert 400 == (await client.post(client.message("initialize", params)))[0]


async def test_a_server_that_only_knows_2026_07_28_is_not_guessed_to_know_a_handshake(tmp_path: Path) -> None:
    """Its noted discovery names the revisions: a handshake client is told them while amber, as it would be when green."""
    async with lab(tmp_path, McpServer(modern=True)) as it:
        await it.client(version=MODERN).result("server/discover")
        it.amber()
        client = it.client()
        params = {"protocolVersion": client.version, "capabilities": {}, "clientInfo": {"name": "c"}}

        status, answer, head = await client.post(client.message("initialize", params))

        assert (400, -32022) == (status, answer["error"]["code"])
        assert [MODERN] == answer["error"]["data"]["supported"]
        assert "Mcp-Session-Id" not in head


# --- an upstream that can't be reached -------------------------------------------------------------------------------


async def test_an_unreachable_server_is_like_amber(tmp_path: Path) -> None:
    """The token is fine, the server is down: greeting and lists from notes, the call gets the sentence."""
    server = McpServer()
    async with upstream(server.handle) as there:
        url = f"{there.url}/mcp"
        async with proxied(url, tmp_path) as site:
            client = Client(site)
            await client.connect()
            await client.result("tools/list")
    async with proxied(url, tmp_path) as site:
        client.site, client.session = site, None
        await client.connect()

        assert {"tools": TOOLS} == await client.result("tools/list")
        assert sentence(await client.call()).startswith("one isn't available. Can't reach 127.0.0.1.")


async def test_a_call_whose_fate_is_unknown_says_so_and_is_not_repeated(tmp_path: Path) -> None:
    """The connection broke after the request had been sent."""
    async with lab(tmp_path) as it:
        client = it.client()
        await client.connect()
        it.server.breaking = "tools/call"

        told = sentence(await client.call())

        assert "may or may not have run" in told
        assert 1 == it.server.methods().count("tools/call")


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_gateways_error_keeps_the_client_connected(tmp_path: Path, status: int) -> None:
    """A list comes from the notes, a call gets a sentence; the server's own JSON errors pass."""
    async with lab(tmp_path) as it:
        client = it.client()
        await client.connect()
        await client.result("tools/list")
        it.server.failing = lambda message: web.Response(status=status, text="<html>Bad Gateway</html>")

        assert {"tools": TOOLS} == await client.result("tools/list")
        assert f"answered {status}" in sentence(await client.call())


# --- streams ---------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def listening(client: Client, **more: Any) -> AsyncIterator[asyncio.Queue[Json]]:
    """The client's GET stream; its messages in a queue."""
    head = {"Accept": "text/event-stream", **more}
    if client.session is not None:
        head |= {"Mcp-Session-Id": client.session, "MCP-Protocol-Version": client.version}
    queue: asyncio.Queue[Json] = asyncio.Queue()
    async with client.site.client.get(client.path, headers=head) as answer:
        assert (200, "text/event-stream") == (answer.status, answer.content_type)
        task = asyncio.create_task(_read(answer.content, queue))
        try:
            yield queue
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _read(content: Any, queue: asyncio.Queue[Json]) -> None:
    async for line in content:
        if line.startswith(b"data: "):
            queue.put_nowait(json.loads(line[6:]))


async def next_of(queue: asyncio.Queue[Json]) -> Json:
    return await asyncio.wait_for(queue.get(), LIMIT)


async def until(holds: Any) -> None:
    async with asyncio.timeout(LIMIT):
        while not holds():  # noqa: ASYNC110 - a server in the same loop has no event for it
            await asyncio.sleep(0.01)


async def test_a_stream_opened_while_amber_stays_and_tells_of_new_lists(tmp_path: Path) -> None:
    """After the outage it says that lists may differ, and then carries the server's own messages."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client()
        await client.connect()
        async with listening(client) as queue:
            await client.result("tools/list")
            it.green()
            assert "notifications/prompts/list_changed" == (await next_of(queue))["method"]
            assert "notifications/resources/list_changed" == (await next_of(queue))["method"]
            assert "notifications/tools/list_changed" == (await next_of(queue))["method"]
            assert {"tools": TOOLS} == await client.result("tools/list")

            await until(lambda: it.server.streams)
            it.server.streams[0].put_nowait(
                b'id: 7\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/x"}\n\n'
            )

            assert "notifications/x" == (await next_of(queue))["method"]


async def test_a_stream_opened_after_a_restart_tells_of_lists_from_before(tmp_path: Path) -> None:
    """Amberlight restarts while amber and is green before the client's stream is back: it is told, with no other request."""
    server = McpServer()
    async with upstream(server.handle) as there:
        async with proxied(f"{there.url}/mcp", tmp_path) as site:
            client = Client(site)
            await client.connect()
            site.tokens.answer = unavailable()
            assert {"tools": []} == await client.result("tools/list")
        async with proxied(f"{there.url}/mcp", tmp_path) as site:
            client.site = site
            async with listening(client) as queue:
                assert "notifications/tools/list_changed" == (await next_of(queue))["method"]


async def test_a_stream_survives_the_servers_end(tmp_path: Path) -> None:
    """The upstream's stream breaks off; the client's stays, and the next one begins after the last event."""
    async with lab(tmp_path) as it:
        client = it.client()
        await client.connect()
        async with listening(client) as queue:
            await until(lambda: it.server.streams)
            it.server.streams[0].put_nowait(b'id: 7\ndata: {"jsonrpc":"2.0","method":"notifications/x"}\n\n')
            await next_of(queue)
            it.server.streams[0].put_nowait(b"")
            await until(lambda: not it.server.streams)
            await until(lambda: it.server.streams)

            assert "7" == it.server.headers[-1]["Last-Event-ID"]


async def test_a_stream_goes_on_with_the_new_session(tmp_path: Path) -> None:
    """The server forgot the session and left its stream open: the client's stream carries what the new session says."""
    async with lab(tmp_path) as it:
        client = it.client()
        await client.connect()
        async with listening(client) as queue:
            await until(lambda: it.server.streams)
            it.server.forget()
            await client.result("tools/list")
            assert "notifications/tools/list_changed" == (await next_of(queue))["method"]

            await until(lambda: [each.get("Mcp-Session-Id") for each in it.server.headers].count("up-2") >= 3)
            await until(lambda: len(it.server.streams) == 1)
            it.server.streams[0].put_nowait(b'data: {"jsonrpc":"2.0","method":"notifications/x"}\n\n')

            assert "notifications/x" == (await next_of(queue))["method"]


async def test_a_server_without_a_stream_leaves_the_clients_open(tmp_path: Path) -> None:
    """405 upstream: there is nothing to pass on, and still somebody to be told of changed lists."""
    async with lab(tmp_path, McpServer(get_status=405)) as it:
        client = it.client()
        await client.connect()
        async with listening(client) as queue:
            await until(lambda: "GET" in it.server.methods())
            it.server.forget()
            await client.result("tools/list")

            assert "notifications/tools/list_changed" == (await next_of(queue))["method"]


async def test_the_end_of_a_session_ends_its_stream(tmp_path: Path) -> None:
    """DELETE is answered 200, passed on, and the id is unknown from then on."""
    async with lab(tmp_path) as it:
        client = it.client()
        await client.connect()
        async with listening(client):
            head = {"Mcp-Session-Id": client.session or ""}

            assert 200 == (await it.site.ask("DELETE", headers=head))[0]

            assert 404 == (await client.post(client.message("ping")))[0]
            assert "DELETE" in it.server.methods()


async def test_a_stream_without_a_session_is_refused_as_the_specification_says(tmp_path: Path) -> None:
    """While amber, where clients have met streamable HTTP: 405, so that nobody takes it for the legacy transport."""
    async with lab(tmp_path) as it:
        client = it.client()
        await client.connect()
        it.amber()

        status, _, head = await it.site.ask("GET", headers={"Accept": "text/event-stream"})

        assert (405, "POST") == (status, head["Allow"])


# --- 2026-07-28 ------------------------------------------------------------------------------------------------------


async def test_an_unknown_era_is_not_guessed(tmp_path: Path) -> None:
    """Without a note `server/discover` is unknown, so that clients fall back to the handshake, which can be kept."""
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client(version=MODERN)

        status, answer, head = await client.post(client.message("server/discover"))

        assert (404, -32601) == (status, answer["error"]["code"])
        assert "Mcp-Session-Id" not in head


async def test_a_modern_client_lives_on_notes(tmp_path: Path) -> None:
    """Discovery and lists with `ttlMs` 0 and private scope, calls with the sentence, `ping` unknown."""
    async with lab(tmp_path, McpServer(modern=True)) as it:
        client = it.client(version=MODERN)
        await client.result("server/discover")
        assert 60000 == (await client.result("tools/list"))["ttlMs"]
        it.amber()

        told = await client.result("server/discover")
        listed = await client.result("tools/list")
        call = await client.call()

        cache = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
        assert {**cache, "supportedVersions": [MODERN], "capabilities": {"tools": {"listChanged": True}}} == told
        assert {**cache, "tools": TOOLS} == listed
        assert ("complete", True) == (call["resultType"], call["isError"])
        status, answer, _ = await client.post(client.message("ping"))
        assert (404, -32601) == (status, answer["error"]["code"])


async def test_an_unknown_revision_is_told_which_there_are(tmp_path: Path) -> None:
    """-32022 with the list, as the specification says."""
    async with lab(tmp_path) as it:
        it.amber()
        message = it.client(version=MODERN).message("tools/list")
        message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2031-01-01"
        head = {**ACCEPT, "MCP-Protocol-Version": "2031-01-01"}

        status, body, _ = await it.site.ask("POST", headers=head, data=json.dumps(message))

        error = json.loads(body)["error"]
        assert (400, -32022, "2031-01-01") == (status, error["code"], error["data"]["requested"])
        assert MODERN in error["data"]["supported"]


async def test_a_subscription_is_acknowledged_and_held(tmp_path: Path) -> None:
    """While amber it is acknowledged for the lists that were asked for, with the id as it came."""
    async with lab(tmp_path, McpServer(modern=True)) as it:
        it.amber()
        message = it.client(version=MODERN).message(
            "subscriptions/listen", {"notifications": {"toolsListChanged": True, "resourceSubscriptions": ["x://y"]}}
        )
        message["id"] = "listen-1"
        head = {**ACCEPT, "MCP-Protocol-Version": MODERN, "Mcp-Method": "subscriptions/listen"}
        queue: asyncio.Queue[Json] = asyncio.Queue()
        async with it.site.client.post(f"/w/{NAME}", headers=head, data=json.dumps(message)) as answer:
            task = asyncio.create_task(_read(answer.content, queue))
            said = await next_of(queue)
            task.cancel()

        meta = {"io.modelcontextprotocol/subscriptionId": "listen-1"}
        assert "notifications/subscriptions/acknowledged" == said["method"]
        assert {"_meta": meta, "notifications": {"toolsListChanged": True}} == said["params"]


# --- hostile and odd -------------------------------------------------------------------------------------------------


async def test_another_sessions_id_cannot_be_guessed_or_borrowed(tmp_path: Path) -> None:
    """An unknown id, and the id of another path's session, are answered 404 with a null id."""
    async with lab(tmp_path) as it:
        client = it.client()
        await client.connect()
        borrowed = it.client(path=f"/w/{NAME}/other", session=client.session)
        guessed = it.client(session="up-1")

        for other in (borrowed, guessed):
            status, answer, _ = await other.post(other.message("tools/list"))
            assert (404, None) == (status, answer["id"])


async def test_two_clients_with_the_same_ids_do_not_meet(tmp_path: Path) -> None:
    """Each has its own session, upstream too."""
    async with lab(tmp_path) as it:
        one, two = it.client(), it.client()
        await one.connect()
        await two.connect()

        assert one.session != two.session
        assert {"up-1", "up-2"} == it.server.ready.keys()


async def test_batches_are_answered_whole(tmp_path: Path) -> None:
    """2025-03-26: an array of answers while amber; later revisions refuse arrays."""
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}},
        {"jsonrpc": "2.0", "id": "b", "method": "tools/call", "params": {"name": "echo"}},
    ]
    async with lab(tmp_path) as it:
        it.amber()
        client = it.client(version="2025-03-26")
        await client.connect()
        status, answer, _ = await client.post(batch)
        assert (200, [1, "b"]) == (status, [each["id"] for each in answer])
        assert (202, None) == (await client.post(batch[1:2]))[:2]
        later = it.client()
        await later.connect()

        assert 400 == (await later.post(batch))[0]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"jsonrpc": "1.0", "id": 1, "method": "x"}', b"[" * 100_000, b'{"a": 1}']
)
async def test_what_is_no_json_rpc_is_a_plain_request(tmp_path: Path, body: bytes) -> None:
    """It keeps the 503 with `Retry-After` that every plain caller gets."""
    async with lab(tmp_path) as it:
        it.amber()

        status, answer, head = await it.site.ask("POST", headers=ACCEPT, data=body)

        assert (503, "retrying", "7") == (status, json.loads(answer)["error"], head["Retry-After"])


async def test_plain_callers_keep_their_503(tmp_path: Path) -> None:
    """curl's `*/*` is not enough to be an MCP client."""
    async with lab(tmp_path) as it:
        it.amber()
        message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})

        assert 503 == (await it.site.ask("POST", headers={"Accept": "*/*"}, data=message))[0]
        assert 503 == (await it.site.ask("GET"))[0]


@pytest.mark.parametrize(("mode", "status"), [("on", 200), ("off", 503)])
async def test_the_setting_decides(tmp_path: Path, mode: str, status: int) -> None:
    """`on` takes every JSON-RPC message for an MCP client's, `off` none."""
    head = {"Accept": "*/*"} if mode == "on" else ACCEPT
    async with lab(tmp_path, mcp=mode) as it:
        it.amber()
        message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})

        assert status == (await it.site.ask("POST", headers=head, data=message))[0]


async def test_a_list_beyond_the_limit_is_passed_and_not_noted(tmp_path: Path) -> None:
    """5 MiB of tools reach the client whole; while amber they are not there, and the log has said so."""
    tools: list[Json] = [{"name": "big", "description": "x" * 5_000_000, "inputSchema": {"type": "object"}}]
    async with lab(tmp_path, McpServer(tools=tools)) as it:
        client = it.client()
        await client.connect()
        assert {"tools": tools} == await client.result("tools/list")
        it.amber()

        assert {"tools": []} == await client.result("tools/list")


async def test_a_thousand_sessions_are_the_most(tmp_path: Path) -> None:
    """The one that was idle longest goes first."""
    async with lab(tmp_path) as it:
        it.amber()
        first, second = it.client(), it.client()
        await first.connect()
        await second.connect()
        for _ in range(998):
            await it.client().connect()
        await first.result("ping")

        await it.client().connect()

        assert {} == await first.result("ping")
        assert 404 == (await second.post(second.message("ping")))[0]


@pytest.mark.parametrize(
    "help_", ["Resume it: amberlight start one.", "one is paused. Resume it: amberlight start one."]
)
async def test_a_paused_workload_says_so_once(tmp_path: Path, help_: str) -> None:
    """Whether the help begins with the state or not."""
    async with lab(tmp_path) as it:
        paused = replace(unavailable("stopped", None), status=Status.STOPPED, help=help_)
        it.site.tokens.answer = paused
        client = it.client()
        await client.connect()

        assert "one is paused. Resume it: amberlight start one." == sentence(await client.call())


# --- signing in from the client --------------------------------------------------------------------------------------

RED = replace(
    unavailable("reauth_required", 60), status=Status.UNAUTHENTICATED, help="Sign in: amberlight reauthorize one."
)
OPENS_PAGES: Json = {"elicitation": {"form": {}, "url": {}}}
LINK = "http://127.0.0.1:8765/reauthorize/secret"


async def test_a_client_that_can_open_pages_is_given_one(tmp_path: Path) -> None:
    """2025-11-25: error -32042 with the sentence and the page, once; its end is told, and the call works."""
    async with lab(tmp_path) as it:
        client = it.client(capabilities=OPENS_PAGES)
        await client.connect()
        it.site.tokens.links = [LINK]
        it.site.tokens.answer = RED
        async with listening(client) as queue:
            error = (await client.request("tools/call", {"name": "echo"}))["error"]
            again = sentence(await client.call())
            it.green()
            await until(lambda: not queue.empty())

            (page,) = error["data"]["elicitations"]
            assert (-32042, "url", LINK) == (error["code"], page["mode"], page["url"])
            assert error["message"] == again == "one needs a sign-in. Sign in: amberlight reauthorize one."
            done = {"jsonrpc": "2.0", "method": "notifications/elicitation/complete"}
            assert {**done, "params": {"elicitationId": page["elicitationId"]}} == await next_of(queue)
            assert "isError" not in await client.call()


@pytest.mark.parametrize(
    "other",
    [
        {"capabilities": {"elicitation": {}}},
        {"capabilities": {}},
        {"capabilities": OPENS_PAGES, "version": "2025-06-18"},
        {"capabilities": {"elicitation": {"url": True}}},
    ],
)
async def test_a_client_that_cannot_open_pages_gets_the_command(tmp_path: Path, other: Any) -> None:
    """The sentence holds the command, and no link is made."""
    async with lab(tmp_path) as it:
        it.site.tokens.links = [LINK]
        it.site.tokens.answer = RED
        client = it.client(**other)
        await client.connect()

        assert "amberlight reauthorize one" in sentence(await client.call())
        assert [LINK] == it.site.tokens.links


async def test_an_amber_workload_asks_for_no_page(tmp_path: Path) -> None:
    """It recovers on its own."""
    async with lab(tmp_path) as it:
        it.site.tokens.links = [LINK]
        it.amber()
        client = it.client(capabilities=OPENS_PAGES)
        await client.connect()

        assert "is reconnecting" in sentence(await client.call())


@pytest.mark.parametrize(("action", "calls"), [("accept", 1), ("decline", 0)])
async def test_a_modern_call_goes_on_once_the_person_has_signed_in(tmp_path: Path, action: str, calls: int) -> None:
    """2026-07-28: `input_required`; the repeated call waits for the sign-in and reaches the server without our part."""
    async with lab(tmp_path, McpServer(modern=True)) as it:
        client = it.client(version=MODERN, capabilities=OPENS_PAGES)
        it.site.tokens.links = [LINK]
        it.site.tokens.answer = RED
        asked = await client.result("tools/call", {"name": "echo", "arguments": {}})
        (name,) = asked["inputRequests"]
        assert ("input_required", LINK) == (asked["resultType"], asked["inputRequests"][name]["params"]["url"])
        answer = {"name": "echo", "arguments": {}, "inputResponses": {name: {"action": action}}}

        call = asyncio.create_task(client.result("tools/call", answer))
        await asyncio.sleep(0.1)
        if action == "accept":
            assert not call.done()
            it.green()
        told = await asyncio.wait_for(call, LIMIT)

        assert calls == it.server.methods().count("tools/call")
        assert (calls == 0) == told.get("isError", False)
        assert all("inputResponses" not in message["params"] for _, message in it.server.seen)
