"""Which answers are sent as JSON instead of as an event stream, and which streams pass as they come."""

from __future__ import annotations

from typing import Any

import pytest

from trayapp.aggregate.whole_answers import WholeAnswer

STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), (b"x-session", b"1")]
END = {"type": "http.response.body", "body": b"", "more_body": False}


def start(headers: list[tuple[bytes, bytes]], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def event(data: str) -> dict[str, Any]:
    text = f"event: message\r\ndata: {data}\r\n\r\n"
    return {"type": "http.response.body", "body": text.encode(), "more_body": True}


async def sent(*messages: dict[str, Any]) -> list[Any]:
    """What reaches the client."""
    out: list[Any] = []

    async def send(message: Any) -> None:
        out.append(message)

    answer = WholeAnswer(send)
    for message in messages:
        await answer(message)
    return out


@pytest.mark.parametrize("id_", ["1", "-7", '"a"', r'"a\"},\\"', '""'])
@pytest.mark.parametrize("kind", ['"result":{"content":[]}', '"error":{"code":-32603,"message":"no"}'])
async def test_an_answer_that_comes_first_is_sent_as_json(id_: str, kind: str) -> None:
    """With its length, the other headers, and nothing after it."""

    data = f'{{"jsonrpc":"2.0","id":{id_},{kind}}}'
    head, body = await sent(start(STREAM), event(data), END)
    expected = [(b"x-session", b"1"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
    assert start(expected) == head
    assert {"type": "http.response.body", "body": data.encode()} == body


@pytest.mark.parametrize(
    "first",
    [
        event('{"jsonrpc":"2.0","method":"notifications/progress","params":{}}'),
        event('{"jsonrpc":"2.0","id":1,"method":"ping"}'),
        {"type": "http.response.body", "body": b": ping\r\n\r\n", "more_body": True},
        {"type": "http.response.body", "body": b"id: 1\r\ndata: \r\n\r\n", "more_body": True},
        END,
    ],
)
async def test_any_other_stream_passes(first: dict[str, Any]) -> None:
    """Also the answer that comes later: the head is out by then."""

    later = event('{"jsonrpc":"2.0","id":1,"result":{}}')
    assert [start(STREAM), first, later] == await sent(start(STREAM), first, later)


@pytest.mark.parametrize("head", [start([(b"content-type", b"application/json")]), start(STREAM, 404), start([], 202)])
async def test_what_is_no_stream_passes_at_its_time(head: dict[str, Any]) -> None:
    """The head is not held back."""

    assert [head] == await sent(head)
    assert [head, END] == await sent(head, END)
