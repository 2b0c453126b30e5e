"""Keep the loopback server where clients expect it, and say so while they can't reach it.

While the configured port can't be had, the server listens on any other: commands and the dashboard find that one. The
configured one is tried again until it is free, and a port that is configured anew is taken without a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from trayapp.core.outages import Cause, Outage, fact, why
from trayapp.server.server import HOST, LoopbackServer, PortTaken
from trayapp.system.port_holder import holder_text, port_holder

log = logging.getLogger(__name__)

RETRY_WAITS = (1.0, 2.0, 4.0, 8.0)  # s; an earlier Amberlight may just be ending
RETRY_EVERY = 10.0  # s; after these
LOOK_EVERY = 30.0  # s between two looks whether connections arrive
CONNECT_LIMIT = 2.0  # s; loopback connections are immediate
MISSES = 2  # of those in a row before they count: the machine may have slept meanwhile
GRACE = 10.0  # s that a port which was changed is served for: somebody waits for the answer there

Commit = Callable[[int], Awaitable[str]]  # make this port the configured one; a sentence if that failed


class Listening:
    """Owns the loopback servers, on the engine's loop. `server` is the one that clients are to use.

    `make` makes a server for a port; `port` is the configured one (0: any); `report` gets each new outage, and None when it
    is over; `installed` is called with each server that takes the place of the last one, and `lost` with a sentence if
    there is none.
    """

    def __init__(
        self,
        make: Callable[[int], LoopbackServer],
        port: Callable[[], int],
        report: Callable[[Outage | None], None],
        installed: Callable[[LoopbackServer], None],
        lost: Callable[[str], None],
        task: Callable[[str, Coroutine[Any, Any, None]], object],
    ) -> None:
        self._make = make
        self._port = port
        self._report = report
        self._installed = installed
        self._lost = lost
        self._task = task
        self.server: LoopbackServer | None = None
        self._outage: Outage | None = None
        self._former: set[LoopbackServer] = set()  # of other ports, still served
        self._lock = asyncio.Lock()
        self._due = asyncio.Event()
        self._looked_at = float("-inf")
        self._missed = 0
        self._failed = 0  # tries in a row

    async def run(self) -> None:
        """Until cancelled: look now and then, and more often during an outage."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wait()):
                    await self._due.wait()
            try:
                await self.settle()
            except Exception:  # the next look may find it well again
                log.exception("looking after the local server failed")
                await asyncio.sleep(RETRY_EVERY)

    def passes(self) -> None:
        """The engine made a pass: a look is due."""
        if asyncio.get_running_loop().time() - self._looked_at >= LOOK_EVERY:
            self._due.set()

    def configured(self) -> None:
        """The configuration was read: it may name another port."""
        self._due.set()

    async def settle(self) -> None:
        """Listen where the configuration says, if that is possible, and report."""
        async with self._lock:
            self._due.clear()
            self._looked_at = asyncio.get_running_loop().time()
            self._found(await self._settled(self._port()))

    async def change(self, ports: Iterable[int], commit: Commit) -> int | str:
        """Move to the first of these ports that is free and that `commit` accepts; the port, or why there is none."""
        async with self._lock:
            problem = ""
            for port in ports:
                if (server := self._at(port)) is None:
                    server = self._make(port)
                    try:
                        await server.start()
                    except PortTaken as taken:
                        problem = f"{why(await outage_of(taken, None))}."
                        continue
                if problem := await commit(server.port):
                    if server is not self.server and server not in self._former:
                        await server.close()
                    return problem
                self._install(server)
                self._found(None)
                return server.port
            return problem

    async def close(self) -> None:
        """Serve nothing more."""
        servers = [*self._former, *([self.server] if self.server is not None else [])]
        self._former.clear()
        await asyncio.gather(*(server.close() for server in servers))

    # --- one look ----------------------------------------------------------------------------------------------------

    async def _settled(self, wanted: int) -> Outage | None:
        """Listen on `wanted`, or on any port if that isn't possible; the outage if there is one."""
        server = self.server
        if server is not None and not server.accepts:
            log.error("the local server on port %d ended; another one is started", server.port)
            self.server = None
            await server.close()
        elif server is not None and wanted in (0, server.port):
            return await self._arrival(server)
        self._missed = 0
        taken = await self._take(wanted)
        if taken is None:
            return None
        if self.server is None and wanted:
            await self._take(0)
        return await outage_of(taken, None if self.server is None else self.server.port)

    async def _take(self, port: int) -> PortTaken | None:
        """Serve this port from now on, or why that isn't possible."""
        if (server := self._at(port)) is None:
            server = self._make(port)
            try:
                await server.start()
            except PortTaken as taken:
                log.debug("%s", taken)
                return taken
            log.info("listening on %s", server.url)
        self._install(server)
        return None

    def _at(self, port: int) -> LoopbackServer | None:
        """Our own server on this port, which would be in the way of another."""
        ours = (*self._former, *([self.server] if self.server is not None else []))
        return next((each for each in ours if port and each.port == port and each.accepts), None)

    def _install(self, server: LoopbackServer) -> None:
        if server is self.server:
            return
        before, self.server = self.server, server
        self._former.discard(server)
        if before is not None:
            self._former.add(before)
            if self._outage is None:  # it was configured; one that was taken in need is in nobody's way
                self._task(f"leave port {before.port}", self._leave(before))
        self._installed(server)

    async def _leave(self, server: LoopbackServer) -> None:
        await asyncio.sleep(GRACE)
        if server in self._former:
            self._former.discard(server)
            await server.close()

    async def _arrival(self, server: LoopbackServer) -> Outage | None:
        """Whether connections arrive: the interface may be down, or a firewall in between."""
        try:
            async with asyncio.timeout(CONNECT_LIMIT):
                _, writer = await asyncio.open_connection(HOST, server.port)
            writer.close()
        except OSError as error:  # or a timeout, which is one
            self._missed += 1
            if self._missed < MISSES:
                return self._outage
            gone = error.errno in (errno.ENETUNREACH, errno.EADDRNOTAVAIL)
            return Outage(server.port, Cause.NO_LOOPBACK if gone else Cause.UNREACHABLE, listening=server.port)
        self._missed = 0
        return None

    def _found(self, outage: Outage | None) -> None:
        self._failed = self._failed + 1 if outage is not None else 0
        if outage == self._outage:
            return
        if outage is None:
            log.info("clients can connect again")
        else:
            log.warning("%s", fact(outage))
        self._outage = outage
        if outage is not None and outage.listening is None:
            self._lost(fact(outage))
        self._report(outage)

    def _wait(self) -> float | None:
        """Seconds to the next look; None if nothing but a pass or a new configuration brings it."""
        if self._outage is None and not self._missed:
            return None
        return RETRY_WAITS[self._failed - 1] if 0 < self._failed <= len(RETRY_WAITS) else RETRY_EVERY


async def outage_of(taken: PortTaken, listening: int | None) -> Outage:
    """What a port that can't be had means, with the program that has it."""
    cause, holder = taken.cause, None
    if cause is Cause.IN_USE and taken.port:
        holder = await asyncio.to_thread(port_holder, taken.port)
        if holder is not None and not holder.own:
            cause = Cause.OTHER_USER
    return Outage(taken.port, cause, holder_text(holder), taken.reason, listening)
