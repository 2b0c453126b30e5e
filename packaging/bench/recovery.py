"""Recovery time: from the network's return until every workload is running, between two network namespaces.

    .venv/bin/python packaging/bench/recovery.py [--rounds 5] [--case 10x10] [--json]

The authorization servers live in one network namespace, the app in another, with a veth pair between them; the app hears
only the kernel's own messages. In each round the far end is taken down until every workload is `auth_retrying` (offline),
then brought up again; `seconds` is from that moment until every workload is `running` with a fresh token, including the
3 s that a network must be quiet (M10). A case is WORKLOADSxSERVERS. Logins are in memory, so this is the time of network,
engine and token endpoints without a keyring. Needs root or user namespaces.
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
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

HERE, THERE = "10.77.0.1", "10.77.0.2"  # the servers' end of the link, and the app's
SHORT, LONG = 4.0, 3600.0  # s that an access token lives, before and after an outage
BUDGET = {"10x10": 5.0, "100x50": 15.0}  # s
LIMIT = 30.0  # s after which a state that does not come is a failure
STEP = 0.02  # s between two checks of all workloads

Report = dict[str, Any]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--case", action="append", metavar="WORKLOADSxSERVERS")
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
    found = {}
    if given.quick:
        given.rounds, given.case = 1, given.case or ["10x10"]
    for case in given.case or list(BUDGET):
        workloads, servers = map(int, case.split("x"))
        found[case] = measure(workloads, servers, given.rounds)
    if given.json:
        print(json.dumps(found, indent=2))
        return
    for case, rounds in found.items():
        times = [each["seconds"] for each in rounds]
        shown = " ".join(f"{seconds:.2f}" for seconds in times)
        budget = f"budget {BUDGET[case]:.0f} s" if case in BUDGET else ""
        print(f"{case:>8}  median {statistics.median(times):.2f} s, worst {max(times):.2f} s  {budget}  ({shown})")


# --- the servers' side -----------------------------------------------------------------------------------------------


def ip(command: str) -> None:
    """Run an `ip` command in this namespace."""
    subprocess.run(["ip", *command.split()], check=True)


def measure(workloads: int, servers: int, rounds: int) -> list[Report]:
    """One case: for each round the times, and the states of all workloads when down and up."""
    from trayapp.oauthtest import OAuthServer

    with ExitStack() as stack:
        trusted = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amberlight-bench-")), "ca.pem")
        tls = certificate(trusted)
        child = subprocess.Popen(
            ["unshare", "--net", sys.executable, __file__, "--app"],
            env={**os.environ, "SSL_CERT_FILE": str(trusted)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        stack.callback(child.wait)
        stack.callback(child.kill)
        app = Remote(child)
        app.hear()
        ip(f"link add amber1 type veth peer name amber0 netns {child.pid}")
        stack.callback(subprocess.run, ["ip", "link", "del", "amber1"], stderr=subprocess.DEVNULL)
        for command in ("link set amber1 addrgenmode none", f"address add {HERE}/24 dev amber1", "link set amber1 up"):
            ip(command)
        authority = [
            stack.enter_context(OAuthServer(host=HERE, ssl_context=tls, access_token_lifetime=SHORT, check=False))
            for _ in range(servers)
        ]
        app.ask("start", logins=[login(number, authority[number % servers]) for number in range(workloads)])
        app.ask("until", status="running", detail="ok")
        return [one_round(app, authority) for _ in range(rounds)]


def certificate(trusted: Path) -> ssl.SSLContext:
    """A TLS context for servers on `HERE`, as tokens go over http to loopback only; its CA is written to `trusted`."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HERE).configure_cert(context)
    return context


def login(number: int, server: Any) -> dict[str, str]:
    """The facts of a signed-in workload for the app."""
    grant = server.issue(scope="mcp")
    return {
        "name": f"w{number}",
        "refresh_token": grant.refresh_token,
        "token_endpoint": server.token_endpoint,
        "client_id": server.client_id,
        "issuer": server.issuer,
    }


def one_round(app: Remote, servers: list[Any]) -> Report:
    """Link down until all workloads are amber, then up until all are green."""
    lifetime(servers, SHORT)
    app.ask("renew", within=SHORT)
    pulled = time.monotonic()
    ip("link set amber1 down")
    noticed = app.ask("gate", word="offline")
    down = app.ask("until", status="auth_retrying", detail="offline")
    lifetime(servers, LONG)
    plugged = time.monotonic()
    ip("link set amber1 up")
    up = app.ask("until", status="running", detail="ok")
    return {
        "seconds": round(up["at"] - plugged, 3),
        "offline_noticed": round(noticed["at"] - pulled, 3),
        "down": down["states"],
        "up": up["states"],
        "sources": up["sources"],
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
        keystore = MemoryKeystore()
        specs = {each["name"]: self._signed_in(keystore, each) for each in given["logins"]}
        with tempfile.TemporaryDirectory(prefix="amberlight-bench-") as root:
            paths = Paths.under(Path(root))
            paths.make()
            parts = Parts(keystore=lambda: keystore, notifications=False, on_start=self._started)
            app.App(paths, lambda: Config(Settings(port=0), specs), parts).run(tray=False)

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

    async def _renew(self, within: float) -> Report:
        """Get new tokens for all that expire within so many seconds."""
        from trayapp.core.presentation import Action, Verb

        asked: dict[str, float] = {}

        def renewed() -> bool:
            old = [
                view.name for view in self._views() if (view.auth.token_expires_at or 0.0) > time.time() + within + 1.0
            ]
            for name in old:  # a click joins an attempt whose login is still being stored, so one may not be enough
                if time.monotonic() - asked.get(name, 0.0) > 1.0:
                    asked[name] = time.monotonic()
                    self._control.post(Action(Verb.RETRY, name))
            return not old

        return await self._when(renewed, "renewed")

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
