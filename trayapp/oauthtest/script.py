"""Script of the token endpoint: its modes, and the order in which they are played.

A mode stays until another one is set. A script gives one mode to each coming token request; then the mode applies
again. What each mode puts on the wire is in `faults.py`.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum


class Mode(StrEnum):
    """How the token endpoint treats a request. Only the first three ever touch a grant."""

    SUCCESS = "success"
    SLOW = "slow"  # decides immediately (a rotation is committed), answers after `server.delay`
    DROPPED_ANSWER = "dropped_answer"  # decides, then closes the connection instead of answering

    FIREWALL = "firewall"  # 403, HTML of a web application firewall
    SERVER_ERROR = "server_error"  # 500
    UNAVAILABLE = "unavailable"  # 503 with `server.retry_after`
    RATE_LIMITED = "rate_limited"  # 429 with `server.retry_after`
    BAD_GATEWAY = "bad_gateway"  # 502
    GATEWAY_TIMEOUT = "gateway_timeout"  # 504
    INVALID_GRANT = "invalid_grant"  # 400; the grant itself stays as it is
    INVALID_CLIENT = "invalid_client"  # 401
    UNKNOWN_CODE = "unknown_code"  # 400 with an error code that no RFC has
    FORM_ERROR = "form_error"  # 400, invalid_grant in a form-encoded body
    GITHUB_ERROR = "github_error"  # 200 {"error": "bad_refresh_token"}
    JSON_403 = "json_403"  # 403 {"message": "Forbidden"}
    NO_ACCESS_TOKEN = "no_access_token"  # 200, JSON without one
    TRUNCATED_JSON = "truncated_json"  # 200, a complete answer whose JSON is cut
    CAPTIVE_HTML = "captive_html"  # 200, a portal's page
    CAPTIVE_REDIRECT = "captive_redirect"  # 302 to a portal's page

    HANG_BEFORE_HEADERS = "hang_before_headers"  # nothing, until the client hangs up or `server.release()`
    HANG_IN_BODY = "hang_in_body"  # status, headers and some of the body, then nothing
    RESET = "reset"  # the request is read, then a TCP reset
    EOF = "eof"  # the request is read, then the connection is closed
    TRUNCATED_BODY = "truncated_body"  # Content-Length promises more than comes before the end


class ScriptNotUsedUp(AssertionError):  # noqa: N818 - it reads as the verdict that it is
    """The client made fewer token requests than the test had scripted."""


class Script:
    """The current mode and the modes still to be played. Not thread-safe: its owner locks."""

    def __init__(self) -> None:
        self.mode = Mode.SUCCESS
        self._queue: deque[Mode] = deque()

    @property
    def rest(self) -> tuple[Mode, ...]:
        """The modes still to be played."""
        return tuple(self._queue)

    def add(self, *modes: Mode) -> None:
        """Play these, one for each coming token request, after those already queued."""
        self._queue.extend(Mode(mode) for mode in modes)

    def clear(self) -> None:
        """Forget the queued modes."""
        self._queue.clear()

    def next(self) -> Mode:
        """The mode for a request that has just arrived."""
        return self._queue.popleft() if self._queue else self.mode

    def finish(self) -> None:
        """Raise `ScriptNotUsedUp` if modes are still queued."""
        if self._queue:
            names = ", ".join(mode.name for mode in self._queue)
            raise ScriptNotUsedUp(f"{len(self._queue)} scripted token request(s) never came: {names}")
