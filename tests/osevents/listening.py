"""Helpers for native sources: run one inside a test, record its events, and imitate a C library behind ctypes."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

from trayapp.osevents.events import OsEvent, Source

PATIENCE = 2.0 if sys.platform != "win32" else 60.0  # s; in Wine a first window takes long


class Heard:
    """An `emit` that records: the events in order, and the threads that it was called on."""

    def __init__(self) -> None:
        self.events: list[OsEvent] = []
        self.threads: set[threading.Thread] = set()

    def __call__(self, event: OsEvent) -> None:
        self.events.append(event)
        self.threads.add(threading.current_thread())

    async def until(self, count: int) -> list[OsEvent]:
        """All events, 10 ms after there are `count` of them, so that one too many shows too."""
        await until(lambda: len(self.events) >= count)
        await asyncio.sleep(0.01)
        return self.events


async def until(true: Callable[[], bool]) -> None:
    """Wait until the condition holds, at most `PATIENCE` seconds."""
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 many things are waited for, and not all of them can set an event
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def listening(source: Source) -> AsyncIterator[Heard]:
    """Run the source until it is live; on leaving, cancel it and check that it ended."""
    heard = Heard()
    task = asyncio.create_task(source.run(heard))
    try:
        await until(lambda: source.live or task.done())
        yield heard
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert not source.live


class Library:
    """A C library in Python whose functions are called through real C function pointers.

    It has exactly the functions of its `header`, (result, argument types) by name. A caller that declares a signature
    other than the header's fails at the declaration.
    """

    def __init__(self, header: dict[str, tuple[Any, ...]], functions: dict[str, Callable[..., Any]]) -> None:
        assert header.keys() == functions.keys()
        for name, (result, *arguments) in header.items():
            setattr(self, name, _Function(name, result, arguments, functions[name]))


class _Function:
    _header: dict[str, Any]
    _name: str
    _declared: set[str]
    _pointer: Callable[..., Any]

    def __init__(self, name: str, result: Any, arguments: list[Any], does: Callable[..., Any]) -> None:
        self.__dict__["_header"] = {"restype": result, "argtypes": arguments}
        self.__dict__["_name"] = name
        self.__dict__["_declared"] = set()
        self.__dict__["_pointer"] = ctypes.CFUNCTYPE(result, *arguments)(does)

    def __setattr__(self, what: str, value: Any) -> None:
        assert self._header[what] == value, f"{self._name}.{what} is {self._header[what]}, not {value}"
        self._declared.add(what)

    def __call__(self, *arguments: Any) -> Any:
        assert self._declared == {"restype", "argtypes"}, f"{self._name} is called without its types"
        return self._pointer(*arguments)
