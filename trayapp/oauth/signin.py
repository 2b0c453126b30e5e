"""Browser sign-in (RFC 8252): authorization code with PKCE S256, a single-use state, and a listener bound beforehand.

Nothing that arrives from outside ends an attempt unless it carries the right state. What ends it: the code, an `error=`
from the server, a wrong issuer (RFC 9207), the time limit, and the person. Once a code has arrived, the exchange runs
in this task and not in the browser's connection, so a closed tab doesn't stop it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

from trayapp.core.model import BrowserFault, DeviceCode, Moment, Problem, Secret, Spec, Trouble
from trayapp.core.refusal import CLIENT_CODES
from trayapp.core.sentences import no_sign_in
from trayapp.engine.ports import NewLogin
from trayapp.engine.tasks import Tasks
from trayapp.oauth.authorization_plan import AuthorizationPlan, Planner
from trayapp.oauth.callback import HEADER_LIMIT, RedirectListener
from trayapp.oauth.client_document import document_refused
from trayapp.oauth.client_renewal import ends_soon, renew
from trayapp.oauth.client_store import ClientRecords
from trayapp.oauth.code_exchange import new_login, without_refresh_token
from trayapp.oauth.device import by_device_code
from trayapp.oauth.flow import NOT_WAITING, Flow, begin, pasted_query
from trayapp.oauth.grants import code_grant, device_grant
from trayapp.oauth.idtoken import IdTokens, ValidatorProcess
from trayapp.oauth.known_client import casts_doubt
from trayapp.oauth.loopback import LoopbackSockets
from trayapp.oauth.opening import open_page
from trayapp.oauth.pushed import PUSH_LIMIT, PushedRequest, pushes, short_lived
from trayapp.oauth.registration import unregister
from trayapp.oauth.tokens import HttpTokens, kept_secrets
from trayapp.oauth.wire import Wire, url_problem
from trayapp.system.browser import NoBrowserError, browse

log = logging.getLogger(__name__)

SIGN_IN_LIMIT = 300.0  # s for the person; servers forget their side after about as long
ERROR_PAGE_HINT = "If the page showed an error, sign in again: Amberlight will register a new client."
RECORD_LIMIT = 2.0  # s for the keyring to note a doubt when the program ends
LINGER = 10.0  # s to wait for the page's last request; nothing but the page depends on it


@dataclass(frozen=True, slots=True)
class SignInRequest:
    """What a person asked for, and whom to show it: `show` gets a page's address, `show_code` a device code (RFC 8628),
    `browser_fault` whether the page opened."""

    browser: bool  # open the page on this machine
    show: Callable[[str], None]
    show_code: Callable[[DeviceCode], None]
    browser_fault: Callable[[BrowserFault | None], None]
    now: Callable[[], Moment]


class BrowserSignIn:
    """Runs sign-ins, at most one per workload at a time. All methods are called on the engine's loop.

    `open_url` runs in a thread of its own, gets one https (or loopback) address and never a shell; it works like
    `system/browser.py:browse`.
    """

    def __init__(
        self,
        wire: Wire,
        tokens: HttpTokens,
        *,
        clients: ClientRecords | None = None,
        id_tokens: IdTokens | None = None,
        open_url: Callable[[str], bool] | None = None,
        limit: float = SIGN_IN_LIMIT,
        linger: float = LINGER,
        header_limit: float = HEADER_LIMIT,
        lasting: Callable[[], bool] = lambda: True,
    ) -> None:
        """`clients` stores registrations; without it they last for this run only. `lasting`: there is a keyring."""
        self._wire = wire
        self._tokens = tokens
        self._clients = clients or ClientRecords()
        self._id_tokens = id_tokens or IdTokens(wire)
        self._planner = Planner(wire, tokens, self._clients)
        self._open_url = open_url or open_browser
        self._limit = limit
        self._linger = linger
        self._header_limit = header_limit
        self._lasting = lasting
        self._running: dict[str, Flow | None] = {}  # None: not waiting for a redirect, or not yet
        self._requests: dict[str, SignInRequest] = {}  # of those that run
        self._pushed: dict[str, PushedRequest] = {}  # by workload, while its flow waits
        self._device_pages: dict[str, str] = {}  # workload → page where its device code is entered
        self._steps: dict[str, list[str]] = {}
        self._registered: set[str] = set()  # workloads whose newest sign-in uses a client of our own
        self._page_tasks = Tasks()
        self._record_tasks = Tasks()
        # Listeners of finished attempts, with their workload, while their last page may not have been fetched yet.
        self._serving_last_page: dict[RedirectListener, str] = {}

    async def run(
        self,
        spec: Spec,
        *,
        browser: bool,
        show: Callable[[str], None],
        now: Callable[[], Moment],
        show_code: Callable[[DeviceCode], None] = lambda _: None,
        browser_fault: Callable[[BrowserFault | None], None] = lambda _: None,
    ) -> NewLogin | Problem:
        """Run the whole flow. Cancelling it closes the listener; only one runs per name."""
        if spec.name in self._running:
            return Problem("request", f"A sign-in to {spec.name} is already in progress."[:200])
        self._running[spec.name] = None
        request = self._requests[spec.name] = SignInRequest(browser, show, show_code, browser_fault, now)
        self._steps[spec.name] = []
        self._registered.discard(spec.name)
        validator: ValidatorProcess | None = None
        try:
            await self._free_ports(spec.name, spec.redirect_port)
            plan = await self._planner.prepare_server(spec, lambda line: self._report(spec.name, line))
            if isinstance(plan, Problem):
                return plan
            validator = None if spec.flow == "device" else self._id_tokens.start_validator(plan.spec.scopes)
            result = await self._with_client(plan, request)
            if isinstance(result, Problem):
                return result
            if not result.login.renewable:
                self._report(spec.name, without_refresh_token(result.login.token_endpoint))
            if result.id_token is None:
                return result
            handed_over, validator = validator, None
            return self._id_tokens.with_check(result, plan.endpoints, now(), handed_over)
        finally:
            del self._running[spec.name], self._requests[spec.name]
            self._device_pages.pop(spec.name, None)
            if validator is not None:
                await validator.close()

    def _report(self, name: str, line: str) -> None:
        log.info("%s: %s", name, line)
        self._steps[name].append(line)

    def steps(self, name: str) -> tuple[str, ...]:
        """What the newest sign-in of this workload has found and done so far, in plain sentences."""
        return tuple(self._steps.get(name, ()))

    async def set_secret(self, name: str, secret: Secret | None) -> Trouble | None:
        """Store the client secret that a person entered for the configured client_id; None removes it."""
        return await self._clients.set_secret(name, secret)

    async def forget(self, name: str) -> None:
        """Delete the client record of a removed workload, and its registration at the server (RFC 7592)."""
        self._steps.pop(name, None)
        self._registered.discard(name)
        await self._free_ports(name)
        for client in await self._clients.forget(name):
            if client.manage_uri and not await unregister(client, self._wire):
                log.info("%s: the server did not confirm that its registration is deleted", name)

    def rename(self, name: str, new: str) -> None:
        """The workload has another name; no sign-in of it is under way."""
        self._clients.rename(name, new)

    async def client_secret(self, name: str, client_id: str, wall: float) -> tuple[Secret, float] | None:
        """The secret of this registered client and its end (wall; 0: never), renewed at the server first if it ends soon
        (RFC 7592). None for any other client."""
        record = await self._clients.load(name)
        known = (*record.replaced, *filter(None, (record.client,)))
        client = next((one for one in known if one.id == client_id and one.secret is not None), None)
        if client is not None and ends_soon(client, wall):
            client = await renew(client, wall, self._wire, lambda each: self._clients.renewed(name, each))
        return None if client is None or client.secret is None else (client.secret, client.secret_ends)

    def registered(self, name: str) -> bool:
        """Whether the newest sign-in of this workload uses a client that Amberlight registered."""
        return name in self._registered

    def register_again(self, name: str) -> None:
        """A person saw the server's error page: the next sign-in registers again."""
        self._record_tasks.begin(f"doubt the client of {name}", self._clients.doubt_client(name), needed=True)

    def paste(self, name: str, url: str) -> Problem | None:
        """Take a redirect URL that a person copied, or just its query; None if the waiting flow accepted it."""
        flow = self._running.get(name)
        if name in self._device_pages:
            return Problem("request", f"The sign-in to {name} is waiting for its code, not for a URL.")
        if flow is None:
            return Problem("request", no_sign_in(name)[:200])
        query = pasted_query(url, flow.redirect_uri)
        return Problem("request", NOT_WAITING) if query is None else flow.accept(query)

    def page(self, name: str) -> str | None:
        """The address of the page that the waiting flow waits for; None if none waits."""
        flow = self._running.get(name)
        if page := self._device_pages.get(name):
            return page
        return None if flow is None or flow.answer.done() else flow.url

    def reopen(self, name: str) -> bool:
        """Open the page of the waiting flow once more; False if none waits."""
        if (page := self.page(name)) is None:
            return False
        if (pushed := self._pushed.get(name)) is not None:  # its address may have served already
            self._page_tasks.begin(f"push the request of {name} again", self._open_pushed(name, pushed))
        else:
            self._open(name, page)
        return True

    async def _open_pushed(self, name: str, pushed: PushedRequest) -> None:
        if (problem := await pushed.push()) is not None:
            log.warning("%s: its sign-in page may not open again: %s", name, problem.summary)
        if (page := self.page(name)) is not None:
            self._open(name, page)

    async def close(self) -> None:
        """Stop serving the pages of finished sign-ins. Sign-ins that still run aren't affected."""
        for listener in list(self._serving_last_page):
            await listener.close()
        await self._id_tokens.close()
        await self._page_tasks.end()
        if self._record_tasks.needed:
            await asyncio.wait(set(self._record_tasks.needed), timeout=RECORD_LIMIT)
        await self._record_tasks.end()

    def cancel(self, name: str) -> bool:
        """End a flow that waits for its redirect; it returns the problem `cancelled`."""
        flow = self._running.get(name)
        if flow is None or flow.answer.done():
            return False
        flow.answer.set_result(Problem("cancelled", "The sign-in was cancelled."))
        return True

    async def _with_client(self, plan: AuthorizationPlan, request: SignInRequest) -> NewLogin | Problem:
        spec, device = plan.spec, plan.spec.flow == "device"
        try:
            handed_over = await self._planner.client(
                plan, request.now().wall, lambda line: self._report(spec.name, line), listen=not device
            )
        except OSError:
            return _port_problem(spec)
        if isinstance(handed_over, Problem):
            return handed_over
        plan, sockets = handed_over
        if not plan.client.registered:
            result = await (self._device(plan, request) if sockets is None else self._listen(plan, sockets, request))
            if plan.client.document and isinstance(result, Problem) and result.code in CLIENT_CODES:
                return replace(result, summary=document_refused(plan.endpoints, result.code))
            return result
        self._registered.add(spec.name)
        try:
            result = await (self._device(plan, request) if sockets is None else self._listen(plan, sockets, request))
        except asyncio.CancelledError:
            if plan.reused and self._got_no_redirect(spec.name):  # noted in a task of its own, as this one ends now
                work = self._clients.doubt_client(spec.name, plan.client.id)
                self._record_tasks.begin(f"doubt the client of {spec.name}", work, needed=True)
            raise
        return await self._judged(plan, result)

    async def _judged(self, plan: AuthorizationPlan, result: NewLogin | Problem) -> NewLogin | Problem:
        """The result of a sign-in with a registered client, after noting what it means for the registration (M16)."""
        name, client = plan.spec.name, plan.client
        if isinstance(result, NewLogin):
            await self._clients.trust_client(name, client.id)
        elif result.code in CLIENT_CODES:
            await self._clients.drop_client(name)  # the next sign-in registers again
        elif plan.reused and (self._got_no_redirect(name) or casts_doubt(result)):
            await self._clients.doubt_client(name, client.id)
            if result.kind == "timed_out":
                return replace(result, summary=f"{result.summary} {ERROR_PAGE_HINT}")
        return result

    def _got_no_redirect(self, name: str) -> bool:
        """Whether the page was shown and nothing came back from it: the server may have shown an error there."""
        flow = self._running.get(name)
        return flow is not None and not flow.redirected

    async def _listen(
        self, plan: AuthorizationPlan, sockets: LoopbackSockets, request: SignInRequest
    ) -> NewLogin | Problem:
        spec, uri = plan.spec, plan.client.redirect_uri
        if not uri:
            # A client set up by hand with a port was set up with a complete address, and servers compare its path
            # exactly (RFC 8252 section 7.3). All others get a path that nobody can guess (SECURITY.md 4).
            path = "/callback" if spec.redirect_port else f"/callback/{secrets.token_urlsafe(16)}"
            uri = f"http://127.0.0.1:{sockets.port}{path}"
        parts = urlsplit(uri)
        try:
            flow = begin(spec, plan.endpoints, uri, plan.extras)
            listener = RedirectListener(
                sockets,
                parts.path,
                flow.arrive,
                name=spec.name,
                lasting=self._lasting,
                header_limit=self._header_limit,
                host=parts.hostname or "",
            )
            await listener.start()
        except OSError:
            return _port_problem(spec)
        try:
            result = await self._ask(plan, flow, request)
        except BaseException:
            await listener.close()
            raise
        listener.finish(isinstance(result, NewLogin))
        self._serving_last_page[listener] = spec.name
        # The login doesn't wait for the page: until it is stored it can be lost.
        self._page_tasks.begin(f"page of {spec.name}", self._serve_last_page(listener))
        return result

    async def _ask(self, plan: AuthorizationPlan, flow: Flow, request: SignInRequest) -> NewLogin | Problem:
        """Show the page and wait for what comes of it; where the server wants the request pushed, push it first."""
        keeping: asyncio.Task[None] | None = None
        if pushes(plan.endpoints, plan.client):
            pushed = PushedRequest(flow, plan.client, partial(self._tokens.push, limit=PUSH_LIMIT))
            if (problem := await pushed.push()) is not None:
                return problem
            if pushed.life < self._limit:
                self._report(flow.name, short_lived(flow.name, pushed.life))
                keeping = self._page_tasks.begin(f"keep the address of {flow.name}", pushed.keep(request.show))
            self._pushed[flow.name] = pushed
        try:
            self._running[flow.name] = flow
            request.show(flow.url)
            if request.browser:
                self._open(flow.name, flow.url)
            return await self._finish(plan, flow, request.now)
        finally:
            self._pushed.pop(flow.name, None)
            if keeping is not None:
                keeping.cancel()

    async def _serve_last_page(self, listener: RedirectListener) -> None:
        await listener.linger(self._linger)
        await listener.close()
        del self._serving_last_page[listener]

    async def _free_ports(self, name: str, port: int = 0) -> None:
        """End the last pages of this workload's sign-ins, and one at this port. A new sign-in may need them: its
        registration names the previous one's port, and a fixed one may be shared."""
        for listener, of in list(self._serving_last_page.items()):
            if of == name or listener.port == port:
                await listener.close()

    async def _finish(self, plan: AuthorizationPlan, flow: Flow, now: Callable[[], Moment]) -> NewLogin | Problem:
        try:
            async with asyncio.timeout(self._limit):
                code = await flow.answer
        except TimeoutError:
            return Problem("timed_out", f"The sign-in wasn't finished within {self._limit / 60:g} minutes.")
        if isinstance(code, Problem):
            return code
        sent_at = now()
        spec, grant = plan.spec, code_grant(plan.spec, plan.client, flow, code, plan.proof_key)
        reply = await self._tokens.exchange(grant)
        return new_login(spec, flow.endpoints, reply, sent_at, **kept_secrets(grant))

    async def _device(self, plan: AuthorizationPlan, request: SignInRequest) -> NewLogin | Problem:
        """Run the device flow (RFC 8628): the person enters a code, here or on another machine."""
        spec = plan.spec

        def on_code(code: DeviceCode) -> None:
            page = self._device_pages[spec.name] = code.verification_uri_complete or code.verification_uri
            request.show_code(code)
            request.show(page)
            if request.browser:
                self._open(spec.name, page)

        grant = device_grant(spec, plan.client, plan.endpoints, plan.proof_key)
        return await by_device_code(grant, spec, plan.endpoints, self._tokens, on_code, request.now)

    def _open(self, name: str, url: str) -> None:
        request = self._requests.get(name)

        def report(fault: BrowserFault | None) -> None:
            if request is not None and self._requests.get(name) is request:
                request.browser_fault(fault)

        open_page(name, url, self._open_url, report)


def open_browser(url: str) -> bool:
    """Open the person's own browser, like `browse`, but only for a page of the web. Raises `NoBrowserError`."""
    if url_problem(url):
        raise NoBrowserError("its URL isn't a web address")
    return browse(url)


def _port_problem(spec: Spec) -> Problem:
    port = spec.redirect_port
    taken = f"Port {port} (redirect_port of {spec.name}) is used by another program. Close it, or choose another port."
    return Problem("port_taken", taken[:200] if port else "No port is free for the sign-in.")
