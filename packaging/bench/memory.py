"""Idle memory: tray, proxy and ten workloads after everything was used once, against email-oauth2-proxy.

    .venv/bin/python packaging/bench/memory.py [--runs 5] [--quick] [--json] [--by-file]

On the headless desktop of the desktop tests with a real keyring. Everything used once means: ten logins read, refreshed,
rotated and written back, a call through the proxy, a notification (the server refuses one login for good). The peer has
its icon, its listeners and one account, and no clients; it is never used, which is to its advantage.

PSS divides a page among the processes that have it mapped, so it falls when another process runs the same Python, as this
script does. What belongs to the program alone, its interpreter and its packages, is therefore counted in full in
`PSS alone`, which is judged; what belongs to the desktop (libc, GTK) is shared as the kernel reports it. USS is what only
this process has, and falls with the same neighbours.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from figures import Figure, options, show
from idle import CONFIG, LIFE, sign_in, until
from peer import PeerMissingError, own_python
from start import Host, Start, clean, end, peer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SETTLE = 20.0  # s from the last use to the measurement
WORKLOADS = 10
OWN = re.compile(
    r"/(lib)?python3|site-packages|dist-packages|/emailproxy"
)  # used by no other program on an ordinary desktop
CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()

Memory = dict[str, float]


def main() -> None:
    """Measure and print."""
    made = options(__doc__, runs=5)
    made.add_argument("--by-file", action="store_true", help="instead: what our memory is made of, in MB")
    given = made.parse_args()
    if given.by_file:
        by_file: dict[str, float] = {}
        measure(1, 5.0, lambda pid: by_file.update(parts(pid)))
        print("\n".join(f"{size:7.2f}  {name}" for name, size in by_file.items()))
        return
    show(measure(1, 5.0) if given.quick else measure(given.runs, SETTLE), given)


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
    from tests.desktop.program import Program
    from trayapp.oauthtest import EchoWorkload, Mode, OAuthServer

    with (
        OAuthServer(access_token_lifetime=LIFE, check=False) as server,
        EchoWorkload(server, name="w0") as upstream,
    ):
        program = Program(desk, root, server)
        program.environment = clean(program.environment)
        program.python = (own_python(),)
        workloads = (CONFIG.format(number=n, server=server) for n in range(WORKLOADS))
        program.configure("[settings]\nport = 0\n" + "".join(workloads).replace("http://127.0.0.1:9/mcp", upstream.url))
        sign_in(desk, program, server, WORKLOADS)
        with program:
            for number in range(WORKLOADS):
                until(lambda n=number: program.client().status(f"w{n}")["auth"]["detail"] == "ok")
            call(program.client().client("w0"))
            server.script(Mode.INVALID_GRANT)  # the server's own no: a notification with buttons
            until(lambda: refused(program.client(), "w9"))
            time.sleep(settle)
            found = memory(program.pid)
            if inspect is not None:
                inspect(program.pid)
            return found


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
