"""The idle cost of Amberlight: wake-ups and processor time of `amberlight run` on a headless desktop.

    .venv/bin/python packaging/bench/idle.py [--seconds 60] [--rounds 1] [--workloads 10] [--toolhive 0] [--json]

The desktop is that of the desktop tests: panel, notifications, gnome-keyring, and a system bus with mocked logind and
NetworkManager, so that every native source is live. Ten workloads on loopback are signed in with tokens that last a day.
A wake-up is a voluntary context switch of any thread (/proc/PID/task/*/status); processor time is the scheduler's
(schedstat). Both are counted over a minute that begins after everything was used once and has settled.

`--toolhive` adds that many workloads of ToolHive's: its files, and a process of its name. Half of them are amber.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

BUDGET = {"wake_ups_per_minute": 3.0, "cpu_ms_per_minute": 5.0}
SETTLE = 20.0  # s after the last workload is green
LIFE = 86400.0  # s

CONFIG = """
[workloads.w{number}]
url = "http://127.0.0.1:9/mcp"
authorization_endpoint = "{server.authorization_endpoint}"
token_endpoint = "{server.token_endpoint}"
client_id = "{server.client_id}"
scopes = ["mail"]
"""


def threads(pid: int) -> dict[str, tuple[int, float]]:
    """For each thread: voluntary context switches so far, and milliseconds of processor time."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)
        spent = int((task / "schedstat").read_text().split()[0]) / 1e6
        found[f"{status['Name']} {task.name}"] = (int(status["voluntary_ctxt_switches"]), spent)
    return found


def measure(pid: int, seconds: float) -> dict[str, Any]:
    """What `seconds` add to both counts, scaled to a minute."""
    before, began = threads(pid), time.monotonic()
    time.sleep(seconds)
    after, minutes = threads(pid), (time.monotonic() - began) / 60.0
    each = {
        name: (after[name][0] - before.get(name, (0, 0.0))[0], after[name][1] - before.get(name, (0, 0.0))[1])
        for name in after
    }
    return {
        "wake_ups_per_minute": round(sum(switches for switches, _ in each.values()) / minutes, 2),
        "cpu_ms_per_minute": round(sum(spent for _, spent in each.values()) / minutes, 2),
        "threads": {name: [switches, round(spent, 2)] for name, (switches, spent) in each.items() if switches or spent},
    }


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--settle", type=float, default=SETTLE)
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--workloads", type=int, default=10)
    options.add_argument("--toolhive", type=int, default=0)
    options.add_argument("--no-tray", action="store_true")
    options.add_argument("--json", action="store_true")
    options.add_argument("--quick", action="store_true", help="ten seconds")
    given = options.parse_args()
    if given.quick:
        given.seconds, given.settle = 10.0, 5.0
    found = run_app(given)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    others = f" and {given.toolhive} of ToolHive's" if given.toolhive else ""
    print(f"live: {', '.join(found['sources'])}; {given.workloads} workloads{others}, {given.seconds:.0f} s each")
    for each in found["rounds"]:
        print(
            f"{each['wake_ups_per_minute']:>7} wake-ups/min (budget {BUDGET['wake_ups_per_minute']:.0f})"
            f"{each['cpu_ms_per_minute']:>9} ms CPU/min (budget {BUDGET['cpu_ms_per_minute']:.0f})   {each['threads']}"
        )


def run_app(given: argparse.Namespace) -> dict[str, Any]:
    """One run of the app, measured several times."""
    from tests.desktop.desk import Desk
    from tests.desktop.program import Program
    from trayapp.oauthtest import OAuthServer

    with (
        Desk(system_bus=True) as desk,
        tempfile.TemporaryDirectory(prefix="amberlight-bench-") as root,
        OAuthServer(access_token_lifetime=LIFE, check=False) as server,
    ):
        program = Program(desk, Path(root), server, *(["--no-tray"] if given.no_tray else []))
        program.configure(
            "[settings]\nport = 0\n" + "".join(CONFIG.format(number=n, server=server) for n in range(given.workloads))
        )
        sign_in(desk, program, server, given.workloads)
        with beside_toolhive(Path(root), given.toolhive), program:
            for number in range(given.workloads):
                until(lambda number=number: program.client().status(f"w{number}")["auth"]["detail"] == "ok")
            until(lambda: len(program.client().external()[0]) == given.toolhive)
            sources = program.client().status("w0")["sources"]
            time.sleep(given.settle)
            return {"sources": sources, "rounds": [measure(program.pid, given.seconds) for _ in range(given.rounds)]}


@contextmanager
def beside_toolhive(root: Path, workloads: int) -> Iterator[None]:
    """Files and a process as ToolHive would have them."""
    if not workloads:
        yield
        return
    from tests.external.tree import Tree

    program = shutil.copy(shutil.which("sleep") or "sleep", root / "thv")
    process = subprocess.Popen([program, "100000"])
    tree = Tree(root)
    try:
        for number in range(workloads):
            tree.add(f"t{number}", "auth_retrying" if number % 2 else "running", process.pid)
        yield
    finally:
        process.terminate()
        process.wait()


def sign_in(desk: Any, program: Any, server: Any, workloads: int) -> None:
    """Store a login for every workload, in a child process, as the environment selects the keyring."""
    grants = [server.issue(scope="mail").refresh_token for _ in range(workloads)]
    subprocess.run(
        [sys.executable, "-c", CHILD],
        cwd=ROOT,
        env={**desk.env, "PYTHONPATH": str(ROOT)},
        input=json.dumps([program.install, server.token_endpoint, server.client_id, grants]),
        text=True,
        check=True,
    )


CHILD = """
import asyncio, json, sys, time
from trayapp.core.model import Login, Secret
from trayapp.vault.keystore import Keystore

async def main():
    install, endpoint, client, tokens = json.load(sys.stdin)
    keystore = Keystore(install)
    for number, token in enumerate(tokens):
        login = Login(1, f"line-{number}", Secret(token), time.time(), endpoint, client, scope="mail")
        assert await keystore.store(f"w{number}", login) is None
    await keystore.close()

asyncio.run(main())
"""


def until(holds: Any, limit: float = 60.0) -> None:
    """Wait until the condition holds, at most `limit` seconds."""
    end = time.monotonic() + limit
    while not holds():
        if time.monotonic() > end:
            raise SystemExit("the workloads did not become green in time")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
