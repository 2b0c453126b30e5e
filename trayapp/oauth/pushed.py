"""Pushed authorization requests (RFC 9126): the request goes to the server first, the browser gets a reference to it.

Such a reference lives for seconds or minutes, and many servers take it once. So while a person hasn't signed in, the
request is pushed again shortly before that, with the same state and PKCE pair, and whenever the page is to be opened
again. Whatever fails here ends at most this sign-in: no login has anything to do with it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

from trayapp.core.classify import classify, problem_of
from trayapp.core.model import Problem
from trayapp.core.outcomes import Answer, Fault, Refreshed, Refused, Reply
from trayapp.core.refusal import CLIENT_CODES
from trayapp.oauth.code_exchange import ERROR_TEXTS
from trayapp.oauth.flow import ERRORS, Flow
from trayapp.oauth.grants import push_grant
from trayapp.oauth.metadata import Endpoints, json_object, metadata_problem
from trayapp.oauth.registration import RegisteredClient
from trayapp.oauth.tokens import PushGrant
from trayapp.oauth.wire import URL_MAX

log = logging.getLogger(__name__)

PUSH_LIMIT = 15.0  # s; it takes as long as a registration
LIFE_UNKNOWN = 60.0  # s of a reference whose life the server doesn't say; RFC 9126 section 2.2 speaks of 5 to 600
LIFE_MAX = 86_400  # s; nobody waits longer for a sign-in
AHEAD = 0.8  # of its life after which it is replaced, so that one that is being opened still lives
SPACING = 5.0  # s between two pushes at least
REFERENCE = re.compile(r"[\x21-\x7e]{1,2048}")

Push = Callable[[PushGrant], Awaitable[Reply]]
Sleep = Callable[[float], Awaitable[None]]


def pushes(endpoints: Endpoints, client: RegisteredClient) -> bool:
    """Whether the server wants the request pushed: all of them (RFC 9126 section 5), or this client's (section 6)."""
    return endpoints.pushed_only or client.pushed_only


class PushedRequest:
    """The authorization request of one flow. `push` sends it and lets the flow's address refer to it."""

    def __init__(self, flow: Flow, client: RegisteredClient, push: Push, sleep: Sleep = asyncio.sleep) -> None:
        self._flow = flow
        self._grant = push_grant(client, flow)
        self._push = push
        self._sleep = sleep
        self.life = LIFE_UNKNOWN  # s that the newest reference lives

    async def push(self) -> Problem | None:
        """Push the request; None if the flow's address is new now."""
        endpoints = self._flow.endpoints
        if not endpoints.pushed:
            host = urlsplit(endpoints.issuer or endpoints.token).hostname
            return metadata_problem(
                f"{host} requires pushed authorization requests (RFC 9126), but names no endpoint for them."
            )
        reply = await self._push(self._grant)
        reference = read_reference(reply)
        if isinstance(reference, Problem):
            return reference
        uri, self.life = reference
        separator = "&" if urlsplit(endpoints.authorization).query else "?"
        query = urlencode({"client_id": self._grant.client_id, "request_uri": uri})
        self._flow.url = f"{endpoints.authorization}{separator}{query}"
        return None if len(self._flow.url) <= URL_MAX else Problem("pushed", "The server's reference is too long.")

    async def keep(self, show: Callable[[str], None]) -> None:
        """Replace the reference before it ends, for as long as somebody waits for the flow; `show` gets each address. A
        push that fails is repeated when the next one would be due."""
        while True:
            await self._sleep(max(SPACING, AHEAD * self.life))
            if self._flow.answer.done():
                return
            if (problem := await self.push()) is None:
                show(self._flow.url)
            else:
                log.warning(
                    "%s: the address of its sign-in page may have expired: %s", self._flow.name, problem.summary
                )


def short_lived(name: str, life: float) -> str:
    """What to tell a person who opens the page by hand, in two sentences."""
    again = f"For a new address, run `amberlight reauthorize {name} --no-browser` again."
    return f"The sign-in page's address is valid for {life:.0f} seconds. {again}"


def read_reference(reply: Reply) -> tuple[str, float] | Problem:
    """The reference in an answer (section 2.2) and the seconds it lives, or why there is none (section 2.3)."""
    if isinstance(reply, Fault):
        return Problem("pushed", problem_of(reply).summary)
    fields = json_object(replace(reply, status=200) if reply.status == 201 else reply) or {}
    uri, life = fields.get("request_uri"), fields.get("expires_in")
    if not isinstance(uri, str) or not REFERENCE.fullmatch(uri):
        return _problem(reply)
    if not isinstance(life, int | float) or isinstance(life, bool) or not 0 < life < math.inf:
        return uri, LIFE_UNKNOWN
    return uri, float(min(life, LIFE_MAX))


def _problem(answer: Answer) -> Problem:
    """Errors are those of the authorization endpoint and, of the client, those of the token endpoint."""
    outcome = classify(answer)
    if isinstance(outcome, Refreshed) or 200 <= answer.status < 300:
        return Problem(
            "pushed", "The server accepted the sign-in request, but sent no usable reference to it.", answer.status
        )
    code = outcome.problem.code
    if code in CLIENT_CODES:
        return Problem("pushed", f"{ERROR_TEXTS[code]} ({code}).", answer.status, code)
    if code in ERRORS:
        words = ERRORS[code][1].rstrip(".")
        return Problem("pushed", f"{words} ({code})."[:200], answer.status, code)
    if isinstance(outcome, Refused):  # a verdict on a token, and there is none here
        return Problem("pushed", f"The server refused the sign-in ({code}).", answer.status, code)
    return Problem("pushed", outcome.problem.summary, answer.status, code)
