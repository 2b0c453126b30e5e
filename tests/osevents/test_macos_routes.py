"""The routing socket of macOS without a Mac: recorded messages in, `NetworkChangeHint` out."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys

import pytest

from tests.osevents.listening import Heard, listening, until
from trayapp.osevents.events import NetworkChangeHint
from trayapp.osevents.macos import MacNetwork, interface_name
from trayapp.osevents.macos_routes import reports_change

UP, GATEWAY, HOST, STATIC, LLINFO, WASCLONED = 0x1, 0x2, 0x4, 0x800, 0x400, 0x20000
NAMES = {1: "lo0", 4: "en0", 9: "awdl0", 10: "llw0", 12: "ipsec0"}
selector = pytest.mark.skipif(sys.platform == "win32", reason="the loop of Windows watches no socket of ours")


def inet(address: str) -> bytes:
    """sockaddr_in"""
    return struct.pack("<BBH4s8x", 16, 2, 0, socket.inet_aton(address))


def inet6(address: str) -> bytes:
    """sockaddr_in6"""
    return struct.pack("<BBHI16sI", 28, 30, 0, 0, socket.inet_pton(socket.AF_INET6, address), 0)


def link(name: str) -> bytes:
    """sockaddr_dl, padded to 20 bytes"""
    return struct.pack("<BBHBBBB12s", 20, 18, 4, 6, len(name), 0, 0, name.encode())


def route(kind: int, destination: bytes, flags: int = UP | GATEWAY | STATIC, index: int = 4) -> bytes:
    """rt_msghdr with destination, gateway and an empty netmask"""
    body = destination + inet("192.168.1.1") + bytes(4)
    head = struct.pack("<HBBHHiiiiiii", 92 + len(body), 5, kind, index, 0, flags, 0x7, 1, 0, 0, 0, 0) + bytes(4 + 52)
    assert len(head) == 92
    return head + body


def address(kind: int, name: str, held: bytes, index: int = 4) -> bytes:
    """ifa_msghdr with netmask, interface and address"""
    body = bytes(4) + (link(name) if name else b"") + held
    return struct.pack("<HBBiiHHi", 20 + len(body), 5, kind, 0x34 if name else 0x24, 0, index, 0, 0) + body


def interface(index: int, kind: int = 0xE) -> bytes:
    """if_msghdr with its if_data, and no address"""
    return struct.pack("<HBBiiHH", 112, 5, kind, 0, 0x8863, index, 0) + bytes(96)


DEFAULT = inet("0.0.0.0")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(route(0x1, DEFAULT), id="a default route comes"),
        pytest.param(route(0x2, DEFAULT), id="a default route goes"),
        pytest.param(route(0x3, inet6("::")), id="an IPv6 default route changes"),
        pytest.param(route(0x1, DEFAULT, index=12), id="a VPN through ipsec0 takes the traffic"),
        pytest.param(address(0xC, "en0", inet("192.168.1.7")), id="a new address"),
        pytest.param(address(0xD, "en0", inet6("2001:db8::7")), id="a lost address"),
        pytest.param(address(0xD, "", inet("192.168.1.7"), index=99), id="of an interface that is gone already"),
        pytest.param(interface(4), id="Wi-Fi is switched on or off"),
        pytest.param(interface(4, 0x12), id="the same in the newer form"),
        pytest.param(interface(1) + route(0x1, DEFAULT), id="after noise in the same read"),
        pytest.param(b"\x05", id="less than a header"),
        pytest.param(struct.pack("<HBB", 4, 6, 0xF), id="another version of the format"),
        pytest.param(struct.pack("<HBB", 0, 5, 0xF), id="no length: it would never end"),
        pytest.param(struct.pack("<HBB", 400, 5, 0xF), id="cut off"),
        pytest.param(struct.pack("<HBB", 4, 5, 0x1), id="a route without its header"),
        pytest.param(route(0x1, b"")[:92], id="a route without an address"),
    ],
)
def test_changes_are_reported(message: bytes) -> None:
    """Changes of routes, addresses and links count, and so does whatever cannot be parsed."""

    assert reports_change(message, lambda index: NAMES.get(index, ""))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(route(0x4, DEFAULT), id="somebody asked for a route"),
        pytest.param(route(0x7, inet("192.0.2.1")), id="a lookup missed"),
        pytest.param(route(0x14, DEFAULT), id="the answer in the newer form"),
        pytest.param(route(0x1, inet("192.168.1.50"), UP | HOST | LLINFO), id="a neighbour"),
        pytest.param(route(0x2, inet("192.0.2.80"), UP | GATEWAY | HOST | WASCLONED), id="a host somebody talks to"),
        pytest.param(route(0x1, inet6("fe80::1")), id="a link-local IPv6 route"),
        pytest.param(route(0x1, inet("169.254.0.0")), id="a link-local IPv4 route"),
        pytest.param(route(0x1, inet("224.0.0.251")), id="multicast"),
        pytest.param(route(0x1, inet6("ff02::fb")), id="IPv6 multicast"),
        pytest.param(struct.pack("<HBBiiHH", 16, 5, 0xF, 0, 0, 4, 0), id="a group is joined"),
        pytest.param(struct.pack("<HBBiiHH", 16, 5, 0x13, 0, 0, 4, 0), id="the same in the newer form"),
        pytest.param(address(0xC, "en0", inet6("fe80::1")), id="a link-local address"),
        pytest.param(address(0xC, "awdl0", inet6("2001:db8::7"), index=9), id="AirDrop"),
        pytest.param(address(0xC, "", inet("10.0.0.1"), index=12), id="a tunnel, named by its index only"),
        pytest.param(interface(9) + interface(10) + interface(1), id="links that lead nowhere"),
    ],
)
def test_chatter_is_ignored(message: bytes) -> None:
    """The messages of a Mac on an unchanged network make no hint."""

    assert not reports_change(message, lambda index: NAMES.get(index, ""))


@selector
async def test_a_burst_in_the_socket_is_one_event() -> None:
    """Everything that one read brings is one `NetworkChangeHint`; chatter alone is none."""

    ours, kernel = socket.socketpair()
    with kernel:
        async with listening(MacNetwork(lambda: ours, lambda index: NAMES.get(index, ""))) as heard:
            kernel.send(interface(9))
            for _ in range(5):
                kernel.send(route(0x1, DEFAULT))

            assert [NetworkChangeHint()] == await heard.until(1)

            kernel.send(interface(9))
            kernel.send(address(0xC, "en0", inet("192.168.1.7")))

            assert [NetworkChangeHint()] * 2 == await heard.until(2)
            kernel.send(interface(9))
            await asyncio.sleep(0.02)
            assert [NetworkChangeHint()] * 2 == heard.events
        assert ours.fileno() == -1


class FailingSocket(socket.socket):
    """A socket whose reads fail with these errno codes, once each."""

    def __init__(self, fileno: int, fails: list[int]) -> None:
        super().__init__(fileno=fileno)
        self.fails = fails

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if self.fails:
            super().recv(size)
            code = self.fails.pop(0)
            raise OSError(code, os.strerror(code))
        return super().recv(size)


@selector
async def test_lost_messages_are_a_change_and_a_broken_socket_an_end() -> None:
    """ENOBUFS is a buffer overflow; any other error ends the source, and polling continues."""

    ours, kernel = socket.socketpair()
    source = MacNetwork(lambda: FailingSocket(ours.detach(), [errno.ENOBUFS, errno.ENETDOWN]))
    heard = Heard()
    with kernel:
        running = asyncio.create_task(source.run(heard))
        await until(lambda: source.live)
        kernel.send(interface(9))
        await until(lambda: heard.events == [NetworkChangeHint()])
        kernel.send(interface(9))
        with pytest.raises(OSError, match="down"):
            await asyncio.wait_for(running, 2.0)

    assert not source.live


def test_an_interface_that_is_gone_has_no_name() -> None:
    """A message may name an interface that no longer exists."""

    assert interface_name(0x7FFFFF) == ""


@selector
async def test_a_socket_that_closes_is_an_end() -> None:
    """Otherwise empty reads would repeat for ever."""

    ours, kernel = socket.socketpair()
    kernel.close()
    with pytest.raises(OSError, match="closed"):
        await asyncio.wait_for(MacNetwork(lambda: ours).run(Heard()), 2.0)
