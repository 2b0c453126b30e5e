"""Property tests of the menu: whatever the snapshot, it fits the screen and keeps what matters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_menu import flat, local, snap, view
from trayapp.core.labels import LEAVING, Label
from trayapp.core.menu import LINE_MAX, NAME_MIN, ROWS_MAX, SUMMARY_ORDER, WORKLOADS_MAX, cut, named, rank, tray_view
from trayapp.core.model import BrowserFault, DeviceCode, Problem
from trayapp.core.outages import Cause, Outage
from trayapp.core.presentation import Action, MenuItem, TrayView, Verb
from trayapp.core.snapshot import Detail, Removal, Snapshot, Status, WorkloadView

NAMES = st.builds(lambda size, number: f"{'service-' * 8}"[:size] + str(number), st.integers(0, 60), st.integers(0, 99))
SENTENCES = st.sampled_from(["No.", "It is so. " * 30, "a" * 200, "one\ntwo\tthree " * 9, ""])
CODES = st.sampled_from(
    [
        None,
        DeviceCode("ABCD-EFGH", "https://example.com/device", "", 900.0),
        DeviceCode("X" * 80, f"https://{'host.' * 12}example.com/{'a' * 90}", "", 900.0),
    ]
)
SCOPES = st.sampled_from([(), ("write",), ("r" * 40,), (f"https://www.googleapis.com/auth/{'x' * 60}", "a", "b", "c")])
FLAGS = st.integers(0, 31).map(lambda bits: [bool(bits & 1 << place) for place in range(5)])


@st.composite
def workloads(draw: st.DrawFn) -> WorkloadView:
    seen = view(draw(NAMES), draw(st.sampled_from(Status)), draw(st.sampled_from(Detail)), next_at=872.0)
    signing_in, usable, unsaved, ends_soon, renewable = draw(FLAGS)
    auth = replace(
        seen.auth,
        signing_in=signing_in,
        usable=usable,
        unsaved=unsaved,
        ends_soon=ends_soon,
        renewable=renewable,
        rechecked_at=None if usable else 61.0,
        device=draw(CODES) if signing_in else None,
        browser_fault=draw(st.none() | st.sampled_from(BrowserFault)),
        missing_scopes=draw(SCOPES),
        last_error=None if renewable else Problem("http", "e" * 300),
    )
    return replace(seen, auth=auth)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    found = {each.name: each for each in draw(st.lists(workloads(), max_size=12))}
    outage = st.builds(Outage, st.sampled_from([0, 8765, 65535]), st.sampled_from(Cause), SENTENCES, SENTENCES)
    muted, broken, *_ = draw(FLAGS)
    return snap(
        *found.values(),
        muted=muted,
        autostart=draw(st.none() | st.booleans()),
        broken=draw(SENTENCES) if broken else "",
        outage=draw(st.none() | outage),
        warnings=tuple(draw(st.lists(SENTENCES, max_size=5))),
        removals=tuple(
            Removal(name, "as." * 40, deleted=muted) for name in draw(st.lists(NAMES, max_size=5, unique=True))
        ),
    )


def lines(drawn: TrayView) -> Iterator[str]:
    yield from (item.text for item in flat(drawn.menu))
    yield from drawn.tooltip.split("\n")


def keys(items: tuple[MenuItem, ...]) -> list[str]:
    return [item.key for item in items]


@given(snapshots())
def test_it_fits_every_screen(snapshot: Snapshot) -> None:
    """Few rows, and lines that are neither long nor broken."""

    drawn = tray_view(snapshot, local)
    assert len(drawn.menu) <= ROWS_MAX <= 30
    assert all(len(line) <= LINE_MAX for line in lines(drawn))
    assert not any(item.text != " ".join(item.text.split()) for item in flat(drawn.menu))
    assert all(item.separator or item.text for item in flat(drawn.menu))


@given(snapshots())
def test_the_app_is_always_in_reach(snapshot: Snapshot) -> None:
    """Dashboard, Add, Mute and Quit are there and can be clicked."""

    items = {item.key: item for item in tray_view(snapshot, local).menu}
    wanted = {"dashboard": Verb.SHOW, "add": Verb.ADD, "mute": Verb.MUTE, "quit": Verb.QUIT}
    assert {key: (Action(verb), True) for key, verb in wanted.items()} == {
        key: (items[key].action, items[key].enabled) for key in wanted
    }
    assert snapshot.muted is items["mute"].checked


@given(snapshots())
def test_the_worst_are_shown(snapshot: Snapshot) -> None:
    """No workload without a row is worse than one that has one; and whoever has none is a click away."""

    shown = [key.partition(":")[2] for key in keys(tray_view(snapshot, local).menu) if key.startswith("workload:")]
    assert len(shown) == min(len(snapshot.workloads), WORKLOADS_MAX)
    ranks = [rank(snapshot.workloads[name]) for name in shown]
    assert sorted(ranks) == ranks
    others = [rank(each) for name, each in snapshot.workloads.items() if name not in shown]
    assert not others or max(ranks) <= min(others)
    assert bool(others) is ("all" in keys(tray_view(snapshot, local).menu))


@given(snapshots(), st.data())
def test_a_key_is_one_thing(snapshot: Snapshot, data: st.DataObject) -> None:
    """Keys are unique, and after any change the same key still means the same action or a heading."""

    before = flat(tray_view(snapshot, local).menu)
    assert len({item.key for item in before}) == len(before)
    kept = data.draw(st.lists(st.sampled_from(sorted(snapshot.workloads)), unique=True)) if snapshot.workloads else []
    after = replace(snapshot, workloads={name: snapshot.workloads[name] for name in kept}, warnings=(), broken="")
    actions = {item.key: item.action for item in before}
    for item in flat(tray_view(after, local).menu):
        assert item.action == actions.get(item.key, item.action)


@given(snapshots())
def test_states_have_their_label(snapshot: Snapshot) -> None:
    """A workload's row says its name, or both its ends, and one of the labels in full."""

    for item in tray_view(snapshot, local).menu:
        if not item.key.startswith("workload:"):
            continue
        name, _, state = item.text[2:].partition(": ")
        whole = item.key.partition(":")[2]
        begin, _, end = name.partition("…")
        assert name == whole or (len(name) >= NAME_MIN and whole.startswith(begin) and whole.endswith(end))
        assert state.partition(", ")[0] in {*Label, *LEAVING.values()}


def test_the_summary_knows_every_label() -> None:
    """None is left out of the count."""

    assert {*Label, *LEAVING.values()} == set(SUMMARY_ORDER)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("short", "short"),
        ("a" * 60, "a" * 60),
        ("a" * 61, f"{'a' * 59}…"),
        (f"{'a' * 58} {'b' * 9}", f"{'a' * 58}…"),
        (" two\n lines ", "two lines"),
    ],
)
def test_cut(text: str, line: str) -> None:
    """At most `LINE_MAX` characters, on one line."""

    assert line == cut(text)


@pytest.mark.parametrize(
    ("name", "after", "line"),
    [
        ("notion", "…", "Sign in to notion…"),
        ("n" * 48, "…", f"Sign in to {'n' * 48}…"),
        ("a" * 30 + "b" * 33, "…", f"Sign in to {'a' * 23}…{'b' * 24}…"),
        ("a" * 30 + "b" * 33, "x" * 60, f"Sign in to {'a' * 11}…{'b' * 12}{'x' * 24}…"),
    ],
)
def test_named(name: str, after: str, line: str) -> None:
    """A long name keeps both its ends, and at least `NAME_MIN` characters."""

    assert line == named("Sign in to ", name, after)


@pytest.mark.parametrize(("scope", "end"), [("w", ": w"), ("https://www.googleapis.com/auth/drive", "")])
def test_scopes_that_do_not_fit_are_left_out(scope: str, end: str) -> None:
    """Half a scope would say nothing; the dashboard has them all."""

    lacking = view("google-drive", Status.RUNNING, Detail.PERMISSION_NEEDED)
    seen = replace(lacking, auth=replace(lacking.auth, missing_scopes=(scope,)))
    (row,) = (item for item in tray_view(snap(seen), local).menu if item.items)
    assert f"✔ google-drive: Connected, needs additional permission{end}" == row.text
