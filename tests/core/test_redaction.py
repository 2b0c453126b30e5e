"""A text for a bug report has no secret in it, and nobody's name."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.core.redaction import GONE, redact, redact_all, redact_start


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET https://me:pw@x.example/a", f"GET https://{GONE}@x.example/a"),
        ("at https://x.example/cb?code=abc&state=d#e, then", f"at https://x.example/cb?{GONE} then"),
        ("Authorization: Bearer at-1.2", f"Authorization: Bearer {GONE}"),
        ("sent Bearer at-1.2 there", f"sent Bearer {GONE} there"),
        ("eyJhbGciOi.eyJzdWIi.c2ln end", f"{GONE} end"),
        ("refresh_token=r1&scope=a", f"refresh_token={GONE}&scope=a"),
        ('{"client_secret": "s1", "b": 1}', f'{{"client_secret": "{GONE}", "b": 1}}'),
        ("AMBERLIGHT_TOKEN: t1", f"AMBERLIGHT_TOKEN: {GONE}"),
        ("password: leave it out", None),
        ("a token = t1, and Cookie: onlyletterscookievalue", f"a token = {GONE}, and Cookie: {GONE}"),
        ("user_code=ABCD-EFGH", f"user_code={GONE}"),
        ("signed in as ann.b+c@mail.example.com.", f"signed in as {GONE}@mail.example.com."),
        ("key 0123456789abcdefABCDEF0123456789", f"key {GONE}"),
        ("key AbCdEfGhIjKlMnOpQrStUvWx9", f"key {GONE}"),
        ("/home/ann/.config/x", "~/.config/x"),
        ("2026-01-02T03:04:05Z INFO trayapp.engine.engine: notes #4: refreshed", None),
        ("a_long_name_without_any_figure", None),
        ("https://mcp.example.com/mcp", None),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str, expected: str | None) -> None:
    """And what helps to find a fault stays."""

    assert (text if expected is None else expected) == redact(text, home="/home/ann")


@given(st.text(alphabet="abcXYZ019-_.~+/", min_size=6, max_size=60), st.text(max_size=20), st.text(max_size=20))
def test_a_known_secret_never_stays(secret: str, before: str, after: str) -> None:
    """Whatever it looks like, and wherever it is."""

    assert secret not in redact(f"{before}{secret}{after}", secrets=["unused", secret])


def test_a_short_one_takes_no_words_apart() -> None:
    assert "a b c" == redact("a b c", secrets=["b", ""], home="/")


def test_every_text_of_a_value_is_redacted() -> None:
    """Keys and numbers stay."""

    value = {"url": "https://x?k=v", "rows": [{"text": "abcdef"}, ("abcdef", 1, None, True)]}

    found = redact_all(value, secrets=["abcdef"])
    assert {"url": f"https://x?{GONE}", "rows": [{"text": GONE}, [GONE, 1, None, True]]} == found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("all of it", "all of it"),
        ("a " * 200, "a " * 50),
        ("x" * 299 + " https://me:secret-that-is-cut@x.example", "x" * 100),
        ("https://me:" + "pw" * 500 + "@x.example", GONE),
        ("seen password=" + "p" * 1000, "seen"),
    ],
)
def test_the_start_of_a_long_text(text: str, shown: str) -> None:
    """No part of a secret is shown because its end isn't looked at."""

    assert shown == redact_start(text, 100)


@pytest.mark.parametrize("piece", ["token", "a", "a.", "a-", "a@", "token-1:", "basic ", "eyJabcd."])
def test_a_long_word_is_not_read_again_and_again(piece: str) -> None:
    """Many thousand characters take less than a second, so that no other program's text holds up the app."""

    began = process_time()
    redact(piece * (4000 // len(piece)))
    assert process_time() - began < 2
