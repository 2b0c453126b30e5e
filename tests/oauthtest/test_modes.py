"""Every mode of the token endpoint, on a real socket."""

from __future__ import annotations

import email.utils
import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.oauthtest.client import Got, ask, post, refresh
from trayapp.oauthtest import ClientMisbehaved, Mode, OAuthServer, Rule

Look = Callable[[Got], object]

ANSWERS: list[tuple[Mode, int, str, Look]] = [
    (Mode.SUCCESS, 200, "application/json", lambda got: got.json()["access_token"]),
    (Mode.FIREWALL, 403, "text/html", lambda got: b"<html" in got.body),
    (Mode.SERVER_ERROR, 500, "text/html", lambda got: b"<html" in got.body),
    (Mode.UNAVAILABLE, 503, "text/html", lambda got: got.headers["retry-after"] == "30"),
    (Mode.RATE_LIMITED, 429, "application/json", lambda got: got.headers["retry-after"] == "30"),
    (Mode.BAD_GATEWAY, 502, "text/html", lambda got: "retry-after" not in got.headers),
    (Mode.GATEWAY_TIMEOUT, 504, "text/html", lambda got: "retry-after" not in got.headers),
    (Mode.INVALID_GRANT, 400, "application/json", lambda got: got.error == "invalid_grant"),
    (Mode.INVALID_CLIENT, 401, "application/json", lambda got: got.error == "invalid_client"),
    (Mode.UNKNOWN_CODE, 400, "application/json", lambda got: got.error == "tenant_throttled"),
    (Mode.FORM_ERROR, 400, "application/x-www-form-urlencoded", lambda got: b"error=invalid_grant&" in got.body),
    (Mode.GITHUB_ERROR, 200, "application/json", lambda got: got.error == "bad_refresh_token"),
    (Mode.JSON_403, 403, "application/json", lambda got: got.json() == {"message": "Forbidden"}),
    (Mode.NO_ACCESS_TOKEN, 200, "application/json", lambda got: "access_token" not in got.json()),
    (Mode.CAPTIVE_HTML, 200, "text/html", lambda got: b"<html" in got.body),
    (Mode.CAPTIVE_REDIRECT, 302, "text/html", lambda got: got.headers["location"].startswith("http://127.0.0.1:")),
]
BROKEN: list[tuple[Mode, type[BaseException]]] = [
    (Mode.HANG_BEFORE_HEADERS, TimeoutError),
    (Mode.HANG_IN_BODY, TimeoutError),
    # The loop of Windows shuts the connection down before it closes it.
    (Mode.RESET, http.client.RemoteDisconnected if sys.platform == "win32" else ConnectionResetError),
    (Mode.EOF, http.client.RemoteDisconnected),
    (Mode.DROPPED_ANSWER, http.client.RemoteDisconnected),
    (Mode.TRUNCATED_BODY, http.client.IncompleteRead),
]


@pytest.mark.parametrize(("mode", "status", "kind", "look"), ANSWERS, ids=lambda value: getattr(value, "name", ""))
def test_complete_answers(oauth_server: OAuthServer, mode: Mode, status: int, kind: str, look: Look) -> None:
    """A mode answers with its status, its content type and its mark, and is logged under its name."""

    oauth_server.script(mode)
    got = refresh(oauth_server, oauth_server.issue().refresh_token)

    assert status == got.status
    assert got.headers["content-type"].startswith(kind)
    assert look(got)
    assert ["ok" if mode is Mode.SUCCESS else mode.value] == [record.outcome for record in oauth_server.requests]


@pytest.mark.parametrize(("mode", "problem"), BROKEN, ids=lambda value: getattr(value, "name", ""))
def test_broken_answers(oauth_server: OAuthServer, mode: Mode, problem: type[BaseException]) -> None:
    """A mode that breaks the connection breaks it the way its name says."""

    oauth_server.script(mode)
    with pytest.raises(problem) as caught:
        refresh(oauth_server, oauth_server.issue().refresh_token, limit=0.2)

    assert caught.type is problem, "RemoteDisconnected is a ConnectionResetError too"
    assert 1 == oauth_server.count("token", outcome=mode.value)


def test_every_mode_is_tested() -> None:
    """The tables above and the tests below name each mode."""

    seen = {row[0] for row in ANSWERS} | {row[0] for row in BROKEN} | {Mode.SLOW, Mode.TRUNCATED_JSON}

    assert set(Mode) == seen


def test_a_fault_leaves_the_grant_untouched(oauth_server: OAuthServer) -> None:
    """After every mode that decides nothing, the same refresh token still works."""

    deciding = {Mode.SUCCESS, Mode.SLOW, Mode.DROPPED_ANSWER}
    login = oauth_server.issue()
    faults = [mode for mode in Mode if mode not in deciding]
    oauth_server.script(*faults)
    for _ in faults:
        try:
            refresh(oauth_server, login.refresh_token, limit=0.1)
        except (OSError, http.client.HTTPException):
            continue

    assert login.refresh_token == oauth_server.current_refresh_token(login.family)
    assert 200 == refresh(oauth_server, login.refresh_token).status


def test_truncated_json_is_a_complete_answer(oauth_server: OAuthServer) -> None:
    """All promised bytes come, and they are no JSON."""

    oauth_server.script(Mode.TRUNCATED_JSON)
    got = refresh(oauth_server, oauth_server.issue().refresh_token)

    assert int(got.headers["content-length"]) == len(got.body)
    with pytest.raises(json.JSONDecodeError):
        got.json()


def test_a_hang_in_the_body_begins_well(oauth_server: OAuthServer) -> None:
    """Status and the beginning of the body arrive before the silence."""

    oauth_server.script(Mode.HANG_IN_BODY)
    body = f"grant_type=refresh_token&client_id={oauth_server.client_id}&refresh_token={oauth_server.issue().refresh_token}"
    host = oauth_server.url.removeprefix("http://")
    head = (
        f"POST /token HTTP/1.1\r\nHost: {host}\r\nUser-Agent: t\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    )
    with socket.create_connection(("127.0.0.1", int(host.partition(":")[2])), timeout=0.3) as raw:
        raw.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        seen = b""
        with pytest.raises(TimeoutError):  # noqa: PT012 - any of the reads may be the one
            while True:
                seen += raw.recv(4096)

    assert seen.startswith(b"HTTP/1.1 200")
    assert b'"access_token"' in seen


def test_the_dropped_answer_has_rotated(oauth_server: OAuthServer) -> None:
    """The client never hears of the new refresh token, and the old one is spent."""

    login = oauth_server.issue()
    oauth_server.script(Mode.DROPPED_ANSWER)
    with pytest.raises(http.client.RemoteDisconnected):
        refresh(oauth_server, login.refresh_token)

    assert login.refresh_token != oauth_server.current_refresh_token(login.family)
    assert "invalid_grant" == refresh(oauth_server, login.refresh_token).error


def test_slow_answers_after_the_delay(oauth_server: OAuthServer) -> None:
    """The answer is good, only late, and the rotation is committed before it."""

    oauth_server.delay = 0.1
    login = oauth_server.issue()
    oauth_server.script(Mode.SLOW)
    began = time.monotonic()
    got = refresh(oauth_server, login.refresh_token)

    assert time.monotonic() - began >= 0.1
    assert oauth_server.current_refresh_token(login.family) == got.json()["refresh_token"]


def test_release_lets_a_hanging_request_go_on(oauth_server: OAuthServer) -> None:
    """A hang can end in a late, good answer."""

    oauth_server.script(Mode.HANG_BEFORE_HEADERS)
    login = oauth_server.issue()
    answers: list[Got] = []
    caller = threading.Thread(target=lambda: answers.append(refresh(oauth_server, login.refresh_token)))
    caller.start()
    assert oauth_server.wait("token", outcome="hang_before_headers")
    oauth_server.release()
    caller.join(3)

    assert [200] == [got.status for got in answers]
    assert 1 == oauth_server.count("token", outcome="ok")


def test_release_can_end_a_hang_in_another_way(oauth_server: OAuthServer) -> None:
    """A hanging request can continue as in any other mode, and a slow one need not wait for its delay."""

    oauth_server.delay = 60.0
    oauth_server.script(Mode.HANG_BEFORE_HEADERS, Mode.SLOW)
    statuses: list[int] = []
    for kind, status in [("hang_before_headers", 403), ("ok", 200)]:
        login = oauth_server.issue()

        def call(token: str | None = login.refresh_token) -> None:
            statuses.append(refresh(oauth_server, token).status)

        caller = threading.Thread(target=call)
        caller.start()
        assert oauth_server.wait("token", outcome=kind)
        oauth_server.release(Mode.FIREWALL)
        caller.join(3)
        assert status == statuses[-1]


def test_release_closes_a_hang_in_the_body(oauth_server: OAuthServer) -> None:
    """The half answer stays half."""

    oauth_server.script(Mode.HANG_IN_BODY)
    login = oauth_server.issue()
    problems: list[BaseException] = []

    def call() -> None:
        try:
            refresh(oauth_server, login.refresh_token)
        except http.client.HTTPException as problem:
            problems.append(problem)

    caller = threading.Thread(target=call)
    caller.start()
    assert oauth_server.wait("token", outcome="hang_in_body")
    oauth_server.release()
    caller.join(2)

    assert [http.client.IncompleteRead] == [type(problem) for problem in problems]


def test_closing_does_not_wait_for_a_hang() -> None:
    """Requests that hang are dropped, and the server is gone within a second."""

    problems: list[BaseException] = []

    def call(server: OAuthServer, token: str | None) -> None:
        try:
            refresh(server, token, limit=5)
        except (OSError, http.client.HTTPException) as problem:
            problems.append(problem)

    with OAuthServer() as server:
        server.mode = Mode.HANG_BEFORE_HEADERS
        callers = [threading.Thread(target=call, args=(server, server.issue().refresh_token)) for _ in range(4)]
        for caller in callers:
            caller.start()
        assert server.wait("token", outcome="hang_before_headers", times=4)
        began = time.monotonic()
    took = time.monotonic() - began
    for caller in callers:
        caller.join(3)

    assert took < 1.0
    assert 4 == len(problems)
    assert 4 == server.max_in_flight


def test_a_mode_stays_and_a_script_passes(oauth_server: OAuthServer) -> None:
    """Scripted modes come first, one each, then the mode holds again until it is changed."""

    login = oauth_server.issue()
    oauth_server.mode = Mode.FIREWALL
    oauth_server.script(Mode.UNAVAILABLE, Mode.RATE_LIMITED)
    seen = [refresh(oauth_server, login.refresh_token).status for _ in range(4)]
    oauth_server.mode = Mode.SUCCESS
    seen.append(refresh(oauth_server, login.refresh_token).status)

    assert [503, 429, 403, 403, 200] == seen


@pytest.mark.parametrize("value", [7, 7.9, "soon", None])
def test_retry_after_is_what_was_set(oauth_server: OAuthServer, value: Any) -> None:
    """Seconds, nonsense and nothing at all can be sent."""

    oauth_server.retry_after = value
    oauth_server.script(Mode.UNAVAILABLE)
    got = refresh(oauth_server, oauth_server.issue().refresh_token)

    assert {7: "7", 7.9: "7", "soon": "soon", None: None}[value] == got.headers.get("retry-after")


def test_retry_after_may_be_a_date(oauth_server: OAuthServer) -> None:
    """An aware datetime becomes an HTTP date."""

    when = (datetime.now(UTC) + timedelta(minutes=2)).replace(microsecond=0)
    oauth_server.retry_after = when
    oauth_server.script(Mode.RATE_LIMITED)
    got = refresh(oauth_server, oauth_server.issue().refresh_token)

    assert got.headers["retry-after"].endswith(" GMT")
    assert when == email.utils.parsedate_to_datetime(got.headers["retry-after"])


def test_following_a_portal_is_noticed() -> None:
    """A client that follows a redirect away from the token endpoint misbehaves."""

    with pytest.raises(ClientMisbehaved) as caught, OAuthServer() as server:  # noqa: PT012 - leaving the server is what raises
        server.script(Mode.CAPTIVE_REDIRECT)
        ask(refresh(server, server.issue().refresh_token).headers["location"])

    assert [Rule.FOLLOWED_REDIRECT] == [violation.rule for violation in caught.value.violations]


def test_down_refuses_and_up_takes_the_same_port(oauth_server: OAuthServer) -> None:
    """The server can vanish and come back with all it knew."""

    login = oauth_server.issue()
    endpoint = oauth_server.token_endpoint
    oauth_server.down()
    with pytest.raises(ConnectionRefusedError):
        refresh(oauth_server, login.refresh_token)
    oauth_server.up()

    assert endpoint == oauth_server.token_endpoint
    assert 200 == refresh(oauth_server, login.refresh_token).status


def test_latency_is_waited_before_anything(oauth_server: OAuthServer) -> None:
    """With latency every answer takes at least so long."""

    oauth_server.latency = 0.05
    began = time.monotonic()
    ask(oauth_server.url + "/.well-known/oauth-authorization-server")

    assert time.monotonic() - began >= 0.05


def test_the_modes_hold_for_codes_too(oauth_server: OAuthServer) -> None:
    """A mode answers any token request, whatever is in it."""

    oauth_server.script(Mode.JSON_403)

    assert 403 == post(oauth_server.token_endpoint, {"grant_type": "authorization_code"}).status
