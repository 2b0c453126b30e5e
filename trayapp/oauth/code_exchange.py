"""Token endpoint answers at sign-in, read as a new login or as a plain reason why there is none."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace

from trayapp.core.classify import classify
from trayapp.core.model import AccessToken, Login, Moment, Problem, Secret, Spec
from trayapp.core.outcomes import Ambiguous, NotSent, Refreshed, Refused, Reply
from trayapp.core.quirks import no_refresh_help, provider_of
from trayapp.engine.ports import NewLogin
from trayapp.oauth.idtoken import subject_of
from trayapp.oauth.metadata import Endpoints

# The error codes of RFC 6749 section 5.2, in the words that fit a sign-in.
ERROR_TEXTS: Mapping[str, str] = {
    "invalid_grant": "The server did not accept the code of this sign-in: please try again",
    "invalid_client": "The server does not know this client: check client_id, or its secret",
    "unauthorized_client": "The server does not let this client sign in like this: check its registration",
    "unsupported_grant_type": "The server does not know this way to sign in",
    "invalid_scope": "The server does not know these scopes: check scopes",
    "invalid_request": "The server did not understand the request: check client_id, scopes and resource",
    "invalid_token": "The server did not accept the code of this sign-in: please try again",
}


def new_login(
    spec: Spec,
    endpoints: Endpoints,
    reply: Reply,
    sent_at: Moment,
    *,
    client_secret: Secret | None = None,
    registration: Secret | None = None,
) -> NewLogin | Problem:
    """Read the answer to a code. `sent_at` is the moment before the request, so that no token is taken to live longer
    than it does.

    `spec` names the client, scopes and resource that were used; `client_secret` and `registration`, which prove the
    client, are stored with the login.
    """
    match classify(reply, provider_of(endpoints.token), sent_at.wall):
        case Refreshed(refresh_token=None):
            provider_hint = no_refresh_help(endpoints.token)
            words = provider_hint or "Add the scope that it wants for one (often offline_access) to scopes."
            return Problem("no_refresh_token", f"The server gave no refresh token. {words}")
        case Refreshed() as refreshed:
            new = _login(spec, endpoints, refreshed, sent_at)
            kept = replace(new.login, client_secret=client_secret, registration=registration)
            return replace(new, login=kept)
        case Refused(problem):
            words = ERROR_TEXTS.get(problem.code, "The server refused the sign-in")
            return Problem("exchange", f"{words} ({problem.code}).", problem.http_status, problem.code)
        case NotSent(problem) | Ambiguous(problem):
            return Problem("exchange", problem.summary, problem.http_status, problem.code)
        case busy:
            return Problem("exchange", busy.problem.summary, busy.problem.http_status, busy.problem.code)


def _login(spec: Spec, endpoints: Endpoints, refreshed: Refreshed, sent_at: Moment) -> NewLogin:
    assert refreshed.refresh_token is not None  # noqa: S101 - the caller looked
    login = Login(
        generation=1,
        lineage=secrets.token_hex(16),
        refresh_token=refreshed.refresh_token,
        obtained_at=sent_at.wall,
        token_endpoint=endpoints.token,
        client_id=spec.client_id,
        issuer=endpoints.issuer,
        subject=subject_of(refreshed.id_token),
        scope=refreshed.scope or " ".join(spec.scopes),
        resource=spec.resource,
        revocation_endpoint=endpoints.revocation,
    )
    life = None if refreshed.expires_in is None else min(refreshed.expires_in, spec.policy.lifetime_cap)
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
