"""Idle memory: tray, proxy and ten workloads after everything was used once, against email-oauth2-proxy.

    .venv/bin/python packaging/bench/memory.py [--runs 5] [--quick] [--json] [--by-file] [--thv PROGRAM]

On the headless desktop of the desktop tests with a real keyring. Everything used once means: ten logins read, refreshed,
rotated and written back, a call through the proxy, a notification (the server refuses one login for good). The peer has
its icon, its listeners and one account, and no clients; it is never used, which is to its advantage.

PSS divides a page among the processes that have it mapped, so it falls when another process runs the same Python, as this
script does. What belongs to the program alone, its interpreter and its packages, is therefore counted in full in
`PSS alone`, which is judged; what belongs to the desktop (libc, GTK) is shared as the kernel reports it. USS is what only
this process has, and falls with the same neighbours.

`--thv` adds Amberlight without its tray beside ToolHive's thv (README.md says how to build it), with one workload and with
ten, each called once. thv has a process for each workload; their PSS is added up.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from figures import Figure, options, show
from idle import CONFIG, LIFE, sign_in, until
from peer import PeerMissingError, own_python
from start import Host, Start, clean, end, peer
from thv import Thv, add_option, program

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SETTLE = 20.0  # s from the last use to the measurement
WORKLOADS = 10
BESIDE_THV = (1, 10)  # workloads
OWN = re.compile(
    r"/(lib)?python3|site-packages|dist-packages|/emailproxy"
)  # used by no other program on an ordinary desktop
CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()

Memory = dict[str, float]


def main() -> None:
    """Measure and print."""
    made = options(__doc__, runs=5)
    made.add_argument("--by-file", action="store_true", help="instead: what our memory is made of, in MB")
    add_option(made)
    given = made.parse_args()
    try:
        toolhive = program(given.thv)
    except PeerMissingError as missing:
        raise SystemExit(str(missing)) from None
    if given.by_file:
        by_file: dict[str, float] = {}
        measure(1, 5.0, lambda pid: by_file.update(parts(pid)))
        print("\n".join(f"{size:7.2f}  {name}" for name, size in by_file.items()))
        return
    runs, settle = (1, 5.0) if given.quick else (given.runs, SETTLE)
    found = measure(runs, settle)
    try:
        found += [] if toolhive is None else beside_thv(toolhive, runs, settle)
    except PeerMissingError as missing:
        found.append(Figure("memory without a tray; peer: thv", "MB", note=str(missing)))
    show(found, given)


def measure(runs: int, settle: float, inspect: Callable[[int], None] | None = None) -> list[Figure]:
    """Fresh starts in turns. `inspect` gets the process id of ours before it ends."""
    from tests.desktop.desk import Desk

    found: dict[str, list[Memory]] = {"ours": [], "peer": []}
    note = ""
    with ExitStack() as stack:
        desk = stack.enter_context(Desk(system_bus=True))
        host = Host(desk.env["DBUS_SESSION_BUS_ADDRESS"])
        stack.callback(host.close)
        for _ in range(runs):
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amberlight-bench-")))
            found["ours"].append(ours(desk, root, settle, inspect))
            try:
                start = peer(desk.env, root) if inspect is None else None
            except PeerMissingError as missing:
                note = str(missing)
            else:
                if start is not None:
                    found["peer"].append(theirs(host, start, settle))
    return figures(found, note)


def figures(found: Mapping[str, Sequence[Memory]], note: str) -> list[Figure]:
    """The rows; a ratio compares two starts that followed each other."""
    rows = []
    for what in ("PSS alone", "PSS", "USS", "RSS"):
        mine = tuple(each[what] for each in found["ours"])
        other = tuple(each[what] for each in found["peer"])
        ratios = tuple(a / b for a, b in zip(mine, other, strict=True)) if other else ()
        limits: dict[str, Any] = {"budget": 1.0, "stretch": 0.8} if what == "PSS alone" else {}
        rows.append(Figure(f"memory at rest: {what}", "MB", mine, ratios, of="ratio", note=note, **limits))
        if other and what == "PSS alone":
            rows.append(Figure(f"memory at rest: {what}: peer", "MB", other))
    return rows


def theirs(host: Host, start: Start, settle: float) -> Memory:
    """The memory of the peer with its icon shown."""
    process, _ = host.started(start)
    try:
        time.sleep(settle)
        return memory(process.pid)
    finally:
        end(process)


def ours(desk: Any, root: Path, settle: float, inspect: Callable[[int], None] | None) -> Memory:
    """The memory of Amberlight after everything was used once."""
    from trayapp.oauthtest import Mode

    with running(desk, root, WORKLOADS) as (program, server):
        call(program.client().client("w0"))
        server.script(Mode.INVALID_GRANT)  # the server's own no: a notification with buttons
        until(lambda: refused(program.client(), "w9"))
        time.sleep(settle)
        found = memory(program.pid)
        if inspect is not None:
            inspect(program.pid)
        return found


@contextmanager
def running(desk: Any, root: Path, workloads: int, *arguments: str) -> Iterator[tuple[Any, Any]]:
    """The program with so many workloads, all of them green, and their authorization server."""
    from tests.desktop.program import Program
    from trayapp.oauthtest import EchoWorkload, OAuthServer

    with (
        OAuthServer(access_token_lifetime=LIFE, check=False) as server,
        EchoWorkload(server, name="w0") as upstream,
    ):
        program = Program(desk, root, server, *arguments)
        program.environment = clean(program.environment)
        program.python = (own_python(),)
        configured = "".join(CONFIG.format(number=n, server=server) for n in range(workloads))
        program.configure("[settings]\nport = 0\n" + configured.replace("http://127.0.0.1:9/mcp", upstream.url))
        sign_in(desk, program, server, workloads)
        with program:
            for number in range(workloads):
                until(lambda n=number: program.client().status(f"w{n}")["auth"]["detail"] == "ok")
            yield program, server


def beside_thv(toolhive: Path, runs: int, settle: float) -> list[Figure]:
    """The rows without a tray; a ratio compares two starts that followed each other. Raises `PeerMissingError`."""
    from tests.desktop.desk import Desk

    found: dict[int, list[tuple[float, float]]] = {count: [] for count in BESIDE_THV}
    with Desk(system_bus=True) as desk:
        for _ in range(runs):
            for count, pairs in found.items():
                with tempfile.TemporaryDirectory(prefix="amberlight-bench-") as root:
                    ours_now = without_tray(desk, Path(root), settle, count)
                    pairs.append((ours_now, of_thv(toolhive, Path(root) / "thv", settle, count)))
    rows = []
    for count, pairs in found.items():
        what = f"memory without a tray, {count} workload{'s' if count > 1 else ''}"
        mine, other = (tuple(pair[which] for pair in pairs) for which in (0, 1))
        ratios = tuple(a / b for a, b in pairs)
        rows += [Figure(f"{what}; peer: thv", "MB", mine, ratios), Figure(f"{what}: thv", "MB", other)]
    return rows


def without_tray(desk: Any, root: Path, settle: float, workloads: int) -> float:
    """`PSS alone` of Amberlight, each of its workloads called once."""
    with running(desk, root, workloads, "--no-tray") as (program, _):
        for number in range(workloads):
            call(program.client().client(f"w{number}"))
        time.sleep(settle)
        return memory(program.pid)["PSS alone"]


def of_thv(toolhive: Path, root: Path, settle: float, workloads: int) -> float:
    """PSS of thv's processes together, each called once. Raises `PeerMissingError`."""
    from trayapp.oauthtest import EchoWorkload, OAuthServer

    with (
        OAuthServer(access_token_lifetime=LIFE, check=False) as server,
        EchoWorkload(server, name="w0") as upstream,
        Thv(toolhive, root, server) as peer,
    ):
        started = [peer.workload(f"w{number}", upstream.url) for number in range(workloads)]
        for each in started:
            call({"url": f"http://{each.host}{each.path}", "headers": {}})
        time.sleep(settle)
        return sum(memory(each.process.pid)["PSS"] for each in started)


def refused(client: Any, name: str) -> bool:
    """Whether its login is refused; if not, request another attempt, as one may be ignored while a login is stored."""
    if client.status(name)["auth"]["detail"] == "refused":
        return True
    client.post(name, "retry")
    return False


def call(access: Mapping[str, Any]) -> None:
    """One call through the proxy."""
    address = urlsplit(access["url"])
    connection = http.client.HTTPConnection(address.netloc, timeout=10)
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    connection.request("POST", address.path, CALL, {**headers, **access["headers"]})
    answer = connection.getresponse()
    answer.read()
    assert answer.status not in (401, 403, 502, 503), answer.status
    connection.close()


# --- reading /proc ---------------------------------------------------------------------------------------------------


def mappings(pid: int) -> list[tuple[str, dict[str, int]]]:
    """Name and figures, in kB, of each mapping of a process."""
    found: list[tuple[str, dict[str, int]]] = []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if re.fullmatch(r"[0-9a-f]+-[0-9a-f]+", words[0]):
            found.append((words[5] if len(words) > 5 else "[anonymous]", {}))
        elif words[-1] == "kB":
            found[-1][1][words[0].rstrip(":")] = int(words[1])
    return found


def memory(pid: int) -> Memory:
    """RSS, PSS, USS and `PSS alone`, in MB."""
    found = Counter[str]()
    for name, sizes in mappings(pid):
        private = sizes["Private_Clean"] + sizes["Private_Dirty"]
        found.update(RSS=sizes["Rss"], PSS=sizes["Pss"], USS=private)
        found["PSS alone"] += sizes["Rss"] if OWN.search(name) else sizes["Pss"]
    return {what: round(size / 1024, 2) for what, size in found.items()}


def parts(pid: int) -> dict[str, float]:
    """MB by file, the largest first, counted as in `PSS alone`."""
    found = Counter[str]()
    for name, sizes in mappings(pid):
        found[name] += sizes["Rss"] if OWN.search(name) else sizes["Pss"]
    return {name: size / 1024 for name, size in found.most_common(40)}


if __name__ == "__main__":
    main()
