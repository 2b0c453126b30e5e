"""Waiting, in a terminal, until a sign-in has succeeded or ended. The app does the sign-in; this only looks on.

A sign-in is an overlay on a workload that may be running all the while, so its end is read from two facts: `signing_in`
is over, and the login was renewed at that moment (`last_refreshed_at` moved) or was not.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from trayapp.cli.client import ApiError, Client
from trayapp.cli.codes import FAILED, NEEDS_SIGN_IN, OK
from trayapp.cli.output import auth_of, clean, complain, say

LIMIT = 300.0  # s; as long as the app itself waits for the browser
POLL = 0.5  # s
SETTLED = 2.0  # s; snapshots come up to half a second late, so "not signing in" has to be seen for longer than that


def sign_in(client: Client, name: str, *, browser: bool, accept: bool) -> int:
    """Begin a sign-in and wait for its end; prints what to do and what came of it."""
    before = _refreshed(client.status(name))
    answer = client.post(name, "reauthorize", {"browser": browser, "accept": accept})
    for step in answer.get("steps") or ():
        say(clean(step))
    url = answer.get("authorization_url")
    pasted = None
    if isinstance(url, str) and url:
        if browser:
            say(
                f"Your browser opens the sign-in page of {name}. If it does not, open this address:\n\n  {clean(url)}\n"
            )
        else:
            say(f"Open this address in a browser on any machine and sign in:\n\n  {clean(url)}\n")
            say("If the browser then shows a page that cannot be reached, paste its address here and press Enter:")
            pasted = Pasted()
    sys.stdout.flush()
    return _wait(client, name, before, pasted)


class Pasted:
    """Lines that a person types or pastes, read by a thread that the program's end need not wait for."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="read pasted address", daemon=True).start()

    def next(self) -> str:
        """A whole line, or nothing if there is none yet."""
        with contextlib.suppress(queue.Empty):
            return self._lines.get_nowait().strip()
        return ""

    def _read(self) -> None:
        """By file descriptor: a thread inside Python's own buffered reader would make the interpreter's end fail."""
        rest = b""
        try:
            descriptor = sys.stdin.fileno()
            while chunk := os.read(descriptor, 65536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._lines.put(line.decode(errors="replace"))
        except (OSError, ValueError, AttributeError):
            return  # no standard input: the browser may still come back by itself
        if rest:
            self._lines.put(rest.decode(errors="replace"))


def _wait(client: Client, name: str, before: object, pasted: Pasted | None) -> int:
    until = time.monotonic() + LIMIT
    seen, idle_since, renewed = False, time.monotonic(), before
    while time.monotonic() < until:
        if pasted is not None and (line := pasted.next()):
            _hand_over(client, name, line)
        row = client.status(name)
        now = time.monotonic()
        if auth_of(row).get("signing_in"):
            seen, idle_since, renewed = True, now, _refreshed(row)
        elif _refreshed(row) != renewed:
            say(f"{name} is signed in.")
            return OK
        elif now - idle_since > SETTLED:
            return _ended(name, row, seen)
        time.sleep(POLL)
    complain(
        f"amberlight: nobody signed in to {name} within {LIMIT / 60:g} minutes. Try again: amberlight reauthorize {name}"
    )
    return NEEDS_SIGN_IN


def _refreshed(row: Mapping[str, Any]) -> object:
    return auth_of(row).get("last_refreshed_at")


def _hand_over(client: Client, name: str, line: str) -> None:
    """Give the app the pasted address; it holds a code, so it is never repeated here."""
    try:
        client.post(name, "callback", {"url": line})
    except ApiError as error:
        complain(f"{clean(error)} Paste the whole address, from http:// on:")


def _ended(name: str, row: Mapping[str, Any], seen: bool) -> int:
    """No sign-in is under way any more, and the login is the one from before."""
    reason = auth_of(row).get("sign_in_error")
    why = clean(reason.get("summary")) if isinstance(reason, Mapping) else ""
    what = "ended without a new login" if seen else "did not begin"
    complain(f"amberlight: the sign-in of {name} {what}. {why or 'The reason is in: amberlight logs'}")
    return NEEDS_SIGN_IN if row.get("status") == "unauthenticated" else FAILED
