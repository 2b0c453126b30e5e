"""A scripted `Control` that fails on every call a test didn't prepare."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trayapp.api.controls import (
    Draft,
    Edited,
    GivenBack,
    Moved,
    PortChanged,
    Rejected,
    Removed,
    SettingsTable,
    TakeOverPlan,
)
from trayapp.clients.connecting import ALL, Change, Row
from trayapp.clients.connections import Connection, State
from trayapp.clients.survey import Found
from trayapp.clients.table import BY_NAME, Client
from trayapp.config.described import Files, settings_rows, workload_rows
from trayapp.core.answered import Answered
from trayapp.core.checks import Check, Report
from trayapp.core.client_settings import ClientAccess
from trayapp.core.external import ExternalWorkload, external_view
from trayapp.core.metrics import Counters
from trayapp.core.model import AccessToken, Problem, Secret, Spec
from trayapp.core.presentation import Action, Colour, Glyph, Verb
from trayapp.core.snapshot import AuthView, Detail, Health, Snapshot, Status, Unavailable, WorkloadView
from trayapp.importers.offers import Offer

ADDED = 1_700_000_000.0
STARTED = 1_800_000_000.0


def view(name: str, status: Status = Status.RUNNING, *, signing_in: bool = False) -> WorkloadView:
    """A workload's view as the engine publishes it."""
    auth = AuthView(detail=Detail.OK, since=STARTED, signing_in=signing_in)
    url = f"https://{name}.example/mcp"
    return WorkloadView(name, url, status, "", Health.HEALTHY, Colour.GREEN, Glyph.TICK, auth)


def other(name: str = "GitHub.v2", word: str = "running", context: str = "", doing: str = "") -> WorkloadView:
    """The view of a workload that ToolHive keeps signed in."""
    found = ExternalWorkload(name, f"https://{name}.example/mcp", "http://127.0.0.1:21000/mcp", word, context, STARTED)
    return external_view("toolhive", "ToolHive", found, (Verb.RESTART, Verb.TAKE_OVER), doing)


def client_row(client: Client, names: Iterable[str], state: State = State.ABSENT) -> Row:
    """A client that is installed, and has this to say of every workload."""
    found = Found(client, Path("/home/ada/.client.json"), True)
    return Row(found, "~/.client.json", tuple(Connection(name, name or "amberlight", state) for name in (*names, ALL)))


@dataclass
class FakeControl:
    """Answers with the attributes a test set; `calls` records what was asked, in order. Unknown names fail."""

    views: dict[str, WorkloadView] = field(default_factory=lambda: {"github": view("github")})
    others: dict[str, WorkloadView] = field(default_factory=dict)  # of other programs, by OWNER/NAME
    others_problems: list[str] = field(default_factory=list)
    others_missing: Problem | None = None
    restart_answer: Problem | None = None
    owners: dict[str, str] = field(default_factory=dict)  # from whom ours were taken over
    token_answer: AccessToken | Unavailable | None = None
    page: str | Problem | None = "https://as.example/authorize?state=1"
    page_gate: asyncio.Event | None = None  # holds `reauthorize` until set
    remove_gate: asyncio.Event | None = None
    access: ClientAccess | None = None
    clients_trouble: Problem | None = None
    found: list[Offer] = field(default_factory=list)
    answers: dict[str, Answered | Problem] = field(default_factory=dict)  # to `check`, by name
    counts: Counters = field(default_factory=lambda: Counters({}, {}, {}))
    paste_answer: Problem | None = None
    problems: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    port_answer: PortChanged | Problem = field(
        default_factory=lambda: PortChanged(8766, "Amberlight uses port 8766 from now on.")
    )
    take_over_plan: TakeOverPlan = field(
        default_factory=lambda: TakeOverPlan(
            "github",
            "https://github.example/mcp",
            "ToolHive",
            None,
            (("Cursor", "/home/ada/.cursor/mcp.json", "gh"),),
            ("Its client secret stays with ToolHive.",),
            True,
            "",
        )
    )
    moved: Moved = field(default_factory=lambda: Moved("github", "Took over github from ToolHive.", ("Cursor",)))
    rejected: Rejected | None = None  # whatever edits the configuration
    calls: list[tuple[object, ...]] = field(default_factory=list)
    started_at: float = STARTED
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # set by the first call that takes its time

    def known(self, name: str) -> None:
        assert name in self.views or name in self.others, f"asked about {name}, which does not exist"

    def sign_in(self, name: str, on: bool) -> None:
        self.views[name] = replace(self.views[name], auth=replace(self.views[name].auth, signing_in=on))

    def snapshot(self) -> Snapshot:
        return Snapshot(1, dict(self.views), external=dict(self.others))

    def spec(self, name: str) -> Spec | None:
        return Spec(name, self.views[name].url, "client-1") if name in self.views else None

    def post(self, action: Action) -> None:
        if action.name:
            self.known(action.name)
        self.calls.append(("post", action.verb.value, action.name))

    async def token(self, name: str, min_validity: float, wait: float) -> AccessToken | Unavailable:
        self.known(name)
        self.calls.append(("token", name, min_validity, wait))
        assert self.token_answer is not None
        return self.token_answer

    def token_used(self, name: str, token: Secret, *, accepted: bool) -> None:
        self.known(name)
        self.calls.append(("token_used", name, token.reveal(), accepted))

    async def client(self, name: str) -> ClientAccess | None:
        self.known(name)
        return self.access

    async def clients(self, names: Sequence[str]) -> list[ClientAccess] | None:
        for name in names:
            self.known(name)
        return None if self.access is None else [self.access for _ in names]

    def aggregate(self) -> ClientAccess | None:
        return self.access

    async def survey_clients(self) -> list[Row] | Problem:
        return self.clients_trouble or [client_row(BY_NAME[name], self.views) for name in ("claude-code", "zed")]

    async def connect_client(self, client: Client, names: Sequence[str], *, replace: bool) -> Change | Problem:
        self.calls.append(("connect", client.name, *names, *(["replace"] if replace else [])))
        row = client_row(client, self.views, State.CONNECTED)
        return self.clients_trouble or Change(f"Connected to {client.title}.", True, ("Left alone.",), row)

    async def disconnect_client(self, client: Client, names: Sequence[str]) -> Change | Problem:
        self.calls.append(("disconnect", client.name, *names))
        row = client_row(client, self.views)
        return self.clients_trouble or Change(f"Disconnected from {client.title}.", True, (), row)

    async def offers(self) -> list[Offer] | Problem:
        return self.clients_trouble or self.found

    async def check(self, name: str) -> Answered | Problem:
        self.known(name)
        self.calls.append(("check", name))
        return self.answers.get(name, Problem("unreachable", f"Can't reach {name}."))

    def counted(self) -> Counters:
        return self.counts

    async def reauthorize(self, name: str, *, browser: bool, accept: bool, flow: str = "") -> str | Problem | None:
        self.known(name)
        self.calls.append(("reauthorize", name, browser, accept, *filter(None, (flow,))))
        self.asked.set()
        if self.page_gate is not None:
            await self.page_gate.wait()
        return self.page

    def cancel_sign_in(self, name: str, *, register: bool = False) -> None:
        self.known(name)
        self.calls.append(("cancel_sign_in", name, *(["register"] if register else [])))

    def registered(self, name: str) -> bool:
        self.known(name)
        return True

    def steps(self, name: str) -> tuple[str, ...]:
        return ("Found the sign-in server login.example.com.",)

    async def set_secret(self, name: str, secret: Secret | None) -> Problem | None:
        self.known(name)
        self.calls.append(("set_secret", name, secret))
        return self.paste_answer

    def paste(self, name: str, url: str) -> Problem | None:
        self.known(name)
        self.calls.append(("paste", name, url))
        return self.paste_answer

    async def remove(self, names: Sequence[str]) -> Removed:
        for name in names:
            self.known(name)
        self.calls.append(("remove", *names))
        self.asked.set()
        if self.remove_gate is not None:
            await self.remove_gate.wait()
            self.calls.append(("removed", *names))
        notes = ("The sign-in to github was cancelled.",)
        return Removed({}, notes) if self.rejected is None else Removed(dict.fromkeys(names, self.rejected))

    async def add(self, draft: Draft) -> str | Rejected:
        more = (*filter(None, (draft.secret,)), *(["check"] if draft.check else []))
        self.calls.append(("add", draft.name, dict(draft.keys), *more))
        if self.rejected is not None:
            return self.rejected
        self.views[draft.name] = view(draft.name)
        return draft.name

    async def edit(self, name: str, draft: Draft) -> Edited | Rejected:
        self.known(name)
        self.calls.append(("edit", name, draft))
        if self.rejected is not None:
            return self.rejected
        new = draft.name or name
        self.views[new] = replace(self.views.pop(name), name=new)
        return Edited(new, f"Changed {new}.", ("Updated Claude Code.",))

    async def settings(self, name: str = "") -> SettingsTable | Rejected:
        self.calls.append(("settings", name))
        if self.rejected is not None:
            return self.rejected
        files = Files({}, {"settings": {"port": 9000}})
        rows = workload_rows(files, {}, name) if name else settings_rows(files, {})
        return SettingsTable("r1", "/home/ada/config.toml", "", rows, {"port": "Is in use."})

    async def change_settings(self, changes: Mapping[str, object], revision: str) -> SettingsTable | Rejected:
        self.calls.append(("change_settings", dict(changes), revision))
        return self.rejected or await self.settings()

    def external_problems(self) -> list[str]:
        return self.others_problems

    def missing_external(self, name: str) -> Problem:
        assert name not in self.others
        return self.others_missing or Problem("unknown_workload", f"No other program has a workload named {name}.")

    async def restart_external(self, name: str) -> Problem | None:
        assert name in self.others
        self.calls.append(("restart_external", name))
        return self.restart_answer

    async def plan_take_over(self, theirs: str, name: str = "") -> TakeOverPlan | Rejected:
        self.known(theirs)
        self.calls.append(("plan_take_over", theirs, name))
        return self.rejected or self.take_over_plan

    async def take_over(self, theirs: str, name: str = "", *, browser: bool, sign_in: bool) -> Moved | Rejected:
        self.known(theirs)
        self.calls.append(("take_over", theirs, name, browser, sign_in))
        return self.rejected or self.moved

    async def taken_over_from(self, name: str) -> str | None:
        return self.owners.get(name)

    async def give_back(self, name: str) -> GivenBack | Rejected:
        self.calls.append(("give_back", name))
        return self.rejected or GivenBack(name, f"Gave {name} back to ToolHive.", ("Cursor",), ("Zed is locked.",))

    async def change_port(self, port: int | None) -> PortChanged | Problem:
        self.calls.append(("change_port", port))
        return self.port_answer

    async def reload(self) -> tuple[list[str], list[str]]:
        self.calls.append(("reload",))
        return self.problems

    def sources(self) -> list[str]:
        return ["pigeons", "polling"]

    async def report(self) -> Report:
        self.calls.append(("report",))
        checks = (Check("keyring", "failed", "The keyring is locked.", "Unlock it."),)
        return Report(checks, True, {"github": "https://login.example/token"})

    def quit(self) -> None:
        self.calls.append(("quit",))

    def created_at(self, name: str) -> float:
        self.known(name)
        return ADDED
