"""Processes with a time zone of their own: `/etc` is another directory for them, in a mount namespace."""

from __future__ import annotations

import os
import shutil
import sys
import zoneinfo
from pathlib import Path

from tests.requirements import skip_or_fail


class OwnZone:
    """The `/etc/localtime` of the processes that `command` starts; nobody else sees it. It begins with UTC."""

    def __init__(self, root: Path) -> None:
        if not sys.platform.startswith("linux") or not shutil.which("unshare"):
            skip_or_fail("there are no mount namespaces")
        self._etc, self._real = root / "etc", root / "real-etc"
        self._etc.mkdir()
        self._real.mkdir()
        for entry in Path("/etc").iterdir():
            (self._etc / entry.name).symlink_to(self._real / entry.name)
        self.set("Etc/UTC")

    def set(self, name: str) -> None:
        """Change the zone, as `timedatectl set-timezone` does it: another link takes the place of the old one."""
        found = [path for folder in zoneinfo.TZPATH if (path := Path(folder, name)).is_file()]
        if not found:
            skip_or_fail(f"this machine has no zone {name}")
        draft = self._etc / "localtime.new"
        draft.symlink_to(found[0])
        draft.replace(self._etc / "localtime")

    def command(self, *command: str) -> list[str]:
        """This command, run with this zone; it keeps its process id."""
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        mounts = f'mount --bind /etc "{self._real}" && mount --bind "{self._etc}" /etc && exec "$@"'
        return ["unshare", "--mount", *as_root, "sh", "-c", mounts, "sh", *command]
