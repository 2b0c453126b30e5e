"""Recovery time: from the network's return until every workload is running, between two network namespaces.

    .venv/bin/python packaging/bench/recovery.py [--rounds 20] [--case 10x10] [--settle 0.25] [--json]

The authorization servers live in one network namespace, the app in another, with a link between them; the app hears only
the kernel's own messages. In each round a new app signs in, its link loses the carrier until every workload is
`auth_retrying` (offline) and then has it again; `seconds` is from that moment until every workload is `running` with a
fresh token. A case is WORKLOADSxSERVERS, or

- `10x10-slow`: each packet takes 150 ms, and 2 % of them are lost in each direction
- `10x10-dns`: endpoints have names, and the DNS server is silent for 2 s after the link is back (`after_dns` counts from
  its first answer)

Logins are in memory, so this is the time of network, engine and token endpoints without a keyring. Needs root or user
namespaces.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from links import GoodLink, Names, SlowLink, ask_only, ip, until_up

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

HERE, THERE = "10.77.0.1", "10.77.0.2"  # the servers' end of the link, and the app's
LONG = 3600.0  # s that an access token lives after an outage
SILENCE = 2.0  # s that DNS is later than the link
LIMIT = 30.0  # s after which a state that does not come is a failure
STEP = 0.02  # s between two checks of all workloads
SPREAD = 2.0  # × the median: the budget of the worst round

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """So many workloads, on so many servers, over such a network."""

    workloads: int
    servers: int
    budget: float | None = None  # s, of the median
    life: float = 4.0  # s that an access token lives before the outage: long enough until all are green
    slow: bool = False
    names: bool = False


CASES = {
    "10x10": Case(10, 10, 0.6),
    "100x50": Case(100, 50, 1.0),
    "10x10-slow": Case(10, 10, 4.0, life=12.0, slow=True),
    "10x10-dns": Case(10, 10, 3.5, names=True),
}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=20)
    options.add_argument("--case", action="append", metavar="CASE", help=f"{', '.join(CASES)}, or other numbers")
    options.add_argument("--settle", type=float, metavar="S", help="other seconds of settling than the program's own")
    options.add_argument("--json", action="store_true")
    options.add_argument("--quick", action="store_true", help="one round of the small case")
    options.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--app", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.app:
        App().run()
        return
    if not given.inside:
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        os.execvp("unshare", ["unshare", *user, "--net", sys.executable, __file__, *sys.argv[1:], "--inside"])
    if given.quick:
        given.rounds, given.case = 1, given.case or ["10x10"]
    found = {}
    for name in given.case or list(CASES):
        found[name] = summary(measure(case_of(name), given.rounds, given.settle))
        if not given.json:
            print(line(name, found[name]), flush=True)
    if given.json:
        print(json.dumps(found, indent=2))


def case_of(name: str) -> Case:
    """The case of this name; one that is not listed is a pair of numbers."""
    if name in CASES:
        return CASES[name]
    workloads, servers = map(int, name.split("x"))
    return Case(workloads, servers)


def summary(rounds: list[Report]) -> Report:
    """Median and worst of all rounds, and of the time after DNS where that was late."""
    times = [each["seconds"] for each in rounds]
    middle = statistics.median(times)
    found = {"median": middle, "worst": max(times), "worst_to_median": round(max(times) / middle, 2), "rounds": rounds}
    if "after_dns" in rounds[0]:
        later = [each["after_dns"] for each in rounds]
        found |= {"after_dns": {"median": statistics.median(later), "worst": max(later)}}
    return found


def line(name: str, found: Report) -> str:
    """A case for people to read."""
    times = " ".join(f"{each['seconds']:.2f}" for each in found["rounds"])
    budget = case_of(name).budget
    within = f" (budget {budget:g} s)" if budget else ""
    later = found.get("after_dns")
    dns = f"; after DNS median {later['median']:.2f} s, worst {later['worst']:.2f} s" if later else ""
    return (
        f"{name:>10}  median {found['median']:.2f} s{within}, worst {found['worst']:.2f} s, "
        f"{found['worst_to_median']:.2f} × the median (budget {SPREAD:g}){dns}  ({times})"
    )


# --- the servers' side -----------------------------------------------------------------------------------------------


def measure(case: Case, rounds: int, settle: float | None) -> list[Report]:
    """For each round the times, and the states of all workloads when down and up."""
    from trayapp.oauthtest import OAuthServer

    with ExitStack() as stack:
        trusted = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amberlight-bench-")), "ca.pem")
        ip(f"address add {HERE}/32 dev lo")
        stack.callback(ip, f"address del {HERE}/32 dev lo")
        ip("link set lo up")
        tls = certificate(trusted, case)
        servers = [
            stack.enter_context(OAuthServer(host=HERE, ssl_context=tls, check=False)) for _ in range(case.servers)
        ]
        names = Names(HERE) if case.names else None
        if names is not None:
            stack.callback(names.close)
        return [one_round(case, servers, names, trusted, settle) for _ in range(rounds)]


def one_round(case: Case, servers: list[Any], names: Names | None, trusted: Path, settle: float | None) -> Report:
    """A new app signs in; then its link is down until all workloads are amber, and up until all are green.

    A new one each time, because the limits on attempts (M8) are for people's networks and not for one outage after another.
    """
    with ExitStack() as stack:
        child = subprocess.Popen(
            ["unshare", "--net", "--mount", sys.executable, __file__, "--app"],
            env={**os.environ, "SSL_CERT_FILE": str(trusted)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        stack.enter_context(child)
        stack.callback(child.kill)
        app = Remote(child)
        app.hear()
        link = SlowLink(child.pid) if case.slow else GoodLink(child.pid)
        stack.callback(link.close)
        link.plug()
        ip(f"address add {HERE}/24 dev amber1")  # beside that of `lo`, as its route comes back with the link
        lifetime(servers, case.life)
        logins = [login(number, case, servers[number % case.servers]) for number in range(case.workloads)]
        app.ask("start", logins=logins, dns=HERE if names else None, settle=settle)
        app.ask("until", status="running", detail="ok")
        pulled = time.monotonic()
        link.pull()
        noticed = app.ask("gate", word="offline")
        down = app.ask("until", status="auth_retrying", detail="offline")
        lifetime(servers, LONG)
        plugged = time.monotonic()
        if names is not None:
            names.silent_until = plugged + SILENCE
        link.plug()
        up = app.ask("until", status="running", detail="ok")
    seconds = up["at"] - plugged
    return {
        "seconds": round(seconds, 3),
        **({"after_dns": round(seconds - SILENCE, 3)} if names else {}),
        "offline_noticed": round(noticed["at"] - pulled, 3),
        "down": down["states"],
        "up": up["states"],
        "sources": up["sources"],
    }


def certificate(trusted: Path, case: Case) -> ssl.SSLContext:
    """A TLS context for all servers, as tokens go over http to loopback only; its CA is written to `trusted`."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HERE, *(host(number, case) for number in range(case.servers))).configure_cert(context)
    return context


def host(number: int, case: Case) -> str:
    """What the app calls a server: each has a name of its own, so that no look-up helps another."""
    return f"as{number}.bench.example" if case.names else HERE


def login(number: int, case: Case, server: Any) -> dict[str, str]:
    """The facts of a signed-in workload for the app."""
    grant = server.issue(scope="mcp")
    issuer = server.issuer.replace(HERE, host(number % case.servers, case))
    return {
        "name": f"w{number}",
        "refresh_token": grant.refresh_token,
        "token_endpoint": f"{issuer}/token",
        "client_id": server.client_id,
        "issuer": issuer,
    }


def lifetime(servers: list[Any], seconds: float) -> None:
    for server in servers:
        server.access_token_lifetime = seconds


class Remote:
    """The app in the other namespace, driven by one line of JSON each way."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._in, self._out = child.stdin, child.stdout

    def ask(self, what: str, **arguments: Any) -> Report:
        self._in.write(json.dumps({"do": what, **arguments}).encode() + b"\n")
        self._in.flush()
        return self.hear()

    def hear(self) -> Report:
        line = self._out.readline()
        if not line:
            raise SystemExit("the app came to an unexpected end")
        said: Report = json.loads(line)
        if "wrong" in said:
            raise SystemExit(said["wrong"])
        return said


# --- the app's side --------------------------------------------------------------------------------------------------


class App:
    """The real app with logins in memory; lines on its standard input tell it what to wait for."""

    def run(self) -> None:
        from trayapp.app import app
        from trayapp.app.parts import Parts
        from trayapp.config.loader import Config, Settings
        from trayapp.config.paths import Paths
        from trayapp.vault.keystore import MemoryKeystore

        say({"pid": os.getpid()})
        given = json.loads(sys.stdin.readline())
        for command in (
            "link set lo up",
            "link set amber0 addrgenmode none",
            f"address add {THERE}/24 dev amber0",
            "link set amber0 up",
            f"route add default via {HERE}",
        ):
            ip(command)
        until_up("amber0")  # a link that is lost right after it came has to be quiet for longer (M10)
        keystore = MemoryKeystore()
        specs = {each["name"]: self._signed_in(keystore, each) for each in given["logins"]}
        with tempfile.TemporaryDirectory(prefix="amberlight-bench-") as root:
            if given["dns"]:
                ask_only(given["dns"], Path(root))
            paths = Paths.under(Path(root))
            paths.make()
            parts = Parts(keystore=lambda: keystore, notifications=False, on_start=self._started)
            settings = Settings(port=0)
            if given["settle"] is not None:
                settings = replace(settings, settle=given["settle"])
            app.App(paths, lambda: Config(settings, specs), parts).run(tray=False)

    def _signed_in(self, keystore: Any, each: dict[str, str]) -> Any:
        from trayapp.core.model import Login, Policy, Secret, Spec

        held = Login(
            generation=1,
            lineage=each["name"],
            refresh_token=Secret(each["refresh_token"]),
            obtained_at=time.time(),
            token_endpoint=each["token_endpoint"],
            client_id=each["client_id"],
            issuer=each["issuer"],
            scope="mcp",
        )
        asyncio.run(keystore.store(each["name"], held))
        # The product's rules; only what makes a workload amber is shortened, as every round has to wait for it.
        policy = Policy(usable_margin=1.0, impossible_grace=1.0)
        return Spec(
            each["name"],
            "https://upstream.example/mcp",
            client_id=each["client_id"],
            issuer=each["issuer"],
            authorization_endpoint=each["issuer"] + "/authorize",
            token_endpoint=each["token_endpoint"],
            scopes=("mcp",),
            policy=policy,
        )

    def _started(self, control: Any) -> None:
        """From the engine's loop."""
        self._control = control
        threading.Thread(target=self._obey, args=(asyncio.get_running_loop(),), name="orders", daemon=True).start()
        say({})

    def _obey(self, loop: asyncio.AbstractEventLoop) -> None:
        for line in sys.stdin:
            order = json.loads(line)
            work = getattr(self, "_" + order.pop("do"))
            say(asyncio.run_coroutine_threadsafe(work(**order), loop).result())

    async def _until(self, status: str, detail: str) -> Report:
        return await self._when(
            lambda: all((view.status, view.auth.detail) == (status, detail) for view in self._views()),
            f"{status} ({detail})",
        )

    async def _gate(self, word: str) -> Report:
        return await self._when(lambda: self._control.snapshot().gate == word, word)

    async def _when(self, holds: Callable[[], bool], what: str) -> Report:
        end = time.monotonic() + LIMIT
        while not holds():
            if time.monotonic() > end:
                return {"wrong": f"not {what} within {LIMIT:.0f} s: {self._states()}; {self._problem()}"}
            await asyncio.sleep(STEP)
        return {"at": time.monotonic(), "states": self._states(), "sources": self._control.sources()}

    def _views(self) -> list[Any]:
        return list(self._control.snapshot().workloads.values())

    def _problem(self) -> str:
        """The last error of any workload."""
        return next((view.auth.last_error.summary for view in self._views() if view.auth.last_error), "no error")

    def _states(self) -> dict[str, int]:
        """How many workloads are in each state."""
        words = [f"{view.status} {view.auth.detail}" for view in self._views()]
        return {word: words.count(word) for word in sorted(set(words))}


def say(report: Report) -> None:
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
