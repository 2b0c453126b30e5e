"""Imports before the icon: only what the icon needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import ROOT

START = """
import sys
from trayapp.cli import main
from trayapp.tray import sni

def run(icon, setup):
    print(*sys.modules, sep="\\n")

sni.Icon.run = run
sys.exit(main([]))
"""

LATER = (
    "aiohttp",
    "argparse",
    "authlib",
    "cryptography",
    "desktop_notifier",
    "email",
    "filelock",
    "html",
    "http.client",
    "httpx2",
    "keyring",
    "logging.handlers",
    "pickle",
    "PIL",
    "sqlite3",
    "tomllib",
    "trayapp.cli.client",
    "trayapp.cli.commands",
    "trayapp.config.loader",
    "trayapp.core.machine",
    "trayapp.core.model",
    "trayapp.core.snapshot",
    "trayapp.engine.engine",
    "trayapp.app.runtime",
)


def test_nothing_heavy_is_imported_before_the_icon(tmp_path: Path) -> None:
    """When the icon is about to be shown, neither the engine nor any heavy library has been loaded."""

    places = {f"XDG_{place}_HOME": str(tmp_path / place) for place in ("CONFIG", "DATA", "STATE", "CACHE")}
    environment = {"PATH": "/usr/bin", "HOME": str(tmp_path), **places}
    done = subprocess.run([sys.executable, "-c", START], env=environment, cwd=ROOT, capture_output=True, text=True)

    assert 0 == done.returncode, done.stderr
    loaded = done.stdout.split()
    assert "trayapp.tray.sni" in loaded
    assert [] == sorted(set(LATER) & set(loaded))
