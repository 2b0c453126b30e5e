"""Comparing network snapshots, and reading one from the tables of Linux."""

from __future__ import annotations

import socket
import struct
from dataclasses import replace

import pytest

from trayapp.osevents import linux_snapshot as linux
from trayapp.osevents import socket_snapshot
from trayapp.osevents.network import NetworkSnapshot, compare, is_noise

WIFI = NetworkSnapshot(
    routes4=("wlan0 192.168.1.1",),
    routes6=("wlan0 fe80::1",),
    addresses4=("wlan0 192.168.1.23/24",),
    addresses6=("wlan0 2001:db8:1::23/64",),
    resolver="aaaa",
)

# --- the verdict -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "reasons"),
    [
        (WIFI, ()),
        (replace(WIFI, routes4=("wlan0 10.0.0.1",)), ("default route",)),
        (replace(WIFI, addresses4=("tun0 10.8.0.2/24", "wlan0 192.168.1.23/24")), ("addresses",)),
        (replace(WIFI, resolver="bbbb"), ("name servers",)),
        (replace(WIFI, routes6=(), addresses6=()), ("IPv6 came or went", "default route", "addresses")),
        (replace(WIFI, addresses4=()), ("IPv4 came or went", "addresses")),
        (NetworkSnapshot(), ("IPv4 came or went", "IPv6 came or went", "default route", "addresses", "name servers")),
    ],
)
def test_reasons_of_a_change(later: NetworkSnapshot, reasons: tuple[str, ...]) -> None:
    """Each difference is a separate reason, and any of them is a change."""

    delta = compare(WIFI, later)

    assert delta.reasons() == reasons
    assert delta.matters is bool(reasons)


@pytest.mark.parametrize(
    ("snapshot", "offline"),
    [
        (WIFI, False),
        (replace(WIFI, routes4=(), addresses4=()), False),
        (replace(WIFI, routes6=()), False),
        (replace(WIFI, routes4=(), routes6=()), True),
        (replace(WIFI, addresses4=(), addresses6=()), True),
        (replace(WIFI, routes4=(), addresses6=()), True),
        (NetworkSnapshot(), True),
    ],
)
def test_offline_is_no_route_or_no_address(snapshot: NetworkSnapshot, offline: bool) -> None:
    """One family with route and address is enough; a route of one and an address of the other are not."""

    assert snapshot.offline is offline


def test_a_digest_names_the_state() -> None:
    """It is equal for equal snapshots only; which family a route belongs to makes a difference."""

    assert WIFI.digest() == replace(WIFI).digest()
    assert WIFI.digest() != replace(WIFI, resolver="bbbb").digest()
    assert NetworkSnapshot(routes4=("a",)).digest() != NetworkSnapshot(routes6=("a",)).digest()
    assert len(WIFI.digest()) == 12


@pytest.mark.parametrize("interface", ["lo", "docker0", "veth12ab", "br-0c1d", "virbr0"])
def test_containers_are_noise(interface: str) -> None:
    """Interfaces of loopback, containers and virtual machines lead nowhere."""

    assert is_noise(interface)


@pytest.mark.parametrize("interface", ["eth0", "wlp3s0", "br0", "tun0", "wg0", "lowpan0"])
def test_real_links_are_not_noise(interface: str) -> None:
    """Nor is a VPN, an administrator's bridge, or a name that only begins with `lo`."""

    assert not is_noise(interface)


# --- recorded texts --------------------------------------------------------------------------------------------------

ROUTE = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
wlan0\t0001A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""
VPN_HALVES = """\
tun0\t00000000\t0100080A\t0003\t0\t0\t50\t00000080\t0\t0\t0
tun0\t00000080\t0100080A\t0003\t0\t0\t50\t00000080\t0\t0\t0
"""
BLACKHOLE = "*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n"


def test_default_routes_of_ipv4() -> None:
    """A subnet route is no default route, nor is a blackhole; two halves of the address space are."""

    assert linux.default_routes4(ROUTE) == [("wlan0", "192.168.1.1")]
    assert linux.default_routes4(ROUTE + VPN_HALVES) == [("tun0", "10.8.0.1"), ("wlan0", "192.168.1.1")]
    assert linux.default_routes4(ROUTE.splitlines()[0] + "\n" + BLACKHOLE) == []
    assert linux.default_routes4("") == linux.default_routes4("Iface\nhalf a line\n") == []


ANY = "0" * 32
ROUTE6 = "\n".join(
    [
        f"20010db8000100000000000000000000 40 {ANY} 00 {ANY} 00000258 00000001 00000000 00000001    wlan0",
        f"fe800000000000000000000000000000 40 {ANY} 00 {ANY} 00000400 00000001 00000000 00000001    wlan0",
        f"{ANY} 00 {ANY} 00 fe800000000000000000000000000001 00000258 00000002 00000000 00450003    wlan0",
        f"ff000000000000000000000000000000 08 {ANY} 00 {ANY} 00000100 00000003 00000000 00000001    wlan0",
        f"{ANY} 00 {ANY} 00 {ANY} ffffffff 00000001 00000000 00200200       lo",
        "",
    ]
)


def test_default_routes_of_ipv6() -> None:
    """The kernel's unreachable default route on `lo` does not count."""

    assert linux.default_routes6(ROUTE6) == [("wlan0", "fe80::1")]
    assert linux.default_routes6("\n".join(line for line in ROUTE6.splitlines() if "wlan0" not in line)) == []
    assert linux.default_routes6("half a line") == []


INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000100000000000000000023 03 40 00 80    wlan0
20010db80001000083aa4f1d00112233 03 40 00 01    wlan0
20010db800010000000000000000dead 03 40 00 20    wlan0
20010db800010000000000000000beef 03 40 00 40    wlan0
fe80000000000000021122fffe334455 03 40 20 80    wlan0
fd000000000000000000000000000005 04 40 00 80  docker0
fd000000000000000000000000000006 05 40 00 80    tun0
"""


def test_addresses_of_ipv6() -> None:
    """Only global, lasting addresses count: none that is temporary, deprecated, unchecked, link-local or a container's."""

    assert linux.addresses6(INET6) == ["tun0 fd00::6/64", "wlan0 2001:db8:1::23/64"]
    assert "docker0 fd00::5/64" in linux.addresses6(INET6, ["docker0"])
    assert linux.addresses6("half a line") == []


def message(address: str, index: int = 2, *, prefix: int = 24, scope: int = 0, peer: str = "") -> bytes:
    """A payload of RTM_NEWADDR as in rtnetlink(7)."""
    parts = struct.pack("=BBBBI", socket.AF_INET, prefix, 0x80, scope, index)
    parts += struct.pack("=HH4s", 8, 1, socket.inet_aton(peer or address))
    parts += struct.pack("=HH4s", 8, 2, socket.inet_aton(address))
    return parts + struct.pack("=HH6sxx", 10, 3, b"wlan0\0")


def test_addresses_of_ipv4() -> None:
    """Loopback, link-local, containers and narrower scopes are left out; a tunnel's own end is taken, not its peer's."""

    found = linux.addresses4(
        [
            ("lo", message("127.0.0.1", prefix=8, scope=254)),
            ("wlan0", message("192.168.1.23")),
            ("wlan0", message("169.254.7.8", prefix=16)),
            ("eth0", message("10.1.1.1", scope=253)),
            ("docker0", message("172.17.0.1", prefix=16)),
            ("tun0", message("10.8.0.2", prefix=32, peer="10.8.0.1")),
        ]
    )

    assert found == ["tun0 10.8.0.2/32", "wlan0 192.168.1.23/24"]


def test_an_uplink_is_never_noise() -> None:
    """An interface with a default route counts, whatever it is called."""

    assert linux.addresses4([("veth0", message("10.0.0.2"))]) == []
    assert linux.addresses4([("veth0", message("10.0.0.2"))], ["veth0"]) == ["veth0 10.0.0.2/24"]


@pytest.mark.parametrize(
    ("flags", "carrier"),
    [
        (0x11043, True),  # up, broadcast, running, multicast, lower up
        (0x1003, False),  # the cable is pulled
        (0x11003, False),  # Wi-Fi before authentication: the link is up, but not yet usable
        (0x1002, False),  # switched off
        (0x100D1, True),  # a tunnel: point to point, no ARP
    ],
)
def test_carrier_of_a_link(flags: int, carrier: bool) -> None:
    """An interface has carrier when its link is up and usable (netdevice(7): LOWER_UP and RUNNING)."""

    named = struct.pack("=HH", 9, 3) + b"eth0\0" + b"\0" * 3
    payload = struct.pack("=BxHiII", 0, 1, 7, flags, 0) + named

    assert {7: ("eth0", carrier)} == linux.links([payload])


def test_netlink_messages() -> None:
    """Messages are padded to four bytes; a damaged tail is ignored."""

    first = struct.pack("=IHHII", 19, 20, 0, 1, 0) + b"abc" + b"\0"
    done = struct.pack("=IHHII", 20, 3, 2, 1, 0) + b"\0" * 4

    assert list(linux.messages(first + done)) == [(20, b"abc"), (3, b"\0\0\0\0")]
    assert list(linux.messages(first + done[:10])) == [(20, b"abc")]
    assert list(linux.messages(first + struct.pack("=IHHII", 4, 3, 0, 0, 0))) == [(20, b"abc")]
    assert list(linux.messages(first + struct.pack("=IHHII", 400, 3, 0, 0, 0))) == [(20, b"abc")]


def test_a_damaged_attribute_ends_the_list() -> None:
    """An attribute longer than its message is ignored."""

    payload = struct.pack("=BBBBI", 2, 24, 0, 0, 2) + struct.pack("=HH", 400, 2) + b"abcd"

    assert linux.addresses4([("wlan0", payload)]) == []


def test_the_same_resolver_written_again_is_no_change() -> None:
    """Comments and spaces do not count; another server or another order does."""

    plain = linux.resolver_digest(b"nameserver 10.0.0.1\nsearch a.example\n")

    assert linux.resolver_digest(b"# Generated at 12:00\n\nnameserver   10.0.0.1\n; x\nsearch a.example") == plain
    assert linux.resolver_digest(b"search a.example\nnameserver 10.0.0.1\n") != plain
    assert linux.resolver_digest(b"nameserver 10.0.0.2\nsearch a.example\n") != plain
    assert linux.resolver_digest(b"# nothing\n") == ""


# --- snapshots by sockets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "stays"),
    [
        ("", ""),
        ("127.0.0.1", ""),
        ("0.0.0.0", ""),
        ("169.254.1.2", ""),
        ("192.168.1.23", "192.168.1.23/32"),
        ("::1", ""),
        ("fe80::1%en0", ""),
        ("2001:db8:1:2:83aa:4f1d:11:2233", "2001:db8:1:2::/64"),
    ],
)
def test_the_stable_part_of_an_address(address: str, stays: str) -> None:
    """An IPv6 address counts by its network, as temporary addresses change every day."""

    assert socket_snapshot.stable_prefix(address) == stays


def test_without_a_route_there_is_no_source_address() -> None:
    """Where the kernel has no route the result is empty, not an error."""

    assert socket_snapshot.source_address(socket.AF_INET6, ("not an address", 9)) == ""
    assert socket_snapshot.source_address(socket.AF_INET, ("127.0.0.1", 9)) == "127.0.0.1"


def test_two_snapshots_by_sockets_are_equal() -> None:
    """An unchanged network gives equal snapshots."""

    assert socket_snapshot.read_by_sockets() == socket_snapshot.read_by_sockets()
