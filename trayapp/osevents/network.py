"""What counts as a change of the network: two pictures compared, one boolean per reason, one verdict.

Pure values, the same for every system and backend. A picture holds what a request would notice: the way out, the global
addresses, the resolver. What the reader of a picture leaves out (loopback, containers, link-local and temporary
addresses) cannot make a change, so that a starting container wakes nobody up.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

NOISE = ("docker", "veth", "br-", "virbr", "vnet", "vboxnet", "vmnet", "cni", "flannel", "cali", "lxc", "lxd", "podman")


@dataclass(frozen=True, slots=True)
class NetworkSnapshot:
    """The network at one instant; every tuple is sorted. An address is written `interface address/prefix`."""

    ways4: tuple[str, ...] = ()  # "interface gateway" of the IPv4 default routes
    ways6: tuple[str, ...] = ()
    addresses4: tuple[str, ...] = ()
    addresses6: tuple[str, ...] = ()
    resolver: str = ""  # what identifies the resolver's configuration

    @property
    def has4(self) -> bool:
        """IPv4 leads out of this machine."""
        return bool(self.ways4 and self.addresses4)

    @property
    def has6(self) -> bool:
        """IPv6 leads out of this machine."""
        return bool(self.ways6 and self.addresses6)

    @property
    def offline(self) -> bool:
        """No default route, or no global address (M10): the kernel's word, whatever a network manager thinks."""
        return not (self.has4 or self.has6)

    def digest(self) -> str:
        """12 hex digits that are equal exactly when nothing changed, and tell no address to a log."""
        text = repr([getattr(self, field.name) for field in fields(self)])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class NetworkDelta:
    """One boolean per reason."""

    ipv4: bool  # came or went
    ipv6: bool
    way: bool  # default route: interface or gateway
    addresses: bool
    resolver: bool

    @property
    def matters(self) -> bool:
        """The verdict: connections made before may be dead now, and what failed before may work."""
        return self.ipv4 or self.ipv6 or self.way or self.addresses or self.resolver

    def reasons(self) -> tuple[str, ...]:
        """The reasons in words, for the log."""
        words = {
            "IPv4 came or went": self.ipv4,
            "IPv6 came or went": self.ipv6,
            "default route": self.way,
            "addresses": self.addresses,
            "name servers": self.resolver,
        }
        return tuple(word for word, true in words.items() if true)


def compare(before: NetworkSnapshot, after: NetworkSnapshot) -> NetworkDelta:
    """What is different."""
    return NetworkDelta(
        ipv4=before.has4 != after.has4,
        ipv6=before.has6 != after.has6,
        way=(before.ways4, before.ways6) != (after.ways4, after.ways6),
        addresses=(before.addresses4, before.addresses6) != (after.addresses4, after.addresses6),
        resolver=before.resolver != after.resolver,
    )


def noisy(interface: str) -> bool:
    """An interface whose addresses say nothing about the way out: loopback, containers, virtual machines."""
    return interface == "lo" or interface.startswith(NOISE)
