"""Memory that a refresh leaves behind: none. Counted in the running program, by Python's allocator and by SQLite's."""

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
WARM, REFRESHES, EVERY = 600, 300, 8  # what is kept for each workload is complete after some fifty refreshes of it
END = 12  # readings at each end; the least of them has hardly anything that is under way
ALLOWED = 100  # bytes a refresh: one small object
SQLITE = 400 << 10  # bytes; its cache of 256 KB and its connection. Its default would pass this after 700 refreshes

APP = """
import asyncio, ctypes, gc, json, sys, threading, time, tracemalloc
from pathlib import Path

import _sqlite3

from tests.vault.keyrings import FileVault
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
try:
    sqlite = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    sqlite.restype = ctypes.c_int64
except (AttributeError, OSError):
    sqlite = lambda: 0
def started(control):
    threading.Thread(target=watch, args=(control.counted().refreshes,), daemon=True).start()

def watch(counted):
    next_ = warm
    while next_ <= warm + refreshes:
        time.sleep(0.02)
        done = sum(number for (_, outcome, _), number in list(counted.items()) if outcome == "refreshed")
        if done >= next_:
            gc.collect()
            print(json.dumps([done, tracemalloc.get_traced_memory()[0], sqlite()]), flush=True)
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
    """300 refreshes, stored, recorded and published: the least that is held is the same at both ends."""

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
    growth = min(kept for _, kept, _ in readings[-END:]) - min(kept for _, kept, _ in readings[:END])
    assert last - first >= REFRESHES - EVERY, readings
    assert growth <= ALLOWED * (last - first), readings
    assert max(kept for _, _, kept in readings) <= SQLITE, readings
