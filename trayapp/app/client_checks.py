"""Checks of `doctor`: whether the entries in MCP clients' files still reach Amberlight; `doctor --fix` fixes what is safe.

Works without the running app: port and keys are read from its files.

An entry with which a client signs in separately is reported and never replaced here: that is `connect --replace`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from trayapp.autostart import client_command
from trayapp.clients import files
from trayapp.clients.changes import Changes
from trayapp.clients.connecting import ALL, joined, overwritten_text, short
from trayapp.clients.connections import own_entries
from trayapp.clients.entries import ALL_NAME, Access
from trayapp.clients.files import FileError
from trayapp.clients.places import Machine
from trayapp.clients.repairs import Fault, Finding, carry_out, findings
from trayapp.clients.survey import Found, survey
from trayapp.config.loader import Config
from trayapp.config.paths import Paths
from trayapp.core.checks import CHECK_DISK, OK, PROBLEM, WARNING, Check
from trayapp.core.model import Secret
from trayapp.stdio.place import Target, find, local_key
from trayapp.system.plain_files import within

NAME = "clients"
SURVEY_LIMIT = 10.0  # s for the files of all clients
FIX = "Fix it: amberlight doctor --fix"
USUAL_PORT = 8765  # proposed while no app runs
STALE = (Fault.OLD_PORT, Fault.OLD_KEY)


def clients(paths: Paths, config: Config | None, *, fix: bool = False, machine: Machine | None = None) -> list[Check]:
    """A check for each problem with a client's file, or one that says what is connected."""
    if config is None:
        return []
    here = machine or Machine.this()
    try:
        found = within(here.home, lambda: [each for each in survey(here) if each.installed], SURVEY_LIMIT)
    except OSError as error:
        text = f"The clients' files in {here.home} can't be read: {error.strerror}."
        return [Check(NAME, WARNING, text, CHECK_DISK)]
    urls = {name: spec.url for name, spec in config.workloads.items() if spec.url}
    doctor = _Doctor(paths, here, _accesses(paths, config), urls, port=config.settings.port, fix=fix)
    checks = [check for each in found for check in doctor.look(each)]
    return checks or [_summary(found)]


class _Doctor:
    """Looks at one client after another, and fixes what it may. `port` is 0 if it differs with each start."""

    def __init__(
        self,
        paths: Paths,
        machine: Machine,
        accesses: Mapping[str, Access],
        urls: Mapping[str, str],
        *,
        port: int,
        fix: bool,
    ) -> None:
        self._paths = paths
        self._port = port
        self._machine = machine
        self._accesses = accesses
        self._urls = urls
        self._fix = fix
        self._changes = Changes(paths.state_dir, lambda: f"{datetime.now():%Y-%m-%d}")

    def look(self, found: Found) -> list[Check]:
        """The checks for one client; none if all is well."""
        title, place = found.client.title, short(found.file, self._machine.home)
        if found.problem:
            text = f"{title}: {found.problem.replace(str(found.file), place)}."
            return [Check(NAME, WARNING, text, "Fix that file. Until then, Amberlight doesn't change it.")]
        faults = findings(found.entries, self._accesses, self._urls)
        stale = [each for each in faults if each.fault in STALE]
        checks = self._stale(found, stale, place) if stale else []
        checks += self._readable(found, place)
        return checks + [_left_alone(found, each) for each in faults if each.fault not in STALE]

    def _stale(self, found: Found, stale: Sequence[Finding], place: str) -> list[Check]:
        if not self._port:
            text = f"{found.client.title} loses {joined(_names(stale))} when Amberlight restarts on another port ({place})."
            app = find(self._paths)
            port = USUAL_PORT if app is None else app.port
            return [Check(NAME, WARNING, text, f"Set port = {port} under [settings] in config.toml.")]
        if self._fix and all(self._known(each) for each in stale):
            return [self._repaired(found, stale, place)]
        words = {
            Fault.OLD_PORT: "an old port",
            Fault.OLD_KEY: "an old key",
        }
        checks = []
        for fault, what in words.items():
            if some := [each for each in stale if each.fault is fault]:
                known = all(self._known(each) for each in some)
                help_ = FIX if known else f"Start Amberlight, then: amberlight connect {found.client.name}"
                text = f"{found.client.title} has {what} for {joined(_names(some))} ({place})."
                checks.append(Check(NAME, PROBLEM, text, help_, fixable=known))
        return checks

    def _known(self, finding: Finding) -> bool:
        """Whether the key that the entry needs exists: only the app makes one."""
        key = self._accesses[finding.workload].key
        return key is None or bool(key.reveal())

    def _repaired(self, found: Found, stale: Sequence[Finding], place: str) -> Check:
        client = found.client
        if problem := carry_out(self._machine, self._changes, found, self._accesses, stale):
            help_ = "" if problem == overwritten_text(client) else f"Connect it again: amberlight connect {client.name}"
            return Check(NAME, PROBLEM, problem, help_)
        text = f"Fixed {joined(_names(stale))} in {client.title} ({place})."
        return Check(NAME, OK, text, client.restart)

    def _readable(self, found: Found, place: str) -> list[Check]:
        """Whether others can read a key of ours there; with `fix` they no longer can."""
        try:
            if not any(each.key for each in own_entries(found.entries)):
                return []
            if not within(found.file, lambda: files.others_may_read(found.file)):
                return []
            if not self._fix:
                text = f"Other users can read {place}, which contains a local key."
                return [Check(NAME, WARNING, text, FIX.replace("Fix it", "Make it private"), fixable=True)]
            files.make_private(found.file)
        except FileError as error:
            return [Check(NAME, WARNING, f"{error}.", "Make it private: it contains a local key.")]
        except OSError:
            return []  # it is gone
        return [Check(NAME, OK, f"Made {place} private: only you can read it now.")]


def _left_alone(found: Found, finding: Finding) -> Check:
    """What only the person can decide."""
    title, client, name = found.client.title, found.client.name, finding.workload
    if finding.fault is Fault.GONE:
        text = f"{title} has an entry ({finding.entry}) for {name}, but there's no such workload."
        return Check(NAME, WARNING, text, f"Remove it: amberlight disconnect {client} {name}")
    text = f"{title} signs in to {name} separately (entry {finding.entry}), so there are two logins to maintain."
    return Check(NAME, WARNING, text, f"Use Amberlight's login: amberlight connect {client} {name} --replace")


def _names(some: Iterable[Finding]) -> list[str]:
    return [each.workload or ALL_NAME for each in some]


def _accesses(paths: Paths, config: Config) -> dict[str, Access]:
    """How each workload, and all at once, is reached when the app listens where it should."""
    names = [(spec.name, spec.require_key) for spec in config.workloads.values()]
    program = client_command("stdio")
    found = {}
    for name, needs_key in [*names, (ALL, True)]:
        target = Target.of(name or None)
        key = Secret(local_key(paths, target.key)) if needs_key else None
        url = f"http://127.0.0.1:{config.settings.port}{target.path}"
        found[name] = Access(name or ALL_NAME, url, key, (*program, name or "--all"))
    return found


def _summary(found: Sequence[Found]) -> Check:
    if not found:
        return Check(NAME, OK, "No known MCP clients are installed.")
    connected = [(each.client.title, own_entries(each.entries)) for each in found]
    some = [f"{title} ({joined(sorted({entry.proxied or 'all' for entry in own}))})" for title, own in connected if own]
    if not some:
        return Check(NAME, OK, f"{len(found)} installed, none connected.", "Connect one: amberlight connect CLIENT")
    return Check(NAME, OK, f"Connected: {', '.join(some)}.")
