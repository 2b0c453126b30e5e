"""Start-up time: from starting the process until its icon is registered with the tray host, against email-oauth2-proxy.

    .venv/bin/python packaging/bench/start.py [--runs 5] [--quick] [--json]

Both start on one headless desktop, in turns, so that other load affects both; the first start of each only warms up. The
end is the host's own signal `StatusNotifierItemRegistered`. Amberlight has ten workloads in its configuration.
`processor time` is what the process had used by then: it hardly depends on how busy the machine is.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from figures import Figure, options, show
from peer import PeerMissingError, own_python
from peer import arguments as peer_arguments
from peer import command as peer_command

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

LIMIT = 30.0  # s for one start

Start = Callable[[], "subprocess.Popen[bytes]"]


def main() -> None:
    """Measure and print."""
    given = options(__doc__, runs=5).parse_args()
    show(measure(1 if given.quick else given.runs), given)


def measure(runs: int) -> list[Figure]:
    """The starts of ours and the peer, in turns."""
    from tests.desktop.desk import Desk

    with Desk(system_bus=True) as desk, tempfile.TemporaryDirectory(prefix="amberlight-bench-") as root:
        host = Host(desk.env["DBUS_SESSION_BUS_ADDRESS"])
        starts = {"ours": ours(desk, Path(root))}
        note = ""
        try:
            starts["peer"] = peer(desk.env, Path(root))
        except PeerMissingError as missing:
            note = str(missing)
        found: dict[str, list[tuple[float, float]]] = {who: [] for who in starts}
        for number in range(runs + 1):
            for who, start in starts.items():
                took = host.once(start)
                if number:
                    found[who].append(took)
        host.close()
    return figures(found, note)


def figures(found: Mapping[str, Sequence[tuple[float, float]]], note: str) -> list[Figure]:
    """The rows; a ratio compares two starts that followed each other."""
    rows = []
    for column, (what, unit) in enumerate((("start to icon", "ms"), ("processor time until then", "ms"))):
        ours = tuple(took[column] for took in found["ours"])
        theirs = tuple(took[column] for took in found.get("peer", ()))
        ratios = tuple(a / b for a, b in zip(ours, theirs, strict=True)) if theirs else ()
        limits: dict[str, Any] = {} if column else {"budget": 0.5, "stretch": 0.4}
        rows.append(Figure(what, unit, ours, ratios, of="ratio", note=note, **limits))
        if theirs:
            rows.append(Figure(f"{what}: peer", unit, theirs))
    return rows


def ours(desk: Any, root: Path) -> Start:
    """`amberlight run` with ten workloads that have never been signed in."""
    from idle import CONFIG

    from tests.desktop.program import Program
    from trayapp.oauthtest import OAuthServer

    with OAuthServer(check=False) as server:  # only for its URLs: no request is made before the icon is shown
        program = Program(desk, root, server)
        program.configure("[settings]\nport = 0\n" + "".join(CONFIG.format(number=n, server=server) for n in range(10)))
    environment = clean(program.environment)
    return lambda: start([own_python(), "-m", "trayapp", "run"], environment, root)


def peer(env: Mapping[str, str], root: Path) -> Start:
    """The peer. Raises `PeerMissingError`."""
    program, environment = peer_command(), clean(env)
    return lambda: start([*program, *peer_arguments(root)], environment, root)


def clean(env: Mapping[str, str]) -> dict[str, str]:
    """The environment without PYTHONDONTWRITEBYTECODE, so that compiled files are used as after any installation."""
    return {name: value for name, value in env.items() if name != "PYTHONDONTWRITEBYTECODE"}


def start(words: Sequence[str], env: Mapping[str, str], root: Path) -> subprocess.Popen[bytes]:
    with (root / "output.txt").open("ab") as output:
        return subprocess.Popen(words, env=env, cwd=root, stdin=subprocess.DEVNULL, stdout=output, stderr=output)


class Host:
    """The tray host's signals on the session bus."""

    def __init__(self, address: str) -> None:
        from jeepney import MatchRule, message_bus  # type: ignore[import-untyped]
        from jeepney.io.blocking import Proxy, open_dbus_connection  # type: ignore[import-untyped]

        self._bus = open_dbus_connection(address)
        self._rule = MatchRule(
            type="signal", interface="org.kde.StatusNotifierWatcher", member="StatusNotifierItemRegistered"
        )
        Proxy(message_bus, self._bus).AddMatch(self._rule)

    def once(self, start: Start) -> tuple[float, float]:
        """Milliseconds until the icon, and of processor time until then; the program is ended afterwards."""
        process, took = self.started(start)
        end(process)
        return took

    def started(self, start: Start) -> tuple[subprocess.Popen[bytes], tuple[float, float]]:
        """The same, with the program still running."""
        with self._bus.filter(self._rule, bufsize=100) as heard:
            began = time.perf_counter()
            process = start()
            took = -1.0, -1.0
            while took[0] < 0:
                try:
                    signal_ = self._bus.recv_until_filtered(heard, timeout=LIMIT)
                except TimeoutError:
                    end(process)
                    raise SystemExit(f"no icon within {LIMIT:.0f} s: {process.args!r}") from None
                now = (time.perf_counter() - began) * 1000, used(process.pid)
                took = now if self._is_of(process, signal_.body[0]) else took
        return process, took

    def _is_of(self, process: subprocess.Popen[bytes], item: str) -> bool:
        """Whether the icon belongs to this process; hosts may report an icon twice, or late."""
        from jeepney import message_bus
        from jeepney.io.blocking import Proxy

        try:
            (owner,) = Proxy(message_bus, self._bus).GetConnectionUnixProcessID(item.partition("/")[0])
        except Exception:  # noqa: BLE001 - its owner has gone: an icon of an earlier start
            return False
        return bool(owner == process.pid)

    def close(self) -> None:
        self._bus.close()


def used(pid: int) -> float:
    """Milliseconds of processor time of all threads, from the scheduler's own count."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program as a session manager does."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
