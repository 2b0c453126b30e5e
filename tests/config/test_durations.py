"""Durations in Go's syntax: parsed and refused as Go does, and every formatted one parses back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.config.durations import DurationError, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("5s", 5.0),
        ("+5s", 5.0),
        ("-5s", -5.0),
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        ("1.5h", 5400.0),
        (".5m", 30.0),
        ("5.s", 5.0),
        ("3µs", 3e-6),
        ("3μs", 3e-6),
        ("3us", 3e-6),
        ("7ns", 7e-9),
        ("1h1m1s1ms", 3661.001),
        ("30s1h", 3630.0),
        ("0.9999999999s", 0.999999999),
    ],
)
def test_parses(text: str, seconds: float) -> None:
    """The texts that Go's documentation and tests name are read, in any order of units, cut at nanoseconds."""

    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty text"),
        ("+", "an empty text"),
        ("10", "a number without a unit"),
        ("1h30", "a number without a unit"),
        (".", "a number without a unit"),
        ("s", "a unit without a number"),
        (".s", "a unit without a number"),
        ("3d", 'an unknown unit "d"'),
        ("3 s", "isn't a duration"),
        ("1h -3m", "isn't a duration"),
        ("--3s", "isn't a duration"),
        ("ten minutes", "a unit without a number"),
        ("٣s", "isn't a duration"),  # digits of other scripts are no digits here
        ("3000000h", "about 292 years"),
        ("9" * 50 + "s", "about 292 years"),
        ("\x1b[31ms", "isn't a duration"),
    ],
)
def test_rejects(text: str, words: str) -> None:
    """Whatever is not a duration is answered with what would be one, and never with raw control characters."""

    with pytest.raises(DurationError) as caught:
        parse_duration(text)

    assert words in str(caught.value)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (90, "1m30s"),
        (86400, "24h"),
        (600, "10m"),
        (0.25, "250ms"),
        (1.5, "1.5s"),
        (3e-6, "3us"),
        (-5, "-5s"),
    ],
)
def test_formats_the_shortest(seconds: float, text: str) -> None:
    """A duration is written without parts that are zero."""

    assert text == format_duration(seconds)


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_round_trip(nanoseconds: int) -> None:
    """What is written reads back as the same number, to the nanosecond."""

    seconds = nanoseconds / 1e9

    assert seconds == parse_duration(format_duration(seconds))


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text at all brings another error than the one that has a sentence."""

    try:
        assert isinstance(parse_duration(text), float)
    except DurationError as error:
        assert len(str(error)) > 20


@given(
    st.lists(
        st.tuples(
            st.integers(0, 999),
            st.sampled_from([("ns", 1), ("us", 1000), ("ms", 10**6), ("s", 10**9), ("m", 60 * 10**9)]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_parts_add_up(parts: list[tuple[int, tuple[str, int]]]) -> None:
    """A duration is the sum of its parts, however often a unit occurs."""

    text = "".join(f"{number}{unit}" for number, (unit, _) in parts)

    assert sum(number * worth for number, (_, worth) in parts) / 1e9 == parse_duration(text)
