"""`amberlight setup`: from a fresh installation to every client working, with a question for each step.

Servers that are configured in clients or in ToolHive are found, added and signed in to; then the clients are connected,
start at login is offered, and `doctor` has the last word. Each step can be skipped, and the next run offers only what is
missing. The browser opens only after a key press.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any

from trayapp.autostart import AutostartError, Kind, login_command, native
from trayapp.cli.add_command import take_out
from trayapp.cli.background_start import StartFailedError, app_that_answers
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.client_config import outage_text
from trayapp.cli.codes import FAILED, INTERRUPTED, OK, USAGE
from trayapp.cli.connect import access_of, connect_names, joined
from trayapp.cli.errors import refuse_missing_file, sign_in_later
from trayapp.cli.output import Style, clean, print_error, print_line
from trayapp.cli.questions import Answer, Questions, can_ask
from trayapp.cli.setup_offers import typed
from trayapp.clients.connections import State, connection
from trayapp.clients.places import Machine
from trayapp.clients.survey import Found, survey
from trayapp.clients.table import Client
from trayapp.config import editor
from trayapp.config.loader import ConfigError
from trayapp.config.paths import Paths
from trayapp.importers.entries import assign_names
from trayapp.importers.offers import offers
from trayapp.server.instance import AlreadyRunning, instance_lock
from trayapp.system.private_files import NotPrivateError, private_directory

SETTLE_LIMIT = 5.0  # s for a keyring to say whether there are logins
POLL = 0.1  # s
NO_SIGN_IN = "no_sign_in"  # the API's word for a server without OAuth
MISSING = frozenset({State.ABSENT, State.OLD_KEY, State.OLD_PORT})
LISTED_MAX = 6  # names in one sentence
LATER = "Run setup again at any time: amberlight setup   See all workloads: amberlight dashboard"


def setup(arguments: argparse.Namespace, paths: Paths) -> int:
    """Run each step after asking. Exit code 0 if nothing that was asked for failed."""
    if not arguments.yes and not can_ask():
        print_error(
            "amberlight: setup asks questions. Run it in a terminal, or add --yes to answer yes to all of them."
        )
        return USAGE
    try:
        private_directory(paths.state_dir)
        with instance_lock(paths.state_dir / "setup.lock"):
            return _Setup(paths, Machine.this(), Questions(agree=arguments.yes)).run()
    except AlreadyRunning:
        print_error("amberlight: setup is already running. Finish it in its terminal first.")
        return FAILED
    except NotPrivateError as error:
        print_error(f"amberlight: {clean(error)}")
        return FAILED
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be gone
            print_error("\nStopped. The steps so far are done. To continue: amberlight setup")
        raise


class _Setup:
    """One run."""

    def __init__(self, paths: Paths, machine: Machine, questions: Questions) -> None:
        self._paths = paths
        self._machine = machine
        self._questions = questions
        self._code = OK
        self._added: set[str] = set()

    def run(self) -> int:
        found = [each for each in survey(self._machine) if each.installed]
        for each in found:
            if each.problem:
                print_error(f"amberlight: skipped {each.client.title}: {clean(each.problem)}.")
                self._code = FAILED
        readable = [each for each in found if not each.problem]
        if not self._add(readable):
            return self._code
        client = self._app()
        if client is None:
            return FAILED
        self._sign_in(client)
        self._connect(client, readable, set(self._signed_out(client)))
        self._start_at_login(client)
        self._summary(client)
        return self._code

    def _failed(self, text: str) -> None:
        print_error(f"amberlight: {text}")
        self._code = FAILED

    # --- servers -----------------------------------------------------------------------------------------------------

    def _add(self, found: Sequence[Found]) -> bool:
        """Offer what is configured elsewhere, or ask; write what is chosen. Whether there is any workload then."""
        configured = editor.limited_load(self._paths).workloads
        if offered := offers(self._machine, found, configured):
            print_line("Servers your clients use:\n")
            _print_rows([(each.entry.name, each.host, ", ".join(each.places)) for each in offered])
            one, several = f"\nKeep {offered[0].entry.name} signed in?", "\nWhich do you want to keep signed in?"
            chosen = self._questions.which(one, several, len(offered))
            self._write({offered[i].entry.name: offered[i].entry.keys for i in chosen})
        elif configured:
            print_line(f"Already added: {_named(sorted(configured))}.")
        else:
            print_line("None of your clients uses a remote server yet.")
            self._add_typed()
        if configured or self._added:
            return True
        if self._code == OK:
            print_line("Nothing was added. Add a server at any time: amberlight add NAME, or amberlight setup")
        return False

    def _add_typed(self) -> None:
        """Names of the catalog, or addresses, one a line."""
        question = "Add a server by name (such as notion) or address (Enter: none): "
        while answer := self._questions.text(question):
            entry = typed(answer)
            if isinstance(entry, str):
                print_line(entry)
                continue
            named = assign_names([entry], editor.limited_load(self._paths).workloads)[0]
            if named.already_configured:
                print_line(f"{named.name or entry.original_name} has already been added.")
            else:
                self._write({named.name: named.keys})
            question = "Another one? (Enter: no) "

    def _write(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        if not entries:
            return
        try:
            if refuse_missing_file(self._paths) != OK:
                self._code = FAILED
                return
            editor.add_all(self._paths, entries)
        except (ApiError, ConfigError, editor.EditError) as error:
            self._failed(f"nothing was added: {clean(error)}")
        else:
            self._added |= entries.keys()
            print_line(f"Added {_named(list(entries))}.")

    # --- the app -----------------------------------------------------------------------------------------------------

    def _app(self) -> ApiClient | None:
        """The running app, started if need be, with the configuration as it is now; None after an error was printed."""
        try:
            found = app_that_answers(self._paths, lambda client: client.reload())
        except StartFailedError as error:
            self._failed("\n".join(map(clean, str(error).splitlines())))
            return None
        return self._loaded(found.client, found.answer, started=found.started)

    def _loaded(self, client: ApiClient, answer: Mapping[str, Any], *, started: bool) -> ApiClient | None:
        for sentence in (*(answer.get("errors") or ()), *(answer.get("warnings") or ())):
            print_error(f"amberlight: {clean(sentence)}")
        if answer.get("ok") is not True:
            self._failed("Amberlight keeps its previous configuration. Fix the file, then continue: amberlight setup")
            return None
        if started:
            print_line("Amberlight is now running in the background.")
        return client

    def _sign_in(self, client: ApiClient) -> None:
        """One sign-in after another, each after a key press."""
        from trayapp.cli.sign_in_wait import sign_in

        waiting = self._signed_out(client, SETTLE_LIMIT)
        here = _browser_is_here(os.environ)
        for number, name in enumerate(waiting, 1):
            question = f"\nSign in to {name}{' in your browser' if here else ''}?"
            match self._questions.each(question, len(waiting) - number):
                case Answer.NO_MORE:
                    return
                case Answer.NO:
                    continue
            try:
                code = sign_in(client, name, browser=here, accept=False, typed=self._questions.lines)
            except ApiError as error:
                if error.code == NO_SIGN_IN and name in self._added:
                    self._take_back(client, name)
                else:
                    self._failed(clean(error))
            else:
                if code not in (OK, INTERRUPTED):  # Ctrl-C there skips this one
                    self._code = FAILED

    def _take_back(self, client: ApiClient, name: str) -> None:
        """A public server has no login to keep."""
        try:
            take_out(client, name)
        except (ApiError, ConfigError, editor.EditError) as error:
            self._failed(clean(error))
        else:
            self._added.discard(name)
            print_line(f"{name} doesn't need a sign-in, so your clients keep using it directly.")

    def _signed_out(self, client: ApiClient, limit: float = 0.0) -> list[str]:
        """The workloads that wait for a sign-in: those that say so, and new ones that aren't green (no keyring).

        `limit`: seconds for those that are starting to know it.
        """
        until = time.monotonic() + limit
        while True:
            rows = {str(row["name"]): row.get("status") for row in client.workloads()}
            if (self._added <= rows.keys() and "starting" not in rows.values()) or time.monotonic() > until:
                break
            time.sleep(POLL)
        waiting = {"starting", "auth_retrying", "error", "unhealthy"}
        return [
            n for n, status in rows.items() if status == "unauthenticated" or (n in self._added and status in waiting)
        ]

    # --- clients -----------------------------------------------------------------------------------------------------

    def _connect(self, client: ApiClient, found: Sequence[Found], signed_out: Set[str]) -> None:
        """Offer the installed clients that lack a workload. A login of a client's own stays until ours is there."""
        urls = {name: spec.url for name, spec in editor.limited_load(self._paths).workloads.items() if spec.url}
        by_command = any(client.client(name).get("lasting") is not True for name in sorted(urls)[:1])
        accesses = {
            name: access
            for name in sorted(urls)
            if (access := access_of(self._paths, name, stdio=by_command)) is not None
        }
        lacking: list[tuple[Client, list[str], bool]] = []
        for each in found:
            states = {n: connection(each.entries, access, n, urls[n]).state for n, access in accesses.items()}
            direct = {n for n, state in states.items() if state is State.DIRECT and n not in signed_out}
            if names := [n for n, state in states.items() if state in MISSING or n in direct]:
                lacking.append((each.client, names, bool(direct)))
        if not lacking:
            return
        print_line("\nClients that can use Amberlight:\n")
        _print_rows([(each.title, _named(names)) for each, names, _ in lacking])
        if any(direct for _, _, direct in lacking):
            print_line("\nEntries that sign in separately will be replaced. To undo: amberlight disconnect")
        if by_command:
            why = outage_text(client) or "Amberlight's address changes with each start."
            print_line(f"\n{why} So these clients will run `amberlight stdio`, which finds it anyway.")
        one, several = f"\nConnect {lacking[0][0].title}?", "\nWhich do you want to connect?"
        for i in self._questions.which(one, several, len(lacking)):
            chosen, names, _ = lacking[i]
            if connect_names(self._paths, chosen, names, replace=True, stdio=by_command) != OK:
                self._code = FAILED

    # --- the end -----------------------------------------------------------------------------------------------------

    def _start_at_login(self, client: ApiClient) -> None:
        try:
            system = native()
            if system.status().kind is not Kind.OFF or not self._questions.yes("\nStart Amberlight when you log in?"):
                return
            system.on(login_command())
            client.reload()  # its menu shows it
            print_line("Amberlight now starts at login. To undo: amberlight autostart off")
        except (AutostartError, ApiError, NotRunningError) as error:
            self._failed(clean(error))

    def _summary(self, client: ApiClient) -> None:
        """How things are, and what `doctor` has to say about them."""
        from trayapp.cli.doctor import run_checks
        from trayapp.core.checks import OK as FINE

        left = self._signed_out(client)
        total = len(client.workloads())
        workloads = "workload" if total == 1 else "workloads"
        print_line(
            f"\n{total - len(left)} of {total} {workloads} signed in." if total else "\nNo workloads configured."
        )
        if left:
            print_line(sign_in_later(left[0]))
        problems = [check for check in run_checks(self._paths, os.environ) if check["state"] != FINE]
        for check in problems:
            print_line(f"{clean(check['name'])}: {clean(check['text'])} {clean(check['help'])}".rstrip())
        if not problems:
            print_line("No problems found. Check again: amberlight doctor")
        print_line(LATER)


def _browser_is_here(environ: Mapping[str, str]) -> bool:
    """Whether a browser that the app opens is in front of the person who runs this command."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return False
    return not sys.platform.startswith("linux") or any(map(environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))


def _named(names: Sequence[str]) -> str:
    return joined(names) if len(names) <= LISTED_MAX else f"{len(names)} workloads"


def _print_rows(rows: Iterable[Sequence[str]]) -> None:
    """Numbered rows in columns, cut to the terminal's width."""
    lines = [(str(number), *map(clean, row)) for number, row in enumerate(rows, 1)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    limit = Style.of(sys.stdout, os.environ).width
    for cells in lines:
        number, *others = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        line = f"  {number.strip().rjust(widths[0])}  {'  '.join(others)}".rstrip()
        print_line(f"{line[: limit - 1]}…" if 0 < limit < len(line) else line)
