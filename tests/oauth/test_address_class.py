"""Address classes, and that a remote server cannot send us to a nearer address."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from tests.oauth.tls import bare_wire
from tests.raw_server import http_response, raw_server, respond_with
from trayapp.core.outcomes import Answer, Fault
from trayapp.oauth.address_class import AddressClass, class_of_host
from trayapp.oauth.wire import Request


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("login.example.com", AddressClass.PUBLIC),
        ("8.8.8.8", AddressClass.PUBLIC),
        ("2606:4700::1111", AddressClass.PUBLIC),
        ("64:ff9b::808:808", AddressClass.PUBLIC),
        ("127.0.0.1", AddressClass.LOCAL),
        ("127.1", AddressClass.LOCAL),
        ("2130706433", AddressClass.LOCAL),
        ("0x7f.1", AddressClass.LOCAL),
        ("0", AddressClass.LOCAL),
        ("0.0.0.0", AddressClass.LOCAL),
        ("::", AddressClass.LOCAL),
        ("::1", AddressClass.LOCAL),
        ("::ffff:127.0.0.1", AddressClass.LOCAL),
        ("64:ff9b::7f00:1", AddressClass.LOCAL),
        ("2002:7f00:1::", AddressClass.LOCAL),
        ("localhost", AddressClass.LOCAL),
        ("LOCALHOST.", AddressClass.LOCAL),
        ("app.localhost", AddressClass.LOCAL),
        ("::127.0.0.1", AddressClass.LOCAL),
        ("::10.0.0.1", AddressClass.PRIVATE),
        ("::8.8.8.8", AddressClass.PUBLIC),
        ("::2", AddressClass.PRIVATE),  # 0.0.0.2
        ("::ffff:0:127.0.0.1", AddressClass.LOCAL),
        ("::ffff:0:192.168.1.1", AddressClass.PRIVATE),
        ("::ffff:8.8.8.8", AddressClass.PUBLIC),
        ("::ffff:0.0.0.0", AddressClass.LOCAL),
        ("::ffff:7f00:1%1", AddressClass.LOCAL),
        ("64:ff9b::a00:1", AddressClass.PRIVATE),
        ("64:ff9b:1::7f00:1", AddressClass.LOCAL),
        ("64:ff9b:1::808:808", AddressClass.PRIVATE),  # a network's own translation
        ("2002:a00:1::1", AddressClass.PRIVATE),
        ("2002:808:808::1", AddressClass.PUBLIC),
        ("2001:0:808:808:0:0:80ff:fffe", AddressClass.LOCAL),  # Teredo; its client's address is inverted: 127.0.0.1
        ("2001:0:7f00:1:0:0:f7f7:f7f7", AddressClass.LOCAL),  # and its server is 127.0.0.1
        ("2001:0:808:808:0:0:f5ff:fffe", AddressClass.PRIVATE),  # 10.0.0.1
        ("2001:0:808:808:0:0:f7f7:f7f7", AddressClass.PUBLIC),
        ("fe80::5efe:127.0.0.1", AddressClass.LOCAL),
        ("2606:4700::5efe:10.0.0.1", AddressClass.PRIVATE),
        ("2606:4700::200:5efe:127.0.0.1", AddressClass.LOCAL),
        ("2606:4700::5efe:8.8.8.8", AddressClass.PUBLIC),
        ("fd00::5efe:8.8.8.8", AddressClass.PRIVATE),
        ("fec0::1", AddressClass.PRIVATE),
        ("100::1", AddressClass.PRIVATE),
        ("ff02::1", AddressClass.PRIVATE),
        ("2001:db8::1", AddressClass.PRIVATE),
        ("10.1.2.3", AddressClass.PRIVATE),
        ("169.254.169.254", AddressClass.PRIVATE),
        ("100.64.0.1", AddressClass.PRIVATE),
        ("192.168.1.1", AddressClass.PRIVATE),
        ("::ffff:10.0.0.1", AddressClass.PRIVATE),
        ("fe80::1%eth0", AddressClass.PRIVATE),
        ("fd00::1", AddressClass.PRIVATE),
        ("224.0.0.1", AddressClass.PRIVATE),
        ("router", AddressClass.PRIVATE),
        ("metadata.google.internal", AddressClass.PRIVATE),
        ("printer.local", AddressClass.PRIVATE),
        ("999.1.1.1", AddressClass.LOCAL),  # no address at all, and no name either
    ],
)
def test_class_of_a_host(host: str, expected: AddressClass) -> None:
    """By what is written, in every way that a browser would read as an address."""

    assert expected is class_of_host(host)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_public_name_that_resolves_to_this_machine_gets_nothing(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is closed before one byte is written, TLS included: a name is judged by where it really leads."""

    real = socket.getaddrinfo

    def look_up(host: Any, *more: Any, **others: Any) -> Any:
        return real(address if host in ("far.example.com", b"far.example.com") else host, *more, **others)

    async with raw_server(respond_with(http_response("200 OK"))) as seen:
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        url = f"https://far.example.com:{seen.port}/"
        on_reached: list[AddressClass] = []
        reply = await bare_wire().send(
            Request("GET", url, nearest_allowed=AddressClass.PUBLIC), limit=3, on_reached=on_reached.append
        )

    assert isinstance(reply, Fault)
    assert not reply.sent
    if address == "127.0.0.1":  # the server of this test does not listen on the other one
        assert "far.example.com is on this computer, but the server that named it isn't" in reply.summary
        assert "request" == reply.kind
    assert b"" == seen.received
    assert [] == on_reached


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"])
async def test_this_machine_inside_another_address_gets_nothing(host: str) -> None:
    """An IPv4-mapped address does reach it; no connection is made to any of them."""

    async with raw_server(respond_with(http_response("200 OK"))) as seen:
        url = f"https://{host}:{seen.port}/"
        reply = await bare_wire().send(Request("GET", url, nearest_allowed=AddressClass.PUBLIC), limit=3)

    assert isinstance(reply, Fault)
    assert not reply.sent
    assert (0, b"") == (seen.connections, seen.received)


async def test_a_near_literal_is_not_connected_to() -> None:
    """And a request that may go anywhere goes there, and tells how near it was."""

    async with raw_server(respond_with(http_response("200 OK"))) as seen:
        url = f"http://127.0.0.1:{seen.port}/"
        refused = await bare_wire().send(Request("GET", url, nearest_allowed=AddressClass.PRIVATE), limit=3)
        assert 0 == seen.connections
        on_reached: list[AddressClass] = []
        answer = await bare_wire().send(Request("GET", url), limit=3, on_reached=on_reached.append)

    assert isinstance(refused, Fault)
    assert isinstance(answer, Answer)
    assert [AddressClass.LOCAL] == on_reached


async def test_head_only_does_not_wait_for_the_body() -> None:
    """Whoever only wants to know who answers does not wait for an event stream to end."""

    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n"

    async def stream(reader: Any, writer: Any, seen: Any) -> None:
        await seen.request(reader)
        writer.write(head)
        while await seen.read(reader):
            pass

    async with raw_server(stream) as seen:
        answer = await bare_wire().send(Request("GET", f"http://127.0.0.1:{seen.port}/", head_only=True), limit=3)

    assert isinstance(answer, Answer)
    assert (200, b"") == (answer.status, answer.body)
