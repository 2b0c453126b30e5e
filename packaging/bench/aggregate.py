"""The cost of `/mcp`: a tool called through the endpoint over all workloads, against the same call through the proxy.

    .venv/bin/python packaging/bench/aggregate.py [--quick] [--json] [--workloads N]

The official Python client calls `echo` repeatedly, one call at a time in one session, in turns through the proxy
(`/w/NAME`), through `/mcp` with a session like older clients, and through `/mcp` like clients of 2026-07-28. All are
medians of the rounds, in milliseconds; `cost` is the difference from the proxied call, with a budget of 20 ms. The app is
the whole program without its tray, with ten workloads by default. Also measured: the first request, which starts the
aggregate process; listing all tools; the cost in processor time of both processes; and the memory (PSS) of the
aggregate process, and of the app before and after.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

BUDGET = 20.0  # ms
WORDS = "y" * 200

Figures = dict[str, float]


def main() -> None:
    """Measure and print, or run as one of the processes of the benchmark."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="two short rounds")
    options.add_argument("--json", action="store_true")
    options.add_argument("--workloads", type=int, default=10, metavar="N")
    options.add_argument("--role", nargs="+", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.role:
        globals()[given.role[0]](*given.role[1:])
        return
    rounds, calls = (2, 20) if given.quick else (8, 50)
    with tempfile.TemporaryDirectory(prefix="amberlight-bench-") as root:
        found = asyncio.run(measure(Path(root), given.workloads, rounds, calls))
    print(json.dumps(found) if given.json else table(found))


def table(found: Figures) -> str:
    """A readable table with the verdict."""
    lines = [f"{name.replace('_', ' '):34}{value:10.2f}" for name, value in found.items()]
    verdict = "within" if found["cost_ms"] <= BUDGET else "OVER"
    return "\n".join([*lines, f"the cost of a call is {verdict} its budget of {BUDGET:.0f} ms"])


async def measure(root: Path, workloads: int, rounds: int, calls: int) -> Figures:
    """All figures."""
    with process("servers", str(workloads)) as servers, process("app") as app:
        facts = say(servers, {})
        say(app, facts | {"root": str(root)})
        from trayapp.cli.client import ApiClient
        from trayapp.config.paths import Paths

        client = ApiClient.find(Paths.under(root).runtime_dir)
        await until(lambda: all(row["status"] == "running" for row in client.workloads()))
        before = pss(app.pid)
        proxied, all_ = client.client("w0"), client.aggregate()
        began = time.perf_counter()
        async with session(all_) as older:
            started = time.perf_counter() - began
            began = time.perf_counter()
            assert workloads == len((await older.list_tools()).tools)
            first_list = time.perf_counter() - began
            child = child_of(app.pid)
            async with session(proxied) as plain, modern(all_) as newer:
                found, cpu = await rounds_of(
                    rounds,
                    calls,
                    (app.pid, child),
                    proxied=lambda: plain.call_tool("echo", {"message": WORDS}),
                    aggregate=lambda: older.call_tool("w0_echo", {"message": WORDS}),
                    aggregate_2026=lambda: newer.call_tool("w0_echo", {"message": WORDS}),
                    list_all_tools=lambda: older.list_tools(),
                )
        return {
            **{f"{name}_ms": round(value * 1000, 2) for name, value in found.items()},
            "cost_ms": round((found["aggregate"] - found["proxied"]) * 1000, 2),
            "cost_2026_ms": round((found["aggregate_2026"] - found["proxied"]) * 1000, 2),
            "cost_cpu_ms": round((cpu["aggregate"] - cpu["proxied"]) * 1000, 2),
            "cost_2026_cpu_ms": round((cpu["aggregate_2026"] - cpu["proxied"]) * 1000, 2),
            "first_request_ms": round(started * 1000, 1),
            "first_list_ms": round(first_list * 1000, 1),
            "process_pss_mb": pss(child),
            "app_pss_before_mb": before,
            "app_pss_after_mb": pss(app.pid),
        }


async def rounds_of(
    rounds: int, calls: int, pids: tuple[int, ...], **ways: Callable[[], Awaitable[Any]]
) -> tuple[dict[str, float], dict[str, float]]:
    """The median of the rounds' medians, and the processor time of these processes for one call; both in seconds.

    The kinds of call take turns, and the first round only warms up.
    """
    medians: dict[str, list[float]] = {name: [] for name in ways}
    spent = dict.fromkeys(ways, 0.0)
    for number in range(rounds + 1):
        for name, call in ways.items():
            took, before = [], sum(map(cpu_of, pids))
            for _ in range(calls):
                began = time.perf_counter()
                result = await call()
                took.append(time.perf_counter() - began)
                assert not getattr(result, "is_error", False), result
            if number:
                medians[name].append(statistics.median(took))
                spent[name] += sum(map(cpu_of, pids)) - before
    return (
        {name: statistics.median(values) for name, values in medians.items()},
        {name: value / rounds / calls for name, value in spent.items()},
    )


@contextlib.asynccontextmanager
async def session(access: dict[str, Any]) -> AsyncIterator[Any]:
    """A session of the official client for protocol versions with a handshake."""
    import httpx2
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(headers=access["headers"], timeout=60, trust_env=False) as http,
        streamable_http_client(access["url"], http_client=http) as (reader, writer),
        ClientSession(reader, writer) as made,
    ):
        await made.initialize()
        yield made


@contextlib.asynccontextmanager
async def modern(access: dict[str, Any]) -> AsyncIterator[Any]:
    """The official client for protocol version 2026-07-28."""
    import httpx2
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(headers=access["headers"], timeout=60, trust_env=False) as http,
        Client(streamable_http_client(access["url"], http_client=http)) as made,
    ):
        yield made


async def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "timed out"
        await asyncio.sleep(0.1)


def cpu_of(pid: int) -> float:
    """Seconds of processor time so far, which hardly depend on other load."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss(pid: int) -> float:
    """Proportional set size, in MB."""
    line = next(line for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    return round(int(line.split()[1]) / 1024, 1)


def child_of(pid: int) -> int:
    """The process id of `/mcp`, the child of any thread of the app."""
    lists = [task / "children" for task in Path(f"/proc/{pid}/task").iterdir()]
    (child,) = [int(word) for file in lists for word in file.read_text().split()]
    return child


# --- the processes ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def process(*role: str) -> Iterator[subprocess.Popen[str]]:
    """A process of the benchmark in this role, which ends with its stdin."""
    command = [sys.executable, __file__, "--role", *role]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as made:
        try:
            yield made
        finally:
            assert made.stdin is not None
            made.stdin.close()
            made.wait(10)


def say(to: subprocess.Popen[str], facts: dict[str, Any]) -> dict[str, Any]:
    """Send `facts` to a process; returns its answer once it is ready."""
    assert to.stdin is not None
    assert to.stdout is not None
    to.stdin.write(json.dumps(facts) + "\n")
    to.stdin.flush()
    answer: dict[str, Any] = json.loads(to.stdout.readline())
    return answer


def servers(count: str) -> None:
    """An authorization server and `count` MCP servers that require its tokens; prints their facts."""
    from trayapp.oauthtest import EchoWorkload, OAuthServer

    sys.stdin.readline()
    with contextlib.ExitStack() as stack:
        authority = stack.enter_context(OAuthServer(check=False))
        echoes = [stack.enter_context(EchoWorkload(authority, name=f"w{i}")) for i in range(int(count))]
        facts = {
            "token_endpoint": authority.token_endpoint,
            "client_id": authority.client_id,
            "issuer": authority.issuer,
            "workloads": {echo.name: [echo.url, authority.issue(scope="mcp").refresh_token] for echo in echoes},
        }
        print(json.dumps(facts), flush=True)
        sys.stdin.read()


def app() -> None:
    """The whole program without a tray, signed in; the logins come by stdin, never as an argument."""
    from trayapp.app.app import App
    from trayapp.app.parts import Parts
    from trayapp.config.loader import Config, Settings
    from trayapp.config.paths import Paths
    from trayapp.core.model import Login, Secret, Spec
    from trayapp.vault.keystore import MemoryKeystore

    facts = json.loads(sys.stdin.readline())
    paths = Paths.under(Path(facts["root"]))
    paths.make()
    keystore = MemoryKeystore()
    shared = {name: facts[name] for name in ("token_endpoint", "client_id", "issuer")}
    specs = {}
    for name, (url, token) in facts["workloads"].items():
        specs[name] = Spec(name, url, **shared)
        login = Login(1, name, Secret(token), time.time(), scope="mcp", **shared)
        asyncio.run(keystore.store(name, login))
    running = App(paths, lambda: Config(Settings(port=0), specs), Parts(keystore=lambda: keystore, notifications=False))

    def announce() -> None:
        while not paths.server_file.exists():
            time.sleep(0.05)
        print("{}", flush=True)
        sys.stdin.read()
        running.quit()
        time.sleep(8)
        os._exit(1)

    threading.Thread(target=announce, daemon=True).start()
    running.run(tray=False)


if __name__ == "__main__":
    main()
