"""Name look-ups of the engine's loop, each in a thread of its own: a dead resolver blocks them for many seconds.

In the loop's own few threads they would hold up everything else, and the end of the program. A look-up whose datagram was
lost, or that began just before DNS was back, takes glibc 5 s; so after `PATIENCE` the next one begins beside it, and the
first answer counts. Blocking threads can't be ended, only abandoned; they are few and end in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OVERLAP = 3  # look-ups of one name at the same time, in one network
PATIENCE = 1.0  # s without an answer until another one begins
MANY = 24  # that hang in one network: as many attempts as may be in flight (M11), with three each; no more begin beside them
THREADS = 64  # that hang at most, those of earlier networks included; beyond that a look-up fails immediately


@dataclass(slots=True)
class _Question:
    """What is looked up, for everybody who wants to know it."""

    arguments: tuple[Any, ...]
    answer: asyncio.Future[Any]
    waiters: int = 0
    network: int = 0  # number of the network that it is looked up in
    running: int = 0  # look-ups under way there
    next_at: float = 0.0  # when another one may begin


class Lookups:
    """Replaces `getaddrinfo` of a loop, on which all of this runs but the look-ups themselves."""

    def __init__(self, loop: asyncio.AbstractEventLoop, look_up: Callable[..., Any] | None = None) -> None:
        self._loop = loop
        self._look_up = look_up
        self._questions: dict[tuple[Any, ...], _Question] = {}
        self._threads = 0
        loop.getaddrinfo = self.getaddrinfo  # type: ignore[method-assign]

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        """Like the loop's own, `socket.getaddrinfo` without blocking."""
        arguments = (host, port, family, type, proto, flags)
        question = self._questions.get(arguments)
        if question is None:
            question = self._questions[arguments] = _Question(arguments, self._loop.create_future())
        question.waiters += 1
        try:
            while not question.answer.done():
                self._begin_if_due(question)
                if question.running == 0:
                    raise socket.gaierror(socket.EAI_AGAIN, "Too many look-ups hang")
                wait = question.next_at - self._loop.time()
                await asyncio.wait((question.answer,), timeout=wait if wait > 0.0 else PATIENCE)
            return _given(question.answer.result())
        finally:
            question.waiters -= 1
            self._forget_if_over(question)

    def network_changed(self) -> None:
        """Abandon the look-ups under way, whose answers come from another network.

        Whoever asks next begins a new one, whoever waits when its patience ends: the network may still be settling.
        """
        for question in list(self._questions.values()):
            question.network += 1
            question.running, question.next_at = 0, 0.0
            self._forget_if_over(question)

    def _begin_if_due(self, question: _Question) -> None:
        now = self._loop.time()
        if now < question.next_at or question.running >= OVERLAP or self._threads >= THREADS:
            return
        if question.running and sum(each.running for each in self._questions.values()) >= MANY:
            return
        question.running += 1
        question.next_at = now + PATIENCE
        self._threads += 1
        work = (question, question.network)
        threading.Thread(target=self._run, args=work, name="name look-up", daemon=True).start()

    def _run(self, question: _Question, network: int) -> None:
        """In a thread of its own. If the loop is closed in the end, nobody is waiting for it."""
        found: Any
        try:
            found = (self._look_up or socket.getaddrinfo)(*question.arguments)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it belongs to whoever asked
            found = exc
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended, question, network, found)

    def _ended(self, question: _Question, network: int, found: Any) -> None:
        self._threads -= 1
        if network != question.network:
            return
        question.running -= 1
        again = isinstance(found, socket.gaierror) and found.errno == socket.EAI_AGAIN
        if not question.answer.done() and not (again and question.running):  # another one may still get an answer
            question.answer.set_result(found)
        self._forget_if_over(question)

    def _forget_if_over(self, question: _Question) -> None:
        """One that still hangs stays, so that whoever asks next doesn't begin three more."""
        over = question.answer.done() or not (question.waiters or question.running)
        if over and self._questions.get(question.arguments) is question:
            del self._questions[question.arguments]


def _given(found: Any) -> Any:
    """What was found, raised if it is an error: a new one for each that asked, as each adds its own traceback."""
    if isinstance(found, Exception):
        raise type(found)(*found.args) from found
    return found
