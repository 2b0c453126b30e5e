"""Who signed in, by the server's ID token, and whether that may be believed (OpenID Connect Core 3.1.3.7).

An ID token has one use here: its subject tells the same account from another one. It is checked after the login is
stored, so no check ever costs a login. A token that was made *for somebody else* (issuer, audience, nonce) means that
this sign-in is none; anything else that is wrong with it leaves the login as it is and its account unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trayapp.core.messages import Fault
from trayapp.core.model import Moment, Problem, Secret
from trayapp.engine.ports import Checked, NewLogin
from trayapp.oauth import jose
from trayapp.oauth.metadata import Endpoints, json_object
from trayapp.oauth.wire import Request, Wire, url_problem
from trayapp.system.processes import FROZEN, QUIET, interpreter, let_go

log = logging.getLogger(__name__)

LEEWAY = 120.0  # s that two clocks may differ
KEYS_LIMIT = 5.0  # s for the server's keys
KEYS_CAP = 256 * 1024  # bytes; Microsoft's have 10,000
JUDGE_LIMIT = 10.0  # s for the child; it takes half of one
SUBJECT_MAX = 255  # characters (section 2)
FOREIGN = "Refused: the server's ID token is for {}, so this is not the sign-in that you began."
ISSUER = "another issuer"
SHOWN_MAX = 80  # characters of an issuer in a sentence
UNKNOWN = "Signed in, but whose account it is could not be checked: {}"

# What a child's word means, to stand in `UNKNOWN`.
WORDS: Mapping[str, str] = {
    "none": "the server's ID token is not signed.",
    "algorithm": "its ID token is signed in a way that cannot be checked here.",
    "no_key": "the key that signed its ID token is not among the server's.",
    "signature": "the signature of its ID token is wrong.",
    "unreadable": "its ID token cannot be read.",
    "child": "the check itself failed; the log has the details.",
}

# By its file nothing of ours is loaded with it, and nothing is imported from where it lies or from the current
# directory (-P). A frozen program has no such file.
COMMAND = ("-m", jose.__name__) if FROZEN else ("-P", jose.__file__)

Judge = Callable[[Awaitable[str]], Awaitable[str]]  # the order, which may still be coming → `jose.judge`'s word


class _NoKeysError(Exception):
    """The server's keys could not be had; the text ends a sentence."""


@dataclass(frozen=True, slots=True)
class ExpectedClaims:
    """What an ID token has to say. `issuer` empty: nobody knows; `wall`: now."""

    client_id: str
    issuer: str = ""
    nonce: str = ""
    wall: float = 0.0


class IdTokens:
    """Makes the check of one sign-in's ID token. `judge` looks at signatures; the default asks a child process."""

    def __init__(self, wire: Wire, judge: Judge | None = None) -> None:
        self._wire = wire
        self._judge = judge

    def child(self, scopes: Collection[str]) -> ValidatorProcess | None:
        """One that gets ready while a person signs in, where an ID token is to come; None where none is needed."""
        return ValidatorProcess() if "openid" in scopes and self._judge is None else None

    def checkable(
        self, new: NewLogin, endpoints: Endpoints, now: Moment, child: ValidatorProcess | None = None
    ) -> NewLogin:
        """The same, with the check of its ID token if it brought one; `child` then belongs to the check."""
        if new.id_token is None:
            return new
        expected = ExpectedClaims(new.login.client_id, endpoints.issuer, wall=now.wall)
        return replace(new, check=self.check(new.id_token, endpoints, expected, new.login.client_secret, child))

    def check(
        self,
        token: Secret,
        endpoints: Endpoints,
        expected: ExpectedClaims,
        client_secret: Secret | None = None,
        child: ValidatorProcess | None = None,
    ) -> Callable[[], Awaitable[Checked]]:
        """The check, to be made when the login is safe. It raises nothing."""

        async def made() -> Checked:
            claims = claims_of(token)
            if claims is None:
                return _unknown("unreadable", WORDS["unreadable"])
            if foreign := mismatch(claims, expected):
                return Checked(Problem("id_token", FOREIGN.format(foreign + _named(foreign, claims))), refused=True)
            if stale := untimely(claims, expected.wall):
                return _unknown("time", stale)
            return await self._signature(
                token, endpoints, client_secret, child.ask if child else self._judge or ask_child
            )

        async def checked() -> Checked:
            try:
                return await made()
            finally:
                if child is not None:
                    await child.close()

        return checked

    async def _signature(
        self, token: Secret, endpoints: Endpoints, client_secret: Secret | None, judge: Judge
    ) -> Checked:
        algorithm = algorithm_of(token)
        if not endpoints.jwks and algorithm in jose.PUBLIC:
            # No document names any keys, as the endpoints were configured one by one. The token came straight from
            # the token endpoint over TLS, which may stand for its signature (item 6).
            return Checked()
        # Whoever judges gets ready while the keys are on their way.
        order = asyncio.ensure_future(self._order(token, algorithm, endpoints, client_secret))
        try:
            word = await judge(order)
        except _NoKeysError as error:
            return _unknown("keys", str(error))
        finally:
            order.cancel()
        return Checked() if word == "ok" else _unknown(word, WORDS.get(word, WORDS["child"]))

    async def _order(self, token: Secret, algorithm: str, endpoints: Endpoints, client_secret: Secret | None) -> str:
        """What `jose.judge` is to be asked. Raises `_NoKeysError`."""
        keys = await self._keys(endpoints) if algorithm in jose.PUBLIC else []
        secret = client_secret.reveal() if client_secret else None
        return json.dumps({"token": token.reveal(), "keys": keys, "secret": secret})

    async def _keys(self, endpoints: Endpoints) -> list[object]:
        """The server's keys, asked for each time and from where it says, never from where that sends one on."""
        request = Request("GET", endpoints.jwks, least=endpoints.least)
        reply = await self._wire.send(request, limit=KEYS_LIMIT, cap=KEYS_CAP)
        if isinstance(reply, Fault):
            raise _NoKeysError("the server's keys could not be fetched.")
        document = json_object(reply)
        keys = document.get("keys") if document is not None else None
        if not isinstance(keys, list):
            raise _NoKeysError(f"the server's keys could not be read (HTTP {reply.status}).")
        return keys


def _unknown(code: str, why: str) -> Checked:
    return Checked(Problem("id_token", UNKNOWN.format(why)[:200], code=code))


# --- claims ----------------------------------------------------------------------------------------------------------


def claims_of(token: Secret) -> Mapping[str, Any] | None:
    """What it says, believed by nobody yet; None if it is no JSON Web Token."""
    return _part(token, 1)


def algorithm_of(token: Secret) -> str:
    """The `alg` of its header; empty if there is none."""
    algorithm = (_part(token, 0) or {}).get("alg")
    return algorithm if isinstance(algorithm, str) else ""


def subject_of(token: Secret | None) -> str:
    """The `sub` that it claims, or nothing."""
    subject = ((claims_of(token) if token else None) or {}).get("sub")
    fit = isinstance(subject, str) and len(subject) <= SUBJECT_MAX and subject.isprintable()
    return subject if fit and isinstance(subject, str) else ""


def _part(token: Secret, number: int) -> Mapping[str, Any] | None:
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return None
    try:
        found = json.loads(urlsafe_b64decode(parts[number] + "=" * (-len(parts[number]) % 4)))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def mismatch(claims: Mapping[str, Any], expected: ExpectedClaims) -> str:
    """For whom else it was made, as the end of a sentence; empty if it is for us (items 2 to 5 and 11)."""
    if expected.issuer and not _same_issuer(claims.get("iss"), expected.issuer, claims):
        return ISSUER
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences:
        return "another client"
    # Several audiences without `azp` are no reason: Core's second errata dropped that rule, and providers send it.
    if claims.get("azp", expected.client_id) != expected.client_id:
        return "another client"
    if expected.nonce and claims.get("nonce") != expected.nonce:
        return "another sign-in"
    return ""


def _named(foreign: str, claims: Mapping[str, Any]) -> str:
    """Which issuer it names, as a setting may only lack a slash; empty for what is not fit to be shown."""
    says = claims.get("iss")
    fit = foreign == ISSUER and isinstance(says, str) and len(says) <= SHOWN_MAX and not url_problem(says)
    return f" ({says})" if fit else ""


def _same_issuer(says: object, issuer: str, claims: Mapping[str, Any]) -> bool:
    """Exactly, but for two providers that are known: Google leaves `https://` out of old tokens, and Microsoft's
    metadata for all tenants writes `{tenantid}` where a token has its tenant."""
    if says == issuer:
        return True
    if issuer == "https://accounts.google.com":
        return says == "accounts.google.com"
    tenant = claims.get("tid")
    return "{tenantid}" in issuer and isinstance(tenant, str) and says == issuer.replace("{tenantid}", tenant)


def untimely(claims: Mapping[str, Any], wall: float) -> str:
    """Why it is not of now, as the end of a sentence; empty if it is (items 9 and 10)."""
    ends, begins, made = (_instant(claims.get(name)) for name in ("exp", "nbf", "iat"))
    if ends is None:
        return "its ID token does not say how long it is good."
    if wall > ends + LEEWAY:
        return "its ID token has expired already: is this computer's clock right?"
    if max(begins or 0.0, made or 0.0) > wall + LEEWAY:
        return "its ID token is of a time to come: is this computer's clock right?"
    return ""


def _instant(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


# --- the child -------------------------------------------------------------------------------------------------------


class ValidatorProcess:
    """`jose.py` in a process of its own. It starts at once, gets ready, and waits for its one order."""

    def __init__(self) -> None:
        self._starting = asyncio.create_task(_start(), name="get ready for an ID token")

    async def ask(self, order: Awaitable[str]) -> str:
        """Its word; `child` if it did not work. It has ended afterwards."""
        child = await self._starting
        if child is None:
            return "child"
        try:
            async with asyncio.timeout(JUDGE_LIMIT):
                said, _ = await child.communicate((await order).encode())
        except TimeoutError:
            log.warning("the check of an ID token took longer than %g s", JUDGE_LIMIT)
            return "child"
        finally:
            await self.close()
        if child.returncode != 0:
            log.warning("the check of an ID token ended with %s", child.returncode)
            return "child"
        return said.decode("ascii", "replace")

    async def close(self) -> None:
        """Nothing is asked of it (any more)."""
        child = await self._starting
        if child is None:
            return
        try:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.communicate()  # waits for its end
        finally:
            let_go(child)


async def _start() -> asyncio.subprocess.Process | None:
    """It raises nothing: a sign-in may be waiting for the end of what never began."""
    try:
        return await asyncio.create_subprocess_exec(
            interpreter(),
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # a traceback there could quote the token
            env={**os.environ, "PYTHONUTF8": "1"},
            creationflags=QUIET,
        )
    except Exception as error:  # noqa: BLE001 - some event loops have no processes at all, some systems no room
        log.warning("the check of an ID token could not begin (%s)", type(error).__name__)
        return None


async def ask_child(order: Awaitable[str]) -> str:
    """`jose.judge`, by a child that begins now."""
    return await ValidatorProcess().ask(order)
