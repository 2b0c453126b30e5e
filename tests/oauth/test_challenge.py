"""`WWW-Authenticate` headers as servers write them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.oauth.challenge import Challenge, bearer_challenges, parse_challenges

URL = "https://mcp.example.com/.well-known/oauth-protected-resource"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("Bearer", [("bearer", {})]),
        ("bearer realm=x", [("bearer", {"realm": "x"})]),
        (f'Bearer resource_metadata="{URL}"', [("bearer", {"resource_metadata": URL})]),
        (f"Bearer resource_metadata={URL}", [("bearer", {"resource_metadata": URL})]),  # should be quoted, often is not
        (
            f'Bearer error="invalid_token", error_description="a, \\"b\\" = c", scope="a b", resource_metadata="{URL}"',
            [
                (
                    "bearer",
                    {
                        "error": "invalid_token",
                        "error_description": 'a, "b" = c',
                        "scope": "a b",
                        "resource_metadata": URL,
                    },
                )
            ],
        ),
        (
            'Basic realm="x, Bearer y=z", Bearer scope="s"',
            [("basic", {"realm": "x, Bearer y=z"}), ("bearer", {"scope": "s"})],
        ),
        ("Negotiate YWJj==, Bearer a=1 , , b = 2", [("negotiate", {}), ("bearer", {"a": "1", "b": "2"})]),
        ("NTLM, Basic", [("ntlm", {}), ("basic", {})]),
        ("Bearer a=1, a=2", [("bearer", {"a": "1"})]),
        ('Bearer a="open', [("bearer", {})]),
        ("Bearer A=1", [("bearer", {"a": "1"})]),
        ('"junk", Bearer a=1', [("bearer", {"a": "1"})]),
        ('DPoP algs="ES256", Bearer x="1"', [("dpop", {"algs": "ES256"}), ("bearer", {"x": "1"})]),
    ],
)
def test_challenges(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    """Several of them, quoted texts, stray commas, junk."""

    assert [Challenge(scheme, parameters) for scheme, parameters in expected] == list(parse_challenges(header))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic realm=x", ()),
        ("", ()),
        ("Bearer a=1, Bearer b=2", ({"a": "1"}, {"b": "2"})),
        (f'Bearer a=1, Basic x=y, DPoP resource_metadata="{URL}"', ({"resource_metadata": URL}, {"a": "1"})),
    ],
)
def test_the_bearer_challenges_with_metadata_come_first(header: str, expected: Any) -> None:
    """Those that name it, then the others in their order; other schemes are passed over."""

    assert expected == bearer_challenges(header)


@given(st.text(alphabet='abB= ,"\\;\t/:é', max_size=200))
def test_any_header_is_parsed_without_raising(header: str) -> None:
    """No header raises, and none hangs."""

    assert all(one.scheme for one in parse_challenges(header))


def test_a_huge_header_is_parsed_in_linear_time() -> None:
    """It is cut, and read in one pass."""

    began = time.perf_counter()
    for part in ('a="', "a=", "a ", ",", '\\"', 'Bearer x="\\', "="):
        parse_challenges(part * 100_000)
    assert time.perf_counter() - began < 2
