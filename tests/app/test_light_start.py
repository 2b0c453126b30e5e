"""Imports before the icon and of the running app: only what each needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.own_places import own_places

START = """
import sys
from trayapp.cli import main
from trayapp.tray.icon import TrayIcon, native_backend

def run(icon):
    native_backend("Amberlight", lambda action: None, lambda present: None)
    print(*sys.modules, sep="\\n")

TrayIcon.run = run
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
    "locale",
    "logging.handlers",
    "pickle",
    "PIL",
    "six",
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
    "xml.etree.ElementTree",
)

RUN = """
import gc, os, signal, ssl, sys
from trayapp.app import memory
from trayapp.cli import main

def started():
    print(*sys.modules, sep="\\n")
    print("contexts", sum(isinstance(each, ssl.SSLContext) for each in gc.get_objects()))
    os.kill(os.getpid(), signal.SIGTERM)

memory.freeze_loaded = started
sys.exit(main(["run", "--no-tray"]))
"""

# Each of these is loaded where it is first needed, or by another process: sign-in, commands, `/mcp`, other systems.
UNUSED = (
    "PIL",
    "cryptography",
    "desktop_notifier",
    "filelock",
    "html",
    "importlib.metadata",
    "jeepney",
    "joserfc",
    "keyring",
    "mcp",
    "multiprocessing",
    "pydantic",
    "pydoc",
    "pystray",
    "ruamel",
    "secretstorage",
    "tomlkit",
    "unittest",
    "uvicorn",
    "webbrowser",
    "wsgiref",
    "zipfile",
    "trayapp.aggregate",
    "trayapp.app.external_claims",
    "trayapp.app.external_owner",
    "trayapp.app.take_over",
    "trayapp.app.take_over_answers",
    "trayapp.app.taken_over_from",
    "trayapp.catalog",
    "trayapp.cli.client",
    "trayapp.cli.commands",
    "trayapp.clients.connecting",
    "trayapp.clients.edits",
    "trayapp.demo",
    "trayapp.external.owner",
    "trayapp.external.owners",
    "trayapp.external.toolhive",
    "trayapp.importers",
    "trayapp.oauth.discovery",
    "trayapp.oauth.idtoken",
    "trayapp.oauth.signin",
    "trayapp.oauthtest",
    "trayapp.stdio",
    "trayapp.vault.backends",
)


def environment(home: Path) -> dict[str, str]:
    """An environment with directories of its own and without a desktop."""
    if sys.platform != "linux":
        return {**os.environ, **own_places(home)}
    places = {f"XDG_{place}_HOME": str(home / place) for place in ("CONFIG", "DATA", "STATE", "CACHE")}
    return {"PATH": "/usr/bin", "HOME": str(home), **places}


def test_nothing_heavy_is_imported_before_the_icon(tmp_path: Path) -> None:
    """When the icon is about to be shown, neither the engine nor any heavy library has been loaded."""

    done = subprocess.run(
        [sys.executable, "-c", START], env=environment(tmp_path), cwd=ROOT, capture_output=True, text=True
    )

    assert 0 == done.returncode, done.stderr
    loaded = done.stdout.split()
    assert ("trayapp.tray.native_windows" if sys.platform == "win32" else "trayapp.tray.sni") in loaded
    needed = {"PIL", "six"} if sys.platform == "win32" else set()  # there pystray draws, and shows, the icon
    assert [] == sorted(set(LATER) & set(loaded) - needed)


@pytest.mark.skipif(sys.platform == "win32", reason="it ends by SIGTERM")
def test_the_running_app_loads_nothing_for_rare_occasions(tmp_path: Path) -> None:
    """A library that an idle app never uses stays out of its memory, and no TLS context is made before it is needed:
    each holds a copy of the system's certificates, 0.8 MB where they are one file."""

    done = subprocess.run(
        [sys.executable, "-c", RUN], env=environment(tmp_path), cwd=ROOT, capture_output=True, text=True
    )

    assert 0 == done.returncode, done.stderr
    *loaded, contexts = done.stdout.splitlines()
    assert "trayapp.app.runtime" in loaded
    assert [] == sorted(set(UNUSED) & set(loaded))
    assert "contexts 0" == contexts
