"""Public names: short, plain, the same in every run, and never one for two things."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from trayapp.aggregate import names

WORKLOADS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
TOOLS = st.text(min_size=1, max_size=128)
ALLOWED = re.compile(r"[A-Za-z0-9_-]{1,64}")


def test_the_usual_name() -> None:
    """The workload, an underscore, the tool."""

    assert {"github_create_issue": ("github", "create_issue")} == names.published([("github", "create_issue")])


def test_a_long_name_is_cut_and_marked() -> None:
    """Both parts are still to be read; 64 characters are whole, 65 are cut."""

    assert ("a" * 30 + "_" + "b" * 33) == names.plain("a" * 30, "b" * 33)
    cut = names.plain("a" * 30, "b" * 34)
    assert 64 == len(cut)
    assert cut.startswith("a" * 27 + "_" + "b" * 20)
    assert cut != names.plain("a" * 30, "b" * 33 + "c")


def test_an_odd_name_is_marked() -> None:
    """Dots and slashes are legal in the protocol and not for language models."""

    assert re.fullmatch(r"git_a_b_c_[0-9a-f]{8}", names.plain("git", "a.b/c"))
    assert names.plain("git", "a.b") != names.plain("git", "a/b")


def test_two_that_come_to_one_name_are_both_marked() -> None:
    """The plain name means nobody then, so an old list calls nobody by mistake."""

    found = names.published([("a_b", "c"), ("a", "b_c"), ("a", "d")])
    assert {("a_b", "c"), ("a", "b_c"), ("a", "d")} == set(found.values())
    assert "a_b_c" not in found
    assert ("a", "d") == found["a_d"]


@given(st.sets(st.tuples(WORKLOADS, TOOLS), max_size=30))
def test_every_thing_has_one_name_of_its_own(things: set[tuple[str, str]]) -> None:
    """However they are called: as many names as things, all of them allowed, in any order the same."""

    found = names.published(things)
    assert things == set(found.values())
    assert len(things) == len(found)
    assert all(ALLOWED.fullmatch(name) for name in found)
    assert found == names.published(sorted(things, reverse=True))


@given(WORKLOADS, st.text(min_size=1))
def test_addresses_go_there_and_back(workload: str, own: str) -> None:
    """What was made of a resource's address leads back to it."""

    assert (workload, own) == names.of_uri(names.uri(workload, own))


def test_foreign_addresses() -> None:
    """They are nobody's by their form."""

    assert [None, None, None] == [names.of_uri(text) for text in ("file:///x", "amberlight://a", "amberlight:///x")]
