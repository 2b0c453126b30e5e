"""The fixtures themselves: the relay does what it is told, and the server behind it is strict."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx2
import pytest

from tests.real import browser, node
from tests.real.idp import Idp
from tests.real.relay import Fault, Relay

pytestmark = pytest.mark.real

FORM = {"grant_type": "refresh_token", "refresh_token": "never-issued", "client_id": Idp.client_id}


def post(relay: Relay, **more: float) -> httpx2.Response:
    with httpx2.Client(trust_env=False, timeout=more.get("timeout", 10.0)) as client:
        return client.post(f"{relay.url}/token", data=FORM)


def test_no_registry_is_named() -> None:
    """The lock file pins by digest and names no registry."""

    lock = json.loads(Path(node.__file__).with_name("package-lock.json").read_text())
    packages = [package for path, package in lock["packages"].items() if path]
    assert packages
    assert [package for package in packages if "resolved" in package or "integrity" not in package] == []


def test_some_of_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come in the versions of the lock file and alone, unless all are there."""

    monkeypatch.setattr(node, "cache_directory", lambda: tmp_path)
    some = node.packages(verb="install", only=("axe-core",))
    assert ["axe-core"] == [each.name for each in (some / "node_modules").iterdir() if not each.name.startswith(".")]
    pinned = json.loads(Path(node.__file__).with_name("package-lock.json").read_text())["packages"]
    installed = json.loads((some / "node_modules/axe-core/package.json").read_text())
    assert pinned["node_modules/axe-core"]["version"] == installed["version"]

    whole = tmp_path / some.name.rpartition("-")[0]
    (whole / "node_modules").mkdir(parents=True)
    assert whole == node.packages(verb="install", only=("axe-core",))


def test_metadata_names_the_relay(relay: Relay, idp: Idp) -> None:
    """Every address that the server announces goes through the relay."""

    for document in ("openid-configuration", "oauth-authorization-server"):
        found = httpx2.get(f"{relay.url}/.well-known/{document}", trust_env=False).json()
        assert relay.url == found["issuer"] == idp.issuer
        assert {f"{relay.url}/token"} == {found["token_endpoint"]}
        assert found["authorization_response_iss_parameter_supported"]
        assert all(value.startswith(relay.url) for name, value in found.items() if name.endswith("_endpoint"))


def test_an_unknown_token_is_refused_by_the_server(relay: Relay, idp: Idp) -> None:
    """Without a fault the answer is oidc-provider's own, and it counts the request."""

    before = idp.counts()
    answer = post(relay)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert before.requests.get("refresh_token", 0) + 1 == idp.counts().requests["refresh_token"]
    assert before.refused.get("invalid_grant", 0) + 1 == idp.counts().refused["invalid_grant"]


def test_firewall_and_busy_answer_for_the_server(relay: Relay, idp: Idp) -> None:
    """A firewall page and a 503 come from the way: the server sees nothing."""

    before = idp.counts()
    relay.retry_after = 7
    relay.inject(Fault.FIREWALL, Fault.BUSY)
    page, busy = post(relay), post(relay)
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (403, "text/html")
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "7")
    assert before == idp.counts()
    assert relay.pending() == ()


@pytest.mark.parametrize(("fault", "seen"), [(Fault.RESET, 0), (Fault.LOST, 1)])
def test_resets(relay: Relay, idp: Idp, fault: Fault, seen: int) -> None:
    """Reset and lost look the same to the client; only with the second the server has acted."""

    before = idp.counts().requests.get("refresh_token", 0)
    relay.inject(fault)
    with pytest.raises(httpx2.ReadError, match="reset"):
        post(relay)
    assert before + seen == idp.counts().requests.get("refresh_token", 0)
    assert [(fault, None)] == [(passed.fault, passed.status) for passed in relay.refreshes()]


def test_a_reset_is_a_real_one(relay: Relay, idp: Idp) -> None:
    """The kernel reports ECONNRESET to a bare socket, not the end of a stream."""

    relay.inject(Fault.RESET)
    body = b"grant_type=refresh_token"
    head = b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", relay.port), timeout=10) as raw:
        raw.sendall(head % len(body) + body)
        with pytest.raises(ConnectionResetError):
            raw.recv(1)


def test_a_hang_ends_with_its_client(relay: Relay, idp: Idp) -> None:
    """Nothing comes while the client waits, and the next request is served."""

    relay.inject(Fault.HANG)
    with pytest.raises(httpx2.ReadTimeout):
        post(relay, timeout=0.3)
    assert post(relay).status_code == 400
    assert relay.counts() == {Fault.HANG: 1, None: 1}


def test_mode_is_for_all_and_the_queue_goes_first(relay: Relay, idp: Idp) -> None:
    """`mode` meets every token request that finds the queue empty, and no other address."""

    relay.mode = Fault.FIREWALL
    relay.inject(Fault.BUSY)
    assert [post(relay).status_code for _ in range(3)] == [503, 403, 403]
    assert httpx2.get(f"{relay.url}/.well-known/openid-configuration", trust_env=False).status_code == 200


def test_the_log_holds_no_query_and_no_body(relay: Relay, idp: Idp) -> None:
    """What the relay writes down has no place for a code or a token."""

    httpx2.get(f"{relay.url}/auth?code=CANARY&client_id=nobody", trust_env=False)
    post(relay)
    assert "CANARY" not in repr(relay.log())
    assert "never-issued" not in repr(relay.log())
    assert [passed.path for passed in relay.log()] == ["/auth", "/token"]


def test_the_leak_detector_finds_secrets(relay: Relay, idp: Idp, tmp_path: Path) -> None:
    """A secret of a request is found in a file later, and everything else there is not taken for one."""

    with httpx2.Client(trust_env=False) as client:
        client.post(f"{relay.url}/token", data=FORM | {"refresh_token": "x" * 43})
    (tmp_path / "log").write_text(f"refused: {'y' * 43}")
    assert relay.secrets.leaking_files(tmp_path) == []
    (tmp_path / "state.db").write_bytes(b"\0\1" + b"x" * 43 + b"\0")
    assert relay.secrets.leaking_files(tmp_path) == [tmp_path / "state.db"]


def test_the_browser_command_suits_webbrowser(tmp_path: Path) -> None:
    """BROWSER is one command with the address in it; a path that would split it is refused."""

    assert browser.browser_command(tmp_path / "titles").endswith(" %s &")
    with pytest.raises(ValueError, match="may not contain"):
        browser.browser_command(Path("a:b"))


def test_a_relay_with_nothing_behind_it_says_so() -> None:
    """502, and closing ends its thread."""

    with Relay() as lonely:
        assert post(lonely).status_code == 502
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", lonely.port)) != 0
