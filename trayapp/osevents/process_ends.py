"""Ends of other processes, as the Linux kernel reports them (pidfd_open(2)): one descriptor each, and no wake-up before.

A descriptor stays with its process, so a process that later gets the same number is never taken for it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Collection

MOST = 256  # processes; clients' connections need descriptors, too


class ProcessEnds:
    """Calls `ended`, on the loop, when one of the watched processes ends. Belongs to the loop."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._descriptors: dict[int, int] = {}  # by process
        self._gone: set[int] = set()  # watched, and ended

    def watch(self, processes: Collection[int]) -> bool:
        """Watch these and no others; False if the end of one of them isn't reported.

        One that has ended already is reported, once.
        """
        for process in self._descriptors.keys() - set(processes):
            self._forget(process)
        self._gone &= set(processes)
        reported = [self._watch(process) for process in processes]
        return all(reported)

    def _watch(self, process: int) -> bool:
        if process in self._descriptors or process in self._gone:
            return True
        if sys.platform != "linux" or len(self._descriptors) >= MOST:
            return False
        try:
            descriptor = os.pidfd_open(process)
        except ProcessLookupError:
            asyncio.get_running_loop().call_soon(self._has_ended, process)
            return True
        except (OSError, OverflowError):  # an old kernel, or a sandbox that forbids it; or no number of a process
            return False
        self._descriptors[process] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._has_ended, process)
        return True

    def _has_ended(self, process: int) -> None:
        self._forget(process)
        self._gone.add(process)
        self._ended()

    def _forget(self, process: int) -> None:
        descriptor = self._descriptors.pop(process, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        """Stop watching."""
        for process in list(self._descriptors):
            self._forget(process)
