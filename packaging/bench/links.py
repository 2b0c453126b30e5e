"""Bad networks for recovery.py: a link that delays and loses packets, and a DNS server that comes later than the link.

The link is a pair of TUN devices with a thread between them, as many kernels have no `netem`. Both need root in their
network namespace.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

LATENCY = 0.3  # s there and back
LOSS = 0.02  # of the packets, in each direction
SEED = 16  # of the losses, so that two runs are alike
PACKET = 65536
TUNSETIFF, TUNSETCARRIER = 0x400454CA, 0x400454E2
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def ip(command: str) -> None:
    """Run an `ip` command in this namespace."""
    subprocess.run(["ip", *command.split()], check=True)


def until_up(device: str) -> None:
    """Wait until the kernel reports the carrier, which may be a second after it is there."""
    for _ in range(100):
        shown = subprocess.run(["ip", "-o", "link", "show", device], check=True, capture_output=True, text=True).stdout
        if "state UP" in shown or "state UNKNOWN" in shown:  # a tun device knows no state
            return
        time.sleep(0.05)
    raise SystemExit(f"{device} has no carrier")


class GoodLink:
    """A veth pair: `amber1` here, `amber0` in the network namespace of `pid`."""

    def __init__(self, pid: int) -> None:
        ip(f"link add amber1 type veth peer name amber0 netns {pid}")

    def plug(self) -> None:
        """Give the other end a carrier."""
        ip("link set amber1 up")

    def pull(self) -> None:
        """Take the carrier away."""
        ip("link set amber1 down")

    def close(self) -> None:
        ip("link del amber1")


class SlowLink:
    """The same with TUN devices, whose packets arrive `LATENCY / 2` later, or not at all."""

    def __init__(self, pid: int) -> None:
        self._ends = [_tun("amber0"), _tun("amber1")]
        ip(f"link set amber0 netns {pid}")
        ip("link set amber1 up")
        self._ended = threading.Event()
        self._relay = threading.Thread(target=self._run, name="relay", daemon=True)
        self._relay.start()

    def plug(self) -> None:
        self._carrier(1)

    def pull(self) -> None:
        self._carrier(0)

    def close(self) -> None:
        self._ended.set()
        self._relay.join()
        for end in self._ends:
            os.close(end)

    def _carrier(self, on: int) -> None:
        fcntl.ioctl(self._ends[0], TUNSETCARRIER, struct.pack("i", on))

    def _run(self) -> None:
        dice = random.Random(SEED)
        there = dict(zip(self._ends, reversed(self._ends), strict=True))
        late: list[tuple[float, int, bytes]] = []
        while not self._ended.is_set():
            wait = late[0][0] - time.monotonic() if late else 0.1
            for end in select.select(self._ends, [], [], max(0.0, min(wait, 0.1)))[0]:
                packet = os.read(end, PACKET)
                if dice.random() >= LOSS:
                    heapq.heappush(late, (time.monotonic() + LATENCY / 2, there[end], packet))
            while late and late[0][0] <= time.monotonic():
                _, end, packet = heapq.heappop(late)
                with suppress(OSError):  # the end is down: lost
                    os.write(end, packet)


def _tun(name: str) -> int:
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    return end


class Names:
    """A DNS server on `host` that knows every name as an IPv4 address, `host`, and can be silent for some time."""

    def __init__(self, host: str) -> None:
        self._address = socket.inet_aton(host)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 53))
        self.silent_until = 0.0  # on the monotonic clock
        threading.Thread(target=self._run, name="dns", daemon=True).start()

    def close(self) -> None:
        """Its thread ends with the process: closing does not wake a thread that reads from a UDP socket."""
        self._socket.close()

    def _run(self) -> None:
        while True:
            try:
                query, asker = self._socket.recvfrom(PACKET)
            except OSError:
                return
            if time.monotonic() >= self.silent_until:
                with suppress(OSError):  # no way back: lost
                    self._socket.sendto(self._answer(query), asker)

    def _answer(self, query: bytes) -> bytes:
        """An `A` record for a question about one, an empty answer for others; not to be cached (RFC 1035 section 4)."""
        end = query.index(b"\0", 12) + 5
        found = query[end - 4 : end] == b"\0\1\0\1"
        record = struct.pack("!HHHIH", 0xC00C, 1, 1, 0, 4) + self._address if found else b""
        return query[:2] + struct.pack("!5H", 0x8180, 1, int(found), 0, 0) + query[12:end] + record


def ask_only(server: str, directory: Path) -> None:
    """Make this process's own mount namespace look names up at this server and nowhere else, without a cache."""
    for name, text in (("resolv.conf", f"nameserver {server}\n"), ("nsswitch.conf", "hosts: files dns\n")):
        (directory / name).write_text(text)
        subprocess.run(["mount", "--bind", directory / name, f"/etc/{name}"], check=True)
    if Path("/run/nscd").exists():
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/nscd"], check=True)
