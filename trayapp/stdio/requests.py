"""One request from start to end: sent at most once if that matters, answered exactly once.

A request that may have reached the server is sent again only if asking twice changes nothing. Else a stream that broke off
is resumed where the server can do that, and where it can't the client is told that the fate of the call is unknown.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trayapp.stdio import responses
from trayapp.stdio.http import Exchange, LostError, NotSentError
from trayapp.stdio.incoming import Id, Incoming, Json, declared_headers
from trayapp.stdio.legacy import Legacy
from trayapp.stdio.lines import Output, complain
from trayapp.stdio.place import Place
from trayapp.stdio.reach import CALL_WAIT, HELLO_WAIT, AwayError, Reach
from trayapp.stdio.responses import METHOD_NOT_FOUND, SSE, NotStreamableError, RefusedError
from trayapp.stdio.session import REPLAYED, Live, Post, Session
from trayapp.stdio.sse import Events

if TYPE_CHECKING:
    from trayapp.mcp.blocked import Blocked

CHECK_NAME = "Check the name with `amberlight list`."
SOON = 1.0  # s that lists wait when the app was away a moment ago: the client has waited already
RECENTLY = 30.0  # s
TRIES = 3
INITIALIZE_LIMIT = 25.0  # s for the server's answer
RESUME_LIMIT = 60.0  # s without an event on a resumed stream
RETRY = 1.0  # s before a stream is asked for again, unless the server says so
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0  # s between two tries to listen
PATIENT = frozenset({"tools/call", "prompts/get", "resources/read", "completion/complete"})
LISTED = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list"})
ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
SUBSCRIPTION_META = "io.modelcontextprotocol/subscriptionId"

Get = Callable[[Exchange, Place, dict[str, str]], None]


class Ask:
    """A request on its way. `left` are the ids that are not answered yet."""

    def __init__(self, message: Incoming) -> None:
        self.message = message
        self.left = set(message.ids)
        self.cancelled = False
        self.lasting = message.method == "subscriptions/listen"  # as long as the client
        self.acknowledged = False  # a subscription
        self._exchange: Exchange | None = None

    def uses(self, exchange: Exchange) -> None:
        """It waits for this response now."""
        self._exchange = exchange
        if self.cancelled:
            exchange.close()

    def close(self) -> None:
        """Stop waiting for the response."""
        if self._exchange is not None:
            self._exchange.close()


class Requests:
    """Serves requests; called by many threads."""

    def __init__(self, reach: Reach, session: Session, legacy: Legacy, output: Output, post: Post, get: Get) -> None:
        self._reach = reach
        self._session = session
        self._legacy = legacy
        self._output = output
        self._post = post
        self._get = get
        self._declared: dict[str, dict[tuple[str, ...], str]] = {}  # `Mcp-Param-…` headers by tool
        self._away_at = float("-inf")
        self._trying_legacy = threading.Lock()

    def serve(self, ask: Ask) -> None:
        """Answer it. Returns when that is done, or when it was cancelled."""
        try:
            if ask.lasting:
                self._listen(ask)
            else:
                self._serve(ask)
        except AwayError as away:
            self._away_at = time.monotonic()
            if not ask.cancelled:
                self._answer_away(ask, str(away))

    def failed(self, ask: Ask) -> None:
        """Something went wrong here: an answer for whoever waits."""
        said = {"code": responses.INTERNAL_ERROR, "message": "`amberlight stdio` failed. Restart it."}
        self._refuse(ask, {"error": said})

    def _serve(self, ask: Ask) -> None:
        began = time.monotonic()
        until = began + self._patience(ask.message.method)
        again = 0
        while not ask.cancelled and again < TRIES:
            place = self._reach.wait(until)
            try:
                if self._once(ask, place, again):
                    return
            except NotSentError:
                self._reach.refused(place)
                continue
            except LostError:
                if not ask.message.repeatable:
                    break
                if ask.message.method == "initialize" and time.monotonic() - began >= INITIALIZE_LIMIT:
                    raise AwayError(f"No answer within {INITIALIZE_LIMIT:.0f} seconds.") from None
            except NotStreamableError as error:
                if not self.speaks_legacy(place):
                    self._refuse(ask, error.said)
                    return
            except RefusedError as error:
                self._refuse(ask, error.said)
                return
            again += 1
        if not ask.cancelled:
            self._unanswered(ask, "fate")

    def speaks_legacy(self, place: Place) -> bool:
        """Whether the server speaks the older transport; its stream is open then."""
        with self._trying_legacy:
            return self._legacy.open or self._legacy.connect(place)

    def _patience(self, method: str) -> float:
        if method in PATIENT:
            return CALL_WAIT
        return SOON if time.monotonic() - self._away_at < RECENTLY else HELLO_WAIT

    def _once(self, ask: Ask, place: Place, again: int) -> bool:
        """Send it; whether it was answered. Raises `NotSentError`, `LostError` or `RefusedError`."""
        message, live = ask.message, Live()
        if self._legacy.open:
            self._legacy.ask(ask)
            return True
        if message.version:
            headers = message.headers(self._declared)
        elif message.method == "initialize":
            headers = {}
        else:
            live = self._made(place)
            if message.method == "tools/call" and self._session.restarted():
                self._unanswered(ask, "restarted")
                return True
            headers = live.headers()
        with Exchange() as exchange:
            ask.uses(exchange)
            limit = INITIALIZE_LIMIT if message.method == "initialize" else None
            self._post(exchange, place, message.raw, headers, limit)
            self._reach.arrived()
            return self._receive(ask, exchange, live, again)

    def _made(self, place: Place) -> Live:
        try:
            return self._session.ensure(place)
        except LostError:  # while a session was made: the request itself was not sent
            raise NotSentError from None

    def _receive(self, ask: Ask, exchange: Exchange, live: Live, again: int) -> bool:
        message, status = ask.message, exchange.status
        if status == 200 and exchange.content_type == SSE:
            return self._stream(ask, exchange, live)
        text = exchange.whole()
        data = responses.loaded(text)
        if status == 200 and isinstance(data, list) and data:
            ask.left.clear()
            self._output.write(text)
            return True
        if status == 200 and self._answered(ask, exchange, live, data, text):
            return True
        first = message.ids[0]
        said = responses.error_of(status, data, text, first, self._reach.target.label)
        code = said["error"].get("code")
        if status == 403:
            if not again:
                return False  # the key was replaced meanwhile: it is read again
            said["error"]["message"] = sentence = self._no_key()
            complain(sentence)
        elif status == 404 and live.id and code != METHOD_NOT_FOUND:
            self._session.lost(live)
            return False
        elif message.method == "initialize" and responses.is_not_streamable(status, said):
            raise NotStreamableError(said)
        self._refuse(ask, said)
        return True

    def _no_key(self) -> str:
        target = self._reach.target
        if not self._reach.key():
            return f"{target.label} has no local key. {CHECK_NAME} Then run `{target.help}`."
        return f"Amberlight rejected the local key of {target.label}. {CHECK_NAME}"

    def _answered(self, ask: Ask, exchange: Exchange, live: Live, data: Any, text: bytes) -> bool:
        """Whether this is an answer to the request; it was written then."""
        if not isinstance(data, dict) or "method" in data or data.get("jsonrpc") != "2.0":
            return False
        id_, result, message = data.get("id"), data.get("result"), ask.message
        if not _is_among(id_, ask.left) or not ("result" in data or "error" in data):
            return False
        ask.left.discard(id_)
        if isinstance(result, dict):
            if message.method == "initialize":
                self._session.begun(message, result, exchange.headers.get("mcp-session-id", ""))
            elif message.method == "tools/call" and result.get("isError") is not True:
                self._session.called(live)
            elif message.method == "tools/list" and message.version:
                self._declared |= declared_headers(result.get("tools"))
            elif message.method in REPLAYED:
                self._session.remember(message)
        self._output.write(text)
        return True

    def _stream(self, ask: Ask, exchange: Exchange, live: Live) -> bool:
        """Pass on the messages up to the answer. Raises `LostError` if it does not come."""
        with contextlib.ExitStack() as stack:
            return self._streamed(ask, exchange, live, stack)

    def _streamed(self, ask: Ask, exchange: Exchange, live: Live, stack: contextlib.ExitStack) -> bool:
        events, resumed, end = Events(), False, float("inf")
        while True:
            try:
                for data, text in responses.messages_in(exchange, events):
                    if ask.cancelled:
                        return True
                    if data is not None:
                        end = time.monotonic() + RESUME_LIMIT if resumed else end
                        self._pass(ask, exchange, live, data, text)
                    if not ask.left:
                        return True
                    if time.monotonic() > end:
                        raise LostError
            except LostError:
                if time.monotonic() > end:
                    raise
            if ask.cancelled:
                return True
            if not events.last_id or not live.id:
                raise LostError
            exchange.close()
            end = min(end, time.monotonic() + RESUME_LIMIT)
            exchange, resumed = stack.enter_context(self._resumed(ask, events, live, end)), True

    def _resumed(self, ask: Ask, events: Events, live: Live, end: float) -> Exchange:
        """The stream, from where it ended. Raises `LostError`."""
        last, retry = events.last_id, events.retry
        while time.monotonic() < end and not ask.cancelled:
            time.sleep(min(RETRY if retry is None else retry, 10.0))
            place, exchange = self._reach.now(), Exchange()
            if place is None:
                continue
            ask.uses(exchange)
            try:
                self._get(exchange, place, {**live.headers(), "Last-Event-ID": last})
            except (NotSentError, LostError):
                exchange.close()
                continue
            if exchange.status == 200 and exchange.content_type == SSE:
                return exchange
            exchange.close()
            break
        raise LostError

    def _pass(self, ask: Ask, exchange: Exchange, live: Live, data: Any, text: bytes) -> None:
        if self._answered(ask, exchange, live, data, text):
            return
        if is_message(data):
            self._output.write(text)

    # --- subscriptions (2026-07-28) ----------------------------------------------------------------------------------

    def _listen(self, ask: Ask) -> None:
        """Held through everything: no client asks for it twice."""
        pause = FIRST_PAUSE
        while not ask.cancelled:
            place = self._reach.now()
            with contextlib.suppress(NotSentError, LostError):
                if place is not None and self._listened(ask, place):
                    return
            pause = FIRST_PAUSE if place is not None else min(2 * pause, LONGEST_PAUSE)
            time.sleep(pause)

    def _listened(self, ask: Ask, place: Place) -> bool:
        with Exchange() as exchange:
            ask.uses(exchange)
            self._post(exchange, place, ask.message.raw, ask.message.headers({}), None)
            if exchange.status != 200 or exchange.content_type != SSE:
                return not ask.acknowledged and self._receive(ask, exchange, Live(), 1)
            for data, text in responses.messages_in(exchange, Events()):
                if ask.cancelled:
                    return True
                if data is None:
                    continue
                if isinstance(data, dict) and data.get("method") == ACKNOWLEDGED and ask.acknowledged:
                    self._changed(ask.message.ids[0], data)
                    continue
                ask.acknowledged = ask.acknowledged or (isinstance(data, dict) and data.get("method") == ACKNOWLEDGED)
                self._pass(ask, exchange, Live(), data, text)
                if not ask.left:
                    return True
        return False

    def _changed(self, id_: Id, acknowledged: Json) -> None:
        """It continues in a new stream: what changed in between is unknown."""
        params = acknowledged.get("params")
        granted = params.get("notifications") if isinstance(params, dict) else None
        for name in ("tools", "prompts", "resources"):
            if isinstance(granted, dict) and granted.get(f"{name}ListChanged") is True:
                meta = {"_meta": {SUBSCRIPTION_META: id_}}
                self._output.say({"jsonrpc": "2.0", "method": f"notifications/{name}/list_changed", "params": meta})

    # --- answers of our own ------------------------------------------------------------------------------------------

    def _answer_away(self, ask: Ask, sentence: str) -> None:
        """In the app's place."""
        from trayapp.stdio import local

        message, label = ask.message, self._reach.target.label
        if message.method == "initialize" and not message.version:
            told = local.initialize(message, label, sentence)
            self._session.begun(message, told, None)
            complain(sentence)
            self._output.say({"jsonrpc": "2.0", "id": message.ids[0], "result": told})
            return
        if message.method in LISTED:
            self._session.stale = True
        if message.method in REPLAYED:
            self._session.remember(message)
        for said in local.answer(message, self._session.version, local.away(label, sentence)):
            self._output.say(said)

    def _unanswered(self, ask: Ask, what: str) -> None:
        from trayapp.stdio import local

        label = self._reach.target.label
        why: Blocked = local.fate_unknown(label) if what == "fate" else local.session_restarted(label)
        self.tell_unanswered(ask, why)

    def tell_unanswered(self, ask: Ask, why: Blocked) -> None:
        """Every id that is left gets the sentence."""
        from trayapp.stdio import local

        for said in local.unanswered(ask.message, self._session.version, why):
            if said["id"] in ask.left:
                self._output.say(said)

    def _refuse(self, ask: Ask, said: Json) -> None:
        for each in ask.message.ids:
            if each in ask.left:
                self._output.say({**said, "jsonrpc": "2.0", "id": each})


def _is_among(id_: object, ids: set[Id]) -> bool:
    return isinstance(id_, str | int) and any(each == id_ and type(each) is type(id_) for each in ids)


def is_message(data: object) -> bool:
    """Whether it may be written to the client."""
    return isinstance(data, dict) and data.get("jsonrpc") == "2.0"
