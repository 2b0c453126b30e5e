"""The dashboard's test stage: the real loopback server with the real files, over a scripted app.

It runs on a loop in a thread of its own, so that a test that drives a browser can be written from top to bottom.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.api.scripted_control import FakeControl
from trayapp.api.api import open_routes, routes
from trayapp.api.controls import Draft, Edited, Moved, Rejected
from trayapp.api.events import Events
from trayapp.api.history import event_json
from trayapp.api.pagekeys import PageKeys
from trayapp.api.pages import Pages
from trayapp.clients import connecting
from trayapp.clients.changes import Changes
from trayapp.clients.connecting import ALL, Change, Row, Wanted
from trayapp.clients.entries import own_access
from trayapp.clients.places import Machine
from trayapp.clients.table import Client
from trayapp.core.activity import Request
from trayapp.core.checks import Check
from trayapp.core.client_settings import ClientAccess
from trayapp.core.external import ExternalWorkload, external_view
from trayapp.core.log_lines import LEVELS, LogEntry, LogQuery
from trayapp.core.model import Problem, Secret
from trayapp.core.outages import Outage
from trayapp.core.presentation import Colour, Glyph, Verb
from trayapp.core.snapshot import AuthView, Detail, Snapshot, Status, WorkloadView
from trayapp.core.view import style_of
from trayapp.server.server import LoopbackServer
from trayapp.storage.activity import Activity
from trayapp.storage.rows import HistoryRow
from trayapp.storage.timeline import Segment, segment

T = TypeVar("T")
MINUTE = 60.0
HOUR = 3600.0


def other_view(
    name: str,
    word: str = "running",
    text: str = "",
    *,
    owner: str = "ToolHive",
    ago: float = 3 * HOUR,
    actions: Sequence[Verb] = (Verb.RESTART, Verb.TAKE_OVER),
    doing: str = "",
    client_url: str = "http://127.0.0.1:21000/mcp",
) -> WorkloadView:
    """A workload of another program, whose status word is `word`; 0 s ago: it doesn't say since when."""
    since = time.time() - ago if ago else 0.0
    found = ExternalWorkload(name, f"https://mcp.{name.lower()}.example/mcp", client_url, word, text, since)
    return external_view(owner.lower(), owner, found, actions, doing)


def workload_view(
    name: str,
    status: Status = Status.RUNNING,
    detail: Detail = Detail.OK,
    text: str = "",
    *,
    url: str = "",
    ago: float = 3 * HOUR,
    problem: Problem | None = None,
    next_in: float | None = None,
    attempts: int = 0,
    **more: Any,
) -> WorkloadView:
    """A workload as the app publishes it. `ago` and `next_in`: seconds from now. `more` goes to the `auth` object."""
    now = time.time()
    drawn = style_of(status)
    colour, glyph = drawn.colour, drawn.glyph
    if status is Status.UNAUTHENTICATED and (detail is Detail.NEVER_SIGNED_IN or more.get("signing_in")):
        colour, glyph = Colour.BLUE, Glyph.OPEN
    auth = AuthView(
        detail=detail,
        since=now - ago,
        last_error=problem,
        attempts=attempts,
        next_attempt_at=None if next_in is None else now + next_in,
        **more,
    )
    return WorkloadView(name, url or f"https://mcp.{name}.example/mcp", status, text, drawn.health, colour, glyph, auth)


@dataclass
class Script(FakeControl):
    """The scripted app: records the page's requests in `calls`; the views are what the test puts there."""

    started_at: float = field(default_factory=time.time)
    moving: Callable[[], None] = lambda: None  # called by a take-over that succeeds

    added: Callable[[WorkloadView], None] = lambda view: None
    warnings: tuple[str, ...] = ()
    broken: str = ""
    outage: Outage | None = None
    this_run_only: bool = False

    def snapshot(self) -> Snapshot:
        own = {"warnings": self.warnings, "broken": self.broken, "outage": self.outage}
        others = dict(self.others)
        return Snapshot(1, dict(self.views), this_run_only=self.this_run_only, external=others, **own)  # type: ignore[arg-type]

    async def add(self, draft: Draft) -> str | Rejected:
        name, keys = draft.name, dict(draft.keys)
        self.calls.append(("add", name, keys))
        if self.rejected is not None:
            return self.rejected
        if name in self.views:
            text = f"There is already a workload {name}."
            return Rejected(409, "name_taken", text, {"name": text})
        if "issuer" in keys and not str(keys["issuer"]).startswith("https://"):
            return Rejected(
                400, "bad_value", "issuer: Has to be an https address.", {"issuer": "Has to be an https address."}
            )
        self.added(
            workload_view(name, Status.UNAUTHENTICATED, Detail.NEVER_SIGNED_IN, url=str(keys.get("url", "")), ago=0)
        )
        return name

    async def take_over(self, theirs: str, name: str = "", *, browser: bool, sign_in: bool) -> Moved | Rejected:
        moved = await super().take_over(theirs, name, browser=browser, sign_in=sign_in)
        if isinstance(moved, Moved):
            self.moving()
        return moved

    async def edit(self, name: str, draft: Draft) -> Edited | Rejected:
        edited = await super().edit(name, draft)
        if isinstance(edited, Edited):
            self.added(self.views[edited.name])  # the app's events come before its answer
        return edited

    def created_at(self, name: str) -> float:
        return self.started_at

    # Clients' files are real ones, in a home of the test's own.
    home: Path = Path("/nonexistent")

    def _wanted(self, names: Sequence[str] = ()) -> Wanted:
        accesses = {name: own_access(self._access(name)) for name in self.views}
        together = ClientAccess("amberlight", "http://127.0.0.1:8765/mcp", Secret("local-key-of-all"))
        urls = {name: view.url for name, view in self.views.items()}
        return Wanted({**accesses, ALL: own_access(together)}, urls, names)

    def _machine(self) -> Machine:
        return Machine("linux", {}, self.home, which=lambda program: None)

    def _changes(self) -> Changes:
        return Changes(self.home / "state", lambda: "2026-01-02")

    async def survey_clients(self) -> list[Row] | Problem:
        return self.clients_trouble or connecting.rows(self._machine(), self._wanted())

    async def connect_client(self, client: Client, names: Sequence[str], *, replace: bool) -> Change | Problem:
        self.calls.append(("connect", client.name, *names, *(["replace"] if replace else [])))
        if self.clients_trouble is not None:
            return self.clients_trouble
        wanted = self._wanted(names)
        return connecting.connect(self._machine(), self._changes(), client, wanted, replace=replace)

    async def disconnect_client(self, client: Client, names: Sequence[str]) -> Change | Problem:
        self.calls.append(("disconnect", client.name, *names))
        return connecting.disconnect(self._machine(), self._changes(), client, self._wanted(names))

    def aggregate(self) -> ClientAccess | None:
        return ClientAccess("amberlight", "http://127.0.0.1:8765/mcp", Secret("local-key-of-all"))

    async def client(self, name: str) -> ClientAccess | None:
        return self._access(name)

    def _access(self, name: str) -> ClientAccess:
        return ClientAccess(name, f"http://127.0.0.1:8765/w/{name}", Secret(f"local-key-of-{name}"))


@dataclass
class ScriptedInspection:
    """What the app finds out about itself: attributes a test set."""

    found: list[Check] = field(default_factory=list)
    entries: list[LogEntry] = field(default_factory=list)
    text: str = "Amberlight 1.2.3"

    async def checks(self) -> list[Check]:
        return self.found

    async def fix(self) -> list[Check] | Problem:
        self.found = [
            replace(each, state="ok", help="", fixable=False) if each.fixable else each for each in self.found
        ]
        return self.found

    async def log(self, query: LogQuery) -> tuple[str, list[LogEntry], bool]:
        known = [each for each in self.entries if LEVELS.index(each.level) >= LEVELS.index(query.level)]
        return "~/.local/state/amberlight/amberlight.log", known, False

    async def bug_report(self) -> tuple[str, str]:
        return "report.txt", self.text


class ScriptedHistory:
    """The history that the test wrote."""

    def __init__(self, history: dict[str, list[Segment]]) -> None:
        self._history = history

    async def read(self, names: list[str], since: float, limit: int) -> dict[str, tuple[list[Segment], bool]]:
        return {name: (self._history.get(name, [])[-limit:], False) for name in names}

    async def attempts(self, name: str, since: float, limit: int) -> list[HistoryRow]:
        unreached = Problem("connect", "The server refused the connection.")
        return [
            HistoryRow(time.time() - 60, name, "attempt", "not_sent", "timer", unreached, "auth_retrying", "retrying"),
            HistoryRow(time.time() - 4000, name, "attempt", "refreshed", "wake", None, "running", "ok"),
        ][:limit]


class Stage:
    """Use it with `with`. `views` is all the app knows; it can be stopped and restarted at the same address."""

    def __init__(self, directory: Path, *views: WorkloadView) -> None:
        self.directory = directory
        self.control = Script({view.name: view for view in views if view.external is None})
        self.control.others = {view.name: view for view in views if view.external is not None}
        self.control.added = self._put
        self.control.home = directory / "home"
        self.port = 0
        self.history: dict[str, list[Segment]] = {}
        self.inspection = ScriptedInspection()
        self._activity: Activity | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stage", daemon=True)
        self._server: LoopbackServer | None = None
        self._events: Events | None = None
        self._keys: PageKeys | None = None
        self._serial = 1

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def run(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the stage's loop."""
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(20)

    def do(self, job: Callable[[], T]) -> T:
        """Call a function on the stage's loop."""

        async def work() -> T:
            return job()

        return self.run(work())

    # --- the app comes and goes ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the app, or restart it: a new key and a new run of events, but the open pages are still known."""
        self.run(self._start())

    async def _start(self) -> None:
        self._events = Events(self.control)
        self._events.published(self.control.snapshot())
        self._keys = PageKeys(self.directory / "pages.json")
        self._activity = Activity(self.directory / "activity.db")
        await self._activity.switch(True)
        self._server = LoopbackServer(
            port=self.port,
            runtime_dir=self.directory,
            version="1.2.3",
            routes=routes(
                self.control,
                version="1.2.3",
                events=self._events,
                page_keys=self._keys,
                history_reader=ScriptedHistory(self.history),
                activity=self._activity,
                inspection=self.inspection,
            ),
            open_routes=open_routes(self._keys),
            pages=Pages().routes(),
            page_key=self._keys.admits,
        )
        await self._server.start()
        self.port = self._server.port

    def stop(self) -> None:
        """End the app."""
        self.run(self._stop())

    async def _stop(self) -> None:
        if self._events is not None:
            self._events.close()
        if self._server is not None:
            await self._server.close()
        if self._activity is not None:
            await self._activity.close()
        self._events, self._server, self._activity = None, None, None

    # --- what happens on it -------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def link(self) -> str:
        """A one-time link."""
        assert self._keys is not None
        return f"{self.address}#once={self.do(self._keys.link).reveal()}"

    def put(self, *views: WorkloadView) -> None:
        """Add or replace these workloads."""
        self.do(lambda: self._put(*views))

    def later(self, seconds: float, *views: WorkloadView) -> None:
        """Add them after this time; called on the stage's loop."""
        self._loop.call_later(seconds, lambda: self._put(*views))

    def drop(self, name: str) -> None:
        """Remove a workload."""
        self.do(lambda: self._publish({key: view for key, view in self._everything.items() if key != name}))

    def change(self, name: str, **auth: Any) -> None:
        """Change fields of a workload's `auth` object."""
        view = self._everything[name]
        self.put(replace(view, auth=replace(view.auth, **auth)))

    def warn(self, *warnings: str) -> None:
        """Set the app's own warnings."""
        self.control.warnings = warnings
        self.put()

    def lose_keyring(self) -> None:
        """Logins are kept for this run only."""
        self.control.this_run_only = True
        self.put()

    def fail(self, *, broken: str = "", outage: Outage | None = None) -> None:
        """The app has no configuration, or clients can't reach it."""
        self.control.broken, self.control.outage = broken, outage
        self.put()

    def use(self, *requests: Request) -> None:
        """Clients made these requests."""
        self.run(self._use(requests))

    async def _use(self, requests: Sequence[Request]) -> None:
        assert self._activity is not None
        for request in requests:
            self._activity.record(request)
        await self._activity.flush()
        if self._events is not None:
            self._events.emit("activity", dict)

    async def forget_activity(self) -> None:
        """Switch the recording off."""
        assert self._activity is not None
        await self._activity.switch(False)

    @property
    def _everything(self) -> dict[str, WorkloadView]:
        return {**self.control.views, **self.control.others}

    def _put(self, *views: WorkloadView) -> None:
        self._publish({**self._everything, **{view.name: view for view in views}})

    def _publish(self, views: dict[str, WorkloadView]) -> None:
        before = self._everything
        self.control.views = {name: view for name, view in views.items() if view.external is None}
        self.control.others = {name: view for name, view in views.items() if view.external is not None}
        self._serial += 1
        for name, view in views.items():
            if before.get(name) != view:
                self._tell(name, segment(view, view.auth.since))
        if self._events is not None:
            self._events.published(replace(self.control.snapshot(), serial=self._serial))

    def _tell(self, name: str, new: Segment) -> None:
        self.history.setdefault(name, []).append(new)
        if self._events is not None:
            self._events.emit("history", lambda: event_json(name, new))
