"""`amberlight setup`: from a fresh installation to every client working, with a question for each step.

Servers that are configured in clients or in ToolHive are found, added and signed in to; the clients are connected; then
comes the start at login, and at the end what `doctor` thinks of it. Each step can be skipped, and the next run offers
only what is missing. The browser opens after a key press, and never otherwise.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trayapp.autostart import AutostartError, Kind, login_command, native
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, OK, USAGE
from trayapp.cli.connect import access_of, connect_names, joined, this_machine
from trayapp.cli.output import clean, print_error, print_line
from trayapp.clients import files
from trayapp.clients.connections import State, connection
from trayapp.clients.jsonc import JsonError
from trayapp.clients.places import Machine
from trayapp.clients.survey import Found, survey
from trayapp.clients.table import Client, Syntax
from trayapp.config import editor
from trayapp.config.loader import ConfigError
from trayapp.config.paths import Paths
from trayapp.importers import client_servers, mcp_json, toolhive
from trayapp.importers.entries import ImportableEntry, SkippedEntry, assign_names, comparable_url
from trayapp.system.plain_files import within

START_LIMIT = 20.0  # s until the app answers; a second as a rule
SETTLE_LIMIT = 5.0  # s for a keyring to say whether there are logins
RUN_CONFIG_MAX = 1 << 20  # bytes of one of ToolHive's run configurations
MISSING = frozenset({State.ABSENT, State.OLD_KEY, State.OLD_PORT, State.DIRECT})


@dataclass(slots=True)
class _Offer:
    """A server that can be added, and where it is configured."""

    entry: ImportableEntry
    places: list[str] = field(default_factory=list)


def setup(arguments: argparse.Namespace, paths: Paths) -> int:
    """Ask and do, step by step. Exit code 0 if nothing that was wanted failed."""
    if not arguments.yes and not sys.stdin.isatty():
        print_error("amberlight: setup asks questions: run it in a terminal, or agree to everything with --yes")
        return USAGE
    questions = _Questions(arguments.yes)
    try:
        return _Setup(paths, this_machine(), questions).run()
    except KeyboardInterrupt:
        print_error("\nStopped. What was done stays; to go on: amberlight setup")
        raise


class _Questions:
    """Asks in the terminal; with `agree` every answer is yes."""

    def __init__(self, agree: bool) -> None:
        self._agree = agree

    def yes(self, question: str) -> bool:
        """Enter means yes."""
        return self._agree or self._ask(f"{question} [Y/n] ") in ("", "y", "yes")

    def which(self, question: str, count: int) -> list[int]:
        """Indices of what was chosen: Enter for all, numbers, or n for none."""
        if self._agree:
            return list(range(count))
        while True:
            answer = self._ask(f"{question} Enter: all; numbers, like 1 3; n: none. ")
            if answer in ("", "a", "all"):
                return list(range(count))
            if answer in ("n", "no", "none"):
                return []
            words = re.split(r"[\s,]+", answer)
            if all(word.isdecimal() and word.isascii() and 0 < int(word[:9]) <= count for word in words):
                return sorted({int(word) - 1 for word in words})
            print_line(f"Please type numbers from 1 to {count}.")

    def text(self, question: str) -> str:
        """A line; empty to skip."""
        return "" if self._agree else self._ask(question)

    def _ask(self, question: str) -> str:
        sys.stdout.write(question)
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:  # the terminal is gone: nothing more is agreed to
            raise KeyboardInterrupt
        return line.strip().lower()


class _Setup:
    """One run."""

    def __init__(self, paths: Paths, machine: Machine, questions: _Questions) -> None:
        self._paths = paths
        self._machine = machine
        self._questions = questions
        self._code = OK
        self._added: set[str] = set()

    def run(self) -> int:
        found = [each for each in survey(self._machine) if each.installed]
        self._add(found)
        client = self._app()
        if client is None:
            return FAILED
        self._sign_in(client)
        self._connect(found)
        self._start_at_login(client)
        self._summary(client)
        return self._code

    # --- servers -----------------------------------------------------------------------------------------------------

    def _add(self, found: Sequence[Found]) -> None:
        """Offer what is configured elsewhere, and write what is chosen."""
        configured = editor.limited_load(self._paths).workloads
        offers = [each for each in _offers(self._paths, found) if not each.entry.already_configured]
        if offers:
            print_line("These servers are configured on this computer:\n")
            for number, offer in enumerate(offers, 1):
                host = urlsplit(offer.entry.url).hostname or ""
                print_line(f"  {number}  {offer.entry.name}  {clean(host)}  ({clean(joined(offer.places))})")
            chosen = self._questions.which("\nKeep which of them signed in?", len(offers))
            self._write({offers[i].entry.name: offers[i].entry.keys for i in chosen})
        elif configured:
            print_line(f"{len(configured)} {'server is' if len(configured) == 1 else 'servers are'} set up already.")
        else:
            print_line("No remote server is configured on this computer yet.")
            self._add_typed()

    def _add_typed(self) -> None:
        """Names from the catalogue, or addresses, one a line."""
        while answer := self._questions.text("Type a server's name or address, or Enter to go on: "):
            entry = _typed(answer)
            if isinstance(entry, str):
                print_line(entry)
                continue
            named = assign_names([entry], editor.limited_load(self._paths).workloads)[0]
            if named.already_configured:
                print_line(f"{named.name} is here already.")
            else:
                self._write({named.name: named.keys})

    def _write(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        if not entries:
            return
        try:
            editor.add_all(self._paths, entries)
        except (ConfigError, editor.EditError) as error:
            print_error(f"amberlight: nothing was added: {clean(error)}")
            self._code = FAILED
        else:
            self._added |= entries.keys()
            print_line(f"Added {joined(entries)}.")

    # --- the app -----------------------------------------------------------------------------------------------------

    def _app(self) -> ApiClient | None:
        """The running app, started if need be, with the configuration as it is now."""
        from trayapp.stdio.starter import Starter

        until = time.monotonic() + START_LIMIT
        starter = Starter(self._paths)
        sentence = ""
        while time.monotonic() < until:
            try:
                client = ApiClient.of(self._paths)
                answer = client.reload()
            except (NotRunningError, ApiError):
                waiting, sentence = starter.ensure()
                if not waiting:
                    break
                time.sleep(0.2)
                continue
            for mistake in answer.get("errors") or ():
                print_error(f"amberlight: {clean(mistake)}")
            return client
        print_error(f"amberlight: {sentence or 'Amberlight did not start in time. Its log: amberlight logs'}")
        return None

    def _sign_in(self, client: ApiClient) -> None:
        """One sign-in after another, each after a key press."""
        from trayapp.cli.sign_in_wait import sign_in

        for name in self._signed_out(client):
            if not self._questions.yes(f"\nSign in to {name} in your browser?"):
                continue
            try:
                code = sign_in(client, name, browser=True, accept=False)
            except ApiError as error:
                print_error(f"amberlight: {clean(error)}\nSign in later: amberlight reauthorize {name}")
                code = FAILED
            self._code = max(self._code, code)

    def _signed_out(self, client: ApiClient) -> list[str]:
        """The workloads that wait for a sign-in: those that say so, and new ones that aren't green (no keyring)."""
        until = time.monotonic() + SETTLE_LIMIT
        while True:
            rows = {str(row["name"]): row.get("status") for row in client.workloads()}
            if (self._added <= rows.keys() and "starting" not in rows.values()) or time.monotonic() > until:
                break
            time.sleep(0.1)
        waiting = {"starting", "auth_retrying", "error", "unhealthy"}
        return [
            n for n, status in rows.items() if status == "unauthenticated" or (n in self._added and status in waiting)
        ]

    # --- clients -----------------------------------------------------------------------------------------------------

    def _connect(self, found: Sequence[Found]) -> None:
        """Offer the installed clients that lack a workload."""
        urls = {name: spec.url for name, spec in editor.limited_load(self._paths).workloads.items()}
        accesses = {name: access for name in sorted(urls) if (access := access_of(self._paths, name)) is not None}
        lacking: list[tuple[Client, list[str]]] = []
        for each in found:
            if each.problem:
                print_error(f"amberlight: {clean(each.problem)}.")
                continue
            states = {n: connection(each.entries, access, n, urls[n]).state for n, access in accesses.items()}
            if names := [name for name, state in states.items() if state in MISSING]:
                lacking.append((each.client, names))
        if not lacking:
            return
        print_line("\nThese clients can use them:\n")
        for number, (client, names) in enumerate(lacking, 1):
            print_line(f"  {number}  {client.title}: {joined(names)}")
        for i in self._questions.which("\nConnect which of them?", len(lacking)):
            client, names = lacking[i]
            self._code = max(self._code, connect_names(self._paths, client, names, replace=True))

    # --- the end -----------------------------------------------------------------------------------------------------

    def _start_at_login(self, client: ApiClient) -> None:
        try:
            system = native()
            if system.status().kind is not Kind.OFF or not self._questions.yes("\nStart Amberlight when you log in?"):
                return
            print_line(clean(system.on(login_command()).text))
            client.reload()  # its menu shows it
        except (AutostartError, ApiError, NotRunningError) as error:
            print_error(f"amberlight: {clean(error)}")
            self._code = FAILED

    def _summary(self, client: ApiClient) -> None:
        """How things are, and what `doctor` has to say about them."""
        from trayapp.cli.doctor import run_checks
        from trayapp.core.checks import OK as FINE

        left = self._signed_out(client)
        total = len(client.workloads())
        signed_in = f"{total - len(left)} of {total} {'server is' if total == 1 else 'servers are'} signed in"
        print_line(f"\n{signed_in}." + (f" Sign in later: amberlight reauthorize {left[0]}" if left else ""))
        for check in run_checks(self._paths, os.environ):
            if check["state"] != FINE:
                print_line(f"{clean(check['name'])}: {clean(check['text'])} {clean(check['help'])}".rstrip())
        print_line("Change anything later: amberlight setup, amberlight connect, amberlight dashboard")


def _offers(paths: Paths, found: Iterable[Found]) -> list[_Offer]:
    """Every remote server that clients and ToolHive have, once for each address."""
    by_url: dict[str, _Offer] = {}
    listed = [(each.client.title, entry) for each in found for entry in _importable(each)]
    for title, entry in [*listed, *(("ToolHive", entry) for entry in _toolhive())]:
        offer = by_url.setdefault(comparable_url(entry.url), _Offer(entry))
        if title not in offer.places:
            offer.places.append(title)
    offers = list(by_url.values())
    named = assign_names([offer.entry for offer in offers], editor.limited_load(paths).workloads)
    for offer, entry in zip(offers, named, strict=True):
        offer.entry = entry
    return offers


def _importable(found: Found) -> Sequence[ImportableEntry]:
    if found.client.syntax is Syntax.JSON and not found.problem:  # also what Claude Code keeps for each project
        try:
            return [entry for entry, _ in mcp_json.read(files.read(found.file).text).importable]
        except (files.FileError, JsonError):
            pass
    return client_servers.read(found.entries).importable


def _toolhive() -> Sequence[ImportableEntry]:
    folder = toolhive.folder(sys.platform, os.environ, Path.home())
    try:
        read = [
            toolhive.read(f.stem, files.read(f, RUN_CONFIG_MAX).text)
            for f in within(folder, lambda: sorted(folder.glob("*.json")))
        ]
    except (OSError, files.FileError):
        return ()
    return [each for each in read if isinstance(each, ImportableEntry)]


def _typed(text: str) -> ImportableEntry | str:
    """What a person typed, as an entry, or a sentence about it."""
    from trayapp.importers.entries import make_entry

    url = text if "://" in text else f"https://{text}"
    name = (urlsplit(url).hostname or "").removeprefix("mcp.").split(".")[0]
    made = make_entry(name or "server", {"url": url})
    return f"That can't be added: {made.reason}." if isinstance(made, SkippedEntry) else made
