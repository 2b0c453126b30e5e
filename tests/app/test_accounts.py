"""Accounts in the whole program: a login without an address, which has every state, and no client."""

from __future__ import annotations

import http.client
import json
from contextlib import suppress
from pathlib import Path

import pytest

from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from trayapp.cli.client import ApiError
from trayapp.core.model import Secret
from trayapp.oauthtest import Mode, OAuthServer, browse

ACCOUNT = """
[workloads.mail]
kind = "account"
issuer = "{server.issuer}"
authorization_endpoint = "{server.authorization_endpoint}"
token_endpoint = "{server.token_endpoint}"
client_id = "{server.client_id}"
scopes = ["mcp"]
hosts = ["git.example.com"]
"""
WITHOUT_ADDRESS = (
    "mail is an account: it has no address to connect to. Programs get its token from: amberlight token mail"
)


@pytest.fixture
def program(tmp_path: Path, server: OAuthServer) -> Program:
    program = Program(tmp_path)
    program.write((CONFIG + ACCOUNT).format(port=0, server=server))
    program.keystore._logins["mail"] = login_of(server)
    return program


def refused(program: Program, method: str, path: str, body: dict[str, object] | None = None) -> tuple[int, str, str]:
    with pytest.raises(ApiError) as caught:
        program.client.request(method, f"/api/v1beta{path}", body)
    return caught.value.status, caught.value.code, str(caught.value)


def test_an_account_has_a_token_and_every_state(program: Program, server: OAuthServer) -> None:
    """Green with a token; amber while the server is down, and green again; red once it refuses."""

    with program:
        program.green("mail")
        assert server.valid_access(program.client.token("mail", 0)["access_token"])
        row = next(row for row in program.client.workloads() if row["name"] == "mail")
        assert ("account", "", "Connected") == (row["kind"], row["url"], row["label"])
        assert "account" == program.client.status("mail")["kind"]
        spec = program.client.request("GET", "/api/v1beta/workloads/mail")
        assert ("account", ["git.example.com"]) == (spec["kind"], spec["hosts"])

        server.mode = Mode.SERVER_ERROR
        program.client.post("mail", "retry")
        program.until(lambda: program.client.status("mail")["auth"]["attempts"], "an attempt that fails")
        server.mode = Mode.SUCCESS
        program.client.post("mail", "retry")
        program.green("mail")
        server.mode = Mode.INVALID_GRANT
        program.client.post("mail", "retry")
        program.until(lambda: program.status("mail") == "unauthenticated refused", "red")


def test_no_client_can_reach_it(program: Program) -> None:
    """It has no local key, the proxy doesn't know it, and connecting a client is refused with a sentence."""

    with program:
        program.green("mail")
        assert (409, "account", WITHOUT_ADDRESS) == refused(program, "GET", "/workloads/mail/client")
        assert (409, "account", WITHOUT_ADDRESS) == refused(
            program, "POST", "/workloads/clients", {"names": ["one", "mail"]}
        )
        assert (409, "account", WITHOUT_ADDRESS) == refused(
            program, "POST", "/clients/cursor/connect", {"names": ["mail"]}
        )
        program.client.request("POST", "/api/v1beta/workloads/clients", {"names": ["one"]})
        keys = json.loads(program.paths.keys_file.read_text())["keys"]
        assert "mail" not in keys
        connection = http.client.HTTPConnection("127.0.0.1", program.client.port, timeout=5)
        for key in (keys["one"], keys.get("/mcp", ""), "x"):
            connection.request("POST", "/w/mail", b"{}", {"Authorization": f"Bearer {key}"})
            answer = connection.getresponse()
            assert 403 == answer.status
            answer.read()
        connection.close()


def test_it_is_checked_without_asking_it_for_tools(program: Program) -> None:
    """Set-up's last step asks each workload for its tools; an account has a token instead."""

    with program:
        program.green("mail")
        answer = program.client.request("POST", "/api/v1beta/workloads/mail/check", {})
        assert "mail has a token for mail programs, git and scripts." == answer["message"]


def test_an_account_is_added_by_the_api(program: Program, server: OAuthServer) -> None:
    """Without a url, which any other workload needs; its hosts are kept, and a url is refused."""

    keys = {"kind": "account", "issuer": server.issuer, "client_id": "own", "hosts": ["git.example.com"]}
    with program:
        made = program.client.request("POST", "/api/v1beta/workloads", {"name": "work", **keys, "check": True})
        assert ("work", "account") == (made["name"], made["kind"])
        assert 'kind = "account"' in program.paths.config_file.read_text()
        status, code, _ = refused(program, "POST", "/workloads", {"name": "other", "issuer": server.issuer})
        assert (400, "bad_request") == (status, code)
        status, code, said = refused(
            program, "POST", "/workloads", {"name": "o", **keys, "url": "https://mcp.example.com"}
        )
        assert (400, "bad_value", "Url must be removed: an account has no address.") == (status, code, said)


def test_a_token_that_a_server_did_not_take_is_refreshed(program: Program, server: OAuthServer) -> None:
    """Once; the word about an older token, or one of nobody's, changes nothing, and the login stays."""

    with program:
        program.green("mail")
        first = program.client.token("mail", 0)["access_token"]
        program.client.token_used("mail", Secret("another"), accepted=False)
        program.client.token_used("mail", Secret(first), accepted=True)
        asked = server.count("token")
        assert first == program.client.token("mail", 0)["access_token"]
        program.client.token_used("mail", Secret(first), accepted=False)
        program.until(lambda: program.client.token("mail", 0)["access_token"] != first, "the next token")
        program.green("mail")
        program.client.token_used("mail", Secret(first), accepted=False)
        assert asked + 1 == server.count("token")
        assert 1 == len(server.live_families())


def test_tokens_not_taken_in_a_row_are_forgotten_once_one_is(program: Program, server: OAuthServer) -> None:
    """Three fresh ones make it unhealthy, as with any workload (M18); a single one that is taken makes it well."""

    def token() -> str:
        with suppress(ApiError):
            return str(program.client.token("mail", 0)["access_token"])
        return ""

    def retried() -> str:
        program.client.post("mail", "retry")  # one that comes too soon after the other does nothing
        return token()

    with program:
        program.green("mail")
        spent = [""]
        for _ in range(3):
            spent.append(token())
            program.client.token_used("mail", Secret(spent[-1]), accepted=False)
            program.until(lambda: retried() not in spent, "the next token")
        program.until(lambda: program.status("mail") == "unhealthy upstream_rejects", "red")
        program.client.token_used("mail", Secret(token()), accepted=True)
        program.until(lambda: program.status("mail") == "running ok", "green")


@pytest.mark.oauth_server(registration=True)
@pytest.mark.parametrize("key", ["issuer", "metadata_url"])
def test_any_openid_provider_will_do(tmp_path: Path, server: OAuthServer, key: str) -> None:
    """By its issuer or the address of its metadata; where it registers clients, none of one's own is needed."""

    program = Program(tmp_path)
    address = server.issuer if key == "issuer" else f"{server.issuer}/.well-known/openid-configuration"
    program.write("[settings]\nport = 0\n")
    keys = {"kind": "account", key: address, "scopes": ["openid"]}
    with program:
        program.client.request("POST", "/api/v1beta/workloads", {"name": "mail", **keys, "check": True})
        browse(program.client.post("mail", "reauthorize", {"browser": False})["authorization_url"])
        program.green("mail")
        assert server.valid_access(program.client.token("mail", 0)["access_token"])
        assert 1 == server.count("register")


def test_an_account_is_renamed_and_removed(program: Program, server: OAuthServer) -> None:
    """Its login goes with it, and is revoked in the end, as any workload's."""

    with program:
        program.green("mail")
        done = program.client.request("PATCH", "/api/v1beta/workloads/mail", {"name": "post"})
        assert ("post", "account") == (done["workload"]["name"], done["workload"]["kind"])
        program.green("post")
        assert server.valid_access(program.client.token("post", 0)["access_token"])
        rows = program.client.request("GET", "/api/v1beta/workloads/post/settings")["settings"]
        assert {"kind": "account", "hosts": ["git.example.com"]} == {
            row["name"]: row["value"] for row in rows if row["name"] in ("kind", "hosts", "url", "mcp")
        }
        program.client.request("DELETE", "/api/v1beta/workloads/post")
        program.until(lambda: "post" not in program.last.workloads, "the removal")
        program.until(lambda: server.count("revoke") == 1, "the revocation")
