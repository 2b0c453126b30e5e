"""Device authorization endpoint (RFC 8628), and the page where a person enters the code.

`server.approve` and `server.deny` do what the page does, for tests without a browser.
"""

from __future__ import annotations

import html
from urllib.parse import urlencode

from aiohttp import web

from trayapp.oauthtest.checks import Rule
from trayapp.oauthtest.faults import HTML, NO_STORE
from trayapp.oauthtest.grants import OAuthError
from trayapp.oauthtest.state import ServerState, error_response

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
ENDPOINT = "/device_authorization"
PAGE = "/device"


class DeviceEndpoint:
    """POST /device_authorization, and the page /device."""

    def __init__(self, server: ServerState) -> None:
        self._server = server

    async def authorize(self, request: web.Request) -> web.Response:
        """Issue a device code and a user code (sections 3.1 and 3.2)."""
        server, settings = self._server, self._server.settings
        form: dict[str, str] = {}
        try:
            await server.receive(request, ENDPOINT)
            form = await server.form(request, ENDPOINT)
            with server.lock:
                number = server.log.add("device", settings.clock(), request.method, form)
                server.authenticate(form, request.headers.get("Authorization"), ENDPOINT)
                if settings.resource is not None and form.get("resource") != settings.resource:
                    server.checks.note(Rule.WRONG_RESOURCE, f"a request to {ENDPOINT} without the expected resource")
                    raise OAuthError("invalid_target", "resource is missing or not known")
                code, pending = server.devices.begin(
                    form.get("scope", " ".join(settings.scopes)), form.get("resource", "")
                )
                server.log.outcome(number, "ok")
        except OAuthError as problem:
            return error_response(problem)
        page = f"{server.base()}{PAGE}"
        answer: dict[str, object] = {
            "device_code": code,
            "user_code": pending.user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'user_code': pending.user_code})}",
            "expires_in": settings.device_lifetime,
            "interval": settings.device_interval,
        } | settings.device_changes
        return web.json_response({k: v for k, v in answer.items() if v is not ...}, headers=NO_STORE)

    async def page(self, request: web.Request) -> web.Response:
        """GET: a form, or with consent `auto` its outcome if the address has the code. POST: the buttons of the form."""
        server = self._server
        if request.method == "POST":
            fields = {key: str(value) for key, value in (await request.post()).items()}
        else:
            fields = dict(request.query)
        user_code, choice = fields.get("user_code", ""), fields.get("choice", "")
        consent = server.settings.consent
        if request.method == "GET" and (consent == "page" or not user_code):
            return _page(_FORM.format(code=html.escape(user_code, quote=True)))
        approved = consent == "auto" if request.method == "GET" else choice == "allow"
        with server.lock:
            number = server.log.add("device_page", server.settings.clock(), request.method)
            try:
                server.devices.decide(user_code, approved)
            except KeyError:
                server.log.outcome(number, "unknown_code")
                return _page("<h1>That code is not known</h1>", 400)
            server.log.outcome(number, "ok" if approved else "access_denied")
        return _page(f"<h1>{'You are signed in' if approved else 'Nothing was allowed'}</h1><p>Close this page.</p>")


_FORM = (
    '<h1>Enter the code</h1><form method="post" action="/device"><input name="user_code" value="{code}">'
    '<button id="allow" name="choice" value="allow">Allow</button> '
    '<button id="deny" name="choice" value="deny">Deny</button></form>'
)


def _page(body: str, status: int = 200) -> web.Response:
    text = f"<!DOCTYPE html><html><head><title>Sign in</title></head><body>{body}</body></html>"
    return web.Response(status=status, body=text.encode(), headers={**NO_STORE, "Content-Type": HTML})
