"""The simulated disk does what a disk does: a fault that is over leaves nothing behind."""

from __future__ import annotations

import asyncio

from tests.simulation.loop import VirtualLoop
from tests.simulation.storage import Disk, SimulatedJournal, SimulatedWorker, Turn
from trayapp.core.model import Login, Secret

LOGIN = Login(1, "line", Secret("rt"), 0.0, "https://as.example/token", "client")


def test_state_db_is_written_again_once_the_disk_has_room() -> None:
    """And by the next run of the program, too: what was committed before the fault is still there."""

    async def live() -> list[object]:
        disk = Disk()
        loop = asyncio.get_running_loop()

        def journal() -> SimulatedJournal:
            turn = Turn(lambda: 0.01, disk.free, lambda: None)
            return SimulatedJournal(disk, loop.time, SimulatedWorker("journal", None, loop.time, turn))

        first = journal()
        seen: list[object] = [await first.intent("w0", LOGIN, 1, 0.0)]
        disk.full = 1
        seen.append(await first.intent("w1", LOGIN, 1, 0.0))
        disk.full = 0
        seen.append(await first.intent("w1", LOGIN, 1, 0.0))
        for name in ("w0", "w1"):
            seen.append((await journal().load(name)).open_intent == LOGIN.fingerprint())
        return seen

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(live()) == [True, False, True, True, True]
