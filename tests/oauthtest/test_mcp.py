"""The echo workload requires a token and implements enough of MCP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.oauthtest.client import AGENT, Got, ask
from trayapp.oauthtest import EchoWorkload, OAuthServer, digest


def rpc(workload: EchoWorkload, token: str, method: str, params: Any = None, **headers: str) -> Got:
    """One JSON-RPC request."""
    body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}})
    kind = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(workload.url, "POST", body, {**AGENT, **kind, **bearer, **more})


def test_a_session(oauth_server: OAuthServer, echo_workload: EchoWorkload) -> None:
    """Initialize, say so, list, call, ping, end."""

    token = oauth_server.issue().access_token
    got = rpc(echo_workload, token, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}})
    assert "2025-06-18" == got.json()["result"]["protocolVersion"]
    session = got.headers["mcp-session-id"]
    headers = {**AGENT, "Authorization": f"Bearer {token}", "Mcp-Session-Id": session}
    notification = json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (202, b"") == ((said := ask(echo_workload.url, "POST", notification, headers)).status, said.body)

    tools = rpc(echo_workload, token, "tools/list", Mcp_Session_Id=session).json()["result"]["tools"]
    assert ["echo"] == [tool["name"] for tool in tools]
    call = {"name": "echo", "arguments": {"message": "grüße"}}
    result = rpc(echo_workload, token, "tools/call", call, Mcp_Session_Id=session).json()["result"]
    assert [{"type": "text", "text": "grüße"}] == result["content"]
    assert {} == rpc(echo_workload, token, "ping", Mcp_Session_Id=session).json()["result"]

    assert 405 == ask(echo_workload.url, headers=headers).status
    assert 200 == ask(echo_workload.url, "DELETE", headers=headers).status
    assert 404 == rpc(echo_workload, token, "ping", Mcp_Session_Id=session).status


def test_no_token(oauth_server: OAuthServer, echo_workload: EchoWorkload) -> None:
    """The challenge has no error code and leads to the authorization server (RFC 6750, RFC 9728)."""

    got = rpc(echo_workload, "", "ping")
    challenge = got.headers["www-authenticate"]
    document = ask(challenge.partition('resource_metadata="')[2].partition('"')[0]).json()

    assert 401 == got.status
    assert "error" not in challenge
    assert echo_workload.url == document["resource"]
    assert [oauth_server.issuer] == document["authorization_servers"]


def test_bad_tokens(oauth_server: OAuthServer, echo_workload: EchoWorkload) -> None:
    """An unknown token and one of a revoked login are invalid_token."""

    login = oauth_server.issue()
    oauth_server.revoke(login.family)
    for token in ("made-up", login.access_token):
        got = rpc(echo_workload, token, "ping")
        assert 401 == got.status
        assert 'error="invalid_token"' in got.headers["www-authenticate"]

    assert ["invalid_token"] * 2 == [call.outcome for call in echo_workload.calls]


def test_good_tokens_can_be_rejected(oauth_server: OAuthServer, echo_workload: EchoWorkload) -> None:
    """A number of times, or until told otherwise."""

    token = oauth_server.issue().access_token
    echo_workload.reject(2)
    assert [401, 401, 200] == [rpc(echo_workload, token, "ping").status for _ in range(3)]
    echo_workload.reject_all()
    assert [401, 401] == [rpc(echo_workload, token, "ping").status for _ in range(2)]
    echo_workload.accept()
    assert 200 == rpc(echo_workload, token, "ping").status
    assert (4, 2, 6) == tuple(echo_workload.count(outcome) for outcome in ("rejected", "ok", None))


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("resources/list", {}, -32601),
        ("tools/call", {"name": "other"}, -32602),
        ("tools/call", {"name": "echo", "arguments": {"message": 5}}, -32602),
    ],
)
def test_errors_of_a_call(
    oauth_server: OAuthServer, echo_workload: EchoWorkload, method: str, params: Any, code: int
) -> None:
    """They are JSON-RPC errors with the request's id."""

    answer = rpc(echo_workload, oauth_server.issue().access_token, method, params).json()

    assert (7, code) == (answer["id"], answer["error"]["code"])


@pytest.mark.parametrize(("body", "code"), [("{", -32700), ("[]", -32600), ('{"id": 1}', -32600)])
def test_bodies_that_are_no_request(
    oauth_server: OAuthServer, echo_workload: EchoWorkload, body: str, code: int
) -> None:
    """They are 400 with a JSON-RPC error without an id."""

    headers = {**AGENT, "Authorization": f"Bearer {oauth_server.issue().access_token}"}
    got = ask(echo_workload.url, "POST", body, headers)

    assert (400, None, code) == (got.status, got.json()["id"], got.json()["error"]["code"])


def test_the_log_names_method_and_digest(oauth_server: OAuthServer, echo_workload: EchoWorkload) -> None:
    """Which token was shown can be told, and the token cannot be read."""

    token = oauth_server.issue().access_token
    rpc(echo_workload, token, "ping")
    (call,) = echo_workload.calls

    assert ("POST", "ok", digest(token), "ping") == (call.http_method, call.outcome, call.token, call.rpc_method)
    assert token not in repr((echo_workload, call))


def test_the_echo_workload_can_go_down_and_come_back(oauth_server: OAuthServer, echo_workload: EchoWorkload) -> None:
    """Down and up again, at the same address."""

    token = oauth_server.issue().access_token
    echo_workload.down()
    with pytest.raises(ConnectionRefusedError):
        rpc(echo_workload, token, "ping")
    echo_workload.up()

    assert 200 == rpc(echo_workload, token, "ping").status
