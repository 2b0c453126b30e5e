"""Open an address in the person's own browser, and learn whether that worked.

On Linux the program that opens it is watched for some seconds: `webbrowser` counts it as a success that xdg-open has been
started, and lets it complain on our standard error, with the address. What it prints is dropped here, as the address of a
sign-in has secrets in it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

LIMIT = 5.0  # s; xdg-open needs less than one unless it stays for as long as the browser does
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
# Without xdg-open, whatever there is: a desktop's own program, the choice of Debian's alternatives, then the usual browsers.
OPENERS = (
    ("xdg-open",),
    ("gio", "open"),
    ("x-www-browser",),
    ("firefox",),
    ("chromium",),
    ("google-chrome",),
)


class NoBrowserError(Exception):
    """No browser could be opened. The text says why, in half a sentence without the address."""


def browse(url: str, *, limit: float = LIMIT) -> bool:
    """Open the URL; blocks for at most `limit` s per program. True: it is open. False: its program has not ended yet.

    A program that stays may be the browser itself, or may hang: nobody can tell. Raises `NoBrowserError`.
    """
    if not sys.platform.startswith("linux"):
        return _elsewhere(url)
    if not any(map(os.environ.get, DISPLAYS)):  # a browser would come up inside the terminal
        raise NoBrowserError("there's no display")
    problem = "no program to open one was found"
    for command in _commands(os.environ):
        try:
            return _run([part.replace("%s", url) for part in command], limit)
        except NoBrowserError as error:
            problem = str(error)
    raise NoBrowserError(problem)


def _elsewhere(url: str) -> bool:
    """macOS and Windows report what came of it themselves."""
    import webbrowser

    try:
        opened = webbrowser.open(url)
    except (webbrowser.Error, OSError) as error:
        raise NoBrowserError(type(error).__name__) from None
    if not opened:
        raise NoBrowserError("the system didn't open one")
    return True


def _commands(environ: Mapping[str, str]) -> Iterator[list[str]]:
    """The commands to try, `%s` for the URL: those of BROWSER, as `webbrowser` reads them, then one opener."""
    for entry in environ.get("BROWSER", "").split(os.pathsep):
        try:
            words = shlex.split(entry)
        except ValueError:  # an unbalanced quote
            continue
        if words[-1:] == ["&"]:
            del words[-1]
        if words:
            yield words if any("%s" in word for word in words) else [*words, "%s"]
    for opener in OPENERS:
        if shutil.which(opener[0]):
            yield [*opener, "%s"]
            return  # its answer counts: xdg-open has tried all that there is


def _run(command: list[str], limit: float) -> bool:
    name = Path(command[0]).name
    quiet = subprocess.DEVNULL
    try:
        # A session of its own: Ctrl-C in our terminal does not close the browser.
        process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    except (OSError, ValueError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "not a command"
        raise NoBrowserError(f"{name} can't be started ({reason})") from None
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        threading.Thread(target=process.wait, name=f"end of {name}", daemon=True).start()
        return False
    if code != 0:
        raise NoBrowserError(f"{name} ended with {code}")
    return True
