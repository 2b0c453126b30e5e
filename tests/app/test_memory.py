"""Memory and garbage collection settings: what they save, and that other systems run without them."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from trayapp.app import memory

THREADS = """
import re, sys, threading
from trayapp.app import memory

if sys.argv[1] == "one":
    memory.single_heap()
kept, all_there = [], threading.Barrier(5)

def work():
    kept.append([bytearray(4000) for _ in range(100)])
    all_there.wait()

for _ in range(4):
    threading.Thread(target=work).start()
all_there.wait()
heaps = re.findall(r"^[0-9a-f]+[048c]000000-[0-9a-f]+ rw-p 0+ 00:00 0 *$", open("/proc/self/maps").read(), re.M)
print(len(heaps))
"""

FREEZE = """
import gc
from trayapp.app import memory

with memory.collector_paused():
    here = [[] for _ in range(1000)]
    was = gc.isenabled()
    memory.freeze_loaded()
print(was, gc.get_freeze_count() > 1000, gc.get_count()[2], gc.isenabled())
"""


def said(code: str, *arguments: str) -> str:
    words = [sys.executable, "-X", "utf8", "-c", code, *arguments]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.rstrip()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has heaps for each thread")
def test_threads_share_one_heap() -> None:
    """Four threads that allocate at the same time get no heaps of their own; without the call they do."""

    assert "0" == said(THREADS, "one")
    assert 0 < int(said(THREADS, "many"))


def test_what_is_loaded_is_exempt_from_collections() -> None:
    """No collection while loading; then it is frozen, and the collector handles only newer objects."""

    assert "False True 0 True" == said(FREEZE)


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_are_left_alone(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The C library is not called."""

    loaded: list[object] = []
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(ctypes, "CDLL", loaded.append)
    memory.single_heap()
    assert [] == loaded
    monkeypatch.setattr(sys, "platform", "linux")
    memory.single_heap()
    assert [None] == loaded


SPARE = """
import asyncio, aiohttp
from trayapp.app import memory

async def ask():
    async with aiohttp.ClientSession() as client:
        await client.get("https://127.0.0.1:9/")

def sent():
    try:
        asyncio.run(ask())
    except aiohttp.ClientConnectorError:
        return "tried"
    except NameError:
        return "refused"

first = sent()
for _ in range(2):
    with memory.lean_imports():
        pass
print(first, sent())
"""


def test_a_request_without_a_tls_context_of_ours_is_not_sent() -> None:
    """aiohttp's own are dropped, among them the one that verifies nothing; a second call does no harm."""

    assert "tried refused" == said(SPARE)


TYPES = """
import mimetypes
from trayapp.app import memory

with memory.lean_imports():
    import aiohttp.web
print(mimetypes.guess_type("a.html")[0], mimetypes.guess_type("a.amberlight")[0], len(mimetypes.knownfiles))
"""


def test_the_systems_mime_types_are_not_read() -> None:
    """Those that Python knows are enough."""

    assert "text/html None 0" == said(TYPES)


LEAN = """
import sys
from trayapp.app import memory

with memory.lean_imports():
    import aiohttp.web, httpx2
print(*sorted({"argparse", "bz2", "html", "idna", "importlib.metadata", "lzma", "uuid"} & set(sys.modules)))
import html, importlib.metadata
print(aiohttp.MultipartWriter().boundary.isalnum(), html.unescape("&eacute;"), importlib.metadata.version("httpx2") > "")
print(httpx2.URL("https://b\u00fccher.example/").raw_host.decode(), aiohttp.web.ArgumentParser(prog="web").prog)
"""


def test_modules_that_libraries_hardly_use_are_loaded_when_they_do() -> None:
    """They stay out of memory, and a library that needs one after all gets the whole of it."""

    assert ["", "True \u00e9 True", "xn--bcher-kva.example web"] == said(LEAN).split("\n")
