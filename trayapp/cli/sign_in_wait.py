"""Waits in a terminal until a sign-in has succeeded or ended. The app does the signing in; this only watches.

A sign-in is an overlay on a workload that may keep running, so its end is read from two facts: `signing_in` is no
longer set, and the login was renewed at that moment (`last_refreshed_at` changed) or not. Ctrl-C cancels a sign-in
that this command began, and no other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, TypedDict

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, INTERRUPTED, NEEDS_SIGN_IN, OK
from trayapp.cli.output import clean, duration_words, flush_output, parse_time, print_error, print_line
from trayapp.cli.pasted_lines import PastedLines
from trayapp.cli.questions import can_ask
from trayapp.cli.workload_text import auth_of, scopes_of
from trayapp.config.paths import Paths
from trayapp.core.app_notices import START_KEYRING, THIS_RUN_ONLY

BROWSER_LIMIT = 300.0  # s; as long as the app itself waits for the browser
DEVICE_LIMIT = 1800.0  # s; as long as it waits for a device code
POLL = 0.5  # s
SHOW_AFTER = 10.0  # s without a sign-in before the address is shown to whoever asked for as little as possible
REGISTER_AGAIN = "r"  # what a person types who sees the server's error page
STORE_LIMIT = 1.0  # s for the keyring to refuse a login, where there is none
STORE_POLL = 0.05  # s
SETTLED = 2.0  # s; snapshots are up to half a second late, so "not signing in" must hold for longer than that


class SignInMethod(TypedDict):
    """How to sign in: `browser` means that the app opens the page; `flow` is browser or device, "" as configured."""

    browser: bool
    flow: str


def requested_method(arguments: argparse.Namespace) -> SignInMethod:
    """The method that the options ask for; by default as configured."""
    if arguments.device:
        return {"browser": False, "flow": "device"}
    if arguments.no_browser:
        return {"browser": False, "flow": "browser"}
    return {"browser": True, "flow": ""}


def reauthorize(arguments: argparse.Namespace, paths: Paths) -> int:
    """`amberlight reauthorize NAME`."""
    return sign_in(ApiClient.of(paths), arguments.name, **requested_method(arguments), accept=arguments.accept)


def sign_in(
    client: ApiClient,
    name: str,
    *,
    browser: bool,
    accept: bool,
    flow: str = "",
    typed: PastedLines | None = None,
) -> int:
    """Begin a sign-in and wait for its end, printing what to do and the result.

    `flow` is browser or device; empty means as configured. `browser`: the app opens the page. `typed` are the lines of a
    command that asks questions, too: it shows the address only if the browser seems not to open.
    """
    row = client.status(name)
    began_here = not auth_of(row).get("signing_in")
    if not accept and (asked := scopes_of(auth_of(row), "reauthorize_scopes")):
        new = set(scopes_of(auth_of(row), "missing_scopes"))  # shown before the browser opens
        named = ", ".join(f"{scope} (new)" if scope in new else scope for scope in asked)
        print_line(f"Asks for: {named}", flush=True)
    try:
        return _begin_and_wait(client, name, _refreshed(row), browser=browser, accept=accept, flow=flow, typed=typed)
    except KeyboardInterrupt:
        return _interrupted(client, name, began_here)


def _begin_and_wait(
    client: ApiClient,
    name: str,
    refreshed_before: object,
    *,
    browser: bool,
    accept: bool,
    flow: str,
    typed: PastedLines | None,
) -> int:
    """Once, and again as often as the person has the client registered anew."""
    body = {"browser": browser, "accept": accept} | ({"flow": flow} if flow else {})
    read = cache(lambda: typed or PastedLines())  # one reader of the standard input, however often it is asked for
    while (code := _wait_once(client, name, refreshed_before, body, typed, read)) is None:
        client.post(name, "cancel", {"register": True})
    return code


def _wait_once(
    client: ApiClient,
    name: str,
    refreshed_before: object,
    body: Mapping[str, Any],
    typed: PastedLines | None,
    read: Callable[[], PastedLines],
) -> int | None:
    """Begin and wait; the exit code, or None if the client is to be registered anew. `read` begins to read lines."""
    browser = body["browser"]
    answer = client.post(name, "reauthorize", dict(body))
    for step in answer.get("steps") or ():
        print_line(clean(step))
    url, pasted, limit, was_signing_in = answer.get("authorization_url"), typed, BROWSER_LIMIT, False
    hidden, registered = "", answer.get("registered") is True
    if isinstance(url, str) and url:
        auth = auth_of(client.status(name))
        device, was_signing_in = auth.get("device"), bool(auth.get("signing_in"))
        if isinstance(device, Mapping):
            limit = _show_code(device, opened=browser)
        elif browser and typed is not None:
            hidden = url
            print_line("Waiting for you to sign in in your browser… Ctrl-C skips it.")
        elif browser:
            print_line(
                f"Opening the sign-in page of {name} in your browser. If it doesn't open, use this address:\n\n  {clean(url)}\n"
            )
        else:
            print_line(f"Open this address in a browser on any machine and sign in:\n\n  {clean(url)}\n")
            print_line(
                "If the browser ends up at a page that can't be reached, paste its address here and press Enter:"
            )
            pasted = read()
        if registered and not isinstance(device, Mapping) and can_ask():
            print_line(f"If the page shows an error, type {REGISTER_AGAIN} and press Enter to register again.")
            pasted = read()
    flush_output()
    return _wait(client, name, refreshed_before, pasted, limit, was_signing_in, hidden, registered=registered)


def _show_code(device: Mapping[str, Any], *, opened: bool) -> float:
    """Print the code and where to enter it; returns how long it is valid, in seconds."""
    ends = parse_time(device.get("expires_at"))
    left = BROWSER_LIMIT if ends is None else min(max(ends - time.time(), 0.0), DEVICE_LIMIT)
    where = "Opening this address in your browser" if opened else "Open this address in a browser on any machine"
    code = clean(device.get("user_code"))
    print_line(f"{where}:\n\n  {clean(device.get('verification_uri'))}\n\nand enter this code:\n\n  {code}\n")
    if complete := clean(device.get("verification_uri_complete") or ""):
        print_line(f"Or open this address, which contains the code:\n\n  {complete}\n")
    print_line(f"Waiting for you to sign in. The code is valid for {duration_words(left)}. Ctrl-C cancels.")
    return left


def _interrupted(client: ApiClient, name: str, began_here: bool) -> int:
    """Ctrl-C: cancel the sign-in if this command began it."""
    try:
        if began_here:
            client.post(name, "cancel")
            print_error(f"\nCanceled the sign-in to {name}. Try again: amberlight reauthorize {name}")
        else:
            print_error(f"\nThe sign-in to {name} was started elsewhere and continues.")
    except (ApiError, NotRunningError):
        print_error(f"\nThe sign-in to {name} will end automatically.")
    return INTERRUPTED


def _wait(
    client: ApiClient,
    name: str,
    refreshed_before: object,
    pasted: PastedLines | None,
    limit: float,
    was_signing_in: bool,
    hidden: str = "",
    *,
    registered: bool = False,
) -> int | None:
    """The exit code; None if the client is to be registered anew. `hidden`: an address that has not been shown yet."""
    until = time.monotonic() + limit + SETTLED  # the app gives up first, and says why
    idle_since, renewed, told = time.monotonic(), refreshed_before, False
    show_at = time.monotonic() + SHOW_AFTER
    while time.monotonic() < until:
        if pasted is not None and (line := pasted.next()):
            if registered and line.lower() == REGISTER_AGAIN:
                return None
            _submit(client, name, line)
        row = client.status(name)
        now = time.monotonic()
        if auth_of(row).get("signing_in"):
            was_signing_in, idle_since, renewed = True, now, _refreshed(row)
            fault = auth_of(row).get("browser_fault")
            if hidden and (now > show_at or fault):
                print_line(f"If no page opened, open this address:\n\n  {clean(hidden)}\n", flush=True)
                hidden = ""
            if not told and fault == "not_opened":
                told = True
                print_error(f"amberlight: couldn't open a browser. Open the address above to sign in to {name}.")
        elif _refreshed(row) != renewed:
            row = dict(report_success(client, name, row))
            if auth_of(row).get("renewable") is False and auth_of(row).get("detail") == "ok":
                print_line(clean(row.get("status_context")))
            if warning := _summary(row, "sign_in_warning"):
                print_error(f"amberlight: {warning}")
            return OK
        elif now - idle_since > SETTLED:
            return _ended(name, row, was_signing_in)
        time.sleep(POLL)
    print_error(
        f"amberlight: the sign-in to {name} timed out after {duration_words(limit)}. Try again: amberlight reauthorize {name}"
    )
    return NEEDS_SIGN_IN


def report_success(client: ApiClient, name: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say that it is signed in, and what becomes of the login if the keyring doesn't have it; its row by then."""
    until = time.monotonic() + STORE_LIMIT
    app: Mapping[str, Any] = {}
    with suppress(ApiError):  # of an earlier version
        app = client.app()
    if app.get("this_run_only") is True:
        while auth_of(row).get("detail") == "ok" and time.monotonic() < until:  # the write may still be under way
            time.sleep(STORE_POLL)
            row = client.status(name)
        if auth_of(row).get("detail") == "not_stored":
            print_line(f"{name} is signed in for this run only.")
            print_error(f"amberlight: {THIS_RUN_ONLY} {START_KEYRING}")
            return row
    print_line(f"{name} is signed in.")
    if auth_of(row).get("detail") == "not_stored":
        print_error(f"amberlight: {clean(row.get('status_context'))}")
    return row


def _summary(row: Mapping[str, Any], what: str) -> str:
    problem = auth_of(row).get(what)
    return clean(problem.get("summary")) if isinstance(problem, Mapping) else ""


def _refreshed(row: Mapping[str, Any]) -> object:
    return auth_of(row).get("last_refreshed_at")


def _submit(client: ApiClient, name: str, line: str) -> None:
    """Send the app the pasted URL. It contains a code, so it is never printed."""
    try:
        client.post(name, "callback", {"url": line})
    except ApiError as error:
        print_error(f"{clean(error)} Paste the whole address, starting with http://")


def _ended(name: str, row: Mapping[str, Any], was_signing_in: bool) -> int:
    """No sign-in is in progress any more, and the login is still the old one."""
    reason = _summary(row, "sign_in_error")
    what = "didn't succeed" if was_signing_in else "didn't start"
    print_error(f"amberlight: the sign-in to {name} {what}. {reason or 'See: amberlight logs'}")
    return NEEDS_SIGN_IN if row.get("status") == "unauthenticated" else FAILED
