"""Sign-ins under way: one per workload, begun only by a person, an overlay on its status (RULES.md section 5).

A new login replaces the workload's login only if it is for the same account and no scope is missing. Otherwise it is kept
as a candidate for ten minutes, and the person is told how to accept it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from textwrap import shorten
from urllib.parse import urlsplit

from trayapp.core.messages import SignedIn, SignInEnded, SignInStarted
from trayapp.core.model import BrowserFault, DeviceCode, Login, Phase, Problem, Spec, Trouble, Workload
from trayapp.core.permission import Needs
from trayapp.core.quirks import comparable_scopes
from trayapp.core.sentences import SEE_LOG, no_sign_in, no_workload
from trayapp.engine.candidates import Candidates
from trayapp.engine.ports import Adapters, Checked, NewLogin, TokenIssuer

log = logging.getLogger(__name__)

URL_LIMIT = 45.0  # s until the authorization URL is known: discovery and registration may come first
KEYRING_LIMIT = 2.0  # s to wait for a read or a write; a keyring that hangs must not hold up a sign-in
CHECK_LIMIT = 7.0  # s for fetching keys and checking the signature; with `KEYRING_LIMIT` less than a quit waits
UNCHECKED = f"Signed in, but couldn't verify the account. {SEE_LOG}"
CANCELLED = Problem("cancelled", "The sign-in was cancelled.")
SUMMARY_MAX = 200  # characters; the promise of `Problem`
CLICK_SPACING = 2.0  # s; a double click opens one page, not two


class SignIns:
    """Begins and ends sign-ins and decides about their logins, on the engine's loop."""

    def __init__(self, engine: TokenIssuer, adapters: Adapters, is_given_up: Callable[[str, Login], bool]) -> None:
        """`is_given_up`: whether this login in the keyring only waits to be deleted."""
        self._engine = engine
        self._is_given_up = is_given_up
        self._sign_in = adapters.sign_in
        self._keystore = adapters.keystore
        self._running: dict[str, asyncio.Task[None]] = {}
        self._urls: dict[str, asyncio.Future[str | Problem]] = {}
        self._newest: dict[str, str] = {}  # the page's address, where it has changed since (RFC 9126)
        self._specs: dict[str, Spec] = {}  # what each was begun for
        self._clicked: dict[str, float] = {}
        self.candidates = Candidates(engine, adapters)

    def reauthorize(self, name: str) -> None:
        """*Reauthorize* was clicked: open the browser, or the same page once more."""
        at = self._engine.now().at
        if at - self._clicked.get(name, float("-inf")) < CLICK_SPACING:
            return
        self._clicked[name] = at
        self._engine.task(f"reauthorize {name}", self._begin_logged(name))

    def accept(self, name: str) -> None:
        """The candidate was accepted by a click: it becomes the login."""
        if isinstance(answer := self._accept_candidate(name), Problem):
            log.warning("%s", answer.summary)

    async def _begin_logged(self, name: str) -> None:
        """Begin a sign-in whose failure nobody waits for: it is logged."""
        answer = await self.begin(name, browser=True, accept=False)
        if isinstance(answer, Problem):
            log.warning("the sign-in to %s did not start: %s", name, answer.summary)

    async def begin(self, name: str, *, browser: bool, accept: bool, flow: str = "") -> str | Problem:
        """Start a sign-in or join the one in progress; the authorization URL, or why there is none.

        `flow` is browser or device; empty means as configured, or as the one in progress. If it differs from the one in
        progress, or the configuration does, that one is ended first. `accept` accepts the candidate instead, and returns
        an empty URL.
        """
        w = self._engine.workloads.get(name)
        if w is None:
            return Problem("unknown", no_workload(name))
        if w.after == "remove":  # its candidate would outlive it, in the keyring and at the server
            return Problem("removing", f"{name} is being removed.")
        if accept:
            return self._accept_candidate(name)
        if name in self._running and (
            flow not in ("", self._specs[name].flow) or self._is_outdated(name) or self._running[name].cancelling()
        ):
            await self._cancel_and_wait(name)
        if name in self._running:
            if browser:
                self._sign_in.reopen(name)
        else:
            spec = w.confirm or w.spec
            self._start(name, replace(spec, flow=flow or spec.flow, needs=_needs(w)), browser)
        try:
            async with asyncio.timeout(URL_LIMIT):
                first = await asyncio.shield(self._urls[name])
                return first if isinstance(first, Problem) else self._newest.get(name, first)
        except TimeoutError:
            return Problem("timed_out", "The sign-in server didn't say where to sign in. Try again.")

    def _start(self, name: str, spec: Spec, browser: bool) -> None:
        """Begin the flow as a task; `_urls` holds what becomes of its URL."""
        url: asyncio.Future[str | Problem] = asyncio.get_running_loop().create_future()
        self._urls[name] = url
        self._newest.pop(name, None)
        self._specs[name] = spec
        self._engine.apply(name, SignInStarted(self._engine.now()))
        self._running[name] = self._engine.task(f"sign in {name}", self._run(name, spec, url, browser))
        self._running[name].add_done_callback(lambda task: self._task_ended(name, task, url))

    def _task_ended(self, name: str, task: asyncio.Task[None], url: asyncio.Future[str | Problem]) -> None:
        """The flow's task has ended in whatever way, perhaps cancelled before its first step."""
        if self._running.get(name) is task:
            del self._running[name]
            self._engine.apply(name, SignInEnded(self._engine.now(), CANCELLED))
        if not url.done():
            url.set_result(CANCELLED)
        if self._urls.get(name) is url:
            del self._urls[name], self._specs[name]

    def paste(self, name: str, url: str) -> Problem | None:
        """Take a redirect URL that a person copied; None if the flow accepted it."""
        if name not in self._running:
            return Problem("not_waiting", f"{no_sign_in(name)} To start one, run `amberlight reauthorize {name}`.")
        return self._sign_in.paste(name, url)

    def outdated(self) -> list[str]:
        """Workloads with a sign-in in progress whose login can't be used: they are configured differently by now."""
        return [name for name in self._running if self._is_outdated(name)]

    def _is_outdated(self, name: str) -> bool:
        w = self._engine.workloads.get(name)
        return w is not None and outdated(w, self._specs[name]) is not None

    def cancel(self, name: str) -> None:
        """Cancel the sign-in; the workload stays as it was. The next click begins another, however soon it comes."""
        self._clicked.pop(name, None)
        if (task := self._running.get(name)) is not None:
            task.cancel()

    def forget(self, name: str) -> None:
        """The workload was removed: cancel its sign-in and drop its candidate."""
        self.cancel(name)
        self.candidates.drop(name)

    async def _cancel_and_wait(self, name: str) -> None:
        """Cancel the sign-in and wait for its end, so that the next one may begin."""
        task = self._running[name]
        if not task.cancelling():  # once is enough: another time would cut its clean-up short
            task.cancel()
        await asyncio.wait((task,))
        await asyncio.sleep(0)  # so that the callbacks of its end run first

    def cancel_all(self) -> None:
        """The program ends: cancel every sign-in."""
        for name in list(self._running):
            self.cancel(name)

    async def _run(self, name: str, spec: Spec, url: asyncio.Future[str | Problem], browser: bool) -> None:
        """The flow, and whatever it came to."""
        try:
            result = await self._sign_in.run(
                spec,
                browser=browser,
                show=lambda text: self._show(name, url, text),
                now=self._engine.now,
                show_code=lambda code: self._show_code(name, code),
                browser_fault=lambda fault: self._browser_opened(name, fault),
            )
        except Exception:
            log.exception("the sign-in to %s failed unexpectedly", name)
            result = Problem("internal", f"The sign-in failed unexpectedly. {SEE_LOG}")
        del self._running[name]  # from here on another click begins another sign-in
        if not url.done():
            url.set_result(result if isinstance(result, Problem) else "")
        if isinstance(result, Problem):
            self._ended(name, result)
        else:  # a quit waits for this
            self.candidates.considering.add(name)
            self._engine.task(f"take the sign-in of {name}", self._decide(name, spec, result), needed=True)

    def _show(self, name: str, url: asyncio.Future[str | Problem], text: str) -> None:
        """The address of the page, which may change while the flow waits."""
        if url.done():
            self._newest[name] = text
        else:
            url.set_result(text)

    def _show_code(self, name: str, code: DeviceCode) -> None:
        """The code becomes part of the workload's state, so everything that shows the workload shows it."""
        self._engine.apply(name, SignInStarted(self._engine.now(), code))

    def _browser_opened(self, name: str, fault: BrowserFault | None) -> None:
        """Whether the page is in front of the person becomes part of the state as well."""
        w = self._engine.workloads.get(name)
        if w is not None and name in self._running and w.browser_fault is not fault:
            self._engine.apply(name, SignInStarted(self._engine.now(), w.device, fault))

    def _ended(self, name: str, problem: Problem) -> None:
        """The sign-in ended without a login to use; `problem` says why."""
        log.warning("the sign-in to %s ended: %s", name, problem.summary)
        self._engine.apply(name, SignInEnded(self._engine.now(), problem))

    async def _decide(self, name: str, spec: Spec, new: NewLogin) -> None:
        try:
            await self._consider(name, spec, new)
        finally:
            self.candidates.considering.discard(name)

    async def _consider(self, name: str, spec: Spec, new: NewLogin) -> None:
        """Decide about a new login: use it, keep it as a candidate, or drop it."""
        if name not in self._engine.workloads:
            if new.check is not None:
                await new.check()  # it may hold resources that only its end releases
            return
        warning: Problem | None = None
        if new.check is not None:
            checked = await self._store_and_check(name, new, new.check)
            if checked.refused:
                self._ended(name, checked.problem or CANCELLED)
                self.candidates.decline(name, replace(new.login, subject=""))  # whose it is isn't proven
                return
            warning = checked.problem
        before = await self._read_missed_login(name)
        w = self._engine.workloads.get(name)
        if w is None or w.after == "remove":  # a login written now would outlive the workload
            return
        if w.login is None and before is not None:
            w = replace(w, login=before, highest_generation=max(w.highest_generation, before.generation))
        if (changed := outdated(w, spec)) is not None:
            self._ended(name, changed)
            return
        difference = differs(w, new.login)
        if warning is not None:
            log.warning("%s: %s", name, warning.summary)
            new = replace(new, login=without_proof(w, new.login))
        if difference is None:
            self._use(name, new, warning)
            return
        candidate = replace(new, login=replace(new.login, generation=w.highest_generation + 1))
        self.candidates.offer(name, candidate, spec)
        self._ended(name, difference)
        await self._store_candidate(name, candidate.login)

    async def _store_and_check(self, name: str, new: NewLogin, check: Callable[[], Awaitable[Checked]]) -> Checked:
        """Check the ID token once the login is stored as a candidate, so that no check ever costs a login.

        A keyring that hangs does not delay the check: the login is in memory, like any login that cannot be stored.
        """
        w = self._engine.workloads[name]
        login = replace(new.login, generation=w.highest_generation + 1)
        storing = asyncio.ensure_future(self._store_candidate(name, login))
        checking = asyncio.ensure_future(check())
        try:
            await asyncio.wait((storing,), timeout=KEYRING_LIMIT)
            async with asyncio.timeout(CHECK_LIMIT):
                return await checking
        except TimeoutError:
            return Checked(Problem("id_token", UNCHECKED))
        except Exception:
            log.exception("the check of the ID token of %s failed", name)
            return Checked(Problem("id_token", UNCHECKED))
        finally:
            checking.cancel()
            await asyncio.wait((checking,))  # it may have a process to end

    async def _read_missed_login(self, name: str) -> Login | None:
        """The stored login, if it couldn't be read until now: another account must not replace it unnoticed.

        The sign-in has already asked for the keyring to be unlocked, so one quick attempt is enough.
        """
        w = self._engine.workloads.get(name)
        if w is None or w.slots_read or w.login is not None:
            return None
        try:
            async with asyncio.timeout(KEYRING_LIMIT):
                stored = await self._keystore.load(name)
        except TimeoutError:
            return None
        except Exception:
            log.exception("reading the login of %s failed", name)
            return None
        login = None if isinstance(stored, Trouble) else stored.login
        return None if login is None or self._is_given_up(name, login) else login

    async def _store_candidate(self, name: str, login: Login) -> None:
        """Write the login as a candidate, which a start ignores. A failure is only logged."""
        try:
            trouble = await self._keystore.store_candidate(name, login)
        except Exception:
            log.exception("storing the candidate login of %s failed", name)
            trouble = Trouble.FAILED
        if trouble is not None:
            log.warning("the candidate login of %s is in memory only (%s)", name, trouble)

    def _use(self, name: str, new: NewLogin, warning: Problem | None = None) -> None:
        """Make the new login the workload's login."""
        self.candidates.drop(name, kept=new.login)
        access = replace(new.access, serial=self._engine.next_serial())
        self._engine.apply(name, SignedIn(self._engine.now(), new.login, access, warning))

    def _accept_candidate(self, name: str) -> str | Problem:
        """Make the candidate the login; an empty string, or why that is not possible."""
        w, pending = self._engine.workloads.get(name), self.candidates.take(name)
        if w is None or pending is None:
            words = f"No login of {name} is waiting for confirmation; it's kept for 10 minutes."
            return Problem("nothing_pending", f"{words} {sign_in_again(name)}"[:200])
        if (changed := outdated(w, pending.spec)) is not None:
            self.candidates.decline(name, pending.new.login)
            return changed
        self._use(name, pending.new)
        return ""


def _needs(w: Workload) -> Needs | None:
    """What to ask for because the upstream wants more than the login grants, with what it grants: no scope may be lost."""
    if w.needs is None or w.login is None or w.confirm is not None:
        return None
    return w.needs.beyond(w.login.scope)


def outdated(w: Workload, spec: Spec) -> Problem | None:
    """Why the login of a sign-in for `spec` can no longer be used: the configuration names another identity by now, and
    its tokens would be sent there. None if it still does."""
    if spec.identity() == (w.confirm or w.spec).identity():
        return None
    name = w.spec.name
    text = f"The configuration of {name} changed during the sign-in. {sign_in_again(name)}"
    return Problem("changed", text[:200])


def sign_in_again(name: str) -> str:
    return f"To sign in again, run `amberlight reauthorize {name}`."


def without_proof(w: Workload, new: Login) -> Login:
    """A login whose ID token proves nothing: its account is unknown, unless it claims to be the same as before."""
    if w.login is None or w.login.subject != new.subject:
        return replace(new, subject="", account="")
    return replace(new, account=w.login.account)


def differs(w: Workload, new: Login) -> Problem | None:
    """Why a new login must not silently replace the current one: another server, another account, no refresh token, or
    fewer scopes."""
    old = w.login
    if old is None or w.phase is Phase.BROKEN:  # after a changed identity, signing in was the agreement
        return None
    how = f"To use it, run `amberlight reauthorize {w.spec.name} --accept`."
    if old.issuer and new.issuer and old.issuer != new.issuer:  # discovered anew, from the URL itself
        hosts = (urlsplit(old.issuer).hostname, urlsplit(new.issuer).hostname)
        return Problem(
            "different_server", f"A different server signed you in: {hosts[1]} instead of {hosts[0]}. {how}"[:200]
        )
    if old.subject and new.subject and old.subject != new.subject:
        return Problem("different_account", f"You signed in with a different account than before. {how}")
    if old.renewable and not new.renewable and _still_works(w):
        text = "The new login can't be renewed, so the old one was kept."
        return Problem("not_renewable", f"{text} {how}"[:SUMMARY_MAX])
    missing = sorted(_scopes(old) - _scopes(new))
    if new.scope and missing:
        text = "The new login has fewer permissions than before (missing: {}). " + how
        room = SUMMARY_MAX - len(text.format(""))
        return Problem("scope_lost", text.format(shorten(", ".join(missing), max(room, 1), placeholder="…")))
    return None


def _still_works(w: Workload) -> bool:
    """Whether nobody has refused its login, and no person was asked to replace it."""
    return w.signed_out is None and not (w.failing is not None and w.failing.gave_up)


def _scopes(login: Login) -> frozenset[str]:
    """The scopes one by one: GitHub, Slack and Linear sometimes separate them by commas."""
    return comparable_scopes(login.token_endpoint, login.scope.replace(",", " "), login.client_id)
