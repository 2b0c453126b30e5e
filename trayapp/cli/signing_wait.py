"""Waiting, in a terminal, until a sign-in has succeeded or ended. The app does the sign-in; this only looks on.

A sign-in is an overlay on a workload that may be running all the while, so its end is read from two facts: `signing_in`
is over, and the login was renewed at that moment (`last_refreshed_at` moved) or was not. Ctrl-C ends a sign-in that
this command began, and nothing else.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any, TypedDict

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, INTERRUPTED, NEEDS_SIGN_IN, OK
from trayapp.cli.output import auth_of, clean, complain, moment, say, span
from trayapp.cli.pasting import PastedLines

LIMIT = 300.0  # s; as long as the app itself waits for the browser
LONGEST = 1800.0  # s; as long as it waits for a device code
POLL = 0.5  # s
SETTLED = 2.0  # s; snapshots come up to half a second late, so "not signing in" has to be seen for longer than that


class SignInMethod(TypedDict):
    """How to sign in: whether the app opens the page by itself, and by browser or device; empty: as configured."""

    browser: bool
    flow: str


def way(arguments: argparse.Namespace) -> SignInMethod:
    """As configured, unless an option says otherwise."""
    if arguments.device:
        return {"browser": False, "flow": "device"}
    if arguments.no_browser:
        return {"browser": False, "flow": "browser"}
    return {"browser": True, "flow": ""}


def sign_in(client: ApiClient, name: str, *, browser: bool, accept: bool, flow: str = "") -> int:
    """Begin a sign-in and wait for its end; prints what to do and what came of it.

    `flow` is browser or device, empty: as configured. `browser`: the app opens the page by itself.
    """
    row = client.status(name)
    ours = not auth_of(row).get("signing_in")
    try:
        return _sign_in(client, name, _refreshed(row), browser=browser, accept=accept, flow=flow)
    except KeyboardInterrupt:
        return _interrupted(client, name, ours)


def _sign_in(client: ApiClient, name: str, before: object, *, browser: bool, accept: bool, flow: str) -> int:
    wish = {"browser": browser, "accept": accept} | ({"flow": flow} if flow else {})
    answer = client.post(name, "reauthorize", wish)
    for step in answer.get("steps") or ():
        say(clean(step))
    url, pasted, limit, seen = answer.get("authorization_url"), None, LIMIT, False
    if isinstance(url, str) and url:
        auth = auth_of(client.status(name))
        device, seen = auth.get("device"), bool(auth.get("signing_in"))
        if isinstance(device, Mapping):
            limit = _show_code(device, opened=browser)
        elif browser:
            say(
                f"Your browser opens the sign-in page of {name}. If it does not, open this address:\n\n  {clean(url)}\n"
            )
        else:
            say(f"Open this address in a browser on any machine and sign in:\n\n  {clean(url)}\n")
            say("If the browser then shows a page that cannot be reached, paste its address here and press Enter:")
            pasted = PastedLines()
    sys.stdout.flush()
    return _wait(client, name, before, pasted, limit, seen)


def _show_code(device: Mapping[str, Any], *, opened: bool) -> float:
    """What to type where; how long it is good, in seconds."""
    ends = moment(device.get("expires_at"))
    left = LIMIT if ends is None else min(max(ends - time.time(), 0.0), LONGEST)
    where = "Your browser opens" if opened else "Open this address in a browser on any machine"
    code = clean(device.get("user_code"))
    say(f"{where}:\n\n  {clean(device.get('verification_uri'))}\n\nand enter this code:\n\n  {code}\n")
    if complete := clean(device.get("verification_uri_complete") or ""):
        say(f"With the code in it already:\n\n  {complete}\n")
    say(f"Waiting for you; the code is good for {span(left)}. Ctrl-C ends the sign-in.")
    return left


def _interrupted(client: ApiClient, name: str, ours: bool) -> int:
    """The person gave it up: nobody need wait for it any longer, and all is as it was."""
    try:
        if ours:
            client.post(name, "cancel")
            complain(f"\nThe sign-in of {name} was ended. Try again: amberlight reauthorize {name}")
        else:
            complain(f"\nThe sign-in of {name} had begun elsewhere and goes on.")
    except (ApiError, NotRunningError):
        complain(f"\nThe sign-in of {name} ends by itself.")
    return INTERRUPTED


def _wait(client: ApiClient, name: str, before: object, pasted: PastedLines | None, limit: float, seen: bool) -> int:
    until = time.monotonic() + limit + SETTLED  # the app says first why it gave up
    idle_since, renewed = time.monotonic(), before
    while time.monotonic() < until:
        if pasted is not None and (line := pasted.next()):
            _hand_over(client, name, line)
        row = client.status(name)
        now = time.monotonic()
        if auth_of(row).get("signing_in"):
            seen, idle_since, renewed = True, now, _refreshed(row)
        elif _refreshed(row) != renewed:
            say(f"{name} is signed in.")
            if warning := _summary(row, "sign_in_warning"):
                complain(f"amberlight: {warning}")
            return OK
        elif now - idle_since > SETTLED:
            return _ended(name, row, seen)
        time.sleep(POLL)
    complain(f"amberlight: nobody signed in to {name} within {span(limit)}. Try again: amberlight reauthorize {name}")
    return NEEDS_SIGN_IN


def _summary(row: Mapping[str, Any], what: str) -> str:
    problem = auth_of(row).get(what)
    return clean(problem.get("summary")) if isinstance(problem, Mapping) else ""


def _refreshed(row: Mapping[str, Any]) -> object:
    return auth_of(row).get("last_refreshed_at")


def _hand_over(client: ApiClient, name: str, line: str) -> None:
    """Give the app the pasted address; it holds a code, so it is never repeated here."""
    try:
        client.post(name, "callback", {"url": line})
    except ApiError as error:
        complain(f"{clean(error)} Paste the whole address, from http:// on:")


def _ended(name: str, row: Mapping[str, Any], seen: bool) -> int:
    """No sign-in is under way any more, and the login is the one from before."""
    why = _summary(row, "sign_in_error")
    what = "ended without a new login" if seen else "did not begin"
    complain(f"amberlight: the sign-in of {name} {what}. {why or 'The reason is in: amberlight logs'}")
    return NEEDS_SIGN_IN if row.get("status") == "unauthenticated" else FAILED
