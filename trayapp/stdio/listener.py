"""The stream on which the server speaks of its own accord, and the watch for an app that comes back.

It starts nothing: only a request of the client does that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from trayapp.stdio import responses
from trayapp.stdio.http import Exchange, LostError, NotSentError
from trayapp.stdio.lines import Output, complain
from trayapp.stdio.place import Place
from trayapp.stdio.reach import Reach
from trayapp.stdio.responses import SSE, NotStreamableError, RefusedError
from trayapp.stdio.session import Live, Session
from trayapp.stdio.sse import Events

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0  # s between two looks for the app
REFUSED_PAUSE = 30.0  # s until a session that was refused is asked for again; a request of the client asks immediately
RETRY = 1.0  # s until a stream that ended is asked for again, unless the server says so


class SpeaksLegacy(Protocol):
    """What tries the older transport."""

    def speaks_legacy(self, place: Place) -> bool: ...


class Listener:
    """A thread of its own, from the client's `initialized` on."""

    def __init__(
        self,
        reach: Reach,
        session: Session,
        requests: SpeaksLegacy,
        output: Output,
        get: Callable[[Exchange, Place, dict[str, str]], None],
    ) -> None:
        self._reach = reach
        self._session = session
        self._requests = requests
        self._output = output
        self._get = get
        self._thread: threading.Thread | None = None
        self._exchange: Exchange | None = None
        self._closed = False
        self._pause = FIRST_PAUSE
        self._events = Events()

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._closed = True
        if self._exchange is not None:
            self._exchange.close()
        self._session.wake()

    def _run(self) -> None:
        none_in = -1  # the number of the session that has no stream
        while not self._closed:
            live, place = self._session.now, self._reach.now()
            try:
                if live.live and not self._session.stale and (not live.id or live.number == none_in):
                    self._session.wait(live, None)  # nothing to hear, and nothing to watch for
                elif place is None:
                    self._rest()
                elif not live.live:
                    self._session.ensure(place)
                    self._pause = FIRST_PAUSE
                elif not live.id or live.number == none_in:
                    self._session.announce()
                elif not self._listen(live, place):
                    none_in = live.number
            except NotStreamableError:
                tried = place is not None and self._requests.speaks_legacy(place)
                self._rest(None if tried else LONGEST_PAUSE)
            except RefusedError:
                self._rest(REFUSED_PAUSE)
            except (NotSentError, LostError):
                self._rest()
            except Exception as error:  # noqa: BLE001 - whatever it is, the client's requests are served
                complain(f"the server's own messages failed ({type(error).__name__})")
                self._rest(LONGEST_PAUSE)

    def _rest(self, pause: float | None = None) -> None:
        """A while, unless the session becomes another one."""
        self._session.wait(self._session.now, pause or self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _listen(self, live: Live, place: Place) -> bool:
        """Pass on what the server says, until the stream ends; whether there is one."""
        if self._events_of != live.number:
            self._events, self._events_of = Events(), live.number
        events = self._events = Events(self._events.last_id)
        with Exchange() as exchange:
            self._exchange = exchange
            if self._closed:
                return True
            resume = {"Last-Event-ID": events.last_id} if events.last_id else {}
            self._get(exchange, place, {**live.headers(), **resume})
            if exchange.status == 404:
                self._session.lost(live)
                return True
            if exchange.status != 200 or exchange.content_type != SSE:
                self._session.announce()
                if events.last_id:
                    events.last_id = ""  # perhaps it means nothing there any more
                elif exchange.status in responses.NOT_STREAMABLE:
                    return False
                self._rest()
                return True
            self._pause = FIRST_PAUSE
            self._session.announce()
            for data, text in responses.messages_in(exchange, events):
                if isinstance(data, dict) and data.get("jsonrpc") == "2.0":
                    self._output.write(text)
        time.sleep(min(RETRY if events.retry is None else events.retry, LONGEST_PAUSE))
        return True

    _events_of = 0
