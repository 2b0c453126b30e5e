"""Memory that a refresh leaves behind: none. Counted by Python's allocator in the running program; SQLite's memory is that of
`tests/storage/test_journal.py`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import ROOT
from trayapp.oauthtest import OAuthServer

WORKLOADS, SERVERS = 10, 5
WARM, REFRESHES, EVERY = 250, 400, 8
END = 12  # readings at each end; the least of them has hardly anything that is under way
ALLOWED = 150  # bytes a refresh: one small object
APP = """
import asyncio, gc, json, sys, threading, time, tracemalloc
from functools import partial
from pathlib import Path

from tests.vault.keyrings import FileVault
from trayapp.app import runtime
from trayapp.app.app import App
from trayapp.app.parts import Parts
from trayapp.config.loader import Config, Settings
from trayapp.config.paths import Paths
from trayapp.core.model import Login, Policy, Secret, Spec
from trayapp.vault.keystore import Keystore

root, warm, refreshes, every = Path(sys.argv[1]), *map(int, sys.argv[2:])
policy = Policy(
    refresh_spacing=0.1, usable_margin=0.05, initial_retry_interval=0.2, max_retry_interval=0.4, automatic_attempts=100_000
)
runtime.Events = partial(runtime.Events, ring_size=20)  # the 1,000 events that are kept for readers would fill up meanwhile
vault = FileVault(root / "keyring")
vault.directory.mkdir()

def keystore():
    return Keystore("inst", lambda: vault)

async def sign_in(rows):
    store = keystore()
    for name, token, endpoint, client in rows:
        assert await store.store(name, Login(1, name, Secret(token), time.time(), endpoint, client)) is None
    await store.close()

rows = json.loads(sys.stdin.readline())
asyncio.run(sign_in(rows))
specs = {
    name: Spec(name, "http://127.0.0.1:9/mcp", client_id=client, token_endpoint=endpoint, policy=policy)
    for name, _, endpoint, client in rows
}
def started(control):
    threading.Thread(target=watch, args=(control.counted().refreshes,), daemon=True).start()

def watch(counted):
    next_ = warm
    while next_ <= warm + refreshes:
        time.sleep(0.02)
        done = sum(number for (_, outcome, _), number in list(counted.items()) if outcome == "refreshed")
        if done >= next_:
            gc.collect()
            print(json.dumps([done, tracemalloc.get_traced_memory()[0]]), flush=True)
            next_ = done + every
    app.quit()

paths = Paths.under(root / "app")
paths.make()
tracemalloc.start()
app = App(paths, lambda: Config(Settings(port=0), specs), Parts(keystore=keystore, notifications=False, on_start=started))
sys.exit(app.run(tray=False))
"""


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_refreshes_leave_nothing_behind(tmp_path: Path) -> None:
    """400 refreshes, stored, recorded and published: the least that is held is the same at both ends."""

    with ExitStack() as stack:
        servers = [
            stack.enter_context(OAuthServer(access_token_lifetime=0.4, grace=3600, check=False)) for _ in range(SERVERS)
        ]
        rows = []
        for number in range(WORKLOADS):
            server = servers[number % SERVERS]
            rows.append([f"w{number}", server.issue().refresh_token, server.token_endpoint, server.client_id])
        done = subprocess.run(
            [sys.executable, "-c", APP, str(tmp_path), *map(str, (WARM, REFRESHES, EVERY))],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "XDG_"))},
            input=json.dumps(rows) + "\n",
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )
    assert 0 == done.returncode, done.stderr
    readings = [json.loads(line) for line in done.stdout.splitlines()]
    first, last = readings[0][0], readings[-1][0]
    growth = min(kept for _, kept in readings[-END:]) - min(kept for _, kept in readings[:END])
    assert last - first >= REFRESHES - 4 * EVERY, readings
    assert growth <= ALLOWED * (last - first), readings
