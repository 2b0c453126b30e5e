"""A script that asks a real DNS server in a namespace and prints how long each look-up took.

Run by `test_lookups_namespace.py` under `unshare --net --mount`, with the names of cases as arguments.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
import time
from pathlib import Path

from tests import ROOT
from trayapp.system.lookups import Lookups

sys.path.insert(0, str(ROOT / "packaging/bench"))
from links import Names, ask_only, ip

ALIVE, DEAD = "10.77.0.1", "10.77.0.2"


async def silent_at_first(names: Names, configured: Path) -> float:
    """DNS is silent for 1.5 s; glibc alone repeats after 5 s."""
    Lookups(asyncio.get_running_loop())
    names.silent_until = time.monotonic() + 1.5
    return await answered()


async def dead_until_the_network_changes(names: Names, configured: Path) -> float:
    """All look-ups hang at a dead server; then the network changes, and `resolv.conf` with it."""
    lookups = Lookups(asyncio.get_running_loop())
    ask_at(DEAD, configured)
    hanging = asyncio.create_task(answered())
    await asyncio.sleep(2.5)
    assert not hanging.done()
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
    ask_at(ALIVE, configured)
    lookups.network_changed()
    return await answered()


def ask_at(server: str, configured: Path) -> None:
    configured.write_text(f"nameserver {server}\n")


async def answered() -> float:
    begun = time.monotonic()
    found = await asyncio.get_running_loop().getaddrinfo("auth.bench.example", 443, type=socket.SOCK_STREAM)
    assert ALIVE == found[0][4][0]
    return time.monotonic() - begun


def main() -> None:
    ip("link set lo up")
    for address in (ALIVE, DEAD):
        ip(f"address add {address}/32 dev lo")
    names = Names(ALIVE)
    black_hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # takes every question and answers none
    black_hole.bind((DEAD, 53))
    with tempfile.TemporaryDirectory() as directory:
        ask_only(ALIVE, Path(directory))
        for case in (silent_at_first, dead_until_the_network_changes):
            took = asyncio.run(case(names, Path(directory, "resolv.conf")))
            print(json.dumps({"case": case.__name__, "took": took}), flush=True)


if __name__ == "__main__":
    main()
    print(json.dumps({"case": "end", "at": time.time()}), flush=True)
