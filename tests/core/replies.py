"""Builders for replies of a token endpoint, and their classification."""

from __future__ import annotations

import json

from trayapp.core.classify import classify
from trayapp.core.outcomes import Answer, Outcome

JSON = "application/json; charset=utf-8"
HTML = "text/html"
FORM = "application/x-www-form-urlencoded"
WALL = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
HTML_PAGE = b"<!doctype html><title>Blocked</title>"


def answer(status: int, body: object = b"", kind: str = JSON, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, ({"content-type": kind} if kind else {}) | named, data)


def outcome_of(status: int, body: object = b"", kind: str = JSON, provider: str = "", **headers: str) -> Outcome:
    return classify(answer(status, body, kind, **headers), provider, WALL)


GOTRUE = {"code": 400, "error_code": "refresh_token_not_found", "msg": "Invalid Refresh Token"}
