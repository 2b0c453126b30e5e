"""What a sign-in asks for: offline_access where the server knows it, and what an upstream wants beyond the login."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oauth.attempts import Attempt, browse, issuer_of
from tests.oauth.authserver import AuthServer, auth_server
from trayapp.core.model import Spec
from trayapp.core.permission import Needs

KNOWS: dict[str, Any] = {"scopes_supported": ["openid", "offline_access", "read", "write"]}


async def asked(server: AuthServer, spec: Spec) -> dict[str, str]:
    """The authorization request of a sign-in, whose steps are `steps`."""
    async with Attempt(spec, linger=0.1) as attempt:
        await browse(await attempt.url())
        await attempt.login()
        return {**server.authorized[-1], "steps": " ".join(attempt.signin.steps(spec.name))}


def discovered(server: AuthServer, **more: Any) -> Spec:
    return Spec("w", f"{server.base}/mcp", client_id="c", **more)


async def test_the_first_sign_in_asks_for_offline_access() -> None:
    """Discovered: with `openid`, so with the consent that OpenID Connect demands."""

    async with auth_server(metadata=KNOWS, protected={"scopes_supported": ["read"]}) as server:
        request = await asked(server, discovered(server))

    assert ("read openid offline_access", "consent") == (request["scope"], request["prompt"])


@pytest.mark.parametrize("configured", [True, False])
async def test_configured_scopes_get_it_too(configured: bool) -> None:
    """Whoever configured the scopes need not know of it. `openid` isn't added: it would change what the login is."""

    async with auth_server(metadata=KNOWS) as server:
        spec = issuer_of(server, scopes=("read",)) if configured else discovered(server, scopes=("read",))
        request = await asked(server, spec)

    assert "read offline_access" == request["scope"]
    assert "prompt" not in request


@pytest.mark.parametrize(
    ("known", "scopes", "scope", "prompt"),
    [
        ({}, ("read",), "read", None),  # the server doesn't know it
        ({"scopes_supported": ["read"]}, ("read",), "read", None),
        (KNOWS, ("openid", "offline_access"), "openid offline_access", "consent"),
        ({}, ("openid", "offline_access"), "openid offline_access", None),
        (KNOWS, (), None, None),  # the server chooses; a single scope would replace all of that
    ],
)
async def test_nothing_else_changes_what_was_configured(
    known: dict[str, Any], scopes: tuple[str, ...], scope: str | None, prompt: str | None
) -> None:
    """Only a server that advertises the scope is asked for it."""

    async with auth_server(metadata=known) as server:
        request = await asked(server, issuer_of(server, scopes=scopes))

    assert (scope, prompt) == (request.get("scope"), request.get("prompt"))


async def test_what_the_upstream_needs_is_asked_for_beside_the_rest() -> None:
    """The union of configured, granted and needed scopes, said before the page opens."""

    needs = Needs(permission=True, scopes=("read", "user", "write"))
    async with auth_server() as server:
        request = await asked(server, issuer_of(server, scopes=("read",), needs=needs))

    assert "read user write" == request["scope"]
    assert "for: read, user, write." in request["steps"]
    assert "max_age" not in request


async def test_a_stronger_sign_in_is_asked_for() -> None:
    """RFC 9470: the authentication contexts in their order, and how old the sign-in may be."""

    needs = Needs(authentication=True, acr_values=("gold", "silver"), max_age=0)
    async with auth_server() as server:
        request = await asked(server, issuer_of(server, scopes=("read",), needs=needs))

    assert ("gold silver", "0", "read") == (request["acr_values"], request["max_age"], request["scope"])


async def test_a_registration_for_fewer_scopes_is_made_anew() -> None:
    """A client that registered for less would be refused."""

    async with auth_server(registers=True, protected={"scopes_supported": ["read"]}) as server:
        spec = Spec("w", f"{server.base}/mcp", needs=Needs(permission=True, scopes=("write",)))
        request = await asked(server, spec)

    assert "read write" == request["scope"]
    assert ["read write"] == [client["scope"] for client in server.clients.values()]


async def test_a_person_is_told_that_there_is_no_refresh_token() -> None:
    """As a step of the sign-in; the login is good."""

    async with auth_server(grant={"refresh_token": None}) as server:
        request = await asked(server, issuer_of(server))

    assert "The server gave no refresh token." in request["steps"]
