"""The authorization endpoint, PKCE, the consent page, client authentication and the metadata."""

from __future__ import annotations

import base64
import http.server
import re
import ssl
import threading

import pytest
import trustme

from tests.oauthtest.client import AGENT, REDIRECT, SignIn, ask, post, redirected, refresh
from trayapp.oauthtest import ClientMisbehaved, OAuthServer, Rule, browse


def rules(server: OAuthServer) -> list[Rule]:
    """The rules that were broken."""
    return [violation.rule for violation in server.violations]


def test_a_whole_sign_in(oauth_server: OAuthServer) -> None:
    """Code, state and iss come back, and the code is good for a login."""

    sign_in = SignIn.new(oauth_server)
    callback = sign_in.callback(scope="mail")
    answer = sign_in.redeem(callback["code"]).json()

    assert (sign_in.state, oauth_server.issuer) == (callback["state"], callback["iss"])
    assert "mail" == answer["scope"]
    assert oauth_server.valid_access(answer["access_token"])
    assert 200 == refresh(oauth_server, answer["refresh_token"]).status
    assert ["authorize", "token", "token"] == [record.kind for record in oauth_server.requests]


def test_iss_can_be_missing_or_wrong(oauth_server: OAuthServer) -> None:
    """For clients that must notice a mix-up (RFC 9207)."""

    oauth_server.wrong_iss = "https://other.example"
    assert "https://other.example" == SignIn.new(oauth_server).callback()["iss"]
    oauth_server.send_iss = False
    assert "iss" not in SignIn.new(oauth_server).callback()


@pytest.mark.parametrize(
    ("change", "error", "rule"),
    [
        ({"code_challenge": None}, "invalid_request", Rule.PKCE_MISSING),
        ({"code_challenge": "x" * 42}, "invalid_request", Rule.PKCE_WRONG),
        ({"code_challenge": "x" * 44}, "invalid_request", Rule.PKCE_WRONG),
        ({"code_challenge": "x" * 42 + "="}, "invalid_request", Rule.PKCE_WRONG),
        ({"code_challenge_method": "plain"}, "invalid_request", Rule.PKCE_WRONG),
        ({"code_challenge_method": None}, "invalid_request", Rule.PKCE_WRONG),
        ({"state": None}, "invalid_request", Rule.STATE_MISSING),
        ({"response_type": "token"}, "unsupported_response_type", Rule.UNSUPPORTED),
    ],
)
def test_a_bad_request_is_sent_back_with_an_error(change: dict[str, str | None], error: str, rule: Rule) -> None:
    """The redirect carries the error code and no code, and the breach is noted."""

    with OAuthServer(check=False) as server:
        callback = SignIn.new(server).callback(**change)

        assert error == callback["error"]
        assert "code" not in callback
        assert [rule] == rules(server)


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:4000/cb",
        "https://127.0.0.1:4000/cb",
        "http://127.0.0.1/cb",
        "http://127.0.0.1.evil.example:4000/cb",
        "http://127.0.0.1:4000@evil.example:1/cb",
        "http://user@127.0.0.1:4000/cb",
        "http://127.0.0.1:4000/cb#x",
        "http://127.0.0.1:port/cb",
        "app:/cb",
    ],
)
def test_a_bad_redirect_uri_is_never_followed(uri: str) -> None:
    """The browser gets a page, not a redirect, whatever else is right."""

    with OAuthServer(check=False) as server:
        got = ask(SignIn.new(server).url(redirect_uri=uri))

        assert 400 == got.status
        assert "location" not in got.headers
        assert [Rule.BAD_REDIRECT] == rules(server)


def test_a_redirect_to_localhost_if_it_is_asked_for() -> None:
    """Some clients can't do without; another host stays refused."""

    with OAuthServer(localhost=True, check=False) as server:
        assert 303 == ask(SignIn.new(server).url(redirect_uri="http://localhost:4000/cb")).status
        assert 400 == ask(SignIn.new(server).url(redirect_uri="http://localhost.example:4000/cb")).status


def test_an_unknown_client_gets_a_page(oauth_server: OAuthServer) -> None:
    """A client_id that is not ours is no reason to redirect."""

    assert 400 == ask(SignIn.new(oauth_server).url(client_id="someone else")).status
    assert 1 == oauth_server.count("authorize", outcome="invalid_client")


def test_ipv6_loopback_and_any_port_are_fine(oauth_server: OAuthServer) -> None:
    """RFC 8252 section 7.3: any port, on either loopback literal."""

    got = ask(SignIn.new(oauth_server).url(redirect_uri="http://[::1]:65000/cb?x=1"))

    assert got.headers["location"].startswith("http://[::1]:65000/cb?x=1&code=")


@pytest.mark.parametrize(
    ("change", "error", "rule"),
    [
        ({"code_verifier": None}, "invalid_grant", Rule.PKCE_MISSING),
        ({"code_verifier": "v" * 43}, "invalid_grant", Rule.PKCE_WRONG),
        ({"code_verifier": "short"}, "invalid_grant", Rule.PKCE_WRONG),
        ({"redirect_uri": REDIRECT + "2"}, "invalid_grant", Rule.REDIRECT_CHANGED),
        ({"redirect_uri": None}, "invalid_request", Rule.MISSING_PARAMETER),
        ({"code": None}, "invalid_request", Rule.MISSING_PARAMETER),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type", Rule.UNSUPPORTED),
    ],
)
def test_a_code_is_redeemed_only_with_its_proof(change: dict[str, str | None], error: str, rule: Rule) -> None:
    """The verifier must fit, the redirect_uri must be the same."""

    with OAuthServer(check=False) as server:
        sign_in = SignIn.new(server)
        got = sign_in.redeem(sign_in.callback()["code"], **change)

        assert (400, error) == (got.status, got.error)
        assert [rule] == rules(server)
        assert () == server.live_families()


def test_a_code_is_good_once() -> None:
    """The second use is refused, ends what the first one gave, and is a breach (RFC 6749 section 4.1.2)."""

    with OAuthServer(check=False) as server:
        sign_in = SignIn.new(server)
        code = sign_in.callback()["code"]
        assert 200 == sign_in.redeem(code).status
        assert "invalid_grant" == sign_in.redeem(code).error
        assert () == server.live_families()
        assert [Rule.CODE_REUSED] == rules(server)


def test_a_code_expires(oauth_server: OAuthServer) -> None:
    """After its lifetime it is worth nothing, and that is nobody's fault."""

    oauth_server.code_lifetime = -1.0
    sign_in = SignIn.new(oauth_server)

    assert "invalid_grant" == sign_in.redeem(sign_in.callback()["code"]).error


def test_resource_must_be_named_when_it_is_expected() -> None:
    """RFC 8707: in both requests of a sign-in."""

    with OAuthServer(resource="https://api.example/mcp", check=False) as server:
        sign_in = SignIn.new(server)
        assert "invalid_target" == sign_in.callback()["error"]
        sign_in = SignIn.new(server)
        code = sign_in.callback(resource="https://api.example/mcp")["code"]
        assert "invalid_target" == sign_in.redeem(code).error
        assert [Rule.WRONG_RESOURCE] * 2 == rules(server)

    with OAuthServer(resource="https://api.example/mcp") as server:
        sign_in = SignIn.new(server)
        code = sign_in.callback(resource=server.resource)["code"]
        answer = sign_in.redeem(code, resource=server.resource).json()
        assert 200 == refresh(server, answer["refresh_token"]).status


def test_only_offered_scopes_can_be_asked_for() -> None:
    """An unknown scope comes back as invalid_scope; none means all."""

    with OAuthServer(scopes=("openid", "mail")) as server:
        assert "invalid_scope" == SignIn.new(server).callback(scope="mail files")["error"]
        sign_in = SignIn.new(server)
        assert "openid mail" == sign_in.redeem(sign_in.callback()["code"]).json()["scope"]


def test_the_consent_page_waits_for_a_button() -> None:
    """Allow gives a code, Deny an error, and a page is good for one press."""

    with OAuthServer(consent="page") as server:
        sign_in = SignIn.new(server)
        page = ask(sign_in.url()).body.decode()
        assert 'id="allow"' in page
        assert 'id="deny"' in page
        ticket = re.search(r'name="ticket" value="([^"]+)"', page)
        assert ticket is not None
        fields = {"ticket": ticket[1], "choice": "allow"}
        callback = redirected(post(server.url + "/consent", fields))
        assert 200 == sign_in.redeem(callback["code"]).status
        assert 400 == post(server.url + "/consent", fields).status

        page = ask(SignIn.new(server).url()).body.decode()
        ticket = re.search(r'name="ticket" value="([^"]+)"', page)
        assert ticket is not None
        callback = redirected(post(server.url + "/consent", {"ticket": ticket[1], "choice": "deny"}))
        assert "access_denied" == callback["error"]


def test_consent_can_be_denied_at_once(oauth_server: OAuthServer) -> None:
    """For clients that must live with a no."""

    oauth_server.consent = "deny"

    assert "access_denied" == SignIn.new(oauth_server).callback()["error"]


def test_browse_follows_to_the_listener(oauth_server: OAuthServer) -> None:
    """A program can stand in for the person's browser."""

    seen: list[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as listener:
        serving = threading.Thread(target=listener.handle_request)
        serving.start()
        uri = f"http://127.0.0.1:{listener.server_port}/cb"
        assert 200 == browse(SignIn.new(oauth_server).url(redirect_uri=uri))
        serving.join(3)

    assert seen[0].startswith("/cb?code=")


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
def test_metadata(oauth_server: OAuthServer, name: str) -> None:
    """Both documents name the issuer, the endpoints and what is supported, and can be bent."""

    url = f"{oauth_server.url}/.well-known/{name}"
    document = ask(url).json()

    assert oauth_server.url == document["issuer"]
    assert oauth_server.token_endpoint == document["token_endpoint"]
    assert ["S256"] == document["code_challenge_methods_supported"]
    assert ["none"] == document["token_endpoint_auth_methods_supported"]
    assert document["authorization_response_iss_parameter_supported"] is True

    oauth_server.metadata_changes = {"issuer": "https://evil.example", "code_challenge_methods_supported": ...}
    document = ask(url).json()
    assert "https://evil.example" == document["issuer"]
    assert "code_challenge_methods_supported" not in document


def test_a_confidential_client_must_authenticate() -> None:
    """By body or by header, form-encoded, with the right secret; never by both."""

    secret = "s3:cr%t +"
    with OAuthServer(client_secret=secret, client_id="an app", check=False) as server:
        login = server.issue()
        token = login.refresh_token or ""
        got = refresh(server, token)
        assert (401, "invalid_client") == (got.status, got.error)
        assert "invalid_client" == refresh(server, token, client_secret="wrong").error

        token = refresh(server, token, client_secret=secret).json()["refresh_token"]
        header = "Basic " + base64.b64encode(b"an+app:s3%3Acr%25t+%2B").decode()
        fields = {"grant_type": "refresh_token", "refresh_token": token}
        got = post(server.token_endpoint, fields, {**AGENT, "Authorization": header})
        assert 200 == got.status

        fields = {"grant_type": "refresh_token", "refresh_token": got.json()["refresh_token"], "client_secret": secret}
        got = post(server.token_endpoint, fields, {**AGENT, "Authorization": header})
        assert "invalid_request" == got.error
        assert [Rule.TWO_AUTHENTICATIONS] == rules(server)


def test_reopening_the_page_is_allowed_and_reusing_values_is_not() -> None:
    """One sign-in may load its page twice; another sign-in has its own state and its own verifier."""

    with OAuthServer(check=False) as server:
        first, second, third = SignIn.new(server), SignIn.new(server), SignIn.new(server)
        first.callback()
        first.callback()
        assert [] == rules(server)
        SignIn(server, second.verifier, first.state).callback()
        assert [Rule.STATE_REUSED] == rules(server)
        SignIn(server, first.verifier, third.state).callback()
        assert [Rule.STATE_REUSED, Rule.VERIFIER_REUSED] == rules(server)


def test_a_spent_state_is_not_used_again() -> None:
    """Once its code was redeemed, a sign-in is over."""

    with pytest.raises(ClientMisbehaved, match="state_reused"), OAuthServer() as server:  # noqa: PT012 - leaving the server is what raises
        sign_in = SignIn.new(server)
        sign_in.redeem(sign_in.callback()["code"])
        sign_in.callback()


def test_a_weak_state_is_noted() -> None:
    """Under 128 bits a state can be guessed."""

    with pytest.raises(ClientMisbehaved, match="state_weak"), OAuthServer() as server:
        assert "code" in SignIn.new(server).callback(state="abc")


def test_it_speaks_tls_when_it_has_a_certificate() -> None:
    """With an SSL context every URL is https."""

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with OAuthServer(ssl_context=context) as server:
        assert server.token_endpoint.startswith("https://127.0.0.1:")
        assert 200 == browse(server.url + "/.well-known/openid-configuration", tls=trusting)
