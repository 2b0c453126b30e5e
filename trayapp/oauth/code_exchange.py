"""Token endpoint answers at sign-in, read as a new login or as a plain reason why there is none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace

from trayapp.core.access_only import LIFE_MAX
from trayapp.core.classify import classify
from trayapp.core.id_claims import CHECK_CLOCK, account_of, subject_of
from trayapp.core.model import AccessToken, Login, Moment, Problem, Secret, Spec
from trayapp.core.outcomes import Ambiguous, NotSent, Refreshed, Refused, Reply, ServerBusy
from trayapp.core.quirks import no_refresh_help, provider_of
from trayapp.engine.ports import NewLogin
from trayapp.oauth.flow import BAD_REQUEST, REFUSED, UNKNOWN_RESOURCE, UNKNOWN_SCOPES
from trayapp.oauth.metadata import Endpoints

NOT_ACCEPTED = "The server didn't accept the code of this sign-in; try again"
# The error codes of RFC 6749 section 5.2, in the words that fit a sign-in.
ERROR_TEXTS: Mapping[str, str] = {
    "invalid_grant": NOT_ACCEPTED,
    "invalid_client": "The server doesn't know this client; check client_id and its secret",
    "unauthorized_client": "The server doesn't let this client sign in this way; check its registration",
    "unsupported_grant_type": "The server doesn't support this way to sign in",
    "invalid_scope": UNKNOWN_SCOPES,
    "invalid_target": UNKNOWN_RESOURCE,
    "invalid_request": BAD_REQUEST,
    "invalid_token": NOT_ACCEPTED,
}


NOT_BOUND = "The server gave a token that isn't bound to this sign-in's key (DPoP). If it can't do that, remove dpop from the configuration."
ENDED = f"The server gave no refresh token, and its access token has already expired. {CHECK_CLOCK}"


def new_login(
    spec: Spec,
    endpoints: Endpoints,
    reply: Reply,
    sent_at: Moment,
    *,
    client_secret: Secret | None = None,
    registration: Secret | None = None,
    proof_key: Secret | None = None,
) -> NewLogin | Problem:
    """Read the answer to a code. `sent_at` is the moment before the request, so that no token is taken to live longer
    than it does. A token that isn't bound to `proof_key` is discarded (RFC 9449 section 5).

    `spec` names the client, scopes and resource that were used; `client_secret` and `registration`, which prove the
    client, are stored with the login.
    """
    match classify(reply, provider_of(endpoints.token), sent_at.wall):
        case Refreshed(refresh_token=None, expires_in=0.0):
            return Problem("exchange", ENDED)
        case Refreshed(bound=False) if proof_key is not None:
            return Problem("exchange", NOT_BOUND)
        case Refreshed() as refreshed:
            new = _login(spec, endpoints, refreshed, sent_at)
            key = proof_key if refreshed.bound else None
            kept = replace(new.login, client_secret=client_secret, registration=registration, proof_key=key)
            return replace(new, login=kept, access=replace(new.access, proof_key=key))
        case Refused(problem):
            words = ERROR_TEXTS.get(problem.code, REFUSED)
            return Problem("exchange", f"{words} ({problem.code}).", problem.http_status, problem.code)
        case NotSent(problem) | Ambiguous(problem):
            return Problem("exchange", problem.summary, problem.http_status, problem.code)
        case ServerBusy(Problem(code="invalid_target") as problem):  # no verdict on a login, but one on a sign-in
            words = f"{ERROR_TEXTS[problem.code]} ({problem.code})."
            return Problem("exchange", words, problem.http_status, problem.code)
        case busy:
            return Problem("exchange", busy.problem.summary, busy.problem.http_status, busy.problem.code)


def _login(spec: Spec, endpoints: Endpoints, refreshed: Refreshed, sent_at: Moment) -> NewLogin:
    renewable = refreshed.refresh_token is not None
    life = _life(spec, refreshed)
    login = Login(
        generation=1,
        lineage=secrets.token_hex(16),
        refresh_token=refreshed.refresh_token or Secret(""),
        obtained_at=sent_at.wall,
        token_endpoint=endpoints.token,
        client_id=spec.client_id,
        issuer=endpoints.issuer,
        subject=subject_of(refreshed.id_token),
        account=account_of(refreshed.id_token),
        scope=refreshed.scope or " ".join(spec.scopes),
        resource=spec.resource,
        revocation_endpoint=endpoints.revocation,
        access_token=None if renewable else refreshed.access_token,
        expires_at=None if renewable or life is None else sent_at.wall + life,
    )
    return NewLogin(
        login,
        AccessToken(
            serial=0,
            value=refreshed.access_token,
            obtained_at=sent_at.at,
            expires_at=None if life is None else sent_at.at + life,
            expires_wall=None if life is None else sent_at.wall + life,
        ),
        id_token=refreshed.id_token,
    )


def _life(spec: Spec, refreshed: Refreshed) -> float | None:
    """Seconds that the access token lives, None if that isn't known. Without a refresh token it is served to its end, so
    M1's cap, which only makes refreshes more frequent, isn't applied."""
    if refreshed.expires_in is None:
        return None
    if refreshed.refresh_token is None:
        return refreshed.expires_in if refreshed.expires_in < LIFE_MAX else None
    return min(refreshed.expires_in, spec.policy.lifetime_cap)


def without_refresh_token(token_endpoint: str) -> str:
    """What a person should know about a login that the server gave no refresh token for, in two sentences at most."""
    words = no_refresh_help(token_endpoint) or "It may need another scope for that, often offline_access."
    return f"The server gave no refresh token. {words}"
