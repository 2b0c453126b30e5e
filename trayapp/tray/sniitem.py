"""The icon as a D-Bus object: org.kde.StatusNotifierItem, with every property that any host reads.

It holds only the current `ItemAppearance`; `sni.py` decides when it changes. Lives on the loop of the bus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from dbus_fast.annotations import DBusBool, DBusInt32, DBusObjectPath, DBusSignature, DBusStr
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_method, dbus_property, dbus_signal

from trayapp.tray import pixmap
from trayapp.tray.dbusmenu import Nothing

MARKUP_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
)  # `html.escape` would load the table of all entities

INTERFACE = "org.kde.StatusNotifierItem"
MENU_PATH = "/MenuBar"

Pixmaps = tuple[pixmap.Pixmap, ...]
PixmapsOut = Annotated[list[Any], DBusSignature("a(iiay)")]


@dataclass(frozen=True, slots=True)
class ItemAppearance:
    """Everything that the host shows except the menu."""

    pixmaps: Pixmaps
    tooltip: str
    attention: bool = False


class Item(ServiceInterface):
    """The org.kde.StatusNotifierItem object. Every property that any host reads exists, even if it is empty."""

    def __init__(self, title: str, appearance: ItemAppearance, on_activate: Callable[[], None]) -> None:
        super().__init__(INTERFACE)
        self._title = title
        self._appearance = appearance
        self._on_activate = on_activate

    def show(self, appearance: ItemAppearance) -> None:
        """Change the appearance and announce the parts that differ."""
        before, self._appearance = self._appearance, appearance
        if appearance.pixmaps != before.pixmaps:
            self.NewIcon()
        if appearance.attention != before.attention or (appearance.attention and appearance.pixmaps != before.pixmaps):
            self.NewAttentionIcon()
        if appearance.attention != before.attention:
            self.NewStatus(self._status())
        if appearance.tooltip != before.tooltip:
            self.NewToolTip()

    def _status(self) -> str:
        return "NeedsAttention" if self._appearance.attention else "Active"

    def _pixmaps(self) -> list[Any]:
        return [list(p) for p in self._appearance.pixmaps]

    @dbus_property(PropertyAccess.READ, name="Category")
    def category(self) -> DBusStr:
        return "ApplicationStatus"

    @dbus_property(PropertyAccess.READ, name="Id")
    def id(self) -> DBusStr:
        return self._title.lower()

    @dbus_property(PropertyAccess.READ, name="Title")
    def title(self) -> DBusStr:
        return self._title

    @dbus_property(PropertyAccess.READ, name="Status")
    def status(self) -> DBusStr:
        return self._status()

    @dbus_property(PropertyAccess.READ, name="WindowId")
    def window_id(self) -> DBusInt32:
        return 0

    @dbus_property(PropertyAccess.READ, name="IconThemePath")
    def icon_theme_path(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, name="Menu")
    def menu(self) -> DBusObjectPath:
        return MENU_PATH

    @dbus_property(PropertyAccess.READ, name="ItemIsMenu")
    def item_is_menu(self) -> DBusBool:
        return False

    @dbus_property(PropertyAccess.READ, name="IconName")
    def icon_name(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, name="IconPixmap")
    def icon_pixmap(self) -> PixmapsOut:
        return self._pixmaps()

    @dbus_property(PropertyAccess.READ, name="IconAccessibleDesc")
    def icon_accessible_desc(self) -> DBusStr:
        return self._appearance.tooltip

    @dbus_property(PropertyAccess.READ, name="OverlayIconName")
    def overlay_icon_name(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, name="OverlayIconPixmap")
    def overlay_icon_pixmap(self) -> PixmapsOut:
        return []

    @dbus_property(PropertyAccess.READ, name="AttentionIconName")
    def attention_icon_name(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, name="AttentionIconPixmap")
    def attention_icon_pixmap(self) -> PixmapsOut:
        return self._pixmaps() if self._appearance.attention else []

    @dbus_property(PropertyAccess.READ, name="AttentionAccessibleDesc")
    def attention_accessible_desc(self) -> DBusStr:
        return self._appearance.tooltip if self._appearance.attention else ""

    @dbus_property(PropertyAccess.READ, name="AttentionMovieName")
    def attention_movie_name(self) -> DBusStr:
        return ""

    @dbus_property(PropertyAccess.READ, name="ToolTip")
    def tool_tip(self) -> Annotated[list[Any], DBusSignature("(sa(iiay)ss)")]:
        return ["", [], self._title, self._appearance.tooltip.translate(MARKUP_ESCAPES)]  # hosts interpret it as markup

    @dbus_method(name="Activate")
    def activate(self, x: DBusInt32, y: DBusInt32) -> Nothing:
        self._on_activate()

    @dbus_method(name="SecondaryActivate")
    def secondary_activate(self, x: DBusInt32, y: DBusInt32) -> Nothing:
        """The middle button does nothing, because it gets pressed by mistake."""

    @dbus_method(name="ContextMenu")
    def context_menu(self, x: DBusInt32, y: DBusInt32) -> Nothing:
        """Hosts show the menu at `Menu` themselves; only one that can't, such as sway's bar, asks for it here."""
        self._on_activate()

    @dbus_method(name="Scroll")
    def scroll(self, delta: DBusInt32, orientation: DBusStr) -> Nothing:
        """Nothing to scroll through."""

    @dbus_signal(name="NewIcon")
    def NewIcon(self) -> Nothing: ...  # noqa: N802 - signals keep the protocol's names: they are called like functions

    @dbus_signal(name="NewAttentionIcon")
    def NewAttentionIcon(self) -> Nothing: ...  # noqa: N802

    @dbus_signal(name="NewToolTip")
    def NewToolTip(self) -> Nothing: ...  # noqa: N802

    @dbus_signal(name="NewStatus")
    def NewStatus(self, status: str) -> DBusStr:  # noqa: N802
        return status
