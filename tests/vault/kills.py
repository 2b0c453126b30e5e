"""Kills at every step of what is done to a keyring of files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests import ROOT

CHILDREN = """
import os, shutil, signal, sys
from pathlib import Path
from tests.vault.keyrings import FileVault, login
from trayapp.vault.login_store import LoginStore

root, limit, act = Path(sys.argv[1]), int(sys.argv[2]) or None, compile(sys.argv[3], "act", "exec")

def killing(left):
    def step():
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
    return step

for at in range(200):
    directory = root / str(at)
    shutil.copytree(root / "before", directory)
    if (child := os.fork()) == 0:
        try:
            vault, store = FileVault(directory, limit, step=killing(at)), LoginStore("inst")
            exec(act)
            os._exit(0)
        finally:
            os._exit(1)
    how = os.waitpid(child, 0)[1]
    print(os.waitstatus_to_exitcode(how), flush=True)
    if how == 0:
        break
"""


def killed_at_every_step(root: Path, limit: int | None, act: str) -> int:
    """Do it again and again, with a SIGKILL before and after every call of the keyring, until it comes to its end.

    Each time begins with a copy of `root / "before"`, and leaves it in `root / "0"`, `root / "1"` …; returns how many there
    are. `act` is code that has `vault`, `store` and `login`.
    """
    done = subprocess.run(
        [sys.executable, "-c", CHILDREN, str(root), str(limit or 0), act],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    ends = [int(line) for line in done.stdout.splitlines()]
    assert [-signal.SIGKILL] * (len(ends) - 1) + [0] == ends
    return len(ends)
