"""Name look-ups: what a resolver that hangs holds up, and what not."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from trayapp.system import lookups as module
from trayapp.system.lookups import MANY, OVERLAP, THREADS, Lookups

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]
OTHER = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.2", 443))]
AMPLE = 10.0  # s


class Resolver:
    """Blocks like a dead one, until the test answers the look-ups in whichever order it likes."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._answers: list[Any] = []
        self._doors: list[threading.Event] = []
        self._changed = threading.Condition()

    def __call__(self, *arguments: Any) -> Any:
        door = threading.Event()
        with self._changed:
            number = len(self.calls)
            self.calls.append(arguments)
            self._answers.append(None)
            self._doors.append(door)
            self._changed.notify_all()
        assert door.wait(60)
        answer = self._answers[number]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def called(self, times: int) -> None:
        """Wait until so many look-ups have begun, and see that there are no more."""

        def wait() -> bool:
            with self._changed:
                return self._changed.wait_for(lambda: len(self.calls) >= times, AMPLE)

        assert await asyncio.to_thread(wait)
        assert times == len(self.calls)

    def answer(self, number: int, answer: Any) -> None:
        self._answers[number] = answer
        self._doors[number].set()

    def answer_all(self, answer: Any = FOUND) -> None:
        for number, door in enumerate(self._doors):
            if not door.is_set():
                self.answer(number, answer)


@pytest.fixture
async def resolver() -> AsyncIterator[Resolver]:
    one = Resolver()
    yield one
    one.answer_all()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience ends soon."""
    monkeypatch.setattr(module, "PATIENCE", 0.05)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience never ends."""
    monkeypatch.setattr(module, "PATIENCE", 3600.0)


def ask(name: str = "auth.test", port: int = 443) -> asyncio.Task[Any]:
    return asyncio.create_task(asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM))


def lookups(resolver: Resolver) -> Lookups:
    return Lookups(asyncio.get_running_loop(), resolver)


@pytest.mark.usefixtures("patient")
async def test_two_who_ask_the_same_share_one_look_up(resolver: Resolver) -> None:
    """And get what the system's own function would return, for the same arguments."""
    lookups(resolver)
    first, second = ask(), ask()
    await resolver.called(1)
    resolver.answer_all()

    assert [FOUND, FOUND] == list(await asyncio.gather(first, second))
    assert [("auth.test", 443, 0, socket.SOCK_STREAM, 0, 0)] == resolver.calls


@pytest.mark.usefixtures("patient")
async def test_an_answer_is_not_kept(resolver: Resolver) -> None:
    """The system has a cache of its own, which knows how long."""
    lookups(resolver)
    for times in (1, 2):
        asked = ask()
        await resolver.called(times)
        resolver.answer_all()
        assert FOUND == await asked


@pytest.mark.usefixtures("quick")
async def test_a_second_look_up_begins_beside_one_that_hangs(resolver: Resolver) -> None:
    """DNS may be back now; glibc asks again only after 5 s."""
    lookups(resolver)
    asked = ask()
    await resolver.called(2)
    resolver.answer(1, FOUND)

    assert FOUND == await asyncio.wait_for(asked, AMPLE)


@pytest.mark.usefixtures("quick")
async def test_three_at_most_overlap(resolver: Resolver) -> None:
    """However long they hang, and however many ask."""
    lookups(resolver)
    asked = [ask() for _ in range(5)]
    await resolver.called(OVERLAP)
    await asyncio.sleep(0.3)
    asked[0].cancel()
    asked.append(ask())
    await asyncio.sleep(0.3)

    await resolver.called(OVERLAP)
    resolver.answer(1, FOUND)
    assert [FOUND] * 5 == await asyncio.wait_for(asyncio.gather(*asked[1:]), AMPLE)


@pytest.mark.usefixtures("quick")
async def test_the_next_who_asks_joins_those_that_hang(resolver: Resolver) -> None:
    """An attempt ends after 5 s and the next one follows: its answer may come from a look-up of the first."""
    lookups(resolver)
    first = ask()
    await resolver.called(OVERLAP)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = ask()
    await asyncio.sleep(0.2)
    await resolver.called(OVERLAP)
    resolver.answer(0, FOUND)

    assert FOUND == await asyncio.wait_for(second, AMPLE)


@pytest.mark.usefixtures("patient")
async def test_a_new_network_starts_a_new_look_up(resolver: Resolver) -> None:
    """Beside the old one, whose answer no longer counts: it could be a portal's."""
    names = lookups(resolver)
    asked = ask()
    await resolver.called(1)
    names.network_changed()
    later = ask()
    await resolver.called(2)
    resolver.answer(0, OTHER)
    await asyncio.sleep(0.1)
    assert not later.done()
    resolver.answer(1, FOUND)

    assert [FOUND, FOUND] == list(await asyncio.wait_for(asyncio.gather(asked, later), AMPLE))


@pytest.mark.usefixtures("quick")
async def test_who_waits_through_a_network_change_is_answered_by_the_new_one(resolver: Resolver) -> None:
    """Without asking again."""
    names = lookups(resolver)
    asked = ask()
    await resolver.called(OVERLAP)
    names.network_changed()
    await resolver.called(2 * OVERLAP)
    resolver.answer(OVERLAP, FOUND)

    assert FOUND == await asyncio.wait_for(asked, AMPLE)


@pytest.mark.usefixtures("quick")
async def test_three_that_hang_do_not_stop_a_new_network(resolver: Resolver) -> None:
    """It has its own three; nobody who waits, nothing new."""
    names = lookups(resolver)
    asked = ask()
    await resolver.called(OVERLAP)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    names.network_changed()
    await resolver.called(OVERLAP)
    asked = ask()
    await resolver.called(2 * OVERLAP)
    resolver.answer(OVERLAP, FOUND)

    assert FOUND == await asyncio.wait_for(asked, AMPLE)


@pytest.mark.usefixtures("patient")
async def test_too_many_that_hang(resolver: Resolver) -> None:
    """Beyond the most threads a look-up fails immediately, as a temporary failure; one that ends makes room."""
    lookups(resolver)
    hanging = [ask(f"host{number}.test") for number in range(THREADS)]
    await resolver.called(THREADS)
    with pytest.raises(socket.gaierror) as failed:
        await asyncio.wait_for(ask(), AMPLE)
    assert socket.EAI_AGAIN == failed.value.errno

    resolver.answer([call[0] for call in resolver.calls].index("host0.test"), FOUND)
    await hanging[0]
    asked = ask()
    await resolver.called(THREADS + 1)
    resolver.answer_all()
    assert FOUND == await asked


@pytest.mark.usefixtures("quick")
async def test_many_that_hang_have_none_beside_them(resolver: Resolver) -> None:
    """With a dead resolver and many servers, threads don't pile up; a new network is asked as often as any."""
    names = lookups(resolver)
    hanging = [ask(f"host{number}.test") for number in range(MANY)]
    await resolver.called(MANY)
    await asyncio.sleep(0.2)
    await resolver.called(MANY)
    for each in hanging:
        each.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)

    names.network_changed()
    asked = ask()
    await resolver.called(MANY + OVERLAP)
    resolver.answer(MANY + OVERLAP - 1, FOUND)
    assert FOUND == await asyncio.wait_for(asked, AMPLE)


@pytest.mark.usefixtures("quick")
async def test_a_temporary_failure_waits_for_the_others(resolver: Resolver) -> None:
    """The oldest gives up, the youngest may just have found DNS back."""
    lookups(resolver)
    asked = ask()
    await resolver.called(OVERLAP)
    for number in (0, 1):
        resolver.answer(number, socket.gaierror(socket.EAI_AGAIN, "Temporary failure"))
    await asyncio.sleep(0.02)
    assert not asked.done()
    resolver.answer(2, FOUND)

    assert FOUND == await asyncio.wait_for(asked, AMPLE)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
        UnicodeError("label too long"),
    ],
)
async def test_an_error_reaches_everybody_who_asked(resolver: Resolver, error: Exception) -> None:
    """With class and number as the system gives it."""
    lookups(resolver)
    asked = [ask(), ask()]
    await resolver.called(1)
    resolver.answer_all(error)

    for each in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(each, type(error))
        assert error.args == each.args
        assert error is not each


@pytest.mark.usefixtures("patient")
async def test_a_dead_resolver_holds_nothing_else_up(resolver: Resolver) -> None:
    """The loop's own threads are free, however many look-ups hang."""
    lookups(resolver)
    hanging = [ask(f"host{number}.test") for number in range(THREADS)]
    await resolver.called(THREADS)

    assert "done" == await asyncio.wait_for(asyncio.to_thread(lambda: "done"), AMPLE)
    for each in hanging:
        each.cancel()


async def test_a_loop_that_ends_does_not_wait() -> None:
    """The thread is abandoned, and its late answer finds nobody."""
    resolver = Resolver()

    async def main() -> None:
        Lookups(asyncio.get_running_loop(), resolver)
        asked = ask()
        await resolver.called(1)
        asked.cancel()

    await asyncio.wait_for(asyncio.to_thread(asyncio.run, main()), AMPLE)
    threads = [each for each in threading.enumerate() if each.name == "name look-up"]
    assert threads
    assert all(each.daemon for each in threads)
    resolver.answer_all()
    for each in threads:
        await asyncio.to_thread(each.join, AMPLE)


async def test_the_system_is_asked() -> None:
    """Without a resolver of the test's own, as asyncio does for every connection."""
    Lookups(asyncio.get_running_loop())
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
        assert b"" == await reader.read()
        writer.close()
        await writer.wait_closed()
