"""The cost of each dependency: import time and memory, against a bare Python in the same run.

    .venv/bin/python packaging/bench/imports.py [--rounds 5] [--json]

Each figure is the median of fresh processes. `ms` is the import alone; `PSS` and `USS` are megabytes of the whole
process after it, minus those of a bare Python in this run. Times drift with the machine: compare them with the first row,
`asyncio`, not with those of another day. Packages share parts (ssl, cryptography), so the rows do not add up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

STATEMENTS = {
    "asyncio": "import asyncio",
    "aiohttp": "import aiohttp.web",
    "httpx2": "import httpx2",
    "authlib": "import authlib.oauth2.client",
    "keyring": "import keyring; keyring.get_keyring()",
    "mcp": "import mcp.server.lowlevel, mcp.client.streamable_http, uvicorn",
    "dbus-fast": "import dbus_fast.aio",
    "pillow": "import PIL.Image",
    "pystray": "import os; os.environ['PYSTRAY_BACKEND'] = 'dummy'; import pystray",
    "desktop-notifier": "import desktop_notifier",
    "platformdirs": "import platformdirs",
    "filelock": "import filelock",
    "tomlkit": "import tomlkit",
}

CHILD = """
import sys, time
began = time.perf_counter()
{statement}
took = (time.perf_counter() - began) * 1000
memory = dict(line.split(":") for line in open("/proc/self/smaps_rollup") if ":" in line and "-" not in line)
kb = lambda *names: sum(int(memory[name].split()[0]) for name in names)
print(took, kb("Pss") / 1024, kb("Private_Clean", "Private_Dirty") / 1024)
"""


def once(statement: str) -> tuple[float, float, float]:
    """Milliseconds, PSS and USS in megabytes of one fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(statement=statement)], capture_output=True, text=True, check=True
    )
    took, pss, uss = (float(word) for word in done.stdout.split())
    return took, pss, uss


def median(statement: str, rounds: int) -> tuple[float, float, float]:
    """The median of each figure."""
    once(statement)  # so that compiled files exist and the disk cache is warm
    runs = [once(statement) for _ in range(rounds)]
    took, pss, uss = (statistics.median(column) for column in zip(*runs, strict=True))
    return took, pss, uss


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--json", action="store_true")
    options.add_argument("--quick", action="store_true", help="one round")
    given = options.parse_args()
    if given.quick:
        given.rounds = 1
    _, pss, uss = median("pass", given.rounds)
    found = {}
    for name, statement in STATEMENTS.items():
        took, its_pss, its_uss = median(statement, given.rounds)
        found[name] = {"ms": round(took, 1), "pss_mb": round(its_pss - pss, 1), "uss_mb": round(its_uss - uss, 1)}
    base = found["asyncio"]["ms"]
    if given.json:
        print(json.dumps({"bare": {"pss_mb": round(pss, 1), "uss_mb": round(uss, 1)}, **found}, indent=2))
        return
    print(f"bare Python {sys.version.split()[0]}: PSS {pss:.1f} MB, USS {uss:.1f} MB")
    print(f"{'package':<18}{'ms':>8}{'x asyncio':>11}{'PSS MB':>9}{'USS MB':>9}")
    for name, row in found.items():
        print(f"{name:<18}{row['ms']:>8.1f}{row['ms'] / base:>11.2f}{row['pss_mb']:>9.1f}{row['uss_mb']:>9.1f}")


if __name__ == "__main__":
    main()
