"""Where a client's file is on this machine, and whether the client is installed."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trayapp.clients.table import Client

_MOVED = re.compile(r"\{([A-Z_]+):([^}]*)\}")
_WINDOWS = re.compile(r"%(APPDATA|LOCALAPPDATA)%")
_DEFAULTS = {"APPDATA": "AppData/Roaming", "LOCALAPPDATA": "AppData/Local"}


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides about places: `sys.platform`, the environment and the home directory."""

    platform: str
    environ: Mapping[str, str]
    home: Path
    which: Callable[[str], str | None] = shutil.which

    @classmethod
    def this(cls) -> Machine:
        """The machine that this runs on, and the person whose program it is."""
        return cls(sys.platform, os.environ, Path.home())

    def path(self, template: str) -> Path:
        """The path that a template of the table stands for."""
        text = _MOVED.sub(lambda found: self.environ.get(found[1]) or found[2], template)
        text = _WINDOWS.sub(lambda found: self.environ.get(found[1]) or f"~/{_DEFAULTS[found[1]]}", text)
        return self.home / text[2:] if text.startswith("~/") else self.home if text == "~" else Path(text)

    def file(self, client: Client) -> Path:
        """The client's file: the first of its places where there is one, else the first place."""
        places = [self.path(template) for template in client.files(self.platform)]
        return next((place for place in places if os.path.lexists(place)), places[0])

    def installed(self, client: Client) -> bool:
        """Whether the client seems to be installed: its program is on the PATH, or its folder or file exists.

        May wait for a disk or network share: see `system/plain_files.py`.
        """
        if any(self.which(program) for program in client.programs):
            return True
        places = [self.path(template) for template in client.files(self.platform)]
        if client.folder is not None:
            return self.path(client.folder).is_dir() or any(place.exists() for place in places)
        return any(place.exists() or (place.parent != self.home and place.parent.is_dir()) for place in places)
