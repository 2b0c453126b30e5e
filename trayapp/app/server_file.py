"""Keep `server.json` in place while the app runs: cleaners empty runtime directories, and disks are full for a time.

While nothing listens, there is nothing to write; what is wrong is announced instead, for commands to say.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from trayapp.core.model import Moment
from trayapp.osevents.inotify import Inotify
from trayapp.server.server import LoopbackServer
from trayapp.server.serverfile import NAME, ServerFileError

log = logging.getLogger(__name__)

TRY_AGAIN = 10.0  # s between two tries to write it; whether it is in place is looked at in every pass of the engine


class ServerFile:
    """The file of one server, on the engine's loop. `places` are directories, the best first.

    `announce` tells other processes which of them it is in, or what is wrong; `warn` gets a sentence for people, empty when all is well;
    `pass_soon` asks for a pass of the engine, as the file was changed.
    """

    def __init__(
        self,
        places: tuple[Path, ...],
        announce: Callable[[Path, str], None] | None,
        warn: Callable[[str], None],
        pass_soon: Callable[[], None],
    ) -> None:
        self._places = places
        self._announce = announce
        self._warn = warn
        self._pass_soon = pass_soon
        self._changes: Inotify | None = None
        self._server: LoopbackServer | None = None
        self._announced: Path | None = None
        self._problem = ""
        self._again_at = 0.0

    def keep(self, server: LoopbackServer, now: Moment) -> None:
        """Write the file of this server, and see to it from now on in place of that of an earlier one."""
        self._server = server
        self._again_at = now.awake
        self._announced = None
        if self._changes is None:
            self._watch()
        self.passes(now)

    def missing(self, problem: str) -> None:
        """Nothing listens, for this reason."""
        self._server = self._announced = None
        if self._announce is not None:
            try:
                self._announce(self._places[0], problem)
            except OSError as error:
                log.debug("the lock file cannot be cleared: %s", error.strerror)

    def _watch(self) -> None:
        try:
            self._changes = changes = Inotify()
            asyncio.get_running_loop().add_reader(changes.descriptor, self._changed, changes)
        except OSError as error:
            log.debug("changes of server.json are noticed in the next pass: %s", error)

    def passes(self, now: Moment) -> None:
        """The engine made a pass: write the file again if it has gone, or could not be written before."""
        if self._server is None or now.awake < self._again_at:
            return
        try:
            place = self._server.publish(*self._places)
            self._say("")
            if self._changes is not None:
                self._changes.watch((place,))  # again, as it may be another directory under the same name
            if place != self._announced and self._announce is not None:
                self._announce(place, "")
                self._announced = place
        except ServerFileError as error:
            self._again_at = now.awake + TRY_AGAIN
            self._say(f"{error} Commands can't reach Amberlight; refreshing continues.")
        except OSError as error:  # a full disk; commands still look into both places
            self._again_at = now.awake + TRY_AGAIN
            log.debug("the lock file cannot be written: %s", error.strerror)

    def _changed(self, changes: Inotify) -> None:
        if any(event.name in (NAME, "") for event in list(changes.events())):
            self._pass_soon()

    async def close(self) -> None:
        """Leave the file to the server, which removes it."""
        self._server = None
        changes, self._changes = self._changes, None
        if changes is not None:
            asyncio.get_running_loop().remove_reader(changes.descriptor)
            changes.close()

    def _say(self, problem: str) -> None:
        if problem == self._problem:
            return
        if problem:
            log.warning("%s", problem)
        else:
            log.info("server.json is written again")
        self._problem = problem
        self._warn(problem)
