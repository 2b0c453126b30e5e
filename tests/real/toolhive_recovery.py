"""Benchmark: an outage of a workload of ToolHive's, with ToolHive alone, watched, healed, and taken over.

    python -m tests.real.toolhive_recovery --runs 3

Each run signs in, takes the sign-in server away until the workload is amber, brings it back together with a wake of the
computer (which a mocked logind announces), and counts until the workload is green. ToolHive tries again every 10
minutes by default; here that is `TICK`, and the outage ends at an even step of it, so that no run is luckier than
another. What a client gets is asked for by a call during the outage.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.desktop.desk import Desk
from tests.real import thv
from tests.real.app import App
from tests.real.thv import Thv, until
from trayapp.oauthtest import EchoWorkload, OAuthServer

TICK = 30.0  # s between two tries of ToolHive's; its default is 600
LIFETIME = 2  # s of an access token
LOGIND, LOGIND_PATH = "org.freedesktop.login1", "/org/freedesktop/login1"
CASES = ("alone", "watched", "healed", "owned")
CONFIG = "[settings]\nport = 0\ntoolhive_heal = {heal}\n"
OWNED = (
    'usable_margin = "1s"\ninitial_retry_interval = "100ms"\nmax_retry_interval = "200ms"\nmax_tries = 2\n'
    '\n[workloads.notes]\nurl = "{url}"\nissuer = "{issuer}"\nclient_id = "{client_id}"\n'
)  # it becomes amber as soon as ToolHive does


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--case", action="append", choices=CASES)
    options.add_argument(
        "--memory", type=int, metavar="WORKLOADS", help="measure memory with so many workloads instead"
    )
    given = options.parse_args()
    if thv.program() is None:
        raise SystemExit("no thv: `python -m tests.real.thv` builds it")
    if given.memory:
        memory(given.memory)
        return
    for case in given.case or CASES:
        seconds = []
        for number in range(given.runs):
            found, answer = one_run(case, (number + 1) / (given.runs + 1))
            seconds.append(found)
            print(f"{case}: {found:.2f} s; a call meanwhile: {answer}", file=sys.stderr)
        print(
            f"{case}: median {statistics.median(seconds):.2f} s, {min(seconds):.2f} to {max(seconds):.2f}, n {len(seconds)}"
        )


def one_run(case: str, phase: float) -> tuple[float, str]:
    """Seconds until green, and what a client got during the outage."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amberlight-bench-")))
        desk = stack.enter_context(Desk(panel=False, notifications=False, system_bus=True))
        server = stack.enter_context(OAuthServer(access_token_lifetime=LIFETIME, check=False, localhost=True))
        echo = stack.enter_context(EchoWorkload(server))
        app = App(
            path_with_thv(desk, directory), directory, "notes" if case == "owned" else "toolhive/notes", "--no-tray"
        )
        owned = OWNED.format(url=echo.url, issuer=server.issuer, client_id=server.client_id) if case == "owned" else ""
        app.configure(CONFIG.format(heal=str(case == "healed").lower()) + owned)
        if case != "alone":
            stack.enter_context(app)
            app.until_up()
        if case == "owned":
            app.run("reauthorize", "notes")
            url = address(app)
            return outage(server, desk, lambda: app.glance()["status"], url, 0.0)
        toolhive = Thv(desk.env, directory, keyring=True)
        toolhive.environment["TOOLHIVE_TOKEN_AUTH_RETRYING_TICK_INTERVAL"] = f"{TICK:g}s"
        stack.enter_context(toolhive)
        # A healed workload is started by the app, whose environment then counts.
        app.environment |= {name: value for name, value in toolhive.environment.items() if "TOOLHIVE" in name}
        toolhive.run("notes", server, echo.url)
        toolhive.sign_in("notes")
        toolhive.until("notes", "running")
        if case != "alone":
            app.until(lambda s: s["status"] == "running", "running")
        listed = toolhive.do("list", "--format", "json")
        url = listed[listed.index("http") :].split('"')[0]
        with toolhive.serving():
            return outage(server, desk, lambda: str(toolhive.status("notes").get("status")), url, phase * TICK)


def outage(server: OAuthServer, desk: Desk, status: Callable[[], str], url: str, wait: float) -> tuple[float, str]:
    until(lambda: status() == "running", "green")
    server.down()
    until(lambda: status() == "auth_retrying", "amber")
    answer = call(url)
    time.sleep(wait)
    wake(desk, asleep=True)
    time.sleep(0.5)
    server.up()
    began = time.monotonic()
    wake(desk, asleep=False)
    until_green(status)
    return time.monotonic() - began, answer


def until_green(status: Callable[[], str]) -> None:
    end = time.monotonic() + 2 * TICK + 30
    while status() != "running":
        if time.monotonic() > end:
            raise SystemExit(f"not green, but {status()}")
        time.sleep(0.02)


def wake(desk: Desk, *, asleep: bool) -> None:
    """What logind says before and after a sleep."""
    desk.mock(LOGIND, LOGIND_PATH, f"EmitSignal('org.freedesktop.login1.Manager', 'PrepareForSleep', 'b', [{asleep}])")


def call(url: str) -> str:
    """The answer to a call of a tool, and how long it took."""
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    url, _, key = url.partition(" ")
    if key:
        head["Authorization"] = key
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "x"}}}'
    began = time.monotonic()
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            urllib.request.Request(url, body, head), timeout=60
        ) as answer:
            text = f"{answer.status} {answer.read()[:160].decode()}"
    except urllib.error.HTTPError as error:
        text = f"{error.code} {error.read()[:100].decode().strip()}"
    return f"{text} after {time.monotonic() - began:.2f} s"


def address(app: App) -> str:
    """Where clients reach the own workload, and their key."""
    import json

    found = json.loads(app.run("client-config", "notes", "--format", "json"))
    return f"{found['url']} {found['headers']['Authorization']}"


def path_with_thv(desk: Desk, directory: Path) -> dict[str, str]:
    """The desk's environment, with `thv` on the PATH and a browser that consents."""
    found = thv.program()
    assert found is not None
    folder = directory / "bin"
    folder.mkdir()
    (folder / "thv").symlink_to(Path(found).resolve())
    browser = folder / "browser"
    root = Path(__file__).resolve().parents[2]
    browser.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(root)!r})\n"
        "from trayapp.oauthtest import browse\nbrowse(sys.argv[1])\n",
        encoding="utf-8",
    )
    browser.chmod(0o755)
    return {**desk.env, "PATH": f"{folder}:{desk.env['PATH']}", "BROWSER": str(browser)}


def memory(workloads: int) -> None:
    """Proportional set size of ToolHive's processes, and of Amberlight before and while it watches them."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amberlight-bench-")))
        desk = stack.enter_context(Desk(panel=False, notifications=False))
        server = stack.enter_context(OAuthServer(access_token_lifetime=3600, check=False, localhost=True))
        echo = stack.enter_context(EchoWorkload(server))
        app = App(path_with_thv(desk, directory), directory, "toolhive/w0", "--no-tray")
        app.configure(CONFIG.format(heal="true"))
        stack.enter_context(app)
        app.until_up()
        time.sleep(3)
        print(f"Amberlight, no ToolHive: {pss(app.pid):.1f} MiB")
        toolhive = stack.enter_context(Thv(desk.env, directory))
        for number in range(workloads):
            toolhive.run(f"w{number}", server, echo.url)
            toolhive.sign_in(f"w{number}")
            toolhive.until(f"w{number}", "running")
        app.until(lambda s: s["status"] == "running", "running")
        time.sleep(3)
        print(f"Amberlight, watching {workloads}: {pss(app.pid):.1f} MiB")
        processes = [toolhive.status(f"w{number}")["process_id"] for number in range(workloads)]
        print(f"ToolHive, {workloads}: {sum(map(pss, processes)):.1f} MiB")


def pss(process: int) -> float:
    """MiB."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    return int(text.partition("\nPss:")[2].split()[0]) / 1024


if __name__ == "__main__":
    os.environ.setdefault(thv.VARIABLE, thv.program() or "")
    main()
