"""ToolHive (github.com/stacklok/toolhive): its remote workloads, from its files; Restart and Stop, by its API or command.

Each workload is a process of its own, which writes its status file at every change. The process may be killed, or the
machine restarted, and then the file still has the last word that it wrote. So a workload counts as stopped when that
says that a process is at work, and there is none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from trayapp.clients.places import Machine
from trayapp.core.external import GONE, ExternalWorkload, status_of
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import Status
from trayapp.external import toolhive_api, toolhive_command, toolhive_files
from trayapp.external.owner import ExternalError, PendingError, Reading
from trayapp.external.reachability import Server, unreachable
from trayapp.external.toolhive_files import DamagedError, RunConfig, StatusFile
from trayapp.external.toolhive_processes import Liveness
from trayapp.importers import toolhive as importer
from trayapp.importers.entries import ImportableEntry, SkippedEntry
from trayapp.system.plain_files import is_directory

COMMAND = "thv"
STOP_LIMIT = 15.0  # s from being asked to stop until its process has ended; it takes one
STOP_POLL = 0.1  # s
REACH_LIMIT = 8.0  # s until a server counts as out of reach: after a wake, names are answered late

# Words that are true only while the workload's process runs.
ALIVE = frozenset(
    {Status.RUNNING, Status.STARTING, Status.AUTH_RETRYING, Status.UNAUTHENTICATED, Status.UNHEALTHY, Status.STOPPING}
)


@dataclass(frozen=True, slots=True)
class _Found:
    """A workload's files; `status` None: its status file is damaged."""

    config: RunConfig
    status: StatusFile | None


class ToolHive:
    """Implements `ExternalOwner`."""

    id = "toolhive"
    title = "ToolHive"

    def __init__(
        self,
        machine: Machine,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        liveness: Callable[[Collection[int]], Liveness] = Liveness,
        unreachable: Callable[[Collection[Server], float], str] = unreachable,
    ) -> None:
        self._machine = machine
        self._at = toolhive_files.places(machine)
        self._clock = clock
        self._sleep = sleep
        self._liveness = liveness
        self._unreachable = unreachable

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(self) -> Reading:
        """What its files say; what its API says, if a version of it has no such files."""
        files = frozenset({self._at.run_configs, self._at.statuses, self._at.server})
        problems: list[str] = []
        try:
            has_files = is_directory(self._at.run_configs)
            found = list(self._all(problems))
        except OSError as error:
            raise ExternalError(f"Can't read ToolHive's workloads: {error.strerror}.", files) from None
        command = self._machine.which(COMMAND)
        api = toolhive_api.find(self._at) if not (command and has_files) else None
        if api is not None and not has_files:
            return self._listed(api, files)
        live = self._liveness([each.status.pid for each in found if each.status is not None])
        workloads = [_workload(each, live) for each in found]
        processes = live.processes | ({api.pid} if api is not None and api.pid else set())
        return Reading(
            workloads=workloads,
            actions=(Verb.RESTART, Verb.TAKE_OVER) if command or api is not None else (Verb.TAKE_OVER,),
            running=bool(processes),
            files=files,
            processes=frozenset(processes),
            problems=problems,
        )

    def _all(self, problems: list[str]) -> Iterator[_Found]:
        """Every remote workload that has been run. Raises `OSError` for the directory alone."""
        for name in toolhive_files.names(self._at):
            config: RunConfig | None = None
            try:
                if (config := toolhive_files.run_config(self._at, name)) is None:
                    continue
                if (status := toolhive_files.status(self._at, name)) is not None:
                    yield _Found(config, status)
            except FileNotFoundError:
                continue  # just removed
            except Exception as error:  # noqa: BLE001 - also a mistake of ours must not hide the other workloads
                file = toolhive_files.run_config_file(self._at, name)
                if config is not None:
                    file = toolhive_files.status_file(self._at, name)
                    yield _Found(config, None)
                problems.append(f"ToolHive's file {file} {_wrong(error)}.")

    def _listed(self, api: toolhive_api.Api, files: frozenset[Path]) -> Reading:
        """The same from the API. It reports no changes."""
        try:
            rows = api.list()
        except toolhive_api.ApiError as error:
            raise ExternalError(f"Can't read ToolHive's workloads: it {error}.", files) from None
        return Reading(
            workloads=[
                ExternalWorkload(row.name, "", row.client_url, row.word, row.context)
                for row in rows
                if toolhive_files.NAME.fullmatch(row.name)
            ],
            actions=(Verb.RESTART,),
            running=True,
            files=files,
            processes=frozenset({api.pid} if api.pid else ()),
            reports=False,
        )

    def entry(self, name: str) -> ImportableEntry | SkippedEntry:
        """As `amberlight import toolhive` reads it."""
        self._check(name)
        found = importer.read_file(toolhive_files.run_config_file(self._at, name))
        if found is None:
            raise ExternalError(f"{name} is no longer a remote workload in ToolHive.")
        return found

    # --- acting ------------------------------------------------------------------------------------------------------

    def restart(self, name: str) -> None:
        """Restart it, also if it is running well. ToolHive opens its sign-in page if its login has ended."""
        before = self._safe(name)
        self._check_reachable(name)
        if before is not None and self._is_stopped_first(before):
            self._stop(name, before)
        self._act(name, "restart")

    def stop(self, name: str) -> None:
        """Stop it and wait for the end of its process."""
        self._stop(name, self._safe(name))

    def _stop(self, name: str, before: StatusFile | None) -> None:
        self._act(name, "stop")
        self._await_end(name, before)

    def _is_stopped_first(self, before: StatusFile) -> bool:
        """ToolHive's restart does nothing to what its record says is running, and starts a second one beside one that
        is starting."""
        word = status_of(before.word)
        is_starting = word is Status.STARTING and before.pid in self._liveness([before.pid]).processes
        return word is Status.RUNNING or is_starting

    def _check_reachable(self, name: str) -> None:
        """Raise if a restart could only end in a sign-in page: ToolHive takes a server that is out of reach for a
        login that has ended."""
        try:
            config = toolhive_files.run_config(self._at, name)
        except (DamagedError, OSError):
            return  # ToolHive says itself what it can do then
        if config is not None and (host := self._unreachable(config.servers, REACH_LIMIT)):
            raise ExternalError(
                f"{name} wasn't restarted: {host} can't be reached, so ToolHive would only open a sign-in page. "
                "Try again when you're online."
            )

    def _check(self, name: str) -> None:
        if not toolhive_files.NAME.fullmatch(name):
            raise ExternalError(f"ToolHive has no workload {name!r}.")

    def _safe(self, name: str) -> StatusFile | None:
        """Its state; None if it isn't known. Raises if acting on it would end a process that isn't ToolHive's.

        ToolHive ends the process whose number it has recorded, whatever that process is now.
        """
        self._check(name)
        try:
            status = toolhive_files.status(self._at, name)
        except (DamagedError, OSError):
            return None  # ToolHive says itself what it can do then
        if status is not None and status.pid and (stranger := self._liveness([status.pid]).stranger(status.pid)):
            raise ExternalError(
                f"ToolHive's record of {name} is out of date: process {status.pid} is now {stranger}, and ToolHive "
                f"would end it. Delete {toolhive_files.status_file(self._at, name)} and try again."
            )
        return status

    def _act(self, name: str, verb: str) -> None:
        """By the API, if it runs and lets us; else by the command. Raises `ExternalError`."""
        refusal: toolhive_api.ApiError | None = None
        if (api := toolhive_api.find(self._at)) is not None:
            try:
                api.act(name, verb)
                return
            except toolhive_api.ApiError as error:
                refusal = error
        program = self._machine.which(COMMAND)
        if program and (refusal is None or refusal.refused):
            try:
                toolhive_command.run(program, verb, name, self._machine.environ)
                return
            except toolhive_command.CommandError as error:
                failure = PendingError if error.slow else ExternalError
                raise failure(f"ToolHive didn't {verb} {name}: `{COMMAND} {verb} {name}` {error}.") from None
        if refusal is not None:
            failure = ExternalError if refusal.answered else PendingError
            raise failure(f"ToolHive didn't {verb} {name}: it {refusal}. {_advice(verb, name)}")
        raise ExternalError(
            f"ToolHive didn't {verb} {name}: its API isn't running, and `{COMMAND}` isn't on the PATH. "
            "Start ToolHive and try again."
        )

    def _await_end(self, name: str, before: StatusFile | None) -> None:
        """Wait until ToolHive has done all that a stop consists of: what is asked next would fall victim to it.
        Raises `ExternalError`."""
        until = self._clock() + STOP_LIMIT
        while not self._has_stopped(name, before):
            if self._clock() >= until:
                raise PendingError(
                    f"{name} is still running {STOP_LIMIT:g} seconds after ToolHive was asked to stop it. "
                    f"{_advice('stop', name)}"
                )
            self._sleep(STOP_POLL)

    def _has_stopped(self, name: str, before: StatusFile | None) -> bool:
        """The process is gone that ran before, and the record says so: by its word if that was `running`, else by
        having no process any more."""
        if before is not None and before.pid in self._liveness([before.pid]).processes:
            return False
        try:
            config, status = toolhive_files.run_config(self._at, name), toolhive_files.status(self._at, name)
        except FileNotFoundError:
            return True
        except (DamagedError, OSError) as error:
            file = toolhive_files.status_file(self._at, name)
            raise ExternalError(f"ToolHive was asked to stop {name}, but {file} {_wrong(error)}.") from None
        if config is None or status is None:
            return True
        word = status_of(status.word)
        if word in GONE:
            return word is not Status.STOPPING
        was_running = before is not None and status_of(before.word) is Status.RUNNING
        if was_running or word is Status.RUNNING or status.pid:
            return False
        return not self._liveness(()).listens(toolhive_files.address(config.host), config.port)


def _workload(found: _Found, live: Liveness) -> ExternalWorkload:
    config, status = found.config, found.status
    if status is None:
        return ExternalWorkload(config.name, config.url, config.client_url, Status.UNKNOWN.value)
    word, context = status.word, status.context
    if _has_ended(config, status, live):
        context = "" if status_of(word) is Status.STOPPING else f"Its process has ended. Its last status was {word}."
        word = Status.STOPPED.value
    return ExternalWorkload(config.name, config.url, config.client_url, word, context, status.since)


def _has_ended(config: RunConfig, status: StatusFile, live: Liveness) -> bool:
    """Whether nothing of it runs, though its last word is one of a process at work.

    A stop takes the process from the record and leaves the word, unless it was `running`. A process in the foreground
    of a terminal records itself only when the server has answered, and listens before that.
    """
    word = status_of(status.word)
    if word is Status.ERROR:
        return not status.pid  # stopped since: an error keeps the number of the process that had it
    if word not in ALIVE or status.pid in live.processes:
        return False
    return not live.listens(toolhive_files.address(config.host), config.port)


def _wrong(error: Exception) -> str:
    if isinstance(error, DamagedError):
        return str(error)
    return (
        f"can't be read: {error.strerror}" if isinstance(error, OSError) else f"can't be read: {type(error).__name__}"
    )


def _advice(verb: str, name: str) -> str:
    return f"Run `{COMMAND} {verb} {name}` in a terminal to see why."
