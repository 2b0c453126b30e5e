"""ID token validation (OpenID Connect Core 3.1.3.7): who signed in, and whether that may be believed.

Its subject tells one account from another, and its account says to people whose the login is (`core/id_claims.py`). It is
checked after the login is stored, so no check ever costs a login. A token made *for somebody else* (issuer, audience, nonce) means that this sign-in isn't the
one that was begun, and it is refused. Anything else that is wrong leaves the login as it is and its account unknown.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from trayapp.core.id_claims import ANOTHER_ISSUER, ExpectedClaims, algorithm_of, claims_of, mismatch, time_fault
from trayapp.core.model import Moment, Problem, Secret
from trayapp.core.outcomes import Fault
from trayapp.core.sentences import SEE_LOG
from trayapp.engine.ports import Checked, NewLogin
from trayapp.oauth import jose
from trayapp.oauth.metadata import Endpoints, json_object
from trayapp.oauth.wire import Request, Wire, url_problem
from trayapp.system.processes import FROZEN, NO_WINDOW, end_process, interpreter

log = logging.getLogger(__name__)

KEYS_LIMIT = 5.0  # s for the server's keys
KEYS_CAP = 256 * 1024  # bytes; Microsoft's have 10,000
VALIDATION_LIMIT = 10.0  # s for the process, which takes half a second
WRONG_RECIPIENT = "The server's ID token is for {}, so this isn't the sign-in that you started."
SHOWN_MAX = 80  # characters of an issuer in a sentence
UNVERIFIED = "Signed in, but couldn't verify the account: {}"

# Verdict of the process → what it means, for `UNVERIFIED`.
FAILURE_TEXTS: Mapping[str, str] = {
    "none": "the ID token isn't signed.",
    "algorithm": "the ID token uses an unsupported signature.",
    "no_key": "the ID token's key isn't among the server's keys.",
    "signature": "the ID token's signature is wrong.",
    "unreadable": "the ID token can't be read.",
    "child": f"the check failed. {SEE_LOG}",
}

# Run by file name, so that none of our packages is loaded with it, and with -P, so that nothing is imported from its own
# directory or the current one. A frozen program has no such file.
COMMAND = ("-m", jose.__name__) if FROZEN else ("-P", jose.__file__)

# The job, which may still be in preparation → the verdict of `jose.check_signature`.
SignatureCheck = Callable[[Awaitable[str]], Awaitable[str]]


class _NoKeysError(Exception):
    """The server's keys couldn't be fetched or read. The text is the end of a sentence."""


class IdTokens:
    """Makes the check of one sign-in's ID token. `check_signature` verifies signatures; by default a child process
    does."""

    def __init__(self, wire: Wire, check_signature: SignatureCheck | None = None) -> None:
        self._wire = wire
        self._check_signature = check_signature
        self._waiting: set[ValidatorProcess] = set()  # for checks that haven't begun

    def start_validator(self, scopes: Collection[str]) -> ValidatorProcess | None:
        """A process that gets ready while the person signs in, if an ID token is expected; None otherwise."""
        return ValidatorProcess() if "openid" in scopes and self._check_signature is None else None

    def with_check(
        self, new: NewLogin, endpoints: Endpoints, now: Moment, validator: ValidatorProcess | None = None
    ) -> NewLogin:
        """The same login with the check of its ID token, if it brought one. `validator` then belongs to the check."""
        if new.id_token is None:
            return new
        expected = ExpectedClaims(new.login.client_id, endpoints.issuer, wall=now.wall)
        if validator is not None:
            self._waiting.add(validator)
        return replace(new, check=self.check(new.id_token, endpoints, expected, new.login.client_secret, validator))

    def check(
        self,
        token: Secret,
        endpoints: Endpoints,
        expected: ExpectedClaims,
        client_secret: Secret | None = None,
        validator: ValidatorProcess | None = None,
    ) -> Callable[[], Awaitable[Checked]]:
        """The check, to be run once the login is stored. It raises nothing."""

        async def run_checks() -> Checked:
            claims = claims_of(token)
            if claims is None:
                return _unverified("unreadable", FAILURE_TEXTS["unreadable"])
            if recipient := mismatch(claims, expected):
                return Checked(
                    Problem("id_token", WRONG_RECIPIENT.format(recipient + _issuer_hint(recipient, claims))),
                    refused=True,
                )
            if untimely := time_fault(claims, expected.wall):
                return _unverified("time", untimely)
            return await self._signature(
                token,
                endpoints,
                client_secret,
                validator.validate if validator else self._check_signature or check_in_process,
            )

        async def check_and_close() -> Checked:
            if validator is None:
                return await run_checks()
            self._waiting.discard(validator)
            try:
                return await run_checks()
            finally:
                await validator.close()

        return check_and_close

    async def close(self) -> None:
        """End the processes for checks that nobody has run: their sign-ins were given up after the server's answer."""
        while self._waiting:
            await self._waiting.pop().close()

    async def _signature(
        self, token: Secret, endpoints: Endpoints, client_secret: Secret | None, check_signature: SignatureCheck
    ) -> Checked:
        algorithm = algorithm_of(token)
        if not endpoints.jwks and algorithm in jose.KEY_TYPES:
            # No document names any keys, because the endpoints were configured one by one. The token came straight
            # from the token endpoint over TLS, which may replace its signature (item 6).
            return Checked()
        # The validator gets ready while the keys are being fetched.
        job = asyncio.ensure_future(self._job(token, algorithm, endpoints, client_secret))
        try:
            verdict = await check_signature(job)
        except _NoKeysError as error:
            return _unverified("keys", str(error))
        finally:
            job.cancel()
        return (
            Checked() if verdict == "ok" else _unverified(verdict, FAILURE_TEXTS.get(verdict, FAILURE_TEXTS["child"]))
        )

    async def _job(self, token: Secret, algorithm: str, endpoints: Endpoints, client_secret: Secret | None) -> str:
        """The JSON text for `jose.check_signature`. Raises `_NoKeysError`."""
        keys = await self._fetch_keys(endpoints) if algorithm in jose.KEY_TYPES else []
        secret = client_secret.reveal() if client_secret else None
        return json.dumps({"token": token.reveal(), "keys": keys, "secret": secret})

    async def _fetch_keys(self, endpoints: Endpoints) -> list[object]:
        """The server's keys, fetched each time from the address it names; redirects aren't followed."""
        request = Request("GET", endpoints.jwks, nearest_allowed=endpoints.nearest_allowed)
        reply = await self._wire.send(request, limit=KEYS_LIMIT, cap=KEYS_CAP)
        if isinstance(reply, Fault):
            raise _NoKeysError("couldn't fetch the server's keys.")
        document = json_object(reply)
        keys = document.get("keys") if document is not None else None
        if not isinstance(keys, list):
            raise _NoKeysError(f"couldn't read the server's keys (HTTP {reply.status}).")
        return keys


def _unverified(code: str, reason: str) -> Checked:
    return Checked(Problem("id_token", UNVERIFIED.format(reason)[:200], code=code))


def _issuer_hint(recipient: str, claims: Mapping[str, Any]) -> str:
    """The issuer that the token names, because a setting may only lack a slash; empty if it isn't fit to be shown."""
    stated_issuer = claims.get("iss")
    showable = (
        recipient == ANOTHER_ISSUER
        and isinstance(stated_issuer, str)
        and len(stated_issuer) <= SHOWN_MAX
        and not url_problem(stated_issuer)
    )
    return f" ({stated_issuer})" if showable else ""


# --- the process -------------------------------------------------------------------------------------------------------


class ValidatorProcess:
    """`jose.py` in a process of its own. It starts immediately, gets ready, and waits for its one job."""

    def __init__(self) -> None:
        self._starting = asyncio.create_task(_start(), name="get ready for an ID token")

    async def validate(self, job: Awaitable[str]) -> str:
        """The verdict of `jose.check_signature`; `child` if the process failed. The process has ended afterwards."""
        try:
            process = await asyncio.shield(self._starting)
            if process is None:
                return "child"
            async with asyncio.timeout(VALIDATION_LIMIT):
                output, _ = await process.communicate((await job).encode())
        except TimeoutError:
            log.warning("checking an ID token took longer than %g s", VALIDATION_LIMIT)
            return "child"
        finally:
            await self.close()
        if process.returncode != 0:
            log.warning("checking an ID token ended with %s", process.returncode)
            return "child"
        return output.decode("ascii", "replace")

    async def close(self) -> None:
        """End the process if it still runs. A cancellation doesn't keep it from that."""
        cancelled: asyncio.CancelledError | None = None
        while not self._starting.done():
            try:
                await asyncio.wait((self._starting,))
            except asyncio.CancelledError as error:
                cancelled = error
        process = None if self._starting.cancelled() else self._starting.result()
        if process is not None:
            await end_process(process)
        if cancelled is not None:
            raise cancelled


async def _start() -> asyncio.subprocess.Process | None:
    """Start the process. It raises nothing, because a sign-in may already be waiting for its end."""
    try:
        return await asyncio.create_subprocess_exec(
            interpreter(),
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # a traceback there could quote the token
            env={**os.environ, "PYTHONUTF8": "1"},
            creationflags=NO_WINDOW,
        )
    except Exception as error:  # noqa: BLE001 - some event loops have no processes at all, some systems no room
        log.warning("checking an ID token could not start (%s)", type(error).__name__)
        return None


async def check_in_process(job: Awaitable[str]) -> str:
    """`jose.check_signature` in a process that starts now."""
    return await ValidatorProcess().validate(job)
