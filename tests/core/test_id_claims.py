"""Claims of an ID token: whom it is for, until when, and who signed in, whatever a server puts there."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.history import login
from trayapp.core.id_claims import (
    ACCOUNT_MAX,
    ExpectedClaims,
    account_of,
    account_text,
    algorithm_of,
    claims_of,
    mismatch,
    refreshed_account,
    subject_of,
    time_fault,
)
from trayapp.core.model import Login, Secret

WALL = 1_800_000_000.0
CLIENT, ISSUER = "desktop", "https://as.test"
EXPECTED = ExpectedClaims(CLIENT, ISSUER, wall=WALL)
RLO, ZERO_WIDTH, HANGUL_FILLER = "\u202e", "\u200b", "\u3164"
USUAL = {"iss": ISSUER, "aud": CLIENT, "sub": "alice", "iat": WALL, "exp": WALL + 300}


def claims(**changes: object) -> dict[str, Any]:
    return {name: value for name, value in (USUAL | changes).items() if value is not ...}


def token(head: object = None, **changes: object) -> Secret:
    """A token with these claims; `...` leaves one out. Its signature is of no interest here."""
    parts = (json.dumps({"alg": "ES256"} if head is None else head), json.dumps(claims(**changes)))
    return Secret(".".join(base64.urlsafe_b64encode(each.encode()).decode().rstrip("=") for each in (*parts, "s")))


def alices(account: str = "alice@example.com", **changes: Any) -> Login:
    """A login whose account was verified when she signed in."""
    known = replace(login(), client_id=CLIENT, issuer=ISSUER, subject="alice", account=account)
    return replace(known, **changes)


# --- for whom, and when ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected", "words"),
    [
        ({}, EXPECTED, ""),
        ({"aud": [CLIENT]}, EXPECTED, ""),
        ({"aud": ["api", CLIENT], "azp": CLIENT}, EXPECTED, ""),
        ({"iss": "https://evil.test"}, EXPECTED, "another issuer"),
        ({"iss": ISSUER + "/"}, EXPECTED, "another issuer"),
        ({"iss": ...}, EXPECTED, "another issuer"),
        ({"iss": [ISSUER]}, EXPECTED, "another issuer"),
        ({"iss": "https://any.test"}, ExpectedClaims(CLIENT, wall=WALL), ""),  # nobody knows the issuer
        ({"aud": "other"}, EXPECTED, "another client"),
        ({"aud": ...}, EXPECTED, "another client"),
        ({"aud": {"desktop": 1}}, EXPECTED, "another client"),
        ({"aud": ["api", CLIENT]}, EXPECTED, ""),  # several, and no azp
        ({"azp": None}, EXPECTED, "another client"),
        ({"azp": "other"}, EXPECTED, "another client"),
        ({"nonce": "n"}, EXPECTED, ""),
        ({"nonce": "n"}, ExpectedClaims(CLIENT, ISSUER, "n", WALL), ""),
        ({"nonce": "m"}, ExpectedClaims(CLIENT, ISSUER, "n", WALL), "another sign-in"),
        ({}, ExpectedClaims(CLIENT, ISSUER, "n", WALL), "another sign-in"),
        ({"iss": "accounts.google.com"}, ExpectedClaims(CLIENT, "https://accounts.google.com"), ""),
        ({"iss": "accounts.google.com"}, EXPECTED, "another issuer"),
        (
            {"iss": "https://ms.test/77/v2.0", "tid": "77"},
            ExpectedClaims(CLIENT, "https://ms.test/{tenantid}/v2.0"),
            "",
        ),
        (
            {"iss": "https://ms.test/78/v2.0", "tid": "77"},
            ExpectedClaims(CLIENT, "https://ms.test/{tenantid}/v2.0"),
            "another issuer",
        ),
    ],
)
def test_mismatch_by_issuer_audience_and_nonce(
    changes: dict[str, object], expected: ExpectedClaims, words: str
) -> None:
    """Issuer, audience, authorized party and nonce (OpenID Connect Core 3.1.3.7)."""

    assert words == mismatch(claims(**changes), expected)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"exp": WALL - 60}, ""),  # two clocks may differ
        ({"exp": WALL - 180}, "already expired"),
        ({"exp": ...}, "no expiry"),
        ({"exp": "tomorrow"}, "no expiry"),
        ({"exp": True}, "no expiry"),
        ({"exp": 10**400}, "no expiry"),
        ({"nbf": WALL + 60}, ""),
        ({"nbf": WALL + 600}, "isn't valid yet"),
        ({"iat": WALL + 600}, "isn't valid yet"),
        ({"iat": ...}, ""),
    ],
)
def test_time_faults(changes: dict[str, object], words: str) -> None:
    """A wrong clock is no reason to lose anything, but the sentence names it."""

    found = time_fault(claims(**changes), WALL)
    assert words in found
    assert bool(words) == bool(found)


# --- who -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c", "....", "e30.e30.", "e30.W10.", "e30.bnVsbA.", "é.é.é"])
def test_what_is_no_token_names_nobody(text: str) -> None:
    """Nothing is raised."""

    assert ("", "") == (subject_of(Secret(text)), account_of(Secret(text)))
    assert not claims_of(Secret(text))
    assert "" == algorithm_of(Secret(text))


@given(st.text(max_size=100))
def test_any_text_names_somebody_or_nobody(text: str) -> None:
    """Printable and short, whatever it is."""

    assert "" == subject_of(Secret(text)) or len(subject_of(Secret(text))) <= 255
    assert "" == account_of(Secret(text)) or len(account_of(Secret(text))) <= ACCOUNT_MAX


@pytest.mark.parametrize("subject", [7, None, ["a"], "a" * 256, "a\nb", "\x1b[31m"])
def test_a_subject_that_is_no_name(subject: object) -> None:
    """It is not stored, and an account without a subject is nobody's."""

    odd = token(sub=subject, email="alice@example.com")
    assert ("", "") == (subject_of(odd), account_of(odd))


@pytest.mark.parametrize(
    ("said", "account"),
    [
        ({}, ""),
        ({"email": "alice@example.com", "preferred_username": "alice", "name": "Alice"}, "alice@example.com"),
        ({"preferred_username": "alice", "name": "Alice"}, "alice"),
        ({"name": "Alice"}, "Alice"),
        ({"email": "", "preferred_username": " \t", "name": "Alice"}, "Alice"),
        ({"email": f"a{RLO}moc.elpmaxe@b", "name": "Alice"}, "Alice"),
        ({"email": ["alice@example.com"], "preferred_username": 7, "name": None}, ""),
        ({"email": {"a": "b"}, "name": True}, ""),
        ({"email": "a" * 10_240, "preferred_username": "alice"}, "alice"),
        ({"name": "  Alice\u00a0 \nLiddell "}, "Alice Liddell"),
        ({"name": "Алиса 🦊"}, "Алиса 🦊"),
    ],
)
def test_the_account_is_the_first_claim_that_can_be_shown(said: dict[str, object], account: str) -> None:
    """E-mail address, then user name, then name."""

    assert account == account_of(token(**said))
    assert "" == account_of(None)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            " ",
            "\t\r\n",
            "a\x00b",
            "\x1b[31mred",
            f"{RLO}a",
            "a\u2066b\u2069",
            ZERO_WIDTH,
            f"a{ZERO_WIDTH}",
            "\ud800",
        ),
        *(HANGUL_FILLER, f" {HANGUL_FILLER} \u2800", "a" * (ACCOUNT_MAX + 1), "a" * 10_240),
        *(None, 7, 1.5, True, ["a"], {"a": "b"}, b"a"),
    ],
)
def test_what_is_no_account(value: object) -> None:
    """Control characters, reversed or invisible text, endless text and other types: nothing instead of a guess."""

    assert "" == account_text(value)


@given(st.text() | st.text(" \t\u00a0\u2028\u202e\u3164ab@", max_size=300) | st.integers() | st.none())
def test_an_account_is_one_short_printable_line(value: object) -> None:
    """And cleaning it again, as reading it from the keyring does, changes nothing."""

    found = account_text(value)
    assert found.isprintable()
    assert len(found) <= ACCOUNT_MAX
    assert found == " ".join(found.split()) == account_text(found)


# --- a refresh -------------------------------------------------------------------------------------------------------


def test_a_refresh_updates_the_account_of_the_same_person() -> None:
    """Also of a login from before accounts were kept."""

    assert "new@example.com" == refreshed_account(alices(), token(email="new@example.com"), WALL)
    assert "new@example.com" == refreshed_account(alices(""), token(email="new@example.com"), WALL)
    assert "Alice L." == refreshed_account(alices("Alice"), token(name="Alice L."), WALL)


def test_a_refresh_that_says_less_keeps_the_account() -> None:
    """No ID token, one without an account, and a name where an e-mail address is known."""

    for said in (None, token(), token(email=[7]), token(name="Alice")):
        assert "alice@example.com" == refreshed_account(alices(), said, WALL)


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "bob"},
        {"sub": ...},
        {"iss": "https://evil.test"},
        {"aud": "other"},
        {"azp": "other"},
        {"exp": ...},
        {"exp": WALL - 9999},
        {"iat": WALL + 9999},
        {"head": {"alg": "none"}},
        {"head": {"alg": 7}},
        {"head": []},
    ],
    ids=str,
)
def test_a_token_of_or_for_somebody_else_changes_nothing(changes: dict[str, Any]) -> None:
    """Nor one that isn't valid now, or isn't signed."""

    assert "alice@example.com" == refreshed_account(alices(), token(**changes, email="new@example.com"), WALL)


def test_an_account_that_was_never_verified_stays_unknown() -> None:
    """The sign-in couldn't prove whose login it is, so no refresh can."""

    assert "" == refreshed_account(alices("", subject=""), token(email="alice@example.com"), WALL)
    assert "" == refreshed_account(alices("", subject=""), token(sub="", email="alice@example.com"), WALL)
    assert "" == refreshed_account(alices("", subject=""), Secret("garbage"), WALL)
