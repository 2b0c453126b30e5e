"""Network changes: compare two snapshots, one boolean per reason, one verdict.

Pure values, the same for every system and source. A snapshot holds what a request would notice: default routes, global
addresses, the resolver. What its reader leaves out (loopback, containers, link-local and temporary addresses) cannot
count as a change, so that a starting container causes no refresh.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

NOISE_PREFIXES = (
    "docker",
    "veth",
    "br-",
    "virbr",
    "vnet",
    "vboxnet",
    "vmnet",
    "cni",
    "flannel",
    "cali",
    "lxc",
    "lxd",
    "podman",
)


@dataclass(frozen=True, slots=True)
class NetworkSnapshot:
    """The network at one instant; every tuple is sorted. An address is written `interface address/prefix`."""

    routes4: tuple[str, ...] = ()  # "interface gateway" of the IPv4 default routes
    routes6: tuple[str, ...] = ()
    addresses4: tuple[str, ...] = ()
    addresses6: tuple[str, ...] = ()
    resolver: str = ""  # what identifies the resolver's configuration

    @property
    def has4(self) -> bool:
        """Whether IPv4 leads out of this machine."""
        return bool(self.routes4 and self.addresses4)

    @property
    def has6(self) -> bool:
        """Whether IPv6 leads out of this machine."""
        return bool(self.routes6 and self.addresses6)

    @property
    def offline(self) -> bool:
        """No family has both a default route and a global address (M10): the kernel decides, not a network manager."""
        return not (self.has4 or self.has6)

    def digest(self) -> str:
        """12 hex digits, equal exactly when nothing changed. They keep addresses out of the log."""
        text = repr([getattr(self, field.name) for field in fields(self)])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class NetworkDelta:
    """What differs between two snapshots, one boolean per reason."""

    ipv4: bool  # came or went
    ipv6: bool
    default_route: bool  # its interface or gateway
    addresses: bool
    resolver: bool

    @property
    def matters(self) -> bool:
        """The verdict: connections made before may be dead now, and what failed before may work."""
        return self.ipv4 or self.ipv6 or self.default_route or self.addresses or self.resolver

    def reasons(self) -> tuple[str, ...]:
        """The reasons in words, for the log."""
        words = {
            "IPv4 came or went": self.ipv4,
            "IPv6 came or went": self.ipv6,
            "default route": self.default_route,
            "addresses": self.addresses,
            "name servers": self.resolver,
        }
        return tuple(word for word, true in words.items() if true)


def compare(before: NetworkSnapshot, after: NetworkSnapshot) -> NetworkDelta:
    """What differs from `before` to `after`."""
    return NetworkDelta(
        ipv4=before.has4 != after.has4,
        ipv6=before.has6 != after.has6,
        default_route=(before.routes4, before.routes6) != (after.routes4, after.routes6),
        addresses=(before.addresses4, before.addresses6) != (after.addresses4, after.addresses6),
        resolver=before.resolver != after.resolver,
    )


def is_noise(interface: str) -> bool:
    """Whether an interface is loopback or belongs to containers or virtual machines: its addresses lead nowhere."""
    return interface == "lo" or interface.startswith(NOISE_PREFIXES)
