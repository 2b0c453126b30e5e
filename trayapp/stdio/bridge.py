"""The bridge: takes the client's messages in their order, and has each request served by a thread of its own.

Notifications and the client's answers are passed on before the next message is looked at, and so is `initialize`: what
follows depends on them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque

from trayapp.stdio import incoming
from trayapp.stdio.http import Exchange, LostError, NotSentError
from trayapp.stdio.incoming import Id, Incoming, NotJsonRpcError
from trayapp.stdio.legacy import Legacy
from trayapp.stdio.lines import Output, complain
from trayapp.stdio.listener import Listener
from trayapp.stdio.place import Place
from trayapp.stdio.reach import Reach
from trayapp.stdio.requests import Ask, Requests
from trayapp.stdio.session import Session

THREADS_MAX = 64  # requests at once; more wait. The app takes 512 connections
STREAM_LIMIT = 60.0  # s for the head of a stream
TELL_LIMIT = 10.0  # s for a notification to be accepted
END_LIMIT = 1.0  # s for the end of the session
PARSE_ERROR = -32700


class Bridge:
    """One client. `handle` may be called by one thread only."""

    def __init__(self, reach: Reach, output: Output) -> None:
        self._reach = reach
        self._output = output
        self.session = Session(self._post, output.say)
        self._legacy = Legacy(self._get, self._post, self.session, output, reach)
        self._requests = Requests(reach, self.session, self._legacy, output, self._post, self._get)
        self._listener = Listener(reach, self.session, self._requests, output, self._get)
        self._asks: dict[tuple[type, Id], Ask] = {}
        self._waiting: deque[Ask] = deque()
        self._threads = 0
        self._lock = threading.Condition()

    def handle(self, raw: bytes) -> None:
        """One line of the client."""
        try:
            message = incoming.parse(raw)
        except NotJsonRpcError:
            error = {"code": PARSE_ERROR, "message": "Not a JSON-RPC message."}
            self._output.say({"jsonrpc": "2.0", "id": None, "error": error})
            return
        if message.ids:
            self._request(message)
        elif message.method == "notifications/cancelled":
            self._cancel(message)
        elif message.method == "notifications/initialized":
            self.session.ready()
            if self.session.now.live:
                self._tell(message)
            self._listener.start()
        else:
            self._tell(message)

    def drain(self, limit: float) -> None:
        """Wait until nothing is being answered any more."""
        end = time.monotonic() + limit
        with self._lock:
            while any(not each.lasting for each in self._asks.values()) and (left := end - time.monotonic()) > 0:
                self._lock.wait(left)

    def close(self) -> None:
        """End the session."""
        self._listener.close()
        live, place = self.session.now, self._reach.now()
        if live.live and live.id and place is not None:
            with contextlib.suppress(NotSentError, LostError), Exchange() as exchange:
                headers = self._headers(live.headers())
                exchange.send(place.port, "DELETE", self._reach.target.path, headers, limit=END_LIMIT)
        self._legacy.close()

    # --- requests ----------------------------------------------------------------------------------------------------

    def _request(self, message: Incoming) -> None:
        ask = Ask(message)
        with self._lock:
            for each in message.ids:
                self._asks[type(each), each] = ask
        if message.method == "initialize":
            self._serve(ask)
        elif ask.lasting:
            threading.Thread(target=self._serve, args=(ask,), name="listen", daemon=True).start()
        else:
            with self._lock:
                self._waiting.append(ask)
                if self._threads >= THREADS_MAX:
                    return
                self._threads += 1
            threading.Thread(target=self._work, name="request", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                ask = self._waiting.popleft()
            self._serve(ask)

    def _serve(self, ask: Ask) -> None:
        try:
            self._requests.serve(ask)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the others are served
            complain(f"{ask.message.method} failed ({type(error).__name__})")
            self._requests.failed(ask)
        finally:
            with self._lock:
                for each in ask.message.ids:
                    if self._asks.get((type(each), each)) is ask:
                        del self._asks[type(each), each]
                self._lock.notify_all()

    def _cancel(self, message: Incoming) -> None:
        """Since 2026-07-28 the end of the connection says it; before, the notification does."""
        wanted = message.params.get("requestId")
        ask = self._asks.get((type(wanted), wanted)) if isinstance(wanted, str | int) else None
        if ask is not None:
            ask.cancelled = True
        if not message.version and not (ask is not None and ask.message.version):
            self._tell(message)
        if ask is not None:
            ask.close()
            self._legacy.forget(ask)

    def _tell(self, message: Incoming) -> None:
        """A message without an answer; one that can't be delivered is dropped."""
        if self._legacy.open:
            self._legacy.tell(message.raw)
            return
        place, live = self._reach.now(), self.session.now
        if place is None or not (live.live or message.version or self.session.hello is None):
            return
        headers = message.headers({}) if message.version else live.headers()
        with contextlib.suppress(NotSentError, LostError), Exchange() as exchange:
            self._post(exchange, place, message.raw, headers, TELL_LIMIT)
            if exchange.status == 404 and live.id:
                self.session.lost(live)

    # --- HTTP --------------------------------------------------------------------------------------------------------

    def _post(
        self,
        exchange: Exchange,
        place: Place,
        body: bytes,
        headers: dict[str, str],
        limit: float | None,
        path: str = "",
    ) -> None:
        """Raises `NotSentError` or `LostError`."""
        head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers}
        exchange.send(place.port, "POST", path or self._reach.target.path, self._headers(head), body, limit)

    def _get(self, exchange: Exchange, place: Place, headers: dict[str, str]) -> None:
        """Raises `NotSentError` or `LostError`."""
        head = {"Accept": "text/event-stream", "Cache-Control": "no-store", **headers}
        exchange.send(place.port, "GET", self._reach.target.path, self._headers(head), limit=STREAM_LIMIT)

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        key = self._reach.key()
        return {"User-Agent": "amberlight-stdio", **({"Authorization": f"Bearer {key}"} if key else {}), **more}
