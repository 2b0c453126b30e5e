"""The older transport (2024-11-05): a stream that announces an endpoint, messages posted there, answers on the stream.

A stream that ends is opened again, with the client's own `initialize`. What was asked on the old one gets no answer: it is
asked again if that changes nothing, or the client is told that its fate is unknown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from trayapp.stdio import responses
from trayapp.stdio.http import Exchange, LostError, NotSentError
from trayapp.stdio.incoming import Id, Incoming
from trayapp.stdio.lines import Output, encode
from trayapp.stdio.place import Place
from trayapp.stdio.reach import Reach
from trayapp.stdio.session import OWN_ID, Session
from trayapp.stdio.sse import Events

OPEN_LIMIT = 10.0  # s until the endpoint is announced
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0  # s between two tries


class Asked(Protocol):
    """A request on its way."""

    message: Incoming
    left: set[Id]
    cancelled: bool


class Legacy:
    """The stream, once `connect` has found one. Called by many threads."""

    def __init__(
        self,
        get: Callable[[Exchange, Place, dict[str, str]], None],
        post: Callable[..., None],
        session: Session,
        output: Output,
        reach: Reach,
    ) -> None:
        self._get = get
        self._post = post
        self._session = session
        self._output = output
        self._reach = reach
        self._exchange: Exchange | None = None
        self._endpoint = ""
        self._place: Place | None = None
        self._pending: dict[tuple[type, Id], Asked] = {}
        self._news = threading.Condition()
        self._closed = False
        self.open = False  # the server speaks this transport

    def connect(self, place: Place) -> bool:
        """Open the stream for the first time; whether the server speaks this transport."""
        exchange = Exchange()
        try:
            self._get(exchange, place, {})
        except (NotSentError, LostError):
            return False
        if exchange.status != 200 or exchange.content_type != responses.SSE:
            exchange.close()
            return False
        threading.Thread(target=self._run, args=(exchange, place), name="legacy stream", daemon=True).start()
        with self._news:
            self._news.wait_for(lambda: self.open or self._closed, OPEN_LIMIT)
        if not self.open:
            exchange.close()
        return self.open

    def close(self) -> None:
        """End it."""
        self._closed = True
        if self._exchange is not None:
            self._exchange.close()
        with self._news:
            self._news.notify_all()

    def ask(self, ask: Asked) -> None:
        """Post it, and wait for its answer on the stream. Raises `NotSentError`."""
        message = ask.message
        with self._news:
            self._news.wait_for(lambda: self._endpoint or self._closed, OPEN_LIMIT)
            endpoint, place = self._endpoint, self._place
            if not endpoint or place is None:
                raise NotSentError
            for each in message.ids:
                self._pending[type(each), each] = ask
        with Exchange() as exchange:
            try:
                self._post(exchange, place, message.raw, {}, None, endpoint)
            except NotSentError:
                self.forget(ask)
                raise
            except LostError:
                pass  # the stream tells
            else:
                if exchange.status >= 300:
                    self._refused(ask, exchange)
        with self._news:
            self._news.wait_for(lambda: self._closed or ask.cancelled or not self._is_pending(ask))

    def tell(self, raw: bytes) -> None:
        """A message without an answer."""
        place, endpoint = self._place, self._endpoint
        if place is None or not endpoint:
            return
        with Exchange() as exchange:
            try:
                self._post(exchange, place, raw, {}, OPEN_LIMIT, endpoint)
            except (NotSentError, LostError):
                return

    def _is_pending(self, ask: Asked) -> bool:
        return any(each is ask for each in self._pending.values())

    def forget(self, ask: Asked) -> None:
        """Its answer is not waited for any more."""
        with self._news:
            for key in [key for key, each in self._pending.items() if each is ask]:
                del self._pending[key]
            self._news.notify_all()

    def _refused(self, ask: Asked, exchange: Exchange) -> None:
        try:
            text = exchange.whole()
        except LostError:
            text = b""
        said = responses.error_of(exchange.status, responses.loaded(text), text, None)
        for each in ask.message.ids:
            self._output.say({**said, "id": each})
        self.forget(ask)

    def _run(self, exchange: Exchange, place: Place) -> None:
        """The stream, and the next one when it ends."""
        self._read(exchange, place)
        pause = FIRST_PAUSE
        while self.open and not self._closed:
            found, exchange = self._reach.now(), Exchange()
            try:
                if found is not None:
                    self._get(exchange, found, {})
                    if exchange.status == 200 and exchange.content_type == responses.SSE:
                        pause = FIRST_PAUSE
                        self._read(exchange, found)
                    elif exchange.status == 405:  # the server speaks the newer transport now
                        self.open = False
                        self._session.lost(self._session.now)
            except (NotSentError, LostError):
                pass
            finally:
                exchange.close()
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _read(self, exchange: Exchange, place: Place) -> None:
        """Pass on what comes, until it ends; then answer what was asked."""
        self._exchange = exchange
        events = Events()
        try:
            for piece in exchange.pieces():
                for event in events.feed(piece):
                    if event.kind == "endpoint" and not self._endpoint:
                        self._announced(event.data.decode("utf-8", "replace"), place)
                    elif event.kind == "message":
                        self._message(responses.loaded(event.data), event.data)
        except (LostError, ValueError):
            pass
        finally:
            exchange.close()
            self._ended()

    def _announced(self, endpoint: str, place: Place) -> None:
        if not endpoint.startswith("/"):  # the app announces paths of its own, and nothing is posted elsewhere
            return
        if self._session.told and self._session.hello is not None:  # the client has begun already
            hello = {"jsonrpc": "2.0", "id": OWN_ID, "method": "initialize", "params": dict(self._session.hello.params)}
            self._place, self._hidden = place, endpoint
            with Exchange() as exchange:
                self._post(exchange, place, encode(hello), {}, OPEN_LIMIT, endpoint)
            return  # its answer says that the server is ready
        self._set(endpoint, place)

    def _set(self, endpoint: str, place: Place) -> None:
        with self._news:
            self._endpoint, self._place, self.open = endpoint, place, True
            self._news.notify_all()

    def _message(self, data: Any, text: bytes) -> None:
        if not isinstance(data, dict) or data.get("jsonrpc") != "2.0":
            return
        id_ = data.get("id")
        if "method" in data:
            self._output.write(text)
            return
        if id_ == OWN_ID:
            self._again()
            return
        with self._news:
            ask = self._pending.pop((type(id_), id_), None) if isinstance(id_, str | int) else None
        if ask is None:
            return
        ask.left.discard(id_)
        result = data.get("result")
        if ask.message.method == "initialize" and isinstance(result, dict):
            self._session.begun(ask.message, result, "")
        self._output.write(text)
        with self._news:
            self._news.notify_all()

    def _again(self) -> None:
        """The server has answered our `initialize` on a new stream."""
        place, endpoint = self._place, self._hidden
        if place is None or not endpoint:
            return
        with Exchange() as exchange:
            try:
                said = {"jsonrpc": "2.0", "method": "notifications/initialized"}
                self._post(exchange, place, encode(said), {}, OPEN_LIMIT, endpoint)
            except (NotSentError, LostError):
                return
        self._set(endpoint, place)
        self._session.stands()

    def _ended(self) -> None:
        with self._news:
            self._endpoint = ""
            asked = {id(each): each for each in self._pending.values()}
            self._pending.clear()
        for each in asked.values():
            if not each.cancelled and not self._closed:
                self._lost(each)
        with self._news:
            self._news.notify_all()

    def _lost(self, ask: Asked) -> None:
        from trayapp.stdio import local

        label = self._reach.target.label
        for said in local.unanswered(ask.message, self._session.version, local.fate_unknown(label)):
            if said["id"] in ask.left:
                self._output.say(said)
        ask.left.clear()

    _hidden = ""  # the endpoint of a stream on which the server has not answered our `initialize` yet
