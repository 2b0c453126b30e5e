"""The endpoint rewriter of the legacy SSE transport: any line ending, any way of cutting the stream into chunks."""

from __future__ import annotations

import pytest

from trayapp.proxy.sse import FIRST_EVENT_MAX, EndpointRewriter
from trayapp.server.replies import Refusal


def through(*chunks: bytes) -> bytes:
    rewriter = EndpointRewriter(lambda path: f"/ours{path}")
    return b"".join(rewriter.feed(chunk) for chunk in chunks) + rewriter.rest()


OURS = b"event: endpoint\ndata: /ours/m?s=1\n\n"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_and_every_cut(end: bytes) -> None:
    """LF, CRLF and CR end lines; no cut through the bytes changes what comes out."""

    stream = end.join([b"event: endpoint", b"data: /m?s=1", b"", b"event: message", b"data: {}", b"", b""])
    rest = end.join([b"event: message", b"data: {}", b"", b""])
    whole = through(stream)

    assert OURS + rest == whole
    for cut in range(len(stream)):  # an empty line more, after half a CRLF, says nothing
        assert whole.split() == through(stream[:cut], stream[cut:]).split()


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        (b"data: /m?s=1\nevent: endpoint\n\n", OURS),
        (b"event:endpoint\ndata:/m?s=1\n\n", OURS),
        (b"\xef\xbb\xbfevent: endpoint\ndata: /m?s=1\n\n", OURS),
        (b": ping\n\nretry: 5\n\nevent: endpoint\ndata: /m?s=1\n\n", b": ping\n\nretry: 5\n\n" + OURS),
        (b"id: 7\nevent: endpoint\ndata: /m?s=1\n\n", b"id: 7\n" + OURS),
        (b"event: message\nevent: endpoint\ndata: /m?s=1\n\n", OURS),
        (b"event: endpoint\nevent: message\ndata: /m\n\n", b"event: endpoint\nevent: message\ndata: /m\n\n"),
        (b"data: {}\n\nevent: endpoint\ndata: /m\n\n", b"data: {}\n\nevent: endpoint\ndata: /m\n\n"),
        (b"event: endpoint\n\nevent: endpoint\ndata: /m?s=1\n\n", b"event: endpoint\n\n" + OURS),
        (b"data: \xff\n\nx", b"data: \xff\n\nx"),
        (b"event: endpoint\ndata: /half", b"event: endpoint\ndata: /half"),
        (b"", b""),
    ],
)
def test_what_is_an_endpoint(sent: bytes, got: bytes) -> None:
    """Only the first event that has data, if its last name is `endpoint`; all else passes to the letter."""

    assert got == through(sent)
    assert got == through(*(bytes([byte]) for byte in sent))


def test_the_rest_passes_at_once() -> None:
    """After the first event nothing is held back."""

    rewriter = EndpointRewriter(lambda path: path)

    assert b"" == rewriter.feed(b"data: {")
    assert b"data: {}\n\nda" == rewriter.feed(b"}\n\nda")
    assert b"ta" == rewriter.feed(b"ta")


def test_a_long_first_event_is_not_held() -> None:
    """Beyond 64 KiB it is no endpoint."""

    long = b"data: " + b"x" * FIRST_EVENT_MAX

    assert long == EndpointRewriter(lambda path: path).feed(long)


def test_a_refusal_comes_out() -> None:
    """Who is asked for our path may end the stream."""

    def refuse(path: str) -> str:
        raise Refusal(502, "foreign_address", "No.")

    with pytest.raises(Refusal):
        EndpointRewriter(refuse).feed(b"event: endpoint\ndata: https://evil.example/\n\n")
