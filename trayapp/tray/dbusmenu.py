"""The menu over D-Bus (com.canonical.dbusmenu): stable item numbers, and updates that leave an open menu open.

The host shows a menu, the user reads a line, the menu changes, the user clicks: what arrives is a number. A number
belongs to an item's path of keys *and* its action. When either goes, the number is never used again, so a late click
does what the user read, or nothing. `MenuTree` keeps the numbers and finds what changed; `DbusMenu` is the D-Bus object.
A new layout is announced only when items come, go or move; a changed text, state or check mark is sent as properties,
which leaves an open menu open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from dbus_fast import DBusError, Variant
from dbus_fast.annotations import DBusBool, DBusInt32, DBusSignature, DBusStr, DBusUInt32, DBusVariant
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from trayapp.core.presentation import Action, MenuItem
from trayapp.tray.menu import Path, paths

log = logging.getLogger(__name__)

INTERFACE = "com.canonical.dbusmenu"
ROOT = 0
Properties = dict[str, Variant]

Layout = Annotated[list[Any], DBusSignature("(ia{sv}av)")]
Ids = Annotated[list[int], DBusSignature("ai")]
Names = Annotated[list[str], DBusSignature("as")]
Group = Annotated[list[tuple[int, Properties]], DBusSignature("a(ia{sv})")]
Removed = Annotated[list[tuple[int, list[str]]], DBusSignature("a(ias)")]
Nothing = Annotated[None, DBusSignature("")]  # dbus-fast reads annotations and does not accept a plain None
Events = Annotated[list[tuple[int, str, Variant, int]], DBusSignature("a(isvu)")]


@dataclass(slots=True)
class MenuNode:
    """One item as the host knows it."""

    item: MenuItem
    properties: Properties
    children: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MenuUpdate:
    """What to announce to the host: a new layout, only new properties, or nothing."""

    layout: bool
    updated: tuple[tuple[int, Properties], ...] = ()
    removed: tuple[tuple[int, list[str]], ...] = ()


def label(text: str) -> str:
    """The text as the protocol wants it: an underscore marks the access key, so a real one is doubled."""
    return text.replace("_", "__")


def properties(item: MenuItem) -> Properties:
    """The D-Bus properties of an item. `visible` and other defaults of the protocol are left out."""
    if item.separator:
        return {"type": Variant("s", "separator")}
    shown = {"label": Variant("s", label(item.text)), "enabled": Variant("b", item.enabled)}
    if item.checked is not None:
        shown["toggle-type"] = Variant("s", "checkmark")
        shown["toggle-state"] = Variant("i", int(item.checked))
    if item.items:
        shown["children-display"] = Variant("s", "submenu")
    return shown


NumbersByIdentity = dict[tuple[Path, Action | None], int]


class MenuTree:
    """The menu with its item numbers. Not thread-safe: it lives on the loop of the bus."""

    def __init__(self) -> None:
        self.revision = 1
        self.nodes: dict[int, MenuNode] = {ROOT: self._root([])}
        self._ids: NumbersByIdentity = {}
        self._last = ROOT

    @staticmethod
    def _root(children: list[int]) -> MenuNode:
        return MenuNode(MenuItem(""), {"children-display": Variant("s", "submenu")}, children)

    def update(self, menu: tuple[MenuItem, ...]) -> MenuUpdate:
        """Replace the menu; returns what changed."""
        before, previous, self._ids = self.nodes, self._ids, {}
        nodes: dict[int, MenuNode] = {}
        nodes[ROOT] = self._root(self._add(menu, (), nodes, previous))
        self.nodes = nodes
        layout = {k: n.children for k, n in before.items()} != {k: n.children for k, n in nodes.items()}
        self.revision += layout
        common = [k for k in nodes if k in before and nodes[k].properties != before[k].properties]
        updated = ((k, _changed_properties(before[k].properties, nodes[k].properties)) for k in common)
        removed = ((k, sorted(before[k].properties.keys() - nodes[k].properties.keys())) for k in common)
        return MenuUpdate(layout, tuple(u for u in updated if u[1]), tuple(r for r in removed if r[1]))

    def _add(
        self, items: Iterable[MenuItem], parent: Path, nodes: dict[int, MenuNode], previous: NumbersByIdentity
    ) -> list[int]:
        numbers = []
        for path, item in paths(items, parent):
            identity = (path, item.action)
            number = previous.get(identity) or self._next()
            self._ids[identity] = number
            nodes[number] = MenuNode(item, properties(item))
            nodes[number].children = self._add(item.items, path, nodes, previous)
            numbers.append(number)
        return numbers

    def _next(self) -> int:
        self._last += 1
        return self._last

    def action(self, number: int) -> Action | None:
        """The action of the item with this number; None if the item is gone, disabled or only a heading."""
        node = self.nodes.get(number)
        return node.item.action if node is not None and node.item.enabled else None

    def layout(self, number: int, depth: int, names: list[str]) -> list[Any]:
        """`(ia{sv}av)` from this item down, `depth` levels deep, -1 for all."""
        node = self.nodes[number]
        below = [] if depth == 0 else [Variant("(ia{sv}av)", self.layout(k, depth - 1, names)) for k in node.children]
        return [number, _selected(node.properties, names), below]


def _changed_properties(before: Properties, after: Properties) -> Properties:
    return {name: value for name, value in after.items() if before.get(name) != value}


def _selected(shown: Properties, names: list[str]) -> Properties:
    return {name: value for name, value in shown.items() if name in names} if names else shown


class DbusMenu(ServiceInterface):
    """The com.canonical.dbusmenu object, version 3. Clicks are passed to `on_action`; nothing is decided here."""

    def __init__(self, on_action: Callable[[Action], None]) -> None:
        super().__init__(INTERFACE)
        self.tree = MenuTree()
        self._on_action = on_action

    def update(self, menu: tuple[MenuItem, ...]) -> None:
        """Show this menu and announce only what changed."""
        change = self.tree.update(menu)
        if change.updated or change.removed:
            self.ItemsPropertiesUpdated(list(change.updated), list(change.removed))
        if change.layout:
            self.LayoutUpdated(self.tree.revision, ROOT)

    def _event(self, number: int, event: str) -> bool:
        """Handle one event; False if the item does not exist any more."""
        if event == "clicked":
            action = self.tree.action(number)
            if action is not None:
                self._on_action(action)
            elif number not in self.tree.nodes:
                log.info("ignored a click on a menu item that is gone: %d", number)
        return number in self.tree.nodes

    def _node(self, number: int) -> MenuNode:
        node = self.tree.nodes.get(number)
        if node is None:
            raise DBusError("com.canonical.dbusmenu.Error.UnknownId", f"there's no item {number}")
        return node

    @dbus_property(PropertyAccess.READ, name="Version")
    def version(self) -> DBusUInt32:
        return 3

    @dbus_property(PropertyAccess.READ, name="TextDirection")
    def text_direction(self) -> DBusStr:
        return "ltr"

    @dbus_property(PropertyAccess.READ, name="Status")
    def status(self) -> DBusStr:
        return "normal"

    @dbus_property(PropertyAccess.READ, name="IconThemePath")
    def icon_theme_path(self) -> Names:
        return []

    @dbus_method(name="GetLayout")
    def get_layout(
        self, parent: DBusInt32, depth: DBusInt32, names: Names
    ) -> Annotated[tuple[int, list[Any]], DBusSignature("u(ia{sv}av)")]:
        self._node(parent)
        return self.tree.revision, self.tree.layout(parent, depth, names)

    @dbus_method(name="GetGroupProperties")
    def get_group_properties(self, numbers: Ids, names: Names) -> Group:
        nodes = self.tree.nodes
        return [(k, _selected(nodes[k].properties, names)) for k in (numbers or nodes) if k in nodes]

    @dbus_method(name="GetProperty")
    def get_property(self, number: DBusInt32, name: DBusStr) -> DBusVariant:
        value = self._node(number).properties.get(name)
        if value is None:
            raise DBusError("com.canonical.dbusmenu.Error.UnknownProperty", f"item {number} has no {name}")
        return value

    @dbus_method(name="Event")
    def event(self, number: DBusInt32, event: DBusStr, data: DBusVariant, timestamp: DBusUInt32) -> Nothing:
        self._event(number, event)

    @dbus_method(name="EventGroup")
    def event_group(self, events: Events) -> Ids:
        return [number for number, event, _, _ in events if not self._event(number, event)]

    @dbus_method(name="AboutToShow")
    def about_to_show(self, number: DBusInt32) -> DBusBool:
        self._node(number)
        return False  # the menu is always up to date

    @dbus_method(name="AboutToShowGroup")
    def about_to_show_group(self, numbers: Ids) -> Annotated[tuple[list[int], list[int]], DBusSignature("aiai")]:
        return [], [number for number in numbers if number not in self.tree.nodes]

    @dbus_signal(name="ItemsPropertiesUpdated")
    def ItemsPropertiesUpdated(  # noqa: N802 - signals keep the protocol's names: they are called like functions
        self, updated: list[Any], removed: list[Any]
    ) -> Annotated[tuple[list[Any], list[Any]], DBusSignature("a(ia{sv})a(ias)")]:
        return updated, removed

    @dbus_signal(name="LayoutUpdated")
    def LayoutUpdated(self, revision: int, parent: int) -> Annotated[tuple[int, int], DBusSignature("ui")]:  # noqa: N802
        return revision, parent
