"""Client checks: the server fails the test of a client that misbehaves, and a test that scripted too much."""

from __future__ import annotations

import asyncio
import threading
from urllib.parse import urlencode

import pytest

from tests.oauthtest.client import AGENT, FORM, ask, post, refresh
from trayapp.oauthtest import ClientMisbehaved, Mode, OAuthServer, Rule, ScriptNotUsedUp, digest


def fields(server: OAuthServer) -> dict[str, str]:
    """A good refresh request."""
    token = server.issue().refresh_token or ""
    return {"grant_type": "refresh_token", "client_id": server.client_id, "refresh_token": token}


def test_an_unused_script_fails_the_test() -> None:
    """The message names what never came."""

    with pytest.raises(ScriptNotUsedUp, match=r"2 scripted .* FIREWALL, RESET"), OAuthServer() as server:  # noqa: PT012 - leaving the server is what raises
        server.script(Mode.SUCCESS, Mode.FIREWALL, Mode.RESET)
        refresh(server, server.issue().refresh_token)


def test_a_script_can_be_forgotten(oauth_server: OAuthServer) -> None:
    """What is still to come can be looked at and cleared."""

    oauth_server.script(Mode.FIREWALL, Mode.EOF)
    assert [Mode.FIREWALL, Mode.EOF] == list(oauth_server.script_rest)
    oauth_server.clear_script()
    assert [] == list(oauth_server.script_rest)


def test_an_exception_of_the_test_goes_first() -> None:
    """Leaving by an exception reports that one, not the server's."""

    with pytest.raises(KeyError, match="mine"), OAuthServer() as server:  # noqa: PT012 - leaving the server is what raises
        server.script(Mode.FIREWALL)
        ask(server.token_endpoint, headers={})
        raise KeyError("mine")


def test_checking_can_be_switched_off() -> None:
    """With check=False nothing is raised at the end, and `verify` still tells."""

    with OAuthServer(check=False) as server:
        server.script(Mode.FIREWALL, Mode.FIREWALL)
        post(server.token_endpoint, fields(server), {})
        with pytest.raises(ClientMisbehaved):
            server.verify()


def test_one_rule_can_be_allowed() -> None:
    """The others still hold."""

    with pytest.raises(ClientMisbehaved) as caught, OAuthServer(allow={Rule.NO_USER_AGENT}) as server:  # noqa: PT012 - leaving the server is what raises
        post(server.token_endpoint, fields(server), {})
        ask(server.token_endpoint, headers={})

    assert [Rule.WRONG_METHOD] == [violation.rule for violation in caught.value.violations]


def test_missing_user_agent() -> None:
    """A request without a User-Agent is answered, and noted."""

    with pytest.raises(ClientMisbehaved, match="no_user_agent"), OAuthServer() as server:
        assert 200 == post(server.token_endpoint, fields(server), {}).status


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"grant_type": "refresh_token"}', "application/json"),
        ("grant_type=refresh_token&grant_type=refresh_token", FORM),
        ("grant_type", FORM),
        ("grant_type=refresh_token&&x=1", FORM),
        ("grant_type=%zz", FORM),
        ("grant_type=%ff", FORM),
        ("grant_type=ü", FORM),
        ("&".join(f"a{n}=1" for n in range(99)), FORM),
    ],
)
def test_a_body_that_is_no_form(body: str, kind: str) -> None:
    """It is refused as invalid_request and noted."""

    with OAuthServer(check=False) as server:
        got = ask(server.token_endpoint, "POST", body.encode(), {**AGENT, "Content-Type": kind})

        assert (400, "invalid_request") == (got.status, got.error)
        assert [Rule.BAD_FORM] == [violation.rule for violation in server.violations]


@pytest.mark.parametrize("path", ["/authorize", "/token", "/revoke", "/.well-known/openid-configuration"])
def test_a_repeated_parameter_in_a_query(path: str) -> None:
    """It is refused with 400, everywhere, and noted."""

    with OAuthServer(check=False) as server:
        method = "POST" if path in ("/token", "/revoke") else "GET"
        got = ask(f"{server.url}{path}?a=1&a=2", method, headers={**AGENT, "Content-Type": FORM})

        assert 400 == got.status
        assert [Rule.BAD_FORM] == [violation.rule for violation in server.violations]
        assert ["invalid_request"] == [record.outcome for record in server.requests]


@pytest.mark.parametrize("header", ["Bearer abc", "Basic", "Basic !!!", "Basic YWJj", "Basic /w=="])
def test_an_authorization_header_that_names_no_client(oauth_server: OAuthServer, header: str) -> None:
    """Anything but Basic with id and secret is invalid_client, with a challenge."""

    got = post(oauth_server.token_endpoint, fields(oauth_server), {**AGENT, "Authorization": header})

    assert (401, "invalid_client") == (got.status, got.error)
    assert got.headers["www-authenticate"].startswith("Basic ")


def test_wrong_methods() -> None:
    """Tokens and revocations are posted."""

    with OAuthServer(check=False) as server:
        assert 405 == ask(server.token_endpoint).status
        assert 405 == ask(server.revocation_endpoint, "DELETE").status
        assert [Rule.WRONG_METHOD] * 2 == [violation.rule for violation in server.violations]


def test_a_secret_in_a_url() -> None:
    """A token in the query of any request is noted, by its name only."""

    with OAuthServer(check=False) as server:
        post(server.token_endpoint + "?refresh_token=abc", fields(server))

        assert ["secret_in_url: refresh_token in the query of a request to /token"] == [
            str(violation) for violation in server.violations
        ]


def test_a_stale_token() -> None:
    """Sending a token whose successor was sent before is a breach, inside the grace too."""

    with OAuthServer(check=False, grace=60) as server:
        login = server.issue()
        refresh(server, login.refresh_token)
        newest = refresh(server, login.refresh_token).json()["refresh_token"]
        assert [] == server.violations, "the successor may have been lost"
        refresh(server, newest)
        refresh(server, login.refresh_token)
        assert [Rule.STALE_TOKEN] == [violation.rule for violation in server.violations]


def test_a_stale_token_is_noticed_behind_a_fault() -> None:
    """What the client knew does not depend on what the server answered."""

    with OAuthServer(check=False, grace=60) as server:
        login = server.issue()
        newest = refresh(server, login.refresh_token).json()["refresh_token"]
        server.mode = Mode.FIREWALL
        refresh(server, newest)
        refresh(server, login.refresh_token)
        assert [Rule.STALE_TOKEN] == [violation.rule for violation in server.violations]


def test_a_refused_token_is_not_sent_again() -> None:
    """After the server's own no, asking again is a breach; a scripted no does not count as its own."""

    with OAuthServer(check=False) as server:
        login = server.issue()
        server.script(Mode.INVALID_GRANT)
        refresh(server, login.refresh_token)
        server.revoke_all()
        refresh(server, login.refresh_token)
        assert [] == server.violations
        refresh(server, login.refresh_token)
        assert [Rule.REFUSED_AGAIN] == [violation.rule for violation in server.violations]


def test_two_at_once() -> None:
    """Two refresh requests of one family under way at the same time are a breach; of two families they are not."""

    with OAuthServer(check=False) as server:
        first, second = server.issue(), server.issue()
        server.mode = Mode.HANG_BEFORE_HEADERS
        tokens = (first.refresh_token, second.refresh_token, first.refresh_token)
        callers = [threading.Thread(target=lambda token=token: refresh(server, token)) for token in tokens]
        for number, caller in enumerate(callers, 1):
            caller.start()
            assert server.wait("token", outcome="hang_before_headers", times=number)
            assert (number == 3) == bool(server.violations)
        server.release(Mode.FIREWALL)
        for caller in callers:
            caller.join(3)

        assert [Rule.TWO_AT_ONCE] == [violation.rule for violation in server.violations]
        assert 3 == server.max_in_flight


def test_a_client_that_gave_up_may_ask_again(oauth_server: OAuthServer) -> None:
    """A request whose connection the client has closed is no longer in flight."""

    login = oauth_server.issue()
    oauth_server.script(*[Mode.HANG_BEFORE_HEADERS] * 5, Mode.SUCCESS)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            refresh(oauth_server, login.refresh_token, limit=0.03)

    assert 200 == refresh(oauth_server, login.refresh_token).status
    assert 1 == oauth_server.max_in_flight


def test_the_log_holds_digests(oauth_server: OAuthServer) -> None:
    """A test can tell which token was sent without the log having it."""

    sent = fields(oauth_server)
    post(oauth_server.token_endpoint, sent)
    (record,) = oauth_server.requests

    assert ("token", "POST", "refresh_token", "ok") == (record.kind, record.method, record.grant, record.outcome)
    assert digest(sent["refresh_token"]) == record.form["refresh_token"]
    assert sent["client_id"] == record.form["client_id"]


def test_counts(oauth_server: OAuthServer) -> None:
    """Requests are counted by kind, grant and outcome, and connections by themselves."""

    oauth_server.script(Mode.FIREWALL, Mode.SUCCESS)
    login = oauth_server.issue()
    refresh(oauth_server, login.refresh_token)
    refresh(oauth_server, login.refresh_token)

    assert 2 == oauth_server.count("token")
    assert 2 == oauth_server.count("token", grant="refresh_token")
    assert 0 == oauth_server.count("token", grant="authorization_code")
    assert 1 == oauth_server.count("token", outcome="firewall")
    assert 2 == oauth_server.connections
    assert not oauth_server.wait("token", times=3, timeout=0.01)


async def test_it_serves_coroutines_too(oauth_server: OAuthServer) -> None:
    """The server has a loop of its own, so a test's loop is free to wait for it."""

    body = urlencode(fields(oauth_server))
    host, port = oauth_server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /token HTTP/1.1\r\nHost: {host}\r\nUser-Agent: t\r\nConnection: close\r\nContent-Type: {FORM}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 200")


def test_a_server_is_used_once() -> None:
    """It cannot be entered again, and it has no address before."""

    server = OAuthServer()
    with pytest.raises(RuntimeError, match="with statement"):
        _ = server.url
    with server:
        pass
    with pytest.raises(RuntimeError, match="make a new one"), server:
        pass


@pytest.mark.oauth_server(client_id="marked", rotate=False)
def test_the_marker_sets_options(oauth_server: OAuthServer) -> None:
    """Options of the fixture come from its marker."""

    assert ("marked", False) == (oauth_server.client_id, oauth_server.rotate)
