"""Provider-specific parameters of sign-in and token requests, as they leave the program."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from tests.core.replies import answer
from trayapp.core.model import Login, Moment, Problem, Secret, Spec
from trayapp.core.outcomes import Answer
from trayapp.engine.ports import NewLogin
from trayapp.oauth.code_exchange import new_login, without_refresh_token
from trayapp.oauth.flow import begin
from trayapp.oauth.metadata import Endpoints
from trayapp.oauth.tokens import CodeGrant, exchange_request, refresh_request

NOW = Moment(0.0, 0.0, 0.0)
ENTRA = "https://login.microsoftonline.com/common/oauth2/v2.0/"
GITHUB = "https://github.com/login/oauth/access_token"
RESOURCE = "https://api.example/mcp"


def endpoints(authorization: str, token: str) -> Endpoints:
    return Endpoints(authorization=authorization, token=token)


async def page(where: Endpoints, *scopes: str) -> dict[str, list[str]]:
    """The parameters of the authorization page."""
    spec = Spec("w", RESOURCE, client_id="c", scopes=scopes, resource=RESOURCE)
    flow = begin(spec, where, "http://127.0.0.1:1/callback")
    return parse_qs(urlsplit(flow.url).query)


async def test_entra_is_asked_without_resource_and_for_offline_access() -> None:
    """In the browser, for the code and at every refresh: its v2 endpoints refuse `resource`."""

    asked = await page(endpoints(ENTRA + "authorize", ENTRA + "token"), "api://x/read")
    assert ["api://x/read offline_access"] == asked["scope"]
    assert "resource" not in asked
    code = CodeGrant(ENTRA + "token", "c", Secret("k"), Secret("v"), "http://127.0.0.1:1/callback", RESOURCE)
    assert "resource" not in parse_qs(exchange_request(code).body)
    login = Login(1, "L", Secret("r"), 0.0, ENTRA + "token", "c", resource=RESOURCE)
    assert "resource" not in parse_qs(refresh_request(login).body)


async def test_google_is_asked_for_offline_access() -> None:
    """Otherwise it gives no refresh token; PKCE, state and resource are as ever."""

    asked = await page(endpoints("https://accounts.google.com/o/oauth2/v2/auth", "https://oauth2.googleapis.com/token"))
    assert (["offline"], ["consent"]) == (asked["access_type"], asked["prompt"])
    assert (["S256"], [RESOURCE]) == (asked["code_challenge_method"], asked["resource"])
    assert "scope" not in asked
    assert asked["state"][0]


async def test_auth0_is_asked_by_the_older_name_too() -> None:
    """`audience` is the resource."""

    asked = await page(endpoints("https://t.auth0.com/authorize", "https://t.auth0.com/oauth/token"), "x")
    assert ([RESOURCE], [RESOURCE]) == (asked["audience"], asked["resource"])


async def test_an_unknown_server_gets_the_standard_and_nothing_else() -> None:
    """No parameter of a provider reaches another."""

    asked = await page(endpoints("https://as.example/authorize", "https://as.example/token"), "a", "b")
    assert {
        "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
        "resource",
    } == asked.keys()  # fmt: skip
    assert ["a b"] == asked["scope"]


def refused(reply: Answer) -> Problem:
    where = endpoints("https://github.com/login/oauth/authorize", GITHUB)
    problem = new_login(Spec("w", RESOURCE, client_id="c"), where, reply, NOW)
    assert isinstance(problem, Problem)
    return problem


def test_a_login_without_refresh_token_is_explained() -> None:
    """GitHub's OAuth apps get none, and need none."""

    where = endpoints("https://github.com/login/oauth/authorize", GITHUB)
    reply = answer(200, {"access_token": "a", "token_type": "bearer"})
    new = new_login(Spec("w", RESOURCE, client_id="c"), where, reply, NOW)
    assert isinstance(new, NewLogin)
    assert (False, None) == (new.login.renewable, new.login.expires_at)
    assert without_refresh_token(GITHUB).endswith("OAuth apps don't expire.")
    assert "offline_access" in without_refresh_token("https://as.example/token")


def test_githubs_200_with_an_error_is_a_refused_code() -> None:
    """Not a server in trouble."""

    problem = refused(answer(200, {"error": "bad_verification_code"}))
    assert ("exchange", "invalid_grant") == (problem.kind, problem.code)
