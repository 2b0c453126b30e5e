"""Sign-ins under way: one per workload, begun only by a person, an overlay on everything else (DESIGN.md section 6).

What a sign-in brings becomes the workload's login only if it is the same account and no scope is missing; otherwise it
is kept as a candidate for ten minutes and the person is told how to accept it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from textwrap import shorten
from urllib.parse import urlsplit

from trayapp.core.messages import SignedIn, SignInEnded, SignInStarted
from trayapp.core.model import DeviceCode, Login, Phase, Problem, Spec, Trouble, Workload
from trayapp.engine.ports import Checked, Keystore, NewLogin, SignIn, TokenIssuer

log = logging.getLogger(__name__)

URL_PATIENCE = 45.0  # s; until the authorization URL is known: a server may have to be found and told of us first
CANDIDATE_LIFE = 600.0  # s
KEYRING_PATIENCE = 2.0  # s that a write may take before the check is waited for
CHECK_LIMIT = 7.0  # s for the server's keys and the signature; a quit waits 10 s, and the login is taken after this
UNCHECKED = "Signed in, but whose account it is could not be checked; the log has the details."
CANCELLED = Problem("cancelled", "The sign-in was cancelled.")
SUMMARY_MAX = 200  # characters; `Problem` promises it
CLICK_SPACING = 2.0  # s; a double click opens one page, not two


class SignIns:
    """Begins, answers and ends sign-ins. Belongs to the engine's loop."""

    def __init__(self, engine: TokenIssuer, sign_in: SignIn, keystore: Keystore) -> None:
        self._engine = engine
        self._sign_in = sign_in
        self._keystore = keystore
        self._running: dict[str, asyncio.Task[None]] = {}
        self._urls: dict[str, asyncio.Future[str | Problem]] = {}
        self._flows: dict[str, str] = {}
        self._clicked: dict[str, float] = {}
        self._candidates: dict[str, tuple[NewLogin, float, Spec]] = {}

    def clicked(self, name: str) -> None:
        """*Reauthorize*: open the browser, or the same page once more."""
        at = self._engine.now().at
        if at - self._clicked.get(name, float("-inf")) < CLICK_SPACING:
            return
        self._clicked[name] = at
        self._engine.task(f"reauthorize {name}", self._quietly(name))

    def accepted(self, name: str) -> None:
        """*Use it all the same*: the candidate of the last sign-in becomes the login."""
        if isinstance(answer := self._accept(name), Problem):
            log.warning("%s", answer.summary)

    async def _quietly(self, name: str) -> None:
        answer = await self.begin(name, browser=True, accept=False)
        if isinstance(answer, Problem):
            log.warning("the sign-in of %s did not begin: %s", name, answer.summary)

    async def begin(self, name: str, *, browser: bool, accept: bool, flow: str = "") -> str | Problem:
        """Start a sign-in, or join the one that runs; the authorization URL, or why there is none.

        `flow` is browser or device, empty: as configured, or as the one under way; another one ends that.
        `accept` takes the candidate of the last sign-in instead, and returns an empty URL.
        """
        w = self._engine.workloads.get(name)
        if w is None:
            return Problem("unknown", f"There is no workload named {name}.")
        if accept:
            return self._accept(name)
        if name in self._running and flow not in ("", self._flows[name]):
            await self._over(name)
        if name in self._running:
            if browser:
                self._sign_in.reopen(name)
        else:
            spec = w.confirm or w.spec
            self._start(name, replace(spec, flow=flow or spec.flow), browser)
        try:
            async with asyncio.timeout(URL_PATIENCE):
                return await asyncio.shield(self._urls[name])
        except TimeoutError:
            return Problem("timed_out", "The authorization server did not tell where to sign in. Try again.")

    def _start(self, name: str, spec: Spec, browser: bool) -> None:
        url: asyncio.Future[str | Problem] = asyncio.get_running_loop().create_future()
        self._urls[name] = url
        self._flows[name] = spec.flow
        self._engine.apply(name, SignInStarted(self._engine.now()))
        self._running[name] = self._engine.task(f"sign in {name}", self._run(name, spec, url, browser))
        self._running[name].add_done_callback(lambda task: self._stopped(name, task, url))

    def _stopped(self, name: str, task: asyncio.Task[None], url: asyncio.Future[str | Problem]) -> None:
        """However it ended, even before its first step."""
        if self._running.get(name) is task:
            del self._running[name]
            self._engine.apply(name, SignInEnded(self._engine.now(), CANCELLED))
        if not url.done():
            url.set_result(CANCELLED)

    def paste(self, name: str, url: str) -> Problem | None:
        """A redirect that a person copied."""
        if name not in self._running:
            return Problem("not_waiting", f"No sign-in of {name} is waiting. Start one: amberlight reauthorize {name}")
        return self._sign_in.paste(name, url)

    def cancel(self, name: str) -> None:
        """End it; everything stays as it was. The next click begins another, however soon it comes."""
        self._clicked.pop(name, None)
        if (task := self._running.get(name)) is not None:
            task.cancel()

    async def _over(self, name: str) -> None:
        """End it and see it end: the next one may begin."""
        task = self._running[name]
        task.cancel()
        await asyncio.wait((task,))
        await asyncio.sleep(0)  # what is told when it has ended comes first

    def cancel_all(self) -> None:
        """The program ends."""
        for name in list(self._running):
            self.cancel(name)

    async def _run(self, name: str, spec: Spec, url: asyncio.Future[str | Problem], browser: bool) -> None:
        try:
            result = await self._sign_in.run(
                spec,
                browser=browser,
                show=lambda text: None if url.done() else url.set_result(text),
                now=self._engine.now,
                show_code=lambda code: self._code(name, code),
            )
        except Exception:
            log.exception("the sign-in of %s failed unexpectedly", name)
            result = Problem("internal", "The sign-in failed unexpectedly; the log has the details.")
        del self._running[name]  # from here on another click is another sign-in
        if not url.done():
            url.set_result(result if isinstance(result, Problem) else "")
        if isinstance(result, Problem):
            self._ended(name, result)
        else:  # the end of the program waits for this
            self._engine.task(f"take the sign-in of {name}", self._judge(name, spec, result), needed=True)

    def _code(self, name: str, code: DeviceCode) -> None:
        """Everybody who shows the workload shows the code too."""
        self._engine.apply(name, SignInStarted(self._engine.now(), code))

    def _ended(self, name: str, problem: Problem) -> None:
        log.warning("the sign-in of %s ended: %s", name, problem.summary)
        self._engine.apply(name, SignInEnded(self._engine.now(), problem))

    async def _judge(self, name: str, spec: Spec, new: NewLogin) -> None:
        if name not in self._engine.workloads:
            if new.check is not None:
                await new.check()  # it may hold something that ends with it
            return
        warning: Problem | None = None
        if new.check is not None:
            checked = await self._checked(name, new, new.check)
            if checked.refused:
                self._ended(name, checked.problem or CANCELLED)
                return
            warning = checked.problem
        before = await self._unread(name)
        w = self._engine.workloads.get(name)
        if w is None or w.after == "remove":  # what is written now would outlive it
            return
        if w.login is None and before is not None:
            w = replace(w, login=before, highest_generation=max(w.highest_generation, before.generation))
        if (changed := outdated(w, spec)) is not None:
            self._ended(name, changed)
            return
        difference = differs(w, new.login)
        if warning is not None:
            log.warning("%s: %s", name, warning.summary)
            new = replace(new, login=unproved(w, new.login))
        if difference is None:
            self._take(name, new, warning)
            return
        candidate = replace(new, login=replace(new.login, generation=w.highest_generation + 1))
        self._candidates[name] = (candidate, self._engine.now().at + CANDIDATE_LIFE, spec)
        self._ended(name, difference)
        await self._keep(name, candidate.login)

    async def _checked(self, name: str, new: NewLogin, check: Callable[[], Awaitable[Checked]]) -> Checked:
        """Whose ID token it is, asked when the login is stored as a candidate: no check ever costs a login.

        A keyring that hangs does not hold it up: the login is in memory, as any login that cannot be stored.
        """
        w = self._engine.workloads[name]
        login = replace(new.login, generation=w.highest_generation + 1)
        storing = asyncio.ensure_future(self._keep(name, login))
        checking = asyncio.ensure_future(check())
        try:
            await asyncio.wait((storing,), timeout=KEYRING_PATIENCE)
            async with asyncio.timeout(CHECK_LIMIT):
                return await checking
        except TimeoutError:
            return Checked(Problem("id_token", UNCHECKED))
        except Exception:
            log.exception("the check of the ID token of %s failed", name)
            return Checked(Problem("id_token", UNCHECKED))
        finally:
            checking.cancel()

    async def _unread(self, name: str) -> Login | None:
        """The login that nobody could read until now: another account must not take its place unseen. The sign-in has
        asked for the keyring to be unlocked, so this is quick, or in vain."""
        w = self._engine.workloads.get(name)
        if w is None or w.slots_read or w.login is not None:
            return None
        try:
            async with asyncio.timeout(KEYRING_PATIENCE):
                found = await self._keystore.load(name)
        except TimeoutError:
            return None
        except Exception:
            log.exception("reading the login of %s failed", name)
            return None
        return None if isinstance(found, Trouble) else found.login

    async def _keep(self, name: str, login: Login) -> None:
        """As a candidate, which a start does not look at."""
        try:
            trouble = await self._keystore.store_candidate(name, login)
        except Exception:
            log.exception("storing the candidate login of %s failed", name)
            trouble = Trouble.FAILED
        if trouble is not None:
            log.warning("the candidate login of %s is in memory only (%s)", name, trouble)

    def _take(self, name: str, new: NewLogin, warning: Problem | None = None) -> None:
        self._candidates.pop(name, None)
        access = replace(new.access, serial=self._engine.serial())
        self._engine.apply(name, SignedIn(self._engine.now(), new.login, access, warning))

    def _accept(self, name: str) -> str | Problem:
        w, pending = self._engine.workloads.get(name), self._candidates.pop(name, None)
        if w is None or pending is None or self._engine.now().at > pending[1]:
            words = f"No sign-in of {name} waits for your agreement: it is kept for 10 minutes."
            return Problem("nothing_pending", f"{words} Sign in once more: amberlight reauthorize {name}"[:200])
        candidate, _, spec = pending
        if (changed := outdated(w, spec)) is not None:
            return changed
        self._take(name, candidate)
        return ""


def outdated(w: Workload, spec: Spec) -> Problem | None:
    """Why a login is not for this workload any more: it was made for what the configuration said before, and its
    tokens would go to whatever it says now."""
    if spec.identity() == (w.confirm or w.spec).identity():
        return None
    name = w.spec.name
    how = f"Sign in once more: amberlight reauthorize {name}"
    return Problem("changed", f"The configuration of {name} was changed since that sign-in began. {how}"[:200])


def unproved(w: Workload, new: Login) -> Login:
    """The login whose ID token proves nothing: its account is not known, unless it claims to be the one from before."""
    same = w.login is not None and w.login.subject == new.subject
    return new if same else replace(new, subject="")


def differs(w: Workload, new: Login) -> Problem | None:
    """Why a new login should not silently replace the one that is there: another account, or fewer scopes."""
    old = w.login
    if old is None or w.phase is Phase.BROKEN:  # after a changed identity everything differs, and was agreed to
        return None
    how = f"To use it all the same: amberlight reauthorize {w.spec.name} --accept"
    if old.issuer and new.issuer and old.issuer != new.issuer:  # found out anew, by the address itself
        hosts = (urlsplit(old.issuer).hostname, urlsplit(new.issuer).hostname)
        return Problem(
            "different_server", f"Another server signed you in: {hosts[1]} instead of {hosts[0]}. {how}"[:200]
        )
    if old.subject and new.subject and old.subject != new.subject:
        return Problem("different_account", f"You signed in with another account than before. {how}")
    missing = sorted(_scopes(old) - _scopes(new))
    if new.scope and missing:
        words = "The new login may do less than before (missing: {}). " + how
        room = SUMMARY_MAX - len(words.format(""))
        return Problem("scope_lost", words.format(shorten(", ".join(missing), max(room, 1), placeholder="…")))
    return None


def _scopes(login: Login) -> set[str]:
    """One by one: GitHub, Slack and Linear put commas between them, at times."""
    return set(login.scope.replace(",", " ").split())
