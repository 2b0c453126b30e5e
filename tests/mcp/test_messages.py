"""JSON-RPC as clients and servers really write it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.mcp import messages
from trayapp.mcp.lost import lost
from trayapp.mcp.messages import Message, NotJsonRpcError


@given(st.integers() | st.text())
def test_an_id_comes_back_as_it_was(id_: Any) -> None:
    """With its type: 1 is not "1"."""
    message = messages.parse(json.dumps({"jsonrpc": "2.0", "id": id_, "method": "ping"}).encode())
    assert isinstance(message, Message)

    answer = json.loads(messages.encode(messages.result(message, {})))

    assert (type(id_), id_) == (type(answer["id"]), answer["id"])


@given(st.binary())
def test_any_bytes_are_a_message_or_none(body: bytes) -> None:
    """Nothing else is raised."""
    try:
        parsed = messages.parse(body)
    except NotJsonRpcError:
        return
    assert isinstance(parsed, Message | tuple)


@pytest.mark.parametrize(
    ("data", "is_request", "answerable"),
    [
        ({"id": 1, "method": "x"}, True, True),
        ({"method": "x"}, False, True),
        ({"id": None, "method": "x"}, True, False),
        ({"id": 1.5, "method": "x"}, True, False),
        ({"id": True, "method": "x"}, True, False),
        ({"id": 1, "result": {}}, False, True),
        ({"id": 1, "error": {}}, False, True),
    ],
)
def test_what_a_message_is(data: Any, is_request: bool, answerable: bool) -> None:
    """A request, a notification or a response, and whether it can be answered."""
    message = messages.parse(json.dumps({"jsonrpc": "2.0", **data}).encode())
    assert isinstance(message, Message)

    assert (is_request, answerable) == (message.request, message.answerable)


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        (b'data: {"jsonrpc":"2.0","id":1,"result":{"a":1}}\n\n', {"a": 1}),
        (b'event: message\r\nid: 7\r\ndata: {"id":1,\r\ndata: "result":{"a":1}}\r\n\r\n', {"a": 1}),
        (b': hi\n\ndata:\n\ndata: {"id":"1","result":{}}\n\ndata: {"id":1,"result":{"a":1}}\n\n', {"a": 1}),
        (b'data: {"id":1,"error":{"code":1}}\n\n', None),
        (b'event: other\ndata: {"id":1,"result":{}}\n\n', None),
        (b"data: {\n\n", None),
        (b"", None),
    ],
)
def test_the_answer_is_found_in_a_stream(stream: bytes, found: Any) -> None:
    """The result with our id, of the same type, whatever stands around it."""
    assert found == messages.answer_in("text/event-stream", stream, 1)


@pytest.mark.parametrize(
    ("status", "body", "is_lost"),
    [
        (404, b"", True),
        (404, b"session not found\n", True),
        (404, b'{"error":{"code":-32601,"message":"Method not found"}}', False),
        (400, b'{"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}', True),
        (400, b'{"error":{"code":-32600,"message":"Bad Request: Missing session ID"}}', False),
        (400, b"Bad Request: Server not initialized", False),
        (400, b"[" * 5000, False),
        (401, b'{"error":{"message":"Session not found"}}', False),
        (500, b"", False),
    ],
)
def test_which_answers_mean_a_lost_session(status: int, body: bytes, is_lost: bool) -> None:
    """404, and 400 only with words that are known to mean it."""
    assert is_lost == lost(status, body)
