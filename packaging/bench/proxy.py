"""The cost of the proxy: requests to an upstream directly, through Amberlight, and through other proxies of the same job.

    .venv/bin/python packaging/bench/proxy.py [--quick] [--json] [--thv PROGRAM] [--against CHECKOUT] [--stream GB]

A 330-byte POST with a client's headers, 1,023 bytes of JSON back, keep-alive, at 1, 8 and 32 connections. The upstream
and the load generator are the same for all and share the second processor; the measured process has the first to
itself. The rounds are short and all take turns, so that other load affects all of them; each figure is the median, and a
ratio to `direct` is that of a round. On a busy machine, requests per second and times say little about the proxies;
`cpu_us`, the processor time of one request in the measured process, is reliable even then. Amberlight is the whole program
without its tray, with engine, key check and audit line in a log file; the httpx2 proxy has the same server, checks and log
line. `--thv` adds ToolHive's thv (README.md says how to build it), `--against` Amberlight as it is in another checkout.

`--stream` instead sends so many GB through Amberlight in each direction, and reports its memory meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from peer import PeerMissingError, own_python
from proxy_processes import KEY, TREE
from thv import Thv, add_option, program

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

PROCESSES = Path(__file__).with_name("proxy_processes.py")
CONNECTIONS = (1, 8, 32)
ROUNDS, SECONDS = 9, 1.0
MEASURED = ("amberlight", "httpx2_proxy")  # run by `own_python`

Figures = dict[str, dict[str, dict[str, float]]]
Address = tuple[str, str, int]  # host, path, process


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="one short round")
    options.add_argument("--json", action="store_true")
    options.add_argument("--stream", type=float, metavar="GB")
    options.add_argument("--against", type=Path, metavar="CHECKOUT", help="measure Amberlight as it is there too")
    add_option(options)
    given = options.parse_args()
    if given.against and not (given.against / "trayapp").is_dir():
        options.error(f"{given.against} isn't a checkout of Amberlight: it has no trayapp/")
    try:
        peer = program(given.thv)
        run(given, peer)
    except PeerMissingError as missing:
        raise SystemExit(str(missing)) from None


def run(given: argparse.Namespace, peer: Path | None) -> None:
    """What was asked for. Raises `PeerMissingError`."""
    with Scene() as scene:
        if given.stream:
            print(json.dumps(scene.stream(int(given.stream * (1 << 30)))))
            return
        found = scene.measure(rounds=1 if given.quick else ROUNDS, against=given.against, peer=peer)
    print(json.dumps(found) if given.json else table(found))


def table(found: Figures) -> str:
    """A readable table with the ratios to the upstream without a proxy and to the httpx2 proxy."""
    heads = ("conn", "req/s", "p50 ms", "p99 ms", "CPU us", "x direct", "x httpx2", "by CPU")
    lines = [f"{'':12}" + "".join(f"{head:>9}" for head in heads)]
    for stack, rows in found.items():
        for count, row in rows.items():
            other = found["httpx2"][count]
            ratio, by_cpu = row["rps"] / other["rps"], other["cpu_us"] / max(row["cpu_us"], 1.0)
            times = f"{row['p50_ms']:9.2f}{row['p99_ms']:9.2f}{row['cpu_us']:9.0f}{row['of_direct']:9.2f}"
            lines.append(f"{stack:12}{count:>9}{row['rps']:9.0f}{times}{ratio:9.2f}{by_cpu:9.2f}")
    return "\n".join(lines)


class Scene:
    """The benchmark's processes, in temporary directories, for the length of a `with` block."""

    def __enter__(self) -> Scene:
        from trayapp.oauthtest import OAuthServer

        self._stack = ExitStack()
        self._root = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="amberlight-bench-")))
        self._server = self._stack.enter_context(OAuthServer(check=False))
        self._upstream = self._start("upstream", cpu=1)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _start(self, *role: str, cpu: int, facts: dict[str, str | None] | None = None, tree: Path = ROOT) -> str:
        """Start a role on this processor; returns its first line. It reads `facts` from stdin and ends with stdin."""
        process = self._stack.enter_context(_process(*role, cpu=cpu, tree=tree))
        assert process.stdin is not None
        assert process.stdout is not None
        if facts is not None:
            process.stdin.write(json.dumps(facts) + "\n")
            process.stdin.flush()
        line = process.stdout.readline().strip()
        assert line, f"{role[0]} did not start; see {self._root}"
        self.pid = process.pid
        return line

    def _amberlight(self, upstream: str, tree: Path = ROOT) -> str:
        grant = self._server.issue(scope="mcp")
        facts = {
            "root": str(self._root / f"app-{time.monotonic_ns()}"),
            "url": f"http://{upstream}/mcp",
            "refresh_token": grant.refresh_token,
            "token_endpoint": self._server.token_endpoint,
            "client_id": self._server.client_id,
            "issuer": self._server.issuer,
        }
        return self._start("amberlight", cpu=0, facts=facts, tree=tree)

    def _thv(self, program: Path) -> Address:
        """The peer with one workload. Raises `PeerMissingError`."""
        peer = self._stack.enter_context(Thv(program, self._root / "thv", self._server))
        workload = peer.workload("bench", f"http://{self._upstream}/mcp", cpu=0)
        return workload.host, workload.path, workload.process.pid

    def measure(self, *, rounds: int, against: Path | None = None, peer: Path | None = None) -> Figures:
        """The figures of all at every number of connections. Raises `PeerMissingError`."""
        addresses: dict[str, Address] = {"direct": (self._upstream, "/mcp", self.pid)}
        addresses["amberlight"] = (self._amberlight(self._upstream), "/w/bench", self.pid)
        if against is not None:
            addresses["before"] = (self._amberlight(self._upstream, against.resolve()), "/w/bench", self.pid)
        addresses["httpx2"] = (
            self._start("httpx2_proxy", self._upstream, str(self._root), cpu=0),
            "/w/bench",
            self.pid,
        )
        if peer is not None:
            addresses["thv"] = self._thv(peer)
        rows: dict[str, dict[str, list[dict[str, float]]]]
        rows = {stack: {str(count): [] for count in CONNECTIONS} for stack in addresses}
        for number in range(-1, rounds):  # the first one only warms up
            for count in CONNECTIONS:
                first = number % len(addresses)  # another one in each round: what precedes a measurement has an effect
                order = [*addresses][first:] + [*addresses][:first]
                turn = {stack: _load(*addresses[stack], count) for stack in order}
                for stack, row in turn.items():
                    row["of_direct"] = row["rps"] / turn["direct"]["rps"]
                    if number >= 0:
                        rows[stack][str(count)].append(row)
        return {s: {c: _median(found) for c, found in by_count.items()} for s, by_count in rows.items()}

    def stream(self, size: int) -> dict[str, float]:
        """Send `size` bytes down and up; returns resident memory before and at its peak, in MB, and the seconds taken."""
        from tests.proxy.streaming import sink_and_source

        found: dict[str, float] = {}
        with sink_and_source() as port:
            host = self._amberlight(f"127.0.0.1:{port}")
            for way in ("down", "up"):
                _transfer(host, way, 64 << 20)
            for way in ("down", "up"):
                before, began = _resident(self.pid), time.monotonic()
                peak = [before]
                done = threading.Event()
                watcher = threading.Thread(target=_watch, args=(self.pid, peak, done))
                watcher.start()
                assert size == _transfer(host, way, size)
                done.set()
                watcher.join()
                found |= {f"{way}_s": time.monotonic() - began, f"{way}_before_mb": before, f"{way}_peak_mb": peak[0]}
        return {name: round(value, 2) for name, value in found.items()}


def _load(host: str, path: str, pid: int, count: int) -> dict[str, float]:
    """The figures of one round at so many connections."""
    before = _spent(pid)
    with _process("load", host, path, str(count), str(SECONDS), cpu=1) as load:
        assert load.stdout is not None
        row: dict[str, float] = json.loads(load.stdout.readline())
    return {**row, "cpu_us": (_spent(pid) - before) / (row["rps"] * SECONDS)}


@contextmanager
def _process(*role: str, cpu: int, tree: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
    python = own_python() if role[0] in MEASURED else sys.executable
    command, env = [python, str(PROCESSES), *role], {**os.environ, TREE: str(tree)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
            os.sched_setaffinity(process.pid, {sorted(os.sched_getaffinity(0))[cpu]})
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.kill()
            process.wait()


def _median(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(row[key] for row in rows), 3) for key in rows[0]}


def _spent(pid: int) -> float:
    """Microseconds of processor time of all its threads, ended ones too; 0 where there is no such clock."""
    if sys.platform != "linux":
        return 0.0
    return time.clock_gettime(~pid << 3 | 2) * 1e6  # the clock of clock_getcpuclockid(3)


def _resident(pid: int) -> float:
    """Resident memory, in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _watch(pid: int, peak: list[float], done: threading.Event) -> None:
    while not done.wait(0.02):
        peak[0] = max(peak[0], _resident(pid))


def _transfer(host: str, way: str, size: int) -> int:
    """One request through the proxy over a plain socket; returns the bytes that arrived at the other end."""
    name, _, port = host.partition(":")
    piece = bytes(1 << 18)
    with socket.create_connection((name, int(port))) as sock:
        method, path, length = ("GET", f"/w/bench/{size}", 0) if way == "down" else ("PUT", "/w/bench", size)
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {length}\r\n\r\n"
        sock.sendall(head.encode())
        for start in range(0, length, len(piece)):
            sock.sendall(piece[: length - start])
        with sock.makefile("rb") as reader:
            assert b" 200 " in reader.readline()
            left = 0
            while (line := reader.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    left = int(line[15:])
            if way == "up":
                return int(reader.read(left))
            got = 0
            while got < left:
                got += len(reader.read1(1 << 18))
            return got


if __name__ == "__main__":
    main()
