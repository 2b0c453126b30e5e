"""An entry of ours, written anew: the address, key or program as they are now, and what was added to it stays.

Clients keep there what their user always allows (Codex `tools`, Roo Code `alwaysAllow`), and people add time limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trayapp.clients.client import Client
from trayapp.clients.entries import Access, Transport, entry, seen, ways

_OFF = {"enabled": False, "disabled": True}  # connecting switches an entry on


def renewed(client: Client, access: Access, transport: Transport, there: Any) -> dict[str, Any]:
    """The entry to write in the place of `there`.

    Nothing is kept of an entry that isn't ours, nor of one that reaches us in another way: Codex, for one, refuses its
    whole file if a field doesn't suit an address, or a program.
    """
    made = entry(client, access, transport)
    if not isinstance(there, Mapping):
        return made
    found = seen(access.name, there)
    if found.proxied is None or found.stdio != (transport is Transport.STDIO) or ways(there) != ways(made):
        return made
    kept = {name: each for name, each in there.items() if name not in _OFF or each is not _OFF[name]}
    kept = _without_key(kept, client.headers, needed=access.key is not None)
    bare = replace(client, more={}, command=replace(client.command, more={}))  # the rest is the person's to change
    return _completed(_overridden(kept, entry(bare, access, transport)), made)


def _without_key(holder: Mapping[str, Any], place: tuple[str, ...], *, needed: bool) -> dict[str, Any]:
    """Without the local key: one in our own spelling stays to be overridden, if one is needed."""
    if not place:
        return {
            name: each
            for name, each in holder.items()
            if str(name).lower() != "authorization" or (needed and name == "Authorization")
        }
    first, *rest = place
    inner = holder.get(first)
    if not isinstance(inner, Mapping):
        return dict(holder)
    left = _without_key(inner, tuple(rest), needed=needed)
    return {name: left if name == first else each for name, each in holder.items() if name != first or left}


def _overridden(holder: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(holder)
    for name, each in more.items():
        inner = made.get(name)
        made[name] = _overridden(inner, each) if isinstance(inner, Mapping) and isinstance(each, Mapping) else each
    return made


def _completed(holder: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {**holder, **{name: each for name, each in more.items() if name not in holder}}
