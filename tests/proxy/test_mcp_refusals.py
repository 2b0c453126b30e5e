"""Refusals of MCP requests: JSON-RPC errors with the refusal's HTTP status, so that SDKs show the sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.proxy.proxying import NAME, Site, proxied, upstream
from trayapp.proxy import mcp_refusals

MCP = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
WRONG = {"Authorization": "Bearer wrong"}
KEY_SENTENCE = "This needs the local key of a workload. Run `amberlight client-config`."


def call(id_: Any = 7) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": {"name": "echo"}}).encode()


async def never(request: web.BaseRequest) -> web.StreamResponse:
    raise AssertionError("nothing is sent")


async def refused(site: Site, path: str = f"/w/{NAME}", data: Any = None, **head: str) -> tuple[int, Any]:
    status, body, answered = await site.ask("POST", path, data=call() if data is None else data, headers=MCP | head)
    assert "application/json" == answered["Content-Type"].partition(";")[0]
    assert "no-store" == answered["Cache-Control"]
    return status, json.loads(body)


@pytest.mark.parametrize("path", [f"/w/{NAME}", "/w/missing", f"/k/wrong/w/{NAME}", "/k/wrong/w/missing", "/w/Odd!"])
async def test_a_wrong_key_is_a_jsonrpc_error(tmp_path: Path, path: str) -> None:
    """403 with the request's id, the same whether there is such a workload or not."""

    async with proxied("http://127.0.0.1:9/mcp", tmp_path) as site:
        status, answer = await refused(site, path, **WRONG)

    error = {"code": -32600, "message": KEY_SENTENCE, "data": {"error": "forbidden"}}
    assert (403, {"jsonrpc": "2.0", "id": 7, "error": error}) == (status, answer)


@pytest.mark.parametrize("id_", ["a", 0, 10**30, "é"])
async def test_the_id_is_echoed_exactly(tmp_path: Path, id_: Any) -> None:
    """SDKs find their request by it."""

    async with proxied("http://127.0.0.1:9/mcp", tmp_path) as site:
        _, answer = await refused(site, data=call(id_), **WRONG)
    assert (id_, type(id_)) == (answer["id"], type(answer["id"]))


@pytest.mark.parametrize(
    "data",
    [b"", b"[", b"[1]", b"{}", call(None), call(1.5), call(True), b"[" + call() + b"]", b"[" * 5000, call("x" * 70_000)],
    ids=["nothing", "half", "array", "object", "null", "fraction", "true", "batch", "deep", "long"],
)  # fmt: skip
async def test_without_a_usable_id_it_is_null(tmp_path: Path, data: bytes) -> None:
    """Whatever was sent, the sentence is there."""

    async with proxied("http://127.0.0.1:9/mcp", tmp_path) as site:
        status, answer = await refused(site, data=data, **WRONG)
    assert (403, None, KEY_SENTENCE) == (status, answer["id"], answer["error"]["message"])


async def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The id is a courtesy."""

    monkeypatch.setattr(mcp_refusals, "READ_LIMIT", 0.05)

    async def slow() -> Any:
        yield call()[:5]
        import asyncio

        await asyncio.sleep(1.0)
        yield call()[5:]

    async with proxied("http://127.0.0.1:9/mcp", tmp_path) as site:
        status, answer = await refused(site, data=slow(), **WRONG, **{"Content-Length": str(len(call()))})
    assert (403, None) == (status, answer["id"])


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_refused_stream_or_end_has_no_id(tmp_path: Path, method: str) -> None:
    """There is no request to answer."""

    head = WRONG | {"Accept": "text/event-stream", "Mcp-Session-Id": "s"}
    async with proxied("http://127.0.0.1:9/mcp", tmp_path) as site:
        status, body, _ = await site.ask(method, headers=head)
    assert (403, None, KEY_SENTENCE) == (status, json.loads(body)["id"], json.loads(body)["error"]["message"])


async def test_plain_callers_get_plain_errors(tmp_path: Path) -> None:
    """As before: `error` and `message`."""

    async with proxied("http://127.0.0.1:9/mcp", tmp_path) as site:
        for path in (f"/w/{NAME}", "/w/missing"):
            status, body, _ = await site.ask("POST", path, data=call(), headers=WRONG)
            assert (403, {"error": "forbidden", "message": KEY_SENTENCE}) == (status, json.loads(body))
        assert (400, "bad_path") == await site.error("POST", f"/w/{NAME}/a%2Fb", data=call())


async def test_an_odd_path_is_a_jsonrpc_error(tmp_path: Path) -> None:
    """400 with the id and the sentence; nothing is sent."""

    async with upstream(never) as up, proxied(up.url, tmp_path) as site:
        status, answer = await refused(site, f"/w/{NAME}/a%2Fb")
    assert (400, 7, -32600, "bad_path") == (
        status,
        answer["id"],
        answer["error"]["code"],
        answer["error"]["data"]["error"],
    )


async def test_the_setting_decides(tmp_path: Path) -> None:
    """`off`: errors are plain for everybody who is admitted; `on`: JSON-RPC for everybody."""

    async with upstream(never) as up:
        async with proxied(up.url, tmp_path, mcp="off") as site:
            assert "bad_path" == (await refused(site, f"/w/{NAME}/a%2Fb"))[1]["error"]
        async with proxied(up.url, tmp_path, mcp="on") as site:
            _, body, _ = await site.ask("POST", f"/w/{NAME}/a%2Fb", data=call())
            assert 7 == json.loads(body)["id"]


async def test_what_breaks_off_after_it_was_read_has_the_id(tmp_path: Path) -> None:
    """A header that can't be passed on is noticed when the message has been read."""

    import asyncio

    async with proxied("http://127.0.0.1:9/mcp", tmp_path) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        head = f"POST /w/{NAME} HTTP/1.1\r\nHost: 127.0.0.1:{site.server.port}\r\nAuthorization: Bearer {site.key}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in MCP.items()) + f"Content-Length: {len(call())}\r\n"
        writer.write(head.encode() + b"X-Odd: \xff\r\nConnection: close\r\n\r\n" + call())
        answer = await reader.read()
        writer.close()
    assert b" 400 " in answer.splitlines()[0]
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (7, "bad_header") == (told["id"], told["error"]["data"]["error"])
