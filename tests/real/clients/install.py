"""The clients that the other tests don't need: 2.2 GB of npm packages and a Go program, in the cache directory.

They are installed only when asked for (`AMBERLIGHT_CLIENTS=1`), once for each version of the lock file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.real import node

HERE = Path(__file__).resolve().parent
LIMIT = 900.0  # s
GO_FILES = ("go.mod", "go.sum", "main.go")


def wanted() -> bool:
    """Whether these clients may be installed."""
    return os.environ.get("AMBERLIGHT_CLIENTS") == "1"


def packages(*only: str) -> Path:
    """The directory whose `node_modules` holds the programs, or at least `only` these. Raises `node.NodeMissing`."""
    return node.packages(HERE, LIMIT, "install", only)


def go_client() -> Path:
    """The directory of `go-client`, which is built if there is Go. Raises `node.NodeMissing`."""
    digest = hashlib.sha256(b"\0".join((HERE / "go" / name).read_bytes() for name in GO_FILES)).hexdigest()[:16]
    target = node.cache_directory() / f"go-{digest}"
    if not (target / "go-client").exists():
        go = shutil.which("go")
        if go is None:
            raise node.NodeMissing("Go is not installed: see https://go.dev/doc/install")
        target.mkdir(parents=True, exist_ok=True)
        command = [go, "build", "-o", str(target / "go-client"), "."]
        done = subprocess.run(command, cwd=HERE / "go", capture_output=True, text=True, timeout=LIMIT, check=False)
        if done.returncode:
            raise node.NodeMissing(f"the Go client could not be built: {done.stderr.strip()[-800:]}")
    return target
