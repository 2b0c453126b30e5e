"""Modules that libraries import and hardly use: loaded once something of them is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import ROOT


def said(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment or None, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()


USE = """
import sys, threading
from trayapp.app.deferred import Deferred, defer

defer({"uuid": {}, "html.entities": {"html5": {}}, "threading": {}})
import html, uuid
before = isinstance(uuid, Deferred), sys.modules["threading"] is threading, "_uuid" in sys.modules
start, made = threading.Barrier(8), []

def use():
    start.wait()
    made.append(uuid.UUID(int=1))

threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
from uuid import UUID
from html import entities
print(before, {*made} == {UUID(int=1)}, sys.modules["uuid"].__file__ is not None, entities.codepoint2name[228])
"""


def test_the_first_use_loads_the_module() -> None:
    """In any thread, and once; a module that was loaded before is left alone."""

    assert "(True, True, False) True True auml" == said(USE)


IMPORTS = """
import sys
from trayapp.app.deferred import without_unused

with without_unused():
    import aiohttp.web, html, httpx2, httpcore2
    inside = "trio" in sys.modules and sys.modules["trio"] is None
import argparse, importlib.metadata, pickle
print(inside, "trio" in sys.modules, html.escape("<&>\\"'"))
print(argparse.ArgumentParser(prog="p").prog, importlib.metadata.version("httpx2")[:2], pickle.loads(pickle.dumps(7)))
"""


def test_what_is_imported_later_is_real() -> None:
    """The libraries get by without; everybody else gets the real modules, and HTML is escaped as ever."""

    assert ["True False &lt;&amp;&gt;&quot;&#x27;", "p 2. 7"] == said(IMPORTS).splitlines()


START = """
import os, signal, sys
from types import ModuleType
from trayapp.app import deferred, memory

places = {}

def note():
    for name, module in list(sys.modules.items()):
        for value in list(vars(module).values()) if isinstance(module, ModuleType) else ():
            if isinstance(value, deferred.Deferred) and value.__name__ in deferred.UNUSED:
                places.setdefault(value.__name__, []).append(name)
    print(places)
    print(*(name for name, module in sys.modules.items() if not isinstance(module, deferred.Deferred)))
    os.kill(os.getpid(), signal.SIGTERM)

memory.freeze_loaded = note
from trayapp.cli import run_command
sys.exit(run_command.run(tray=False))
"""

# What the running app does without until somebody asks for it; each is at least 0.1 MB.
UNTIL_ASKED = {
    "_lzma",
    "_uuid",
    "argparse",
    "authlib.jose",
    "cryptography",
    "csv",
    "html.entities",
    "importlib.metadata",
    "joserfc",
    "mcp",
    "pickle",
    "pydantic",
    "sysconfig",
    "trio",
    "trayapp.aggregate",
    "trayapp.catalog",
    "trayapp.catalog.lookup",
    "trayapp.cli.commands",
    "trayapp.clients.connecting",
    "trayapp.clients.edits",
    "trayapp.importers",
    "trayapp.oauth.device",
    "trayapp.oauth.discovery",
    "trayapp.oauth.signin",
    "webbrowser",
    "zipfile",
}


def test_the_running_app_has_loaded_only_what_it_uses(tmp_path: Path) -> None:
    """Nobody but aiohttp has a module that isn't the real one, and of what is rarely asked for nothing is loaded."""

    places = {f"XDG_{place}_HOME": str(tmp_path / place) for place in ("CONFIG", "DATA", "STATE", "CACHE")}
    config = tmp_path / "CONFIG/amberlight/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[settings]\nport = 0\n")
    held, loaded = said(START, PATH="/usr/bin", HOME=str(tmp_path), **places).splitlines()

    assert "{'pickle': ['aiohttp.cookiejar']}" == held
    assert {"aiohttp", "httpcore2", "trayapp.app.runtime"} <= set(loaded.split())
    assert set() == UNTIL_ASKED & set(loaded.split())
