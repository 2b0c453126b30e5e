"""Taking a workload over and giving it back: histories with a strict owner, and a failure at every step."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.external.fake_owner import workload
from tests.external.stopping_owner import StoppingOwner
from tests.external.test_moving import CODEX, CURSOR, KEY
from trayapp.api.controls import Draft, GivenBack, Moved, Rejected, Removed, TakeOverPlan
from trayapp.app.client_files import ClientFiles
from trayapp.app.external import no_such_workload
from trayapp.app.take_over import TakeOver
from trayapp.clients.places import Machine
from trayapp.core.client_settings import ClientAccess
from trayapp.core.external import external_view
from trayapp.core.model import Problem, Secret, Spec
from trayapp.core.outages import Outage
from trayapp.core.snapshot import AuthView, Detail, Snapshot, Status, WorkloadView
from trayapp.external.owner import ExternalError, ExternalOwner
from trayapp.importers.entries import ImportableEntry, SkippedEntry

T = TypeVar("T")

URL = "https://github.example/mcp"
THEIRS = "toolhive/github"


class Quit(BaseException):
    """The program ends here."""


@dataclass
class FakeEngine:
    """Workloads by name, with whether they are signed in."""

    specs: dict[str, Spec] = field(default_factory=dict)
    signed_in: set[str] = field(default_factory=set)
    outage: Outage | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def workloads(self) -> dict[str, Spec]:
        return self.specs

    def spec(self, name: str) -> Spec | None:
        return self.specs.get(name)

    def view_of(self, name: str) -> WorkloadView | None:
        if name not in self.specs:
            return None
        seen = external_view("x", "x", workload(name), ())
        good = name in self.signed_in
        auth = AuthView(detail=Detail.OK if good else Detail.NEVER_SIGNED_IN, since=0.0, usable=good)
        status = Status.RUNNING if good else Status.UNAUTHENTICATED
        return replace(seen, name=name, external=None, auth=auth, status=status)

    def snapshot(self) -> Snapshot:
        return Snapshot(1, {}, outage=self.outage)

    def task(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))


@dataclass
class FakeAddresses:
    """Where clients reach workloads; nothing listens with `port` 0."""

    port: int = 8765
    is_lasting: bool = True

    def _access(self, name: str) -> ClientAccess:
        url = f"http://127.0.0.1:{self.port}/w/{name}"
        return ClientAccess(name, url, Secret(KEY), self.is_lasting, command=("/opt/amberlight", "stdio", name))

    def aggregate(self) -> ClientAccess | None:
        return self._access("amberlight") if self.port else None

    def lasting(self) -> bool:
        return self.is_lasting

    async def several(self, names: Sequence[str]) -> list[ClientAccess] | None:
        return [self._access(name) for name in names] if self.port else None


@dataclass
class Claimed:
    """A workload that nobody else asks for anything; `test_one_owner.py` is about those who would."""

    world: World
    name: str

    async def ask(self, job: Callable[[ExternalOwner, str], T]) -> T | Problem:
        return await self.world.ask(self.name, job)

    async def restart(self) -> Problem | None:
        return await self.ask(lambda owner, name: owner.restart(name))


class World:
    """An owner, clients' files, and a configuration. `history` is what happened, in its order."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.history: list[str] = []
        self.owner = StoppingOwner([workload("github")], history=self.history)
        self.engine = FakeEngine()
        self.addresses = FakeAddresses()
        self.reject: Rejected | None = None  # of adding
        self.refuse: Rejected | None = None  # of removing
        self.no_sign_in: Problem | None = None
        self.quits_at = ""  # the step at which the program ends
        self.state = root / "state"
        self.start()

    def start(self) -> None:
        """The program, once more."""
        machine = Machine("linux", {}, self.home, lambda program: None)
        self.files = ClientFiles(lambda: machine, self.state, self.addresses, self.engine)  # type: ignore[arg-type]
        self.take_over = TakeOver(self, self.files, self.engine, self._add, self._remove, self._sign_in, self.state)

    def write(self, name: str, text: str) -> Path:
        file = self.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    # --- what it needs of others

    async def ask(self, name: str, job: Callable[[ExternalOwner, str], T]) -> T | Problem:
        if not self._has(name):
            return no_such_workload(name)
        own = name.partition("/")[2]
        try:
            result = await asyncio.to_thread(lambda: job(self.owner, own))
        except ExternalError as error:
            return Problem("external", str(error))
        self._passes(self.history[-1] if self.history else "")
        return result

    @contextlib.contextmanager
    def claimed(self, name: str, doing: str) -> Iterator[Claimed | Problem]:
        assert doing.endswith(".")
        yield Claimed(self, name) if self._has(name) else no_such_workload(name)

    def _has(self, name: str) -> bool:
        owner, _, own = name.partition("/")
        known = self.owner.has(own) or bool(self.owner.problems)  # of what it had when it was read last
        return owner == self.owner.id and known

    async def _add(self, draft: Draft) -> str | Rejected:
        assert draft.check, "it is looked at before anything else happens"
        self.history.append(f"add {draft.name}")
        if self.reject is not None:
            return self.reject
        assert draft.name not in self.engine.specs
        self.engine.specs[draft.name] = Spec(draft.name, str(draft.keys["url"]))
        self._passes(f"add {draft.name}")
        return draft.name

    async def _remove(self, names: Sequence[str]) -> Removed:
        self.history.append(f"remove {' '.join(names)}")
        if self.refuse is not None:
            return Removed(dict.fromkeys(names, self.refuse))
        for name in names:
            del self.engine.specs[name]
        self._passes(self.history[-1])
        return Removed()

    async def _sign_in(self, name: str, browser: bool) -> str | Problem | None:
        self.history.append(f"sign in {name}{'' if browser else ' without browser'}")
        return self.no_sign_in or "https://login.example/authorize"

    def _passes(self, step: str) -> None:
        if self.quits_at and step == self.quits_at:
            self.quits_at = ""
            raise Quit

    # --- what it is asked

    async def plan(self, theirs: str = THEIRS, name: str = "") -> TakeOverPlan:
        made = await self.take_over.plan(theirs, name)
        assert isinstance(made, TakeOverPlan), made
        return made

    async def take(self, **options: Any) -> Moved:
        made = await self.take_over.take(THEIRS, **options)
        assert isinstance(made, Moved), made
        return made

    async def refused(self, theirs: str = THEIRS, **options: Any) -> tuple[int, str]:
        made = await self.take_over.take(theirs, **options)
        assert isinstance(made, Rejected), made
        return made.status, made.message

    async def back(self, name: str = "github") -> GivenBack:
        made = await self.take_over.give_back(name)
        assert isinstance(made, GivenBack), made
        return made


def overwrite(file: Path, text: str) -> Callable[[str], None]:
    """What the owner does when it stops a workload."""

    def write(name: str) -> None:
        file.write_text(text)

    return write


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_there_and_back(world: World) -> None:
    """No step leaves two owners, or a client without any; then everything is as it was."""

    cursor, codex = world.write(".cursor/mcp.json", CURSOR), world.write(".codex/config.toml", CODEX)
    world.owner.on_stop = lambda name: world.history.append(
        f"clients {'theirs' if KEY not in cursor.read_text() else 'ours'}"
    )
    made = await world.take()
    assert ["add github", "stop github", "clients theirs", "sign in github"] == world.history
    assert (
        Moved(
            "github",
            "Took over github from ToolHive. Updated Codex and Cursor. Start a new session. Sign in to finish. "
            "To undo this: amberlight take-over --undo github.",
            ("Codex", "Cursor"),
            (),
            "https://login.example/authorize",
        )
        == made
    )
    assert "/w/github" in cursor.read_text()
    assert "stopped" == world.owner.word()

    world.history.clear()
    world.owner.on_restart = lambda name: world.history.append(
        f"clients {'theirs' if CURSOR == cursor.read_text() else 'ours'}"
    )
    assert (
        GivenBack(
            "github",
            "Gave github back to ToolHive. Restored Codex and Cursor. Start a new session.",
            ("Codex", "Cursor"),
        )
        == await world.back()
    )
    assert ["remove github", "restart github", "clients theirs"] == world.history
    assert (CURSOR, CODEX) == (cursor.read_text(), codex.read_text())
    assert {} == world.engine.specs
    assert "running" == world.owner.word()
    gone = await world.take_over.give_back("github")
    assert isinstance(gone, Rejected)
    assert (404, "github wasn't taken over from another program.") == (gone.status, gone.message)


async def test_the_plan_changes_nothing(world: World) -> None:
    cursor = world.write(".cursor/mcp.json", CURSOR)
    world.write(".codeium/windsurf/mcp_config.json", "{ oops")
    made = await world.plan(name="Hub")
    assert ("hub", URL, "ToolHive", None, "") == (made.name, made.url, made.owner, made.configured_as, made.problem)
    assert (("Cursor", "~/.cursor/mcp.json", "github"),) == made.clients
    [note] = made.notes
    assert note.startswith("Windsurf may use it, too, but its file can't be read: ")
    assert [] == world.history
    assert CURSOR == cursor.read_text()
    assert not world.state.exists() or not list(world.state.glob("take-overs*"))


async def test_nobody_has_it(world: World) -> None:
    answer = await world.take_over.plan("toolhive/nobody")
    assert isinstance(answer, Rejected)
    assert (404, "No other program has a workload named toolhive/nobody.") == (answer.status, answer.message)
    assert 404 == (await world.refused("docker/github"))[0]


async def test_it_is_here_already_and_signed_in(world: World) -> None:
    """It is stopped there, clients come here, nobody has to sign in; and it stays here afterwards."""

    cursor = world.write(".cursor/mcp.json", CURSOR)
    world.engine.specs["hub"] = Spec("hub", URL)
    world.engine.signed_in.add("hub")
    made = await world.take()
    assert ["stop github"] == world.history
    assert ("hub", None) == (made.name, made.authorization_url)
    assert made.message.startswith("Took over github from ToolHive as hub. Updated Cursor.")
    assert "/w/hub" in cursor.read_text()

    back = await world.back("hub")
    assert ["stop github", "restart github"] == world.history
    assert back.message.endswith("hub stays here: it was configured before the take-over.")
    assert CURSOR == cursor.read_text()
    assert "hub" in world.engine.specs


async def test_it_is_stopped_there_already(world: World) -> None:
    """It isn't stopped again, and not run afterwards."""

    world.owner.becomes("github", "stopped")
    world.owner.actions = ()
    assert "github" == (await world.take()).name
    await world.back()
    assert ["add github", "sign in github", "remove github"] == world.history


async def test_what_cannot_be_taken_over_stays_as_it_is(world: World) -> None:
    world.owner.entries["github"] = SkippedEntry("github", "it has no URL")
    assert (409, "Amberlight can't keep github signed in: it has no URL.") == await world.refused()
    assert [] == world.history


async def test_its_server_is_looked_at_first(world: World) -> None:
    """If nobody could sign in to it here, its owner isn't asked for anything."""

    world.reject = Rejected(409, "client_id_needed", "github.example doesn't register apps automatically.")
    assert (409, "github.example doesn't register apps automatically.") == await world.refused()
    assert ["add github"] == world.history
    assert isinstance(await world.take_over.give_back("github"), Rejected)


async def test_its_owner_does_not_stop_it(world: World) -> None:
    """It is taken out here again, and clients stay."""

    cursor = world.write(".cursor/mcp.json", CURSOR)
    world.owner.failing["stop"] = "ToolHive didn't stop github."
    assert (409, "ToolHive didn't stop github. It stays in ToolHive, and nothing was changed.") == await world.refused()
    assert ["add github", "stop github", "remove github"] == world.history
    assert {} == world.engine.specs
    assert CURSOR == cursor.read_text()
    assert isinstance(await world.take_over.give_back("github"), Rejected)

    world.owner.failing.clear()
    assert ("Cursor",) == (await world.take()).updated


async def test_nor_is_one_removed_that_was_here_before(world: World) -> None:
    world.engine.specs["hub"] = Spec("hub", URL)
    world.owner.failing["stop"] = "No."
    assert 409 == (await world.refused())[0]
    assert ["stop github"] == world.history
    assert "hub" in world.engine.specs


async def test_its_owner_stops_it_after_it_has_said_no(world: World) -> None:
    """A slow stop is one: what counts is how it is then."""

    stop = world.owner.stop

    def slow(name: str) -> None:
        stop(name)
        raise ExternalError("ToolHive didn't answer in time.")

    world.owner.stop = slow  # type: ignore[method-assign]
    assert "github" == (await world.take()).name
    assert ["add github", "stop github", "sign in github"] == world.history


async def test_it_can_not_be_removed_again(world: World) -> None:
    """Both are said."""

    world.owner.failing["stop"] = "ToolHive didn't stop github."
    world.refuse = Rejected(409, "configuration", "config.toml is read-only.")
    _, text = await world.refused()
    assert (
        "ToolHive didn't stop github. github was added here and couldn't be removed: config.toml is read-only." == text
    )


async def test_a_clients_file_that_cannot_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are updated, the person is told which isn't, and the sign-in begins."""

    cursor = world.write(".cursor/mcp.json", CURSOR)
    world.write(".codex/config.toml", CODEX)
    world.owner.on_stop = overwrite(cursor, "{ oops")
    made = await world.take()
    assert ("Codex",) == made.updated
    [failed] = made.failed
    assert failed.startswith("Cursor (~/.cursor/mcp.json) wasn't updated: it isn't valid JSON")
    assert "sign in github" == world.history[-1]

    cursor.write_text(CURSOR)
    assert ("Cursor",) == (await world.take()).updated
    assert ("Codex", "Cursor") == (await world.back()).updated
    assert CURSOR == cursor.read_text()


@pytest.mark.parametrize(
    ("port", "lasting", "text"),
    [(0, True, "The proxy is off"), (8765, False, "Amberlight's port changes the next time it starts.")],
)
async def test_clients_could_not_be_connected(world: World, port: int, lasting: bool, text: str) -> None:
    """Then nothing is changed; without any there it doesn't matter."""

    world.addresses.port, world.addresses.is_lasting = port, lasting
    assert "" == (await world.plan()).problem
    world.write(".cursor/mcp.json", CURSOR)
    assert (await world.plan()).problem.startswith(text)
    assert 409 == (await world.refused())[0]
    assert [] == world.history


async def test_nobody_can_sign_in_just_now(world: World) -> None:
    """It stays here, not signed in, and the result says how to go on and how to go back."""

    world.no_sign_in = Problem("no_name", "Can't find login.example.")
    made = await world.take()
    assert ("Can't find login.example. Try again: amberlight reauthorize github.",) == made.failed
    assert made.message.endswith("To undo this: amberlight take-over --undo github.")
    assert "github" in world.engine.specs


async def test_a_client_secret_comes_first(world: World) -> None:
    """The sign-in would fail without it."""

    world.owner.entries["github"] = ImportableEntry("github", {"url": URL, "client_id": "c"}, needs_secret=True)
    made = await world.take()
    assert "sign in github" not in world.history
    assert "amberlight secret set github. Then sign in: amberlight reauthorize github." in made.message


async def test_who_begins_the_sign_in(world: World) -> None:
    await world.take(browser=False)
    assert "sign in github without browser" == world.history[-1]
    await world.back()
    await world.take(sign_in=False)
    assert "stop github" == world.history[-1]


@pytest.mark.parametrize("step", ["add github", "stop github"])
async def test_the_program_ends_in_between(world: World, step: str) -> None:
    """Asking again completes it, and the way back is still known."""

    cursor = world.write(".cursor/mcp.json", CURSOR)
    world.owner.on_stop = overwrite(cursor, '{\n    // mine\n    "mcpServers": {}\n}\n')
    world.quits_at = step
    with pytest.raises(Quit):
        await world.take()
    world.start()

    made = await world.take()
    assert ("Cursor",) == made.updated
    assert ["add github", "stop github"] == [each for each in world.history if "sign" not in each]
    entry = json.loads(cursor.read_text().replace("// mine", ""))["mcpServers"]["github"]
    assert "/w/github" in entry["url"]

    back = await world.back()
    assert (("Cursor",), ()) == (back.updated, back.failed)
    assert ["remove github", "restart github"] == world.history[-2:]
    assert "http://127.0.0.1:21000/mcp" in cursor.read_text()
    assert KEY not in cursor.read_text()


@pytest.mark.parametrize("step", ["remove github", "restart github"])
async def test_the_program_ends_on_the_way_back(world: World, step: str) -> None:
    cursor = world.write(".cursor/mcp.json", CURSOR)
    await world.take()
    world.quits_at = step
    with pytest.raises(Quit):
        await world.back()
    world.start()
    await world.back()
    assert {} == world.engine.specs
    assert "running" == world.owner.word()
    assert CURSOR == cursor.read_text()
    assert 1 == world.history.count("remove github") == world.history.count("restart github")


async def test_its_owner_could_not_run_it(world: World) -> None:
    """Then it isn't given back at all."""

    cursor = world.write(".cursor/mcp.json", CURSOR)
    await world.take()
    world.owner.actions = ()
    text = "ToolHive can't run github right now. Start ToolHive, then try again."
    answer = await world.take_over.give_back("github")
    assert isinstance(answer, Rejected)
    assert (409, text) == (answer.status, answer.message)
    assert KEY in cursor.read_text()
    assert "github" in world.engine.specs

    world.owner.workloads, world.owner.problems = [], ["ToolHive's file github.json is damaged."]
    answer = await world.take_over.give_back("github")
    assert isinstance(answer, Rejected)
    text = "Amberlight can't see toolhive/github. ToolHive's file github.json is damaged."
    assert (409, text) == (answer.status, answer.message)

    world.owner.problems = []
    answer = await world.take_over.give_back("github")
    assert isinstance(answer, Rejected)
    text = "toolhive/github is gone, so github can't be given back. To remove it here: amberlight remove github."
    assert (404, text) == (answer.status, answer.message)
    assert KEY in cursor.read_text()


async def test_its_owner_fails_to_run_it(world: World) -> None:
    """That is said, and asking again is enough once it can."""

    await world.take()
    world.owner.failing["restart"] = "ToolHive didn't restart github."
    made = await world.back()
    assert ("ToolHive didn't restart github. github isn't running in ToolHive yet.",) == made.failed
    world.owner.failing.clear()
    assert () == (await world.back()).failed
    assert "running" == world.owner.word()


async def test_it_cannot_be_removed_here(world: World) -> None:
    await world.take()
    world.refuse = Rejected(409, "configuration", "config.toml is read-only.")
    assert world.refuse == await world.take_over.give_back("github")
    assert "stopped" == world.owner.word()


async def test_it_runs_there_again_already(world: World) -> None:
    """It isn't restarted once more."""

    await world.take()
    world.owner.becomes("github", "running")
    await world.back()
    assert "remove github" == world.history[-1]


async def test_another_workload_of_its_name(world: World) -> None:
    """One that was never theirs isn't given away."""

    await world.take()
    assert "github" == await world.take_over.name_here(THEIRS)
    world.engine.specs["github"] = Spec("github", "https://other.example/mcp")
    assert await world.take_over.name_here(THEIRS) is None  # so a restart there isn't refused
    answer = await world.take_over.give_back("github")
    assert isinstance(answer, Rejected)
    assert answer.message.endswith("or remove it: amberlight remove github.")
    assert "github" in world.engine.specs


async def test_another_workload_of_its_name_there(world: World) -> None:
    """Clients aren't sent to another server."""

    cursor = world.write(".cursor/mcp.json", CURSOR)
    await world.take()
    world.owner.workloads = [replace(world.owner.workloads[0], url="https://other.example/mcp")]
    answer = await world.take_over.give_back("github")
    assert isinstance(answer, Rejected)
    text = (
        "toolhive/github has a different URL from the workload that was taken over, so github can't be given back. "
        "To remove it here: amberlight remove github."
    )
    assert (409, text) == (answer.status, answer.message)
    assert KEY in cursor.read_text()

    world.owner.workloads = [replace(world.owner.workloads[0], url="")]  # not known
    assert ("Cursor",) == (await world.back()).updated


async def test_two_accounts_at_one_server(world: World) -> None:
    """Each gets a workload, and a way back, of its own."""

    cursor = world.write(".cursor/mcp.json", CURSOR)
    url = world.owner.workloads[0].url
    world.owner.workloads.append(replace(workload("work"), url=url, client_url="http://127.0.0.1:21001/mcp"))
    await world.take()
    made = await world.take_over.take("toolhive/work")
    assert isinstance(made, Moved)
    assert "work" == made.name
    for name in ("github", "work"):
        assert () == (await world.back(name)).failed
    assert {} == world.engine.specs
    assert CURSOR == cursor.read_text()


async def test_a_clients_file_that_cannot_be_restored_now(world: World) -> None:
    """The rest is given back, and asking again restores it, too."""

    cursor = world.write(".cursor/mcp.json", CURSOR)
    world.write(".codex/config.toml", CODEX)
    await world.take()
    ours = cursor.read_text()
    cursor.write_text("{ oops")
    made = await world.back()
    assert ("Codex",) == made.updated
    failed, advice = made.failed
    assert failed.startswith("Cursor (~/.cursor/mcp.json) wasn't updated: it isn't valid JSON")
    assert "To try again: amberlight take-over --undo github." == advice
    assert "running" == world.owner.word()

    cursor.write_text(ours)
    made = await world.back()
    assert (("Cursor",), ()) == (made.updated, made.failed)
    assert CURSOR == cursor.read_text()
    assert 1 == world.history.count("restart github") == world.history.count("remove github")
    assert isinstance(await world.take_over.give_back("github"), Rejected)


async def test_after_a_rename(world: World) -> None:
    cursor = world.write(".cursor/mcp.json", CURSOR)
    await world.take()
    world.engine.specs["hub"] = Spec("hub", world.engine.specs.pop("github").url)
    world.take_over.renamed("github", "hub")
    await asyncio.gather(*world.engine.tasks)
    cursor.write_text(cursor.read_text().replace("/w/github", "/w/hub"))
    assert ("Cursor",) == (await world.back("hub")).updated
    assert {"url": "http://127.0.0.1:21000/mcp"} == json.loads(
        "".join(
            line.partition(" //")[0].removeprefix("    // mine") for line in cursor.read_text().splitlines()
        ).replace("},    }", "}}")
    )["mcpServers"]["github"]


async def test_after_its_removal_here(world: World) -> None:
    """Its entries went back with it, and the rest still can. One that the person took out isn't put in again."""

    cursor, codex = world.write(".cursor/mcp.json", CURSOR), world.write(".codex/config.toml", CODEX)
    await world.take()
    await world.files.take_out(["github"])
    del world.engine.specs["github"]
    assert () == (await world.back()).failed
    assert "running" == world.owner.word()
    for file in (cursor, codex):
        assert "http://127.0.0.1:21000/mcp" in file.read_text()

    await world.take()
    cursor.write_text('{"mcpServers": {}}')
    world.owner.failing["restart"] = "No."
    assert 2 == len((await world.back()).failed)
    world.owner.failing.clear()
    assert () == (await world.back()).failed
    assert '{"mcpServers": {}}' == cursor.read_text()


async def test_a_record_that_cannot_be_written(world: World) -> None:
    """Without a way back nothing is begun."""

    (world.state / "take-overs.json").mkdir(parents=True)
    status, text = await world.refused()
    assert 409 == status
    assert "take-overs.json" in text
    assert [] == world.history


async def test_no_key_is_in_any_answer(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Nor in the log."""

    world.write(".cursor/mcp.json", CURSOR)
    with caplog.at_level("DEBUG"):
        said = repr([await world.plan(), await world.take(), await world.back()]) + caplog.text
    assert KEY not in said
    assert "CANARY" not in said
