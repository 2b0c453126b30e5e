"""Whether an answer says that the server doesn't know the client, and whether a refusal may be due to its registration."""

from __future__ import annotations

import time

import pytest

from tests.oauth.fake_web import page
from trayapp.core.model import Problem
from trayapp.core.outcomes import Answer, Fault
from trayapp.oauth.known_client import casts_doubt, names_unknown_client


@pytest.mark.parametrize(
    "reply",
    [
        page(401, {"error": "invalid_client"}),
        page(400, {"error": "unauthorized_client"}),
        page(422, {"message": "Unrecognized client_id"}),
        page(404, {"detail": "Client not found"}),
        page(404, {"statusCode": 404, "error": "Not Found", "message": "client 'c-1' was not found"}),
        page(400, {"error": "invalid_request", "error_description": "The client_id 'c-1' is not registered."}),
        page(400, {"error": {"message": "no such client", "code": 7}}),
        page(400, b"<h1>Authorization error</h1><p>Error 401: invalid_client</p>"),
        page(401, b"<p>The OAuth client <b>c-1</b> doesn&#39;t exist.</p>"),
        page(400, b"Unknown OAuth client"),
        page(400, b"Error: invalid client error"),
        page(404, b"Client error: client c-1 not found"),
    ],
)
def test_a_4xx_that_names_the_client(reply: Answer) -> None:
    """By a code of the standard, or in words."""

    assert names_unknown_client(reply)


@pytest.mark.parametrize(
    "reply",
    [
        page(400, {"error": "invalid_grant"}),
        page(
            400, {"error": "invalid_grant", "error_description": "The code is invalid or was issued to another client"}
        ),
        page(400, {"error": "invalid_request", "error_description": "client_id is missing"}),
        page(400, {"error": "invalid_client_metadata"}),
        page(400, b"Invalid client metadata"),
        page(404, b"<title>404 Client Error: Not Found for url: /authorize</title>"),  # of any page that isn't there
        page(403, b"Access denied. Client IP 192.0.2.7 is not recognized."),  # a firewall's
        page(403, b"<h1>Forbidden</h1>Your client certificate is untrusted or invalid."),
        page(400, b"Invalid client request"),
        page(403, b"Unknown client address"),
        page(404, b"<html><title>Not found</title></html>"),
        page(400, b"<script>const texts = {bad: 'Invalid client'}</script><p>The state is missing.</p>"),
        page(401, b"<html>"),
        page(422, {"message": "Unprocessable"}),
        page(429, {"error": "invalid_client"}),
        page(500, {"error": "invalid_client"}),
        page(200, b"Unknown client"),
        page(302, b"Unknown client"),
        Fault(True, "timeout", ""),
    ],
)
def test_anything_else_proves_nothing(reply: Answer | Fault) -> None:
    """A registration isn't given up for it."""

    assert not names_unknown_client(reply)


@pytest.mark.parametrize("body", [b"<" * 90_000, b"<script x" * 10_000, b"client " * 12_000, b"[" * 90_000])
def test_a_huge_answer_is_read_quickly(body: bytes) -> None:
    """Whatever a server sends, the loop isn't held up."""

    begun = time.perf_counter()
    assert not names_unknown_client(page(400, body))
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize(
    ("problem", "doubted"),
    [
        (Problem("exchange", "", 422, ""), True),
        (Problem("exchange", "", 404, "Not Found"), True),
        (Problem("exchange", "", 400, "invalid_grant"), True),
        (Problem("device", "", 422, ""), True),
        (Problem("exchange", "", 400, "invalid_scope"), False),
        (Problem("exchange", "", 429, ""), False),
        (Problem("exchange", "", 503, ""), False),
        (Problem("exchange", "", None, ""), False),
        (Problem("denied", "", 400, ""), False),
        (Problem("device", "", 400, "access_denied"), False),
    ],
)
def test_a_refusal_that_may_be_due_to_the_registration(problem: Problem, doubted: bool) -> None:
    """One by the server that blames nothing else."""

    assert doubted is casts_doubt(problem)
