"""A second program beside ToolHive, as unlike it as the interface allows: it keeps one real file, and has words of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trayapp.core.external import ExternalWorkload
from trayapp.core.presentation import Verb
from trayapp.external.owner import ExternalError, ExternalOwner, Reading
from trayapp.importers.entries import ImportableEntry, SkippedEntry, make_entry

FILE = "servers.json"


class FileOwner:
    """Its servers are `servers.json` in `directory`: `{NAME: {"url", "word", "why"}}`. There is no such file at first.

    Strict: it is never called on a thread that an event loop runs on, never asked to do what it doesn't offer, and never
    asked about a name it doesn't have. `mistakes` says what went wrong; a test looks at it at its end.
    """

    def __init__(self, directory: Path, actions: Sequence[Verb]) -> None:
        self.directory = directory
        self.mistakes: list[str] = []
        self.asked: list[str] = []
        self._actions = tuple(actions)

    @property
    def id(self) -> str:
        return "gateway"

    @property
    def title(self) -> str:
        return "Example Gateway"

    # --- what it does -------------------------------------------------------------------------------------------------

    def writes(self, servers: Mapping[str, Mapping[str, str]]) -> None:
        """It has these now. The file is replaced, as programs do."""
        self.writes_text(json.dumps(servers))

    def writes_text(self, text: str) -> None:
        """Any other content."""
        self.directory.mkdir(exist_ok=True)
        draft = self.directory / "draft"
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, self.directory / FILE)

    # --- the interface ------------------------------------------------------------------------------------------------

    def read(self) -> Reading:
        """What is in the file."""
        self._called("")
        servers = self._servers()
        found = [
            ExternalWorkload(name, one["url"], "", one["word"], one.get("why", "")) for name, one in servers.items()
        ]
        return Reading(found, self._actions, running=bool(found), files=frozenset({self.directory}))

    def restart(self, name: str) -> None:
        """It signs in anew, and the file says so."""
        self._called(f"restart {name}", Verb.RESTART)
        servers = self._servers()
        if "no restart" in servers[name].get("why", ""):
            raise ExternalError("Example Gateway couldn't restart it. Check it there.")
        self.writes({**servers, name: {**servers[name], "word": "running", "why": ""}})

    def stop(self, name: str) -> None:
        """It is in the file, as stopped."""
        self._called(f"stop {name}", Verb.TAKE_OVER)
        servers = self._servers()
        self.writes({**servers, name: {**servers[name], "word": "stopped"}})

    def entry(self, name: str) -> ImportableEntry | SkippedEntry:
        """Its address."""
        self._called("", name=name)
        return make_entry(name, {"url": self._servers()[name]["url"]})

    def _servers(self) -> dict[str, Any]:
        try:
            return dict(json.loads((self.directory / FILE).read_bytes()))
        except FileNotFoundError:
            return {}
        except ValueError:
            raise ExternalError("Example Gateway's file isn't JSON. Check it there.") from None

    def _called(self, what: str, offered: Verb | None = None, name: str = "") -> None:
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            self.mistakes.append(f"{what or 'a look'}: on an event loop's thread")
        if what:
            self.asked.append(what)
            if offered not in self._actions:
                self.mistakes.append(f"{what}: not offered")
        name = name or what.partition(" ")[2]
        if name and name not in self._servers():
            self.mistakes.append(f"{what or 'a look'}: {name} isn't there")


_IMPLEMENTS: type[ExternalOwner] = FileOwner
