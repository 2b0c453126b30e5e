"""Keep `server.json` in place while the app runs: cleaners empty runtime directories, and disks are full for a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from trayapp.core.model import Moment
from trayapp.server.server import LoopbackServer
from trayapp.server.serverfile import ServerFileError

log = logging.getLogger(__name__)

TRY_AGAIN = 10.0  # s between two tries to write it; whether it is in place is looked at in every pass


class ServerFile:
    """The file of one server, on the engine's loop. `places` are directories, the best first.

    `announce` tells other processes which of them it is in; `warn` gets a sentence for people, empty when all is well.
    """

    def __init__(
        self, places: tuple[Path, ...], announce: Callable[[Path], None] | None, warn: Callable[[str], None]
    ) -> None:
        self._places = places
        self._announce = announce
        self._warn = warn
        self._server: LoopbackServer | None = None
        self._announced: Path | None = None
        self._problem = ""
        self._again_at = 0.0

    def keep(self, server: LoopbackServer, now: Moment) -> None:
        """Write the file of this server, and see to it from now on."""
        self._server = server
        self._again_at = now.awake
        self.passes(now)

    def passes(self, now: Moment) -> None:
        """The engine made a pass: write the file again if it has gone, or could not be written before."""
        if self._server is None or now.awake < self._again_at:
            return
        try:
            place = self._server.publish(*self._places)
            self._say("")
            if place != self._announced and self._announce is not None:
                self._announce(place)
                self._announced = place
        except ServerFileError as error:
            self._again_at = now.awake + TRY_AGAIN
            self._say(f"{error} Commands cannot reach Amberlight; refreshing goes on.")
        except OSError as error:  # a full disk; commands still look into both places
            self._again_at = now.awake + TRY_AGAIN
            log.debug("the lock file cannot be written: %s", error.strerror)

    def _say(self, problem: str) -> None:
        if problem == self._problem:
            return
        if problem:
            log.warning("%s", problem)
        else:
            log.info("server.json is written again")
        self._problem = problem
        self._warn(problem)
