"""The identity of a menu item: its path of keys from the top level down, unique within a menu."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trayapp.core.presentation import MenuItem

Path = tuple[str, ...]


def paths(items: Iterable[MenuItem], parent: Path = ()) -> Iterator[tuple[Path, MenuItem]]:
    """The items of one level with their paths; a key that occurs twice gets its count appended."""
    counts: dict[str, int] = {}
    for item in items:
        count = counts[item.key] = counts.get(item.key, 0) + 1
        yield (*parent, item.key if count == 1 else f"{item.key}\0{count}"), item
