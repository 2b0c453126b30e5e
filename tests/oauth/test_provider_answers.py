"""Every row of the provider table, over HTTPS under the provider's own name: what a refresh sends, what its answers mean."""

from __future__ import annotations

import base64
import socket
import ssl
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import trustme

from tests.core.replies import FORM, JSON
from tests.oauth.provider_answers import CASES, GUID, STANDARD, VARIANTS, Case, grant
from tests.oauth.tls import trusting
from tests.oauth.token_requests import AMPLE, CANARY, server_side
from tests.raw_server import Received, http_response, raw_server, respond_with
from trayapp.core.classify import classify
from trayapp.core.model import Login, Secret
from trayapp.core.outcomes import Answer, Fault, Outcome, Refreshed, Refused, ServerBusy
from trayapp.core.providers import PROVIDERS
from trayapp.core.quirks import provider_of
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire

SECRET = "s3cret-canary"
FRESH = b'{"access_token":"at","token_type":"Bearer","expires_in":3600}'


@pytest.fixture(autouse=True)
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider's name leads to this machine, and no proxy is used."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    real = socket.getaddrinfo
    hosts = {urlsplit(case.endpoint).hostname for case in CASES.values()}

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return real("127.0.0.1" if name in hosts else name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


def login(case: Case, port: int, **more: Any) -> Login:
    parts = urlsplit(case.endpoint)
    made: dict[str, Any] = {"scope": case.granted, "resource": case.resource}
    if case.secret:
        made["client_secret"] = Secret(SECRET)
    endpoint = f"https://{parts.hostname}:{port}{parts.path}"
    return Login(1, "lineage", Secret(CANARY), 0.0, endpoint, case.client_id, **(made | more))


async def refresh(case: Case, authority: trustme.CA, answer: bytes, **more: Any) -> tuple[Outcome, Received]:
    """One refresh at this provider: its outcome, and what the server received."""
    host = urlsplit(case.endpoint).hostname
    assert host is not None
    async with raw_server(respond_with(answer), server_side(authority, host)) as server:
        made = login(case, server.port, **more)
        reply = await HttpTokens(trusting(authority)).refresh(made, limit=AMPLE, connect=AMPLE)
    assert not isinstance(reply, Fault), reply.summary
    return classify(reply, provider_of(made.token_endpoint)), server


def sent(server: Received) -> tuple[dict[str, str], str]:
    """The form that was sent, and its Authorization header."""
    head, _, body = server.received.partition(b"\r\n\r\n")
    lines = [line for line in head.decode().split("\r\n") if line.lower().startswith("authorization:")]
    return dict(parse_qsl(body.decode())), lines[0].partition(": ")[2] if lines else ""


def reply_of(status: int, content: bytes, kind: str) -> bytes:
    return http_response(f"{status} Some Reason", content, kind=kind)


@pytest.mark.parametrize("name", CASES)
async def test_the_documented_refusal_ends_the_login_immediately(name: str, authority: trustme.CA) -> None:
    """Each provider's own "no" is a verdict, with the standard's code and the provider's word."""

    case = CASES[name]
    outcome, _ = await refresh(case, authority, reply_of(case.status, case.content(), case.kind))

    assert isinstance(outcome, Refused)
    assert case.code == outcome.problem.code
    assert case.word in outcome.problem.summary


@pytest.mark.parametrize("name", CASES)
async def test_a_refresh_sends_what_the_provider_needs_and_nothing_more(name: str, authority: trustme.CA) -> None:
    """Token, client and grant type; the secret where the provider looks for it; scope or resource where it needs one."""

    case = CASES[name]
    outcome, server = await refresh(case, authority, http_response("200 OK", FRESH))
    form, proof = sent(server)

    assert isinstance(outcome, Refreshed)
    wanted = {"grant_type": "refresh_token", "refresh_token": CANARY} | case.sends
    if not case.secret or case.in_body:
        wanted["client_id"] = case.client_id
    if case.in_body:
        wanted["client_secret"] = SECRET
    assert wanted == form
    basic = base64.b64encode(f"{case.client_id}:{SECRET}".encode()).decode()
    assert proof == (f"Basic {basic}" if case.secret and not case.in_body else "")


@pytest.mark.parametrize(("name", "status", "body", "code"), VARIANTS)
async def test_other_final_answers_of_the_same_providers(
    name: str, status: int, body: object, code: str, authority: trustme.CA
) -> None:
    """Every shape that a provider has for its "no" ends the login."""

    case = Case(CASES[name].endpoint, status, body, code, "", real=False)
    outcome, _ = await refresh(case, authority, reply_of(status, case.content(), JSON))

    assert isinstance(outcome, Refused)
    assert code == outcome.problem.code


@pytest.mark.parametrize("row", PROVIDERS, ids=lambda row: row.name)
def test_every_row_is_replayed(row: Any) -> None:
    """A row without an answer of its own isn't tested, and each answer belongs to the row it is listed under."""

    assert row.name in CASES
    assert row.name == provider_of(CASES[row.name].endpoint)
    assert len(CASES) == len(PROVIDERS)


@pytest.mark.parametrize(("name", "endpoint", "status", "body", "source"), STANDARD)
def test_a_provider_that_keeps_to_the_standard_needs_no_row(
    name: str, endpoint: str, status: int, body: object, source: str
) -> None:
    """Its published refusal ends a login without anybody knowing the provider."""

    content = Case(endpoint, status, body, "", "", real=True).content()
    assert "" == provider_of(endpoint)
    assert isinstance(classify(Answer(status, {"content-type": JSON}, content)), Refused), name
    assert source.startswith("https://")


# --- a standard code in a 200 ----------------------------------------------------------------------------------------

UNKNOWN = Case("https://tracker.corp.example/token", 200, {"error": "invalid_grant"}, "invalid_grant", "", real=False)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b'{"error":"invalid_grant"}', JSON),
        (200, b"error=invalid_grant&error_description=gone", FORM),
        (200, b'{"error":"invalid_client"}', JSON),
    ],
)
async def test_a_standard_refusal_in_a_200_ends_a_login(
    status: int, body: bytes, kind: str, authority: trustme.CA
) -> None:
    """Some servers say everything with 200; over verified TLS nobody else can have said it."""

    outcome, _ = await refresh(UNKNOWN, authority, reply_of(status, body, kind))
    assert isinstance(outcome, Refused)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<p>error=invalid_grant</p>", "text/html"),
        (200, b"error=invalid_grant", "text/html"),
        (200, b'{"error":"access_denied"}', JSON),  # not one of row 6
        (200, b'{"error":"temporarily_unavailable"}', JSON),
        (200, b'{"error":{"code":"invalid_grant"}}', JSON),
        (201, b'{"error":"invalid_grant"}', JSON),
        (202, b'{"error":"invalid_grant"}', JSON),
        (404, b'{"error":"invalid_grant"}', JSON),
    ],
)
async def test_what_only_resembles_it_means_later(status: int, body: bytes, kind: str, authority: trustme.CA) -> None:
    """Web pages, other codes and other statuses end nothing."""

    outcome, _ = await refresh(UNKNOWN, authority, reply_of(status, body, kind))
    assert isinstance(outcome, ServerBusy)


async def test_on_this_machine_plain_http_is_as_good() -> None:
    """No one stands between this machine and itself."""

    async with raw_server(respond_with(http_response("200 OK", b'{"error":"invalid_grant"}'))) as server:
        made = Login(1, "l", Secret(CANARY), 0.0, f"http://127.0.0.1:{server.port}/token", "c")
        reply = await HttpTokens(Wire("0")).refresh(made, limit=AMPLE, connect=AMPLE)

    assert isinstance(reply, Answer)
    assert reply.verified
    assert isinstance(classify(reply), Refused)


async def test_without_a_verified_certificate_a_200_decides_nothing(authority: trustme.CA) -> None:
    """A wire that doesn't check certificates proves nothing about who answered."""

    def careless() -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    answer = respond_with(http_response("200 OK", b'{"error":"invalid_grant"}'))
    async with raw_server(answer, server_side(authority, "tracker.corp.example")) as server:
        tokens = HttpTokens(Wire("0", careless))
        reply = await tokens.refresh(login(UNKNOWN, server.port), limit=AMPLE, connect=AMPLE)

    assert isinstance(reply, Answer)
    assert not reply.verified
    assert isinstance(classify(reply), ServerBusy)


# --- the scopes of a refresh at Entra --------------------------------------------------------------------------------

OTHER = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("granted", "scope"),
    [
        (f"api://{GUID}/access_as_user", f"{GUID}/access_as_user offline_access"),
        (f"{GUID}/access_as_user", f"{GUID}/access_as_user offline_access"),
        (f"api://{GUID}/a api://{GUID}/b offline_access", f"{GUID}/a {GUID}/b offline_access"),
        (f"openid api://{GUID}/a", f"openid {GUID}/a offline_access"),
        (f"api://{OTHER}/read", f"{OTHER}/read offline_access"),  # another app: its GUID is right as well
        (f"api://corp.example/{GUID}/tab", f"{GUID}/tab offline_access"),  # as Teams wants it
        (f"api://{GUID}/.default", f"{GUID}/.default offline_access"),
        ("api://notes/read", "api://notes/read offline_access"),  # nothing says which GUID that is
        (f"api://{OTHER}/notes/read", f"api://{OTHER}/notes/read offline_access"),  # there it's the tenant's
        ("https://corp.example/api/read", "https://corp.example/api/read offline_access"),
        ("User.Read Mail.Read", "User.Read Mail.Read offline_access"),
        ("https://graph.microsoft.com/User.Read Mail.Read", "https://graph.microsoft.com/User.Read Mail.Read offline_access"),
        (f"api://{GUID}/a User.Read", f"{GUID}/a offline_access"),  # two resources in one request are refused
        ("openid profile", "openid profile offline_access"),
        ("", None),  # nothing is known to have been granted
    ],
)  # fmt: skip
async def test_entra_v2_is_told_the_granted_scopes_by_guid(
    granted: str, scope: str | None, authority: trustme.CA
) -> None:
    """One resource's scopes, never more than were granted, and offline_access."""

    _, server = await refresh(CASES["entra"], authority, http_response("200 OK", FRESH), scope=granted)
    form, _ = sent(server)

    assert scope == form.get("scope")
    assert "resource" not in form


REFUSED = grant("AADSTS90009: Application is requesting a token for itself.", "invalid_request", error_codes=[90009])


async def at_entra(
    authority: trustme.CA, granted: str, accepted: str, limit: float = AMPLE
) -> tuple[Outcome, list[str]]:
    """A refresh at an Entra that gives a token for the scope `accepted` and refuses all others; the scopes it was asked for."""
    asked: list[str] = []

    async def entra(reader: Any, writer: Any, received: Received) -> None:
        request = await received.request(reader)
        asked.append(dict(parse_qsl(request.partition(b"\r\n\r\n")[2].decode())).get("scope", ""))
        good = asked[-1] == accepted
        body = FRESH if good else Case("", 400, REFUSED, "", "", real=True).content()
        writer.write(http_response("200 OK" if good else "400 Bad Request", body))
        await writer.drain()

    async with raw_server(entra, server_side(authority, "login.microsoftonline.com")) as server:
        made = login(CASES["entra"], server.port, scope=granted)
        reply = await HttpTokens(trusting(authority)).refresh(made, limit=limit, connect=AMPLE)
    return classify(reply, "entra"), asked


async def test_an_app_that_is_client_and_api_in_one_is_refreshed(authority: trustme.CA) -> None:
    """Without a scope, or with its address in one, Entra answers AADSTS90009; by its GUID it gives the token."""

    own = f"{GUID}/access_as_user offline_access"
    outcome, asked = await at_entra(authority, f"api://{GUID}/access_as_user", own)

    assert isinstance(outcome, Refreshed)
    assert [own] == asked


@pytest.mark.parametrize("address", ["api://notes", "https://corp.example/notes"])
async def test_an_app_that_asks_for_itself_by_a_name_says_its_guid(address: str, authority: trustme.CA) -> None:
    """Nothing tells whose name that is but Entra's own answer."""

    outcome, asked = await at_entra(
        authority, f"{address}/read {address}/write", f"{GUID}/read {GUID}/write offline_access"
    )

    assert isinstance(outcome, Refreshed)
    assert [f"{address}/read {address}/write offline_access", f"{GUID}/read {GUID}/write offline_access"] == asked


async def test_entra_is_asked_twice_at_most(authority: trustme.CA) -> None:
    """If the GUID doesn't help either, the refusal stands, and says what to do."""

    outcome, asked = await at_entra(authority, "api://notes/read", "nothing")

    assert isinstance(outcome, Refused)
    assert "CLIENT_ID/NAME" in outcome.problem.summary
    assert 2 == len(asked)


@pytest.mark.parametrize(
    ("resource", "named"),
    [
        (f"api://{GUID}", GUID),
        (f"api://{GUID}/", GUID),
        ("https://mcp.corp.example/mcp", "https://mcp.corp.example/mcp"),
    ],
)
async def test_entra_v1_is_told_the_resource_by_guid(resource: str, named: str, authority: trustme.CA) -> None:
    """v1 has no scopes; what names the app there is `resource`."""

    case = Case(f"https://login.microsoftonline.com/{GUID}/oauth2/token", 200, {}, "", "", real=False, client_id=GUID)
    _, server = await refresh(case, authority, http_response("200 OK", FRESH), resource=resource, scope="user")
    form, _ = sent(server)

    assert (named, None) == (form.get("resource"), form.get("scope"))
