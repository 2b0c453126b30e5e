"""The D-Bus menu: item numbers are never reused, and announced changes are enough for a host to stay up to date."""

from __future__ import annotations

from typing import Any

import pytest
from dbus_fast import Variant
from hypothesis import given, settings
from hypothesis import strategies as st

from trayapp.core.presentation import Action, MenuItem, Verb
from trayapp.tray.dbusmenu import ROOT, MenuTree, MenuUpdate, label, properties
from trayapp.tray.menu import Path, paths

pytestmark = pytest.mark.linux("menus over D-Bus")

RETRY = Action(Verb.RETRY, "a")


def menu(*texts: str) -> tuple[MenuItem, ...]:
    return tuple(MenuItem(text, text, Action(Verb.RETRY, text)) for text in texts)


def number(tree: MenuTree, text: str) -> int:
    (found,) = (k for k, node in tree.nodes.items() if node.item.text == text)
    return found


def test_a_new_text_is_sent_as_a_property() -> None:
    """No new layout: an open menu stays open."""

    tree = MenuTree()
    tree.update((MenuItem("a", "retrying", RETRY),))
    change = tree.update((MenuItem("a", "running", RETRY),))
    assert MenuUpdate(False, ((1, {"label": Variant("s", "running")}),)) == change


def test_the_same_menu_is_no_change() -> None:
    """And keeps its revision."""

    tree = MenuTree()
    tree.update(menu("a", "b"))
    revision = tree.revision
    assert MenuUpdate(False) == tree.update(menu("a", "b"))
    assert revision == tree.revision


def test_a_check_mark_that_goes_is_removed() -> None:
    """Otherwise a host would keep it."""

    tree = MenuTree()
    tree.update((MenuItem("a", "Mute", RETRY, checked=True),))
    assert ((1, {"toggle-state": Variant("i", 0)}),) == tree.update(
        (MenuItem("a", "Mute", RETRY, checked=False),)
    ).updated
    assert ((1, ["toggle-state", "toggle-type"]),) == tree.update((MenuItem("a", "Mute", RETRY),)).removed


def test_a_new_item_is_a_new_layout() -> None:
    """With a new revision."""

    tree = MenuTree()
    tree.update(menu("a"))
    revision = tree.revision
    assert tree.update(menu("a", "b")).layout
    assert revision + 1 == tree.revision


def test_an_item_keeps_its_number_when_others_come_and_go() -> None:
    """Its position does not matter."""

    tree = MenuTree()
    tree.update(menu("a", "b", "c"))
    before = number(tree, "c")
    tree.update(menu("x", "c"))
    assert before == number(tree, "c")


def test_the_number_of_a_vanished_item_means_nothing() -> None:
    """Not even when the item comes back."""

    tree = MenuTree()
    tree.update(menu("a", "b"))
    gone = number(tree, "b")
    tree.update(menu("a"))
    tree.update(menu("a", "b"))
    assert tree.action(gone) is None
    assert Action(Verb.RETRY, "b") == tree.action(number(tree, "b"))


def test_an_item_with_another_action_gets_another_number() -> None:
    """The user read *Pause*; a late click must not resume."""

    tree = MenuTree()
    tree.update((MenuItem("a/pause", "Pause", Action(Verb.PAUSE, "a")),))
    read = number(tree, "Pause")
    tree.update((MenuItem("a/pause", "Resume", Action(Verb.RESUME, "a")),))
    assert tree.action(read) is None


def test_a_disabled_item_cannot_be_clicked() -> None:
    """Hosts do not send such clicks, but other programs may."""

    tree = MenuTree()
    tree.update((MenuItem("a", "Retry", RETRY, enabled=False),))
    assert tree.action(1) is None


def test_the_same_key_in_two_submenus_is_two_items() -> None:
    """A number belongs to the whole path."""

    tree = MenuTree()
    tree.update(tuple(MenuItem(name, name, items=(MenuItem("retry", f"R {name}", RETRY),)) for name in "ab"))
    assert number(tree, "R a") != number(tree, "R b")


def test_a_layout_is_cut_at_the_requested_depth() -> None:
    """-1 means all, 0 the item alone; names select the properties."""

    tree = MenuTree()
    tree.update((MenuItem("a", "A", items=(MenuItem("b", "B", RETRY),)),))
    everything = tree.layout(ROOT, -1, ["label"])
    assert [0, {}, [Variant("(ia{sv}av)", [1, {"label": Variant("s", "A")}, everything[2][0].value[2]])]] == everything
    assert [2, {"label": Variant("s", "B")}, []] == everything[2][0].value[2][0].value
    assert [] == tree.layout(ROOT, 1, [])[2][0].value[2]
    assert [] == tree.layout(ROOT, 0, [])[2]


def test_an_underscore_is_doubled() -> None:
    """A single one would mark an access key and vanish."""

    assert "git__hub" == label("git_hub")


# --- histories --------------------------------------------------------------------------------------------------------

KEYS = st.sampled_from("abcd")
ACTIONS = st.none() | st.builds(Action, st.sampled_from([Verb.PAUSE, Verb.RESUME]), KEYS)


def items(children: st.SearchStrategy[tuple[MenuItem, ...]]) -> st.SearchStrategy[tuple[MenuItem, ...]]:
    one = st.builds(
        MenuItem,
        KEYS,
        text=st.sampled_from(["x", "y"]),
        action=ACTIONS,
        enabled=st.booleans(),
        checked=st.none() | st.booleans(),
        separator=st.booleans(),
        items=children,
    )
    return st.lists(one, max_size=4).map(tuple)


MENUS = items(items(st.just(())))


class Host:
    """A panel that applies announced changes and fetches the layout only when it is announced as new."""

    def __init__(self, tree: MenuTree) -> None:
        self.tree = tree
        self.properties: dict[int, dict[str, Any]] = {}
        self.children: dict[int, list[int]] = {}
        self.fetch()

    def fetch(self) -> None:
        self.properties, self.children = {}, {}
        self._read(self.tree.layout(ROOT, -1, []))

    def _read(self, layout: list[Any]) -> None:
        number, found, below = layout
        self.properties[number] = dict(found)
        self.children[number] = [child.value[0] for child in below]
        for child in below:
            self._read(child.value)

    def hear(self, change: MenuUpdate) -> None:
        for number, found in change.updated:
            self.properties[number].update(found)
        for number, names in change.removed:
            for name in names:
                del self.properties[number][name]
        if change.layout:
            self.fetch()


@settings(deadline=None)
@given(st.lists(MENUS, min_size=1, max_size=6))
def test_a_number_always_means_the_same_item(history: list[tuple[MenuItem, ...]]) -> None:
    """Over any history: one number, one path of keys, one action; and no number is reused."""

    tree = MenuTree()
    meaning: dict[int, tuple[Path, Action | None]] = {}
    gone: set[int] = set()
    for new in history:
        before = set(tree.nodes)
        tree.update(new)
        now: dict[int, tuple[Path, Action | None]] = {}

        def walk(level: tuple[MenuItem, ...], parent: Path, numbers: list[int], now: Any = now) -> None:
            for (path, item), number in zip(paths(level, parent), numbers, strict=True):
                now[number] = (path, item.action)
                walk(item.items, path, tree.nodes[number].children)

        walk(new, (), tree.nodes[ROOT].children)
        assert set(tree.nodes) == {ROOT, *now}
        assert not gone & set(now)
        for number, what in now.items():
            assert meaning.setdefault(number, what) == what
        gone |= before - set(tree.nodes)


@settings(deadline=None)
@given(st.lists(MENUS, min_size=1, max_size=6))
def test_a_host_that_applies_the_changes_has_the_same_menu(history: list[tuple[MenuItem, ...]]) -> None:
    """The announcements are sufficient, and the layout is announced only when its shape changed."""

    tree = MenuTree()
    host = Host(tree)
    for new in history:
        shape = {number: node.children for number, node in tree.nodes.items()}
        change = tree.update(new)
        host.hear(change)
        assert {k: node.properties for k, node in tree.nodes.items()} == host.properties
        assert {k: node.children for k, node in tree.nodes.items()} == host.children
        assert change.layout is (shape != host.children)


@settings(deadline=None)
@given(MENUS)
def test_properties_hold_all_that_is_shown(new: tuple[MenuItem, ...]) -> None:
    """A separator has no text; a check mark is shown as one or not at all."""

    for _, item in paths(new):
        found = properties(item)
        assert ("type" in found) is item.separator
        assert ("toggle-state" in found) is (item.checked is not None and not item.separator)
