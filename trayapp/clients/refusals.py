"""A client's cache of servers that asked for a sign-in, which it then skips even if the entry has changed.

Claude Code notes by an entry's name that the server wants a sign-in, and for 15 minutes doesn't connect to it in new
sessions. Once the entry goes through us, that is outdated.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection

from trayapp.clients.places import Machine
from trayapp.clients.table import Client
from trayapp.system.plain_files import read_plain, within
from trayapp.system.private_files import replace_file

SIZE_MAX = 1 << 20  # bytes


def forget(machine: Machine, client: Client, names: Collection[str]) -> None:
    """Take these entries out of the client's notes. A file that isn't as expected is left alone: it is only a cache."""
    if client.refusals is None:
        return
    file = machine.path(client.refusals)
    with contextlib.suppress(OSError, ValueError, RecursionError):
        notes = json.loads(within(file, lambda: read_plain(file, SIZE_MAX, follow=False)))
        if not isinstance(notes, dict) or notes.keys().isdisjoint(names):
            return
        replace_file(file, json.dumps({name: note for name, note in notes.items() if name not in names}))
