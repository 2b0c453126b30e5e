"""The steady MCP endpoint under odd clients and odd servers: nothing hangs, nothing runs twice, nobody gets another's."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.proxy.mcp_upstream import Json, McpServer
from tests.proxy.proxying import NAME, TOKEN
from tests.proxy.test_steady import ACCEPT, LIMIT, Client, Lab, lab, listening, next_of, sentence, until
from trayapp.mcp import sessions
from trayapp.proxy.held_streams import whole_events

CALL: Json = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "echo"}}


Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class OddServer(McpServer):
    """A scripted server that can be replaced while it runs."""

    odd: Handler | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        return await (self.odd or self.usual)(request)

    async def usual(self, request: web.BaseRequest) -> web.StreamResponse:
        return await super().handle(request)


def replace_handler(it: Lab, handle: Handler) -> Handler:
    """Another server in the place of the scripted one, which is returned."""
    assert isinstance(it.server, OddServer)
    it.server.odd = handle
    return handle


def usual(it: Lab) -> Handler:
    assert isinstance(it.server, OddServer)
    return it.server.usual


async def chunked(client: Client, message: Any) -> tuple[int, Any, Any]:
    """Post without a Content-Length, as .NET's HTTP client does."""

    async def pieces() -> AsyncIterator[bytes]:
        text = json.dumps(message).encode()
        yield text[:10]
        yield text[10:]

    head = dict(ACCEPT) if client.session is None else {**ACCEPT, "Mcp-Session-Id": client.session}
    status, body, answered = await client.site.ask("POST", headers=head, data=pieces())
    return status, json.loads(body) if body else None, answered


async def long_post(client: Client, length: int) -> tuple[int, Any, Any]:
    """A call that is too long to be read here."""
    message = {**CALL, "params": {"name": "echo", "arguments": {"text": "x" * length}}}
    head = {**ACCEPT, "Mcp-Session-Id": client.session or ""}
    status, body, answered = await client.site.ask("POST", headers=head, data=io.BytesIO(json.dumps(message).encode()))
    return status, json.loads(body) if body else None, answered


# --- bodies ----------------------------------------------------------------------------------------------------------


async def test_bodies_of_unknown_length_are_read(tmp_path: Path) -> None:
    """A chunked `initialize` gets an id of ours, and a chunked call is answered while amber."""
    async with lab(tmp_path, OddServer()) as it:
        client = it.client()
        params = {"protocolVersion": client.version, "capabilities": {}, "clientInfo": {"name": "c"}}

        status, _, head = await chunked(client, client.message("initialize", params))

        client.session = head["Mcp-Session-Id"]
        assert (200, 32) == (status, len(client.session or ""))
        await chunked(client, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert "done" == (await chunked(client, CALL))[1]["result"]["content"][0]["text"]
        it.amber()
        assert "is reconnecting" in sentence((await chunked(client, CALL))[1]["result"])


async def test_a_long_message_is_never_silently_accepted(tmp_path: Path) -> None:
    """What is too long to be read here is refused with the sentence: nobody waits for an answer to a 202."""
    async with lab(tmp_path, OddServer()) as it:
        client = it.client()
        await client.connect()
        it.amber()
        status, answer, head = await long_post(client, 2**21)
        assert (503, "7") == (status, head["Retry-After"])
        assert "one is reconnecting" in answer["error"]["message"]
        it.green()

        async def lost(request: web.BaseRequest) -> web.StreamResponse:
            while not request.content.at_eof():
                await request.content.readany()
            return web.Response(status=404)

        replace_handler(it, lost)

        status, answer, _ = await long_post(client, 2**21)

        assert (503, True) == (status, "restarted its session" in answer["error"]["message"])


async def test_a_long_message_whose_connection_breaks_may_have_run(tmp_path: Path) -> None:
    """Its fate is unknown, like that of any call."""
    async with lab(tmp_path, OddServer()) as it:
        client = it.client()
        await client.connect()

        async def breaks(request: web.BaseRequest) -> web.StreamResponse:
            while not request.content.at_eof():
                await request.content.readany()
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        replace_handler(it, breaks)

        status, answer, _ = await long_post(client, 2**20)

        assert (503, True) == (status, "may or may not have run" in answer["error"]["message"])


async def test_malformed_json_in_a_session_is_a_parse_error_while_amber(tmp_path: Path) -> None:
    async with lab(tmp_path, OddServer()) as it:
        client = it.client()
        await client.connect()
        it.amber()

        status, body, _ = await it.site.ask("POST", headers={**ACCEPT, "Mcp-Session-Id": client.session}, data=b"{")

        assert (400, -32700) == (status, json.loads(body)["error"]["code"])


@pytest.mark.parametrize("called", [False, True])
async def test_a_batch_in_a_lost_session_is_answered(tmp_path: Path, called: bool) -> None:
    """Sent again if no call had succeeded, else each request in it is told."""
    async with lab(tmp_path, OddServer()) as it:
        client = it.client(version="2025-03-26")
        await client.connect()
        if called:
            await client.call()
        real, handled = usual(it), it.server.ready

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if request.headers.get("Mcp-Session-Id") not in (None, *handled):
                return web.Response(status=404)
            return await real(request)

        it.server.forget()
        replace_handler(it, handle)

        status, answer, _ = await client.post([CALL])

        assert (200, 7) == (status, answer[0]["id"])
        assert called == ("isError" in answer[0]["result"])


async def test_an_initialize_in_escapes_is_one(tmp_path: Path) -> None:
    """Whatever it holds besides, it begins a session of its own."""
    text = b'{"jsonrpc":"2.0","id":1,"method":"\\u0069nitialize","params":{"protocolVersion":"2025-11-25","x":"tools/call"}}'
    async with lab(tmp_path) as it:
        client = it.client()
        await client.connect()

        _, _, head = await it.site.ask("POST", headers={**ACCEPT, "Mcp-Session-Id": client.session}, data=text)

        assert head["Mcp-Session-Id"] not in (None, client.session)


# --- sessions --------------------------------------------------------------------------------------------------------


async def test_a_failing_initialize_is_asked_once_for_all_that_wait(tmp_path: Path) -> None:
    """Twenty requests wait for one attempt, not for twenty in a row; a client that leaves does not end it."""
    tried: list[int] = []
    began, may_end = asyncio.Event(), asyncio.Event()
    async with lab(tmp_path, OddServer()) as it:
        it.amber()
        client = it.client()
        await client.connect()
        it.green()
        real = usual(it)

        async def slow(request: web.BaseRequest) -> web.StreamResponse:
            if b'"initialize"' in await request.read():
                tried.append(1)
                began.set()
                await may_end.wait()
                return web.Response(status=503)
            return await real(request)

        replace_handler(it, slow)
        head = {**ACCEPT, "Mcp-Session-Id": client.session or ""}
        first = asyncio.create_task(it.site.ask("POST", headers=head, data=json.dumps(CALL)))
        await began.wait()
        first.cancel()
        rest = asyncio.gather(
            *(it.site.ask("POST", headers=head, data=json.dumps({**CALL, "id": n})) for n in range(20))
        )
        await asyncio.sleep(0.3)  # all of them have arrived
        may_end.set()
        told = await rest

        assert 1 == len(tried)
        assert all("503" in sentence(json.loads(body)["result"]) for _, body, _ in told)


async def test_two_calls_in_one_lost_session_are_both_told(tmp_path: Path) -> None:
    """Both were sent before anybody knew; neither is repeated into a session in which earlier calls count for nothing."""
    async with lab(tmp_path, OddServer()) as it:
        client = it.client()
        await client.connect()
        await client.call()
        real = usual(it)
        arrived: list[int] = []

        async def late(request: web.BaseRequest) -> web.StreamResponse:
            if request.headers.get("Mcp-Session-Id") == "up-1":
                arrived.append(1)
                while len(arrived) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                return web.Response(status=404)
            return await real(request)

        replace_handler(it, late)

        told = await asyncio.gather(client.post(CALL), client.post({**CALL, "id": 8}))

        assert all("restarted its session" in sentence(answer["result"]) for _, answer, _ in told)
        assert 1 == it.server.methods().count("tools/call")


async def test_a_server_that_begins_to_have_sessions_gets_one(tmp_path: Path) -> None:
    """Without sessions before its restart, with sessions after it."""
    async with lab(tmp_path, McpServer(sessions=False)) as it:
        client = it.client()
        await client.connect()
        it.server.sessions = True

        assert "tools" in await client.result("tools/list")


@pytest.mark.parametrize("down", [False, True])
async def test_a_server_without_sessions_that_goes_and_comes(tmp_path: Path, down: bool) -> None:
    async with lab(tmp_path, McpServer(sessions=False)) as it:
        client = it.client()
        await client.connect()
        it.server.breaking = "tools/call" if down else ""
        if down:
            assert "may or may not have run" in sentence(await client.call())
        it.server.breaking = ""

        assert "isError" not in await client.call()
        assert [] == it.server.problems


async def test_a_greeting_that_is_compressed_unasked_begins_a_session(tmp_path: Path) -> None:
    """Some servers ignore `Accept-Encoding: identity`."""
    async with lab(tmp_path, OddServer()) as it:
        real = usual(it)

        async def zipped(request: web.BaseRequest) -> web.StreamResponse:
            answer = await real(request)
            if isinstance(answer, web.Response) and answer.body:
                assert isinstance(answer.body, bytes)
                answer.body = gzip.compress(answer.body)
                answer.headers["Content-Encoding"] = "gzip"
            return answer

        replace_handler(it, zipped)
        client = it.client()

        assert "Be kind." == (await client.connect())["instructions"]
        it.server.forget()
        replace_handler(it, real)
        assert "isError" not in await client.call()


def test_a_damaged_row_is_left_out() -> None:
    row: Json = dict.fromkeys(("id", "workload", "path", "account", "upstream"), "x")
    row |= {"params": {}, "told": [], "live": 1, "called": 0, "unsaid": 0, "stale": 0, "guessed": 0, "replayed": {}}
    rows = [row, {**row, "told": {}, "replayed": 3}, {**row, "told": {}, "id": "good"}]

    found = sessions.load(json.dumps({"format": 1, "sessions": rows}))

    assert ["good"] == [each.id for each in found.of("x")]


async def test_deeply_nested_capabilities_are_no_server_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with lab(tmp_path, OddServer()) as it:
        it.amber()
        for depth in (100, 600, 800, 850, *range(880, 1000, 5), 5000):
            nested = '{"a":' * depth + "1" + "}" * depth
            text = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":%s}}'

            status, _, _ = await it.site.ask("POST", headers=ACCEPT, data=text % nested)

            assert status == (200 if depth < 200 else 503), depth
        assert "Traceback" not in caplog.text


async def test_a_directory_that_is_none_stops_nothing(tmp_path: Path) -> None:
    """Nothing is kept, the log says so, and a workload can be removed."""
    (tmp_path / "mcp").write_text("x")
    async with lab(tmp_path) as it:
        await it.client().connect()

        await it.site.proxy.steady.forget(NAME)


# --- streams ---------------------------------------------------------------------------------------------------------


async def test_lists_given_from_notes_to_a_living_session_are_announced(tmp_path: Path) -> None:
    """The stream outlived the outage, and nothing has to be made anew: the client is still told."""
    async with lab(tmp_path, OddServer()) as it:
        client = it.client()
        await client.connect()
        async with listening(client) as queue:
            await until(lambda: it.server.streams)
            it.amber()
            assert {"tools": []} == await client.result("tools/list")
            it.green()

            assert "notifications/tools/list_changed" == (await next_of(queue))["method"]


async def test_a_stream_opened_between_green_and_its_news_takes_nobodys_news(tmp_path: Path) -> None:
    async with lab(tmp_path, OddServer()) as it:
        it.amber()
        one, two = it.client(), it.client()
        await one.connect()
        await two.connect()
        async with listening(one) as queue:
            answer, it.site.tokens.answer = it.site.tokens.answer, it.site.tokens.after
            assert answer is not it.site.tokens.answer
            async with listening(two):
                it.green()
                told = {(await next_of(queue))["method"] for _ in range(3)}

        assert "notifications/tools/list_changed" in told


async def test_another_account_takes_no_stream_of_the_first_ones(tmp_path: Path) -> None:
    """The upstream's stream was opened with somebody else's token: it ends, and its session is never shown with another."""
    async with lab(tmp_path, OddServer()) as it:
        client = it.client()
        await client.connect()
        async with listening(client) as queue:
            await until(lambda: it.server.streams)
            it.amber()
            it.site.tokens.whose = "bob"
            it.green()
            assert "notifications/tools/list_changed" == (await next_of(queue))["method"]
            await until(lambda: not it.server.streams)
            await client.result("ping")
            await until(lambda: it.server.streams)

        new = f"Bearer {TOKEN}-3"
        assert [] == [h for h in it.server.headers if h.get("Mcp-Session-Id") == "up-1" and h["Authorization"] == new]


async def test_an_event_id_that_means_nothing_is_given_up(tmp_path: Path) -> None:
    """A client comes back after a restart with the id of an event that the server does not know any more."""
    async with lab(tmp_path, OddServer()) as it:
        client = it.client()
        await client.connect()
        real = usual(it)

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if "Last-Event-ID" in request.headers:
                return web.Response(status=400)
            return await real(request)

        replace_handler(it, handle)
        async with listening(client, **{"Last-Event-ID": "9"}):
            await until(lambda: it.server.streams)


async def test_a_client_that_does_not_read_delays_nobody(tmp_path: Path) -> None:
    async with lab(tmp_path, OddServer()) as it:
        deaf, client = it.client(), it.client()
        await deaf.connect()
        head = {"Accept": "text/event-stream", "Mcp-Session-Id": deaf.session or ""}
        async with it.site.client.get(f"/w/{NAME}", headers=head):
            await until(lambda: it.server.streams)
            it.server.streams[0].put_nowait(b"data: " + b"x" * 20_000_000 + b"\n\n")
            await asyncio.sleep(0.3)
            await client.connect()
            async with listening(client) as queue:
                it.amber()
                await client.result("tools/list")
                it.server.forget()
                it.green()

                assert "notifications/tools/list_changed" == (await next_of(queue))["method"]


async def test_a_hundred_streams_end_quickly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with lab(tmp_path, OddServer()) as it:
        it.amber()
        client = it.client()
        await client.connect()
        head = {"Accept": "text/event-stream", "Mcp-Session-Id": client.session or ""}
        open_ = [await it.site.client.get(f"/w/{NAME}", headers=head) for _ in range(100)]
        began = time.monotonic()

        it.site.proxy.steady.end_streams()
        await asyncio.wait_for(asyncio.gather(*(each.read() for each in open_)), LIMIT)

        assert time.monotonic() - began < 1
        assert "Traceback" not in caplog.text


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
async def test_a_huge_event_costs_no_more_than_its_length(end: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"data: "
        for _ in range(1500):
            yield b"x" * 16 * 1024
        yield end
        yield end

    began = time.process_time()
    pieces = [piece async for piece in whole_events(chunks())]

    assert [b"data: " + b"x" * 1500 * 16 * 1024 + end * 2] == pieces
    assert time.process_time() - began < 1.5
