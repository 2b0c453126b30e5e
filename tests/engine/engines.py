"""Running engines for tests: with real adapters, short waits and an oauthtest server, or in memory and virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.oauth.tls import bare
from trayapp.core import deadlines
from trayapp.core.gate import Gate
from trayapp.core.messages import Note
from trayapp.core.model import BrowserFault, Login, Moment, Phase, Policy, Saved, Secret, Spec, Workload
from trayapp.core.outcomes import Answer, Reply
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Snapshot, Status, WorkloadView
from trayapp.engine import ports
from trayapp.engine.engine import Engine
from trayapp.engine.ports import Adapters, NewLogin, SystemChange
from trayapp.oauth.signin import BrowserSignIn
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire
from trayapp.oauthtest import OAuthServer, browse
from trayapp.osevents.clocks import SystemClock
from trayapp.storage.journal import Journal
from trayapp.vault.keystore import MemoryKeystore

LIMIT = 30.0  # s until a test gives up; everything here takes milliseconds on an idle machine
NO_CEILING = 1000.0  # s
USUAL = Policy()

QUICK = Policy(
    initial_retry_interval=0.02,
    max_retry_interval=0.04,
    max_tries=3,
    tick_interval=0.04,
    ceiling=NO_CEILING,
    impossible_grace=0.1,
    burst=(0.0, 0.02, 0.04),
    portal_window=0.0,
    automatic_attempts=10_000,
    manual_spacing=0.0,
    rejected_spacing=0.2,
    again=(0.0, 0.02, 0.04),
    gateway_repeat=0.02,
    refresh_spacing=0.02,
    usable_margin=0.05,
    hot_wait=2.0,
    attempt_limit=2.0,
    connect_limit=2.0,
)


class Watcher:
    """A `ports.Watcher` that reports the changes that a test appends, one per poll."""

    def __init__(self) -> None:
        self.changes: list[SystemChange] = []
        self.announces_network = False
        self.looks = 0
        self.failure: Exception | None = None

    def poll(self, now: Moment) -> SystemChange | None:
        self.looks += 1
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return self.changes.pop(0) if self.changes else None


@dataclass
class World:
    """A running engine and everything around it."""

    engine: Engine
    keystore: ports.Keystore
    journal: ports.Journal
    watcher: Watcher
    snapshots: list[tuple[float, Snapshot]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)  # URLs that the browser was asked to open
    seen: dict[str, list[str]] = field(
        default_factory=dict
    )  # by name: each "status detail" that was published, in order
    browsers: list[threading.Thread] = field(default_factory=list)  # of persons who agree immediately
    reread: int = 0

    def w(self, name: str = "one") -> Workload:
        return self.engine.workloads[name]

    def view(self, name: str = "one") -> WorkloadView:
        found = self.engine.view_of(name)
        assert found is not None
        return found

    def status(self, name: str = "one") -> str:
        """ "status detail"."""
        view = self.view(name)
        return f"{view.status} {view.auth.detail}"

    async def until(self, holds: Callable[[], object], what: str = "", limit: float = LIMIT) -> None:
        """Wait until it holds, polling every few milliseconds."""
        end = time.monotonic() + limit
        while not holds():
            words = {name: self.status(name) for name in self.engine.workloads}
            assert time.monotonic() < end, f"gave up waiting for {what or holds}: {words}"
            await asyncio.sleep(0.003)

    async def becomes(self, word: str, name: str = "one") -> WorkloadView:
        """Wait for this "status" or "status detail"."""
        await self.until(lambda: f"{self.status(name)} ".startswith(f"{word} "), f"{name} to be {word}")
        return self.view(name)

    async def green(self, name: str = "one") -> WorkloadView:
        """Wait until it is running and its login stored, so that a click begins an attempt of its own."""
        await self.until(
            lambda: self.status(name) == "running ok" and self.w(name).attempt is None and self.w(name).storing is None,
            f"{name} to be green",
        )
        return self.view(name)

    async def browsed(self) -> None:
        """Wait until every browser has loaded its last page, which the next sign-in or the end would take away."""
        for browser in self.browsers:
            await asyncio.to_thread(browser.join)

    async def quiet(self, seconds: float = 0.1) -> None:
        """Let several ticks of `QUICK` pass."""
        await asyncio.sleep(seconds)

    def do(self, verb: Verb, name: str = "one") -> None:
        self.engine.post(Action(verb, name))

    def system_changes(self, change: SystemChange) -> None:
        """Machine or network change, and the engine makes a pass."""
        self.watcher.changes.append(change)
        self.engine.set_app_fields()

    async def stored(self, name: str = "one") -> Login | None:
        """The login in the keyring."""
        found = await self.keystore.load(name)
        assert isinstance(found, ports.StoredLogin)
        return found.login


def spec_of(server: OAuthServer, name: str = "one", policy: Policy = QUICK, **more: Any) -> Spec:
    fields: dict[str, Any] = {
        "url": "http://127.0.0.1:9/mcp",
        "client_id": server.client_id,
        "issuer": server.issuer,
        "authorization_endpoint": server.authorization_endpoint,
        "token_endpoint": server.token_endpoint,
        "revocation_endpoint": server.revocation_endpoint,
        "scopes": ("mcp",),
    }
    return Spec(name, policy=policy, **(fields | more))


def login_of(server: OAuthServer, name: str = "one", scope: str = "mcp", subject: str = "", **more: Any) -> Login:
    """A login from before, known to the server."""
    grant = server.issue(scope=scope, subject=subject or None)
    fields: dict[str, Any] = {
        "generation": 1,
        "lineage": f"line-{name}",
        "refresh_token": Secret(grant.refresh_token or ""),
        "obtained_at": time.time(),
        "token_endpoint": server.token_endpoint,
        "revocation_endpoint": server.revocation_endpoint,
        "client_id": server.client_id,
        "issuer": server.issuer,
        "scope": scope,
        "subject": subject,
    }
    return Login(**(fields | more))


async def keystore_with(*logins: tuple[str, Login]) -> MemoryKeystore:
    """A keyring that holds these logins."""
    keystore = MemoryKeystore()
    for name, login in logins:
        assert await keystore.store(name, login) is None
    return keystore


@contextlib.asynccontextmanager
async def running(
    specs: Iterable[Spec],
    path: Path,
    *,
    keystore: ports.Keystore | None = None,
    tokens: ports.TokenEndpoint | None = None,
    journal: ports.Journal | None = None,
    sign_in: ports.SignIn | None = None,
    clock: ports.Clock | None = None,
    gate: Gate | None = None,
    person: bool = True,
    certificates: bool = False,
    on_app_action: Callable[[Action], None] = lambda action: None,
) -> AsyncIterator[World]:
    """A running engine, closed at the end. `person`: whoever opens a sign-in page agrees immediately."""
    wire = Wire("0") if certificates else Wire("0", bare)  # reading all authorities takes 30 ms
    http = HttpTokens(wire)
    opened: list[str] = []
    browsers: list[threading.Thread] = []

    def open_url(url: str) -> bool:
        opened.append(url)
        if person:
            browsers.append(threading.Thread(target=browse, args=(url,), name="browser", daemon=True))
            browsers[-1].start()
        return True

    own = None if journal is not None else Journal(path / "state.db")
    adapters = Adapters(
        clock=clock or SystemClock(),
        tokens=tokens or http,
        keystore=keystore or MemoryKeystore(),
        journal=own or journal or Journal(path / "state.db"),
        sign_in=sign_in or BrowserSignIn(wire, http, open_url=open_url, linger=0.2),
        watcher=Watcher(),
    )
    snapshots: list[tuple[float, Snapshot]] = []
    seen: dict[str, list[str]] = {}

    def published(snapshot: Snapshot) -> None:
        snapshots.append((time.monotonic(), snapshot))
        for name, view in snapshot.workloads.items():
            word = f"{view.status} {view.auth.detail}"
            told = seen.setdefault(name, [])
            if not told or told[-1] != word:
                told.append(word)

    engine = Engine(
        adapters, published, first_gate=gate or Gate(settle=0.03, settle_max=0.1), on_app_action=on_app_action
    )
    assert isinstance(adapters.watcher, Watcher)
    world = World(engine, adapters.keystore, adapters.journal, adapters.watcher, snapshots, opened, seen, browsers)
    await engine.configure(specs)
    loop = asyncio.create_task(engine.run(), name="engine")
    try:
        yield world
        await world.browsed()
    finally:
        await engine.close()
        await loop
        if isinstance(adapters.sign_in, BrowserSignIn):  # its last page may still be served
            await adapters.sign_in.close()
        if own is not None:
            await own.close()


@contextlib.asynccontextmanager
async def one(
    server: OAuthServer, path: Path, policy: Policy = QUICK, login: Login | None = None, **more: Any
) -> AsyncIterator[World]:
    """The usual case: one workload that is already signed in. Doesn't wait for its first refresh."""
    keystore = more.pop("keystore", None) or await keystore_with(("one", login or login_of(server)))
    async with running([spec_of(server, policy=policy)], path, keystore=keystore, **more) as world:
        yield world


def accounted_for(world: World, name: str = "one") -> bool:
    """M13: it has a deadline, an attempt in flight, or a status that says what it waits for."""
    w = world.w(name)
    named = world.view(name).status in (Status.UNAUTHENTICATED, Status.STOPPED, Status.ERROR, Status.REMOVING)
    deadline = deadlines.next_deadline(w, world.engine.gate) is not None
    endless = w.phase is Phase.VALID and w.access is not None and w.access.expires_at is None
    reading = w.phase is Phase.LOADING and w.keyring is None
    return deadline or w.attempt is not None or named or endless or reading


# --- without sockets, in virtual time ------------------------------------------------------------------------


class Tokens:
    """A token endpoint in memory: always a new pair, good for `life` seconds."""

    def __init__(self, life: float = 3600.0) -> None:
        self.life = life
        self.asked = 0
        self.reply: Callable[[Login], Awaitable[Reply]] | None = None

    async def refresh(self, login: Login, *, limit: float, connect: float, in_doubt: bool = False) -> Reply:
        self.asked += 1
        if self.reply is not None:
            return await self.reply(login)
        body = {"access_token": f"at-{self.asked}", "refresh_token": f"rt-{self.asked}", "expires_in": self.life}
        return Answer(200, {"content-type": "application/json"}, json.dumps(body).encode())

    async def revoke(self, login: Login) -> bool:
        return True


class ForgetfulJournal:
    """A journal in memory that records no intents."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, Note]] = []
        self.saved: dict[str, Saved] = {}

    async def load(self, name: str) -> Saved:
        return self.saved.get(name, Saved())

    async def intent(self, name: str, login: Login, attempt: int, wall: float) -> bool:
        return True

    async def close_intent(self, name: str, fingerprint: str, generation: int | None = None) -> None:
        return None

    async def save(self, name: str, saved: Saved) -> None:
        self.saved[name] = saved

    async def note(self, name: str, wall: float, note: Note, status: str, detail: str) -> None:
        self.notes.append((name, note))

    async def forget(self, name: str) -> None:
        self.saved.pop(name, None)

    async def undeleted(self) -> dict[str, str]:
        return {name: saved.discard for name, saved in self.saved.items() if saved.discard}


class HeldSignIn:
    """Sign-ins without a browser; each ends when the test sets its answer."""

    def __init__(self) -> None:
        self.answers: dict[str, asyncio.Future[NewLogin]] = {}
        self.reopened: list[str] = []
        self.pasted: list[str] = []
        self.browser_fault: Callable[[BrowserFault | None], None] = lambda _: None  # that of the newest
        self.show: Callable[[str], None] = lambda _: None  # that of the newest

    async def run(
        self,
        spec: Spec,
        *,
        browser: bool,
        show: Callable[[str], None],
        now: Callable[[], Moment],
        browser_fault: Callable[[BrowserFault | None], None],
        **_: object,
    ) -> NewLogin:
        self.browser_fault, self.show = browser_fault, show
        self.answers[spec.name] = asyncio.get_running_loop().create_future()
        show(f"https://as.example/authorize/{len(self.answers)}")
        return await self.answers[spec.name]

    def paste(self, name: str, url: str) -> None:
        self.pasted.append(url)

    def reopen(self, name: str) -> bool:
        self.reopened.append(name)
        return True


class VirtualClock:
    """Time passes only in `pass_time`, and takes none. `sleeps` counts how often somebody asked to be woken."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.sleeps = 0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> Moment:
        return Moment(self.at, self.at, 1_700_000_000.0 + self.at)

    def jitter(self) -> float:
        return 0.5

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self.at + seconds, future)
        self._sleepers.append(entry)
        try:
            await future
        finally:
            self._sleepers.remove(entry)

    async def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass."""
        end = self.at + seconds
        while True:
            await settled()
            next_at = min((at for at, future in self._sleepers if not future.done()), default=end)
            if next_at > end:
                break
            self.at = max(self.at, next_at)
            for at, future in self._sleepers:
                if at <= self.at and not future.done():
                    future.set_result(None)
            if not self._sleepers:
                break
        self.at = end
        await settled()


async def settled() -> None:
    """Let everything run that needs no time."""
    for _ in range(40):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def virtual_engine(
    names: Iterable[str], path: Path, clock: VirtualClock, tokens: Tokens, policy: Policy = USUAL, **more: Any
) -> AsyncIterator[World]:
    """An engine in virtual time with signed-in workloads of these names."""
    endpoint = "https://as.example/token"
    specs = [Spec(name, f"https://{name}.example", "client", token_endpoint=endpoint, policy=policy) for name in names]
    logins = [
        (spec.name, Login(1, f"line-{spec.name}", Secret(f"rt-{spec.name}"), 0.0, endpoint, "client")) for spec in specs
    ]
    parts: dict[str, Any] = {"journal": ForgetfulJournal(), "sign_in": HeldSignIn()} | more
    async with running(
        specs, path, keystore=await keystore_with(*logins), clock=clock, tokens=tokens, gate=Gate(), **parts
    ) as world:
        await settled()
        yield world


def with_policy(**changes: Any) -> Policy:
    """`QUICK` with some numbers changed."""
    return replace(QUICK, **changes)
