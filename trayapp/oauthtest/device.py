"""The device grant (RFC 8628): codes, the page where a person types them in, and what a polling client is told.

A client that asks faster than the interval is told `slow_down` and has broken a rule. `server.approve` and
`server.deny` do what the page does, for tests that have no browser.
"""

from __future__ import annotations

import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web

from trayapp.oauthtest.checks import Rule
from trayapp.oauthtest.faults import HTML, NO_STORE
from trayapp.oauthtest.grants import Grant, OAuthError

if TYPE_CHECKING:
    from trayapp.oauthtest.shared import ServerState

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
ENDPOINT = "/device_authorization"
PAGE = "/device"
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 section 6.1: no vowels, so no words
SLOWER = 5.0  # s; section 3.5
EARLY = 0.05  # s; two clocks, one network


@dataclass(slots=True)
class PendingDevice:
    """One device code. `asked` is when it was polled last, on the settings' clock."""

    user_code: str
    scope: str
    resource: str
    ends: float
    interval: float
    agreed: bool | None = None
    asked: float | None = None
    spent: bool = field(default=False)


class Devices:
    """The codes that were given out. Not locked: its owner is."""

    def __init__(self, shared: ServerState) -> None:
        self._shared = shared
        self._by_device: dict[str, PendingDevice] = {}
        self._by_user: dict[str, PendingDevice] = {}

    def begin(self, scope: str, resource: str) -> tuple[str, PendingDevice]:
        """A new pair of codes."""
        settings = self._shared.settings
        half = ["".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(2)]
        ends = settings.clock() + settings.device_lifetime
        waiting = PendingDevice("-".join(half), scope, resource, ends, settings.device_interval)
        code = self._shared.grants.token("dc")
        self._by_device[code] = self._by_user[waiting.user_code] = waiting
        return code, waiting

    def decide(self, user_code: str, agreed: bool) -> None:
        """A person has typed the code. Raises `KeyError` for one that nobody gave out or that has ended."""
        waiting = self._by_user[user_code.strip().upper()]
        if waiting.spent or self._shared.settings.clock() > waiting.ends:
            raise KeyError(user_code)
        waiting.agreed = agreed

    def waiting(self) -> tuple[str, ...]:
        """The user codes that nobody has typed yet, oldest first."""
        now = self._shared.settings.clock()
        return tuple(w.user_code for w in self._by_user.values() if w.agreed is None and now <= w.ends)

    def redeem(self, form: Mapping[str, str]) -> Grant:
        """Section 3.5: the grant, or `OAuthError` with the reason why not (yet)."""
        shared = self._shared
        waiting = self._by_device.get(shared.need(form, "device_code", "/token"))
        if waiting is None or waiting.spent:
            raise OAuthError("invalid_grant", "The device code is not known")
        if shared.settings.resource is not None and form.get("resource", waiting.resource) != waiting.resource:
            shared.checks.note(Rule.WRONG_RESOURCE, "a device token request with another resource")
            raise OAuthError("invalid_target", "resource is not known")
        self._not_too_fast(waiting)
        if shared.settings.clock() > waiting.ends:
            raise OAuthError("expired_token", "The device code has expired")
        if waiting.agreed is None:
            raise OAuthError("authorization_pending", "Nobody has entered the code yet")
        waiting.spent = True
        if not waiting.agreed:
            raise OAuthError("access_denied", "The user said no")
        return shared.grants.issue(waiting.scope, shared.settings.subject)

    def _not_too_fast(self, waiting: PendingDevice) -> None:
        now, settings = self._shared.settings.clock(), self._shared.settings
        before, waiting.asked = waiting.asked, now
        if before is not None and now - before < waiting.interval - EARLY:
            self._shared.checks.note(Rule.POLLED_TOO_FAST, f"polled after {now - before:.2f} s of {waiting.interval:g}")
            raise self._slower(waiting)
        if settings.device_slow_downs > 0:
            settings.device_slow_downs -= 1
            raise self._slower(waiting)

    @staticmethod
    def _slower(waiting: PendingDevice) -> OAuthError:
        waiting.interval += SLOWER
        return OAuthError("slow_down", "Ask less often")


class DeviceEndpoint:
    """POST /device_authorization, and the page."""

    def __init__(self, shared: ServerState) -> None:
        self._shared = shared

    async def authorize(self, request: web.Request) -> web.Response:
        """Section 3.1 and 3.2."""
        from trayapp.oauthtest.shared import refusal

        shared, settings = self._shared, self._shared.settings
        form: dict[str, str] = {}
        try:
            await shared.arrive(request, ENDPOINT)
            form = await shared.form(request, ENDPOINT)
            with shared.changed:
                number = shared.log.add("device", settings.clock(), request.method, form)
                shared.authenticate(form, request.headers.get("Authorization"), ENDPOINT)
                if settings.resource is not None and form.get("resource") != settings.resource:
                    shared.checks.note(Rule.WRONG_RESOURCE, f"a request to {ENDPOINT} without the expected resource")
                    raise OAuthError("invalid_target", "resource is missing or not known")
                code, waiting = shared.devices.begin(
                    form.get("scope", " ".join(settings.scopes)), form.get("resource", "")
                )
                shared.log.outcome(number, "ok")
        except OAuthError as problem:
            return refusal(problem)
        page = f"{shared.base()}{PAGE}"
        answer: dict[str, object] = {
            "device_code": code,
            "user_code": waiting.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'user_code': waiting.user_code})}",
            "expires_in": settings.device_lifetime,
            "interval": settings.device_interval,
        } | settings.device_changes
        return web.json_response({k: v for k, v in answer.items() if v is not ...}, headers=NO_STORE)

    async def page(self, request: web.Request) -> web.Response:
        """GET: a form, or in consent `auto` the end of it where the address has the code. POST: its buttons."""
        shared = self._shared
        if request.method == "POST":
            given = {key: str(value) for key, value in (await request.post()).items()}
        else:
            given = dict(request.query)
        user_code, choice = given.get("user_code", ""), given.get("choice", "")
        consent = shared.settings.consent
        if request.method == "GET" and (consent == "page" or not user_code):
            return _page(_FORM.format(code=html.escape(user_code, quote=True)))
        agreed = consent == "auto" if request.method == "GET" else choice == "allow"
        with shared.changed:
            number = shared.log.add("device_page", shared.settings.clock(), request.method)
            try:
                shared.devices.decide(user_code, agreed)
            except KeyError:
                shared.log.outcome(number, "unknown_code")
                return _page("<h1>That code is not known</h1>", 400)
            shared.log.outcome(number, "ok" if agreed else "access_denied")
        return _page(f"<h1>{'You are signed in' if agreed else 'Nothing was allowed'}</h1><p>Close this page.</p>")


_FORM = (
    '<h1>Enter the code</h1><form method="post" action="/device"><input name="user_code" value="{code}">'
    '<button id="allow" name="choice" value="allow">Allow</button> '
    '<button id="deny" name="choice" value="deny">Deny</button></form>'
)


def _page(body: str, status: int = 200) -> web.Response:
    text = f"<!DOCTYPE html><html><head><title>Sign in</title></head><body>{body}</body></html>"
    return web.Response(status=status, body=text.encode(), headers={**NO_STORE, "Content-Type": HTML})
