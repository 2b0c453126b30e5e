"""What the proxy changes in requests and responses on their way, and what it leaves alone."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import re
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.proxy.proxying import NAME, TOKEN, proxied, token, unavailable, upstream
from tests.raw_server import Received, http_response, raw_server, respond_with
from tests.server.test_server import talk
from trayapp.proxy.audit import BATCH_MAX, Audit


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    body = await request.read()
    found = {
        "method": request.method,
        "path": request.raw_path,
        "headers": sorted((name.lower(), value) for name, value in request.headers.items()),
        "size": len(body),
    }
    return web.json_response(found)


async def test_the_token_replaces_the_key(tmp_path: Path) -> None:
    """The client shows its key and the upstream sees the token; cookies and hop-by-hop headers stay here."""

    async with upstream(echo) as up, proxied(f"{up.url}/mcp", tmp_path) as site:
        head = {
            "Cookie": "a=1",
            "Proxy-Authorization": "Basic x",
            "Connection": "keep-alive, X-Hop",
            "X-Hop": "1",
            "TE": "trailers",
            "Keep-Alive": "timeout=5",
            "Sec-Fetch-Site": "none",
            "Mcp-Session-Id": "s-1",
            "Mcp-Of-The-Future": "yes",
            "Last-Event-ID": "7",
            "User-Agent": "client/1",
            "Accept": "text/event-stream, application/json",
        }
        status, body, _ = await site.ask("POST", data=b"{}", headers=head)
        seen = json.loads(body)

    names = {name for name, _ in seen["headers"]}
    assert (200, "POST", "/mcp", 2) == (status, seen["method"], seen["path"], seen["size"])
    assert ["authorization", f"Bearer {TOKEN}-1"] in seen["headers"]
    assert not names & {"cookie", "proxy-authorization", "x-hop", "te", "keep-alive", "sec-fetch-site", "connection"}
    for pair in (
        ["mcp-session-id", "s-1"],
        ["mcp-of-the-future", "yes"],
        ["last-event-id", "7"],
        ["user-agent", "client/1"],
        ["accept", "text/event-stream, application/json"],
        ["host", up.url.removeprefix("http://")],
    ):
        assert pair in seen["headers"]


async def test_nothing_is_added(tmp_path: Path) -> None:
    """The upstream sees the client's own headers and no more: no User-Agent, Accept or coding of ours."""

    async with upstream(echo) as up, proxied(f"{up.url}/mcp", tmp_path) as site:
        request = (
            f"GET /w/{NAME} HTTP/1.1\r\nHost: 127.0.0.1:{site.server.port}\r\nAuthorization: Bearer {site.key}\r\n\r\n"
        )
        _, _, body = await talk(site.server, request)

    assert {"host", "authorization"} == {name for name, _ in json.loads(body)["headers"]}


@pytest.mark.parametrize(
    ("configured", "asked", "sent"),
    [
        ("/mcp", "", "/mcp"),
        ("/mcp", "/", "/mcp/"),
        ("/mcp", "/a/b?x=1&y=%2F..", "/mcp/a/b?x=1&y=%2F.."),
        ("/mcp", "?x=%20", "/mcp?x=%20"),
        ("/mcp/", "", "/mcp/"),
        ("/mcp/", "/a", "/mcp/a"),
        ("", "", "/"),
        ("", "/a%20b;c=1,@:", "/a%20b;c=1,@:"),
        ("/mcp?tenant=1", "", "/mcp?tenant=1"),
        ("/mcp?tenant=1", "/a?x=2", "/mcp/a?tenant=1&x=2"),
        ("/mcp", "//evil.example/x", "/mcp//evil.example/x"),
        ("", "//evil.example/x", "//evil.example/x"),
    ],
)
async def test_paths(tmp_path: Path, configured: str, asked: str, sent: str) -> None:
    """`/w/NAME` is the configured URL, what follows lies below it, and both queries are kept to the letter."""

    async with upstream(echo) as up, proxied(f"{up.url}{configured}", tmp_path) as site:
        for ours in (f"/w/{NAME}", f"/k/{site.key}/w/{NAME}"):
            line = f"GET {ours}{asked} HTTP/1.1\r\nHost: 127.0.0.1:{site.server.port}\r\n"
            status, _, body = await talk(site.server, f"{line}Authorization: Bearer {site.key}\r\n\r\n")

            assert (200, sent) == (status, json.loads(body)["path"])


async def test_answers_pass_as_they_are(tmp_path: Path) -> None:
    """Status, codings and unknown headers pass; what speaks to a browser about our origin, and challenges, do not."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        head = {
            "Content-Encoding": "gzip",
            "Mcp-Session-Id": "s-1",
            "X-Hop": "1",
            "Connection": "X-Hop",
            "Set-Cookie": "a=1",
            "Access-Control-Allow-Origin": "*",
            "WWW-Authenticate": 'Bearer resource_metadata="https://as.example"',
            "Strict-Transport-Security": "max-age=1",
            "Clear-Site-Data": '"*"',
            "Cache-Control": "max-age=60",
        }
        return web.Response(status=418, reason="Teapot", headers=head, body=gzip.compress(b"tea"))

    async with upstream(answer) as up, proxied(up.url, tmp_path) as site:
        status, body, head = await site.ask("GET")

    assert (418, b"tea") == (status, gzip.decompress(body))
    assert ("s-1", "gzip", "max-age=60") == (head["Mcp-Session-Id"], head["Content-Encoding"], head["Cache-Control"])
    gone = ("X-Hop", "Set-Cookie", "Access-Control-Allow-Origin", "WWW-Authenticate", "Strict-Transport-Security")
    assert not [name for name in (*gone, "Clear-Site-Data") if name in head]
    assert ("sandbox", "nosniff") == (head["Content-Security-Policy"], head["X-Content-Type-Options"])


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("DELETE", 200), ("OPTIONS", 200)]
)
async def test_answers_without_a_body(tmp_path: Path, method: str, status: int) -> None:
    """They end where they should, and the connection goes on."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, headers={"X-Seen": request.method})

    async with upstream(answer) as up, proxied(up.url, tmp_path) as site:
        for _ in range(2):
            got, body, head = await site.ask(method)

            assert (status, b"", method) == (got, body, head["X-Seen"])


async def test_a_head_keeps_its_length(tmp_path: Path) -> None:
    """HEAD tells how long a GET would be."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"x" * 1234)

    async with upstream(answer) as up, proxied(up.url, tmp_path) as site:
        status, body, head = await site.ask("HEAD")

    assert (200, b"", "1234") == (status, body, head["Content-Length"])


async def test_a_stream_is_live(tmp_path: Path) -> None:
    """Each piece reaches the client before the upstream has sent the next one, of known length or not."""

    for length in (None, "10"):
        go = asyncio.Event()

        async def answer(
            request: web.BaseRequest, go: asyncio.Event = go, length: str | None = length
        ) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": length} if length else {})
            await response.prepare(request)
            await response.write(b"first")
            await go.wait()
            await response.write(b"other")
            return response

        async with upstream(answer) as up, proxied(up.url, tmp_path) as site, site.client.get(f"/w/{NAME}") as got:
            assert b"first" == await got.content.readexactly(5)
            go.set()
            assert b"other" == await got.content.read()
            assert length == got.headers.get("Content-Length")


async def test_a_coded_body_stays_coded(tmp_path: Path) -> None:
    """What the client compressed arrives as it was sent, and what only claims to be compressed does too."""

    async with (
        raw_server(respond_with(http_response("200 OK", b"fine"))) as up,
        proxied(f"http://127.0.0.1:{up.port}", tmp_path) as site,
    ):
        for data in (gzip.compress(b"{}"), b"0\r\n\r\n"):
            assert 200 == (await site.ask("POST", data=data, headers={"Content-Encoding": "gzip"}))[0]
            assert up.received.endswith(b"\r\n\r\n" + data)


async def test_an_upload_is_live(tmp_path: Path) -> None:
    """The upstream has the first piece before the client has sent the second; a known length stays known."""

    got: list[bytes] = []
    first = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        async for chunk in request.content.iter_any():
            got.append(chunk)
            first.set()
        return web.json_response({"length": request.headers.get("Content-Length")})

    async def pieces(size: int) -> object:
        yield b"a" * size
        await first.wait()
        yield b"b" * size

    async with upstream(answer) as up, proxied(up.url, tmp_path) as site:
        for size, head in ((3, {}), (1 << 20, {"Content-Length": str(2 << 20)})):
            got.clear()
            first.clear()
            async with asyncio.timeout(5):
                _, body, _ = await site.ask("POST", data=pieces(size), headers=head)

            assert b"a" * size + b"b" * size == b"".join(got)
            assert head.get("Content-Length") == json.loads(body)["length"]


async def test_expect_is_answered_here(tmp_path: Path) -> None:
    """A client that asks first is told to go on once its key was seen, and the upstream never hears of it."""

    async with upstream(echo) as up, proxied(up.url, tmp_path) as site:
        for key, first in ((site.key, b"HTTP/1.1 100 Continue\r\n"), ("wrong", b"HTTP/1.1 403 Forbidden\r\n")):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
            lines = [f"POST /w/{NAME} HTTP/1.1", f"Host: 127.0.0.1:{site.server.port}", f"Authorization: Bearer {key}"]
            writer.write("\r\n".join([*lines, "Expect: 100-continue", "Content-Length: 5", "", ""]).encode())
            async with asyncio.timeout(5):
                assert first == await reader.readline()
            writer.write(b"hello")
            if key == site.key:
                async with asyncio.timeout(5):
                    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await writer.wait_closed()

    assert 1 == len(up.requests)
    assert "Expect" not in up.last.headers


async def test_no_token_sends_nothing(tmp_path: Path) -> None:
    """Amber, red and stopped are 503 with a reason, upstream trouble is 502; the upstream hears of none of them."""

    async with upstream(echo) as up, proxied(up.url, tmp_path) as site:
        cases = (
            ("retrying", 7, 503),
            ("reauth_required", 60, 503),
            ("stopped", None, 503),
            ("upstream_rejects", 9, 502),
        )
        for error, wait, wanted in cases:
            site.tokens.answer = unavailable(error, wait)
            status, body, head = await site.ask("POST", data=b"{}")

            assert (wanted, error) == (status, json.loads(body)["error"])
            assert (str(wait) if wait else None) == head.get("Retry-After")
            assert {"error", "status", "detail", "since", "next_attempt_at", "help"} == set(json.loads(body))
            assert "no-store" == head["Cache-Control"]

    assert not up.requests


async def rejecting(request: web.BaseRequest) -> web.StreamResponse:
    """Takes only the second token."""
    if request.headers["Authorization"] != f"Bearer {TOKEN}-2":
        return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
    return web.json_response({"size": len(await request.read())})


async def test_a_rejected_token_is_replaced(tmp_path: Path) -> None:
    """The upstream's 401 costs one refresh, and the request is sent once more with the same body."""

    async def pieces() -> object:
        yield b"12"
        yield b"345"

    async with upstream(rejecting) as up, proxied(up.url, tmp_path) as site:
        for data in (b"12345", pieces()):
            site.tokens.answer = token()
            site.tokens.rejections.clear()
            status, body, _ = await site.ask("POST", data=data)

            if status == 503:  # the upstream said no before the unknown length was over: it cannot be sent again
                assert not isinstance(data, bytes)
                continue
            assert (200, 5) == (status, json.loads(body)["size"])
            assert [1] == site.tokens.rejections

    assert site.tokens.acceptances
    assert {"Bearer canary-access-token-1", "Bearer canary-access-token-2"} == {
        r.headers["Authorization"] for r in up.requests
    }


async def test_a_large_body_is_not_sent_twice(tmp_path: Path) -> None:
    """Over 1 MiB nothing is kept: 503 with Retry-After, and the next request has the new token."""

    async with upstream(rejecting) as up, proxied(up.url, tmp_path) as site:
        status, _, head = await site.ask("POST", data=io.BytesIO(b"x" * ((1 << 20) + 1)))

        assert (503, "1", [1], 1) == (status, head["Retry-After"], site.tokens.rejections, len(up.requests))
        assert 200 == (await site.ask("POST", data=b"x"))[0]


async def test_a_second_rejection_ends_it(tmp_path: Path) -> None:
    """The request is repeated once only; the client sees no 401 and no challenge."""

    async with upstream(rejecting) as up, proxied(up.url, tmp_path) as site:
        site.tokens.after = token(3)
        status, _, head = await site.ask("POST", data=b"x")

        assert (503, [1, 3], 2) == (status, site.tokens.rejections, len(up.requests))
        assert "WWW-Authenticate" not in head
        site.tokens.answer, site.tokens.after = token(), unavailable("upstream_rejects", 600)
        status, _, head = await site.ask("POST", data=b"x")
        assert (502, "600") == (status, head["Retry-After"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(tmp_path: Path, status: int) -> None:
    """One inside of the upstream is passed on with our path in it; one to another origin is 502. None is followed."""

    places: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": places[-1]})

    async with upstream(answer) as up, proxied(f"{up.url}/mcp", tmp_path) as site:
        for location, wanted in (
            ("/mcp/next?a=1", f"/w/{NAME}/next?a=1"),
            (f"{up.url}/mcp/", f"/w/{NAME}/"),
            ("?b=2", f"/w/{NAME}?b=2"),
            ("/elsewhere", f"/w/{NAME}/-/elsewhere"),
        ):
            places.append(location)
            got, _, head = await site.ask("GET")
            assert (status, wanted) == (got, head["Location"])
        for location in (
            "https://evil.example/",
            "//evil.example/",
            "http://127.0.0.1:1/",
            "/a/%2e%2e/b",
            f"http://u@{up.url[7:]}/",
        ):
            places.append(location)
            assert (502, "foreign_address") == await site.error()
        count = len(up.requests)
        places.append("/elsewhere")
        await site.ask("GET", f"/w/{NAME}/-/elsewhere?x=1")
        assert (count + 1, "/elsewhere?x=1") == (len(up.requests), up.last.raw_path)
        await site.ask("GET", f"/w/{NAME}/-/never/announced")
        assert "/mcp/-/never/announced" == up.last.raw_path


async def test_the_sse_endpoint_becomes_a_local_path(tmp_path: Path) -> None:
    """The first event names where to post: it becomes a path of ours, with the key where the client had it there."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(status=202, text=request.raw_path)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in (
            b": hello\n\neve",
            b"nt: endpoint\ndata: /messages?session=1\n",
            b"\nevent: endpoint\ndata: /x\n\n",
        ):
            await response.write(piece)
            await asyncio.sleep(0.01)
        return response

    async with upstream(answer) as up, proxied(f"{up.url}/sse", tmp_path) as site:
        for ours in (f"/w/{NAME}", f"/k/{site.key}/w/{NAME}"):
            _, body, _ = await site.ask("GET", ours)
            path = f"{ours}/-/messages?session=1"

            assert f": hello\n\nevent: endpoint\ndata: {path}\n\nevent: endpoint\ndata: /x\n\n" == body.decode()
            assert (202, b"/messages?session=1") == (await site.ask("POST", path, data=b"{}"))[:2]


async def test_a_foreign_endpoint_ends_the_stream(tmp_path: Path) -> None:
    """A client must not be sent away with its key."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        text = "event: endpoint\ndata: https://evil.example/messages\n\n"
        return web.Response(text=text, content_type="text/event-stream")

    async with upstream(answer) as up, proxied(f"{up.url}/sse", tmp_path) as site:
        with pytest.raises(aiohttp.ClientError):
            assert "evil" not in str(await site.ask("GET"))


async def test_a_broken_stream_is_not_whole(tmp_path: Path) -> None:
    """Where the upstream breaks off, the client's answer breaks off too, and the log is quiet about it."""

    for head in (b"Content-Length: 100\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"):
        async with (
            raw_server(respond_with(b"HTTP/1.1 200 OK\r\n" + head)) as up,
            proxied(f"http://127.0.0.1:{up.port}", tmp_path) as site,
        ):
            with pytest.raises(aiohttp.ClientError):
                await site.ask("GET")


async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
    await seen.request(reader)


async def test_upstream_trouble_is_502(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody there, no HTTP, no answer, too long a header: a word and a sentence, and nothing of the request."""

    async with raw_server(respond_with(http_response("200 OK"))) as gone:
        port = gone.port
    async with proxied(f"http://127.0.0.1:{port}", tmp_path) as site:
        assert (502, "upstream_unreachable") == await site.error()
    long = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 40_000 + b"\r\nContent-Length: 0\r\n\r\n"
    for behaviour, word in (
        (respond_with(b"SSH-2.0-x\r\n\r\n"), "upstream_garbled"),
        (respond_with(long), "upstream_garbled"),
        (breaks_off, "upstream_broke_off"),
    ):
        async with raw_server(behaviour) as up, proxied(f"http://127.0.0.1:{up.port}", tmp_path) as site:
            assert (502, word) == await site.error("POST", f"/k/{site.key}/w/{NAME}?q=canary", data=b"canary")

    assert "canary" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_disconnect_closes_the_upstream_connection(tmp_path: Path) -> None:
    """An idle event stream, or a call without an answer yet: the upstream's connection is closed at once."""

    for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n"):

        async def silent(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received, answer: bytes = answer
        ) -> None:
            await seen.request(reader)
            writer.write(answer)
            while await seen.read(reader):
                pass

        async with raw_server(silent) as up, proxied(f"http://127.0.0.1:{up.port}", tmp_path) as site:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
            head = f"Host: 127.0.0.1:{site.server.port}\r\nAuthorization: Bearer {site.key}\r\n\r\n"
            writer.write(f"GET /w/{NAME} HTTP/1.1\r\n{head}".encode())
            async with asyncio.timeout(5):
                await up.request_received.wait()
                if answer:
                    await reader.readuntil(b": hello\n\n")
                assert not up.connection_ended.is_set()
                writer.close()
                await writer.wait_closed()
                await up.connection_ended.wait()


async def test_the_audit_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """For each request time, workload, method, host and status; no path, no query, no key, no token."""

    caplog.set_level(logging.DEBUG)
    async with upstream(echo) as up, proxied(f"{up.url}/mcp", tmp_path) as site:
        for method in ("POST", "GET"):
            await site.ask(method, f"/k/{site.key}/w/{NAME}/sub?q=canary")
        key = site.key
    lines = [line for r in caplog.records if r.name == "trayapp.audit" for line in r.getMessage().splitlines()]

    assert ["one POST 127.0.0.1 200", "one GET 127.0.0.1 200"] == [line.split(" ", 5)[-1] for line in lines[1:]]
    assert all(re.fullmatch(r" {4}\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .*", line) for line in lines[1:])
    assert {("one", "200"): 2} == dict(site.proxy.answered)
    assert not [word for word in (key, TOKEN, "canary", "/sub") if word in caplog.text]


async def test_audit_lines_are_batched(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """They are written after a moment, or as soon as there are many."""

    caplog.set_level(logging.INFO)
    monkeypatch.setattr("trayapp.proxy.audit.FLUSH_AFTER", 0.05)
    audit = Audit()
    audit.note("one", "GET", "h", 200)
    assert not caplog.records
    await asyncio.sleep(0.1)
    assert 1 == len(caplog.records)
    for _ in range(BATCH_MAX):
        audit.note("one", "GET", "h", 200)

    assert 2 == len(caplog.records)
    audit.flush()
    assert 2 == len(caplog.records)


async def test_a_network_change_opens_new_connections(tmp_path: Path) -> None:
    """After a change of the network, requests under way go on, and the next one has a new connection."""

    asked, go = asyncio.Event(), asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path == "/slow":
            asked.set()
            await go.wait()
        assert request.transport is not None
        return web.Response(text=str(request.transport.get_extra_info("peername")[1]))

    async with upstream(answer) as up, proxied(up.url, tmp_path) as site:
        first = (await site.ask("GET"))[1]
        assert first == (await site.ask("GET"))[1]
        slow = asyncio.create_task(site.ask("GET", f"/w/{NAME}/slow"))
        await asked.wait()
        await site.proxy.renew()
        second = (await site.ask("GET"))[1]
        go.set()

        assert 200 == (await slow)[0]
        assert first != second
        await site.proxy.renew()
        assert second != (await site.ask("GET"))[1]
