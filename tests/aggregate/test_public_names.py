"""Public names of tools and URIs of resources: valid, unique, the same in every run."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from trayapp.aggregate import public_names

WORKLOADS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)
TOOLS = st.text(min_size=1, max_size=128)
ALLOWED = re.compile(r"[A-Za-z0-9_-]{1,64}")


def test_the_usual_name() -> None:
    """The workload, an underscore, the tool."""

    assert {"github_create_issue": ("github", "create_issue")} == public_names.assign([("github", "create_issue")])


def test_a_long_name_is_cut_and_marked() -> None:
    """Both parts are still to be read; 64 characters are whole, 65 are cut."""

    assert ("a" * 30 + "_" + "b" * 33) == public_names.preferred("a" * 30, "b" * 33)
    cut = public_names.preferred("a" * 30, "b" * 34)
    assert 64 == len(cut)
    assert cut.startswith("a" * 27 + "_" + "b" * 20)
    assert cut != public_names.preferred("a" * 30, "b" * 33 + "c")


def test_an_odd_name_is_marked() -> None:
    """Dots and slashes are legal in the protocol and not for language models."""

    assert re.fullmatch(r"git_a_b_c_[0-9a-f]{8}", public_names.preferred("git", "a.b/c"))
    assert public_names.preferred("git", "a.b") != public_names.preferred("git", "a/b")


def test_two_that_come_to_one_name_are_both_marked() -> None:
    """The plain name means nobody then, so an old list calls nobody by mistake."""

    found = public_names.assign([("a_b", "c"), ("a", "b_c"), ("a", "d")])
    assert {("a_b", "c"), ("a", "b_c"), ("a", "d")} == set(found.values())
    assert "a_b_c" not in found
    assert ("a", "d") == found["a_d"]


@given(st.sets(st.tuples(WORKLOADS, TOOLS), max_size=30))
def test_every_thing_has_one_name_of_its_own(things: set[tuple[str, str]]) -> None:
    """However they are called: as many names as things, all of them allowed, in any order the same."""

    found = public_names.assign(things)
    assert things == set(found.values())
    assert len(things) == len(found)
    assert all(ALLOWED.fullmatch(name) for name in found)
    assert found == public_names.assign(sorted(things, reverse=True))


@given(WORKLOADS, st.text(min_size=1))
def test_addresses_go_there_and_back(workload: str, own: str) -> None:
    """What was made of a resource's address leads back to it."""

    assert (workload, own) == public_names.parse_uri(public_names.public_uri(workload, own))


def test_foreign_addresses() -> None:
    """They are nobody's by their form."""

    assert [None, None, None] == [
        public_names.parse_uri(text) for text in ("file:///x", "amberlight://a", "amberlight:///x")
    ]
