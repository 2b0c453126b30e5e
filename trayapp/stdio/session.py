"""The session with the app's endpoint: begun with the client's own `initialize`, and replaced when it is lost.

A stdio client can't be told that its session has ended: it has none. So a lost one is replaced here, with what the client
said when it began, and the client hears that lists may have changed. A new session may have another revision: the client
keeps the one it was told, as those with a handshake read alike.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from trayapp.stdio.http import Exchange, LostError
from trayapp.stdio.incoming import Incoming, Json
from trayapp.stdio.lines import encode
from trayapp.stdio.place import Place
from trayapp.stdio.responses import NotStreamableError, RefusedError, response_of

OWN_ID = "amberlight-stdio"  # of our own requests
HELLO_LIMIT = 25.0  # s for the answer to our own `initialize`
LISTS = ("tools", "prompts", "resources")
REPLAYED = frozenset({"logging/setLevel", "resources/subscribe", "resources/unsubscribe"})
REPLAYED_MAX = 64


@dataclass(frozen=True, slots=True)
class Live:
    """The session as it is now. `number` grows with each new one; `id` is empty if the server has no sessions."""

    number: int = 0
    live: bool = False
    id: str = ""
    version: str = ""
    called: bool = False  # a call succeeded in it, so something there may depend on it

    def headers(self) -> dict[str, str]:
        found = {"Mcp-Session-Id": self.id} if self.id else {}
        return found | ({"MCP-Protocol-Version": self.version} if self.version >= "2025-06-18" else {})


Post = Callable[[Exchange, Place, bytes, dict[str, str], float | None], None]


class Session:
    """Shared by all threads. `post` sends a message; `say` writes one to the client."""

    def __init__(self, post: Post, say: Callable[[Json], None]) -> None:
        self._post = post
        self._say = say
        self._live = Live()
        self._making = threading.Lock()
        self._changed = threading.Condition()
        self.hello: Incoming | None = None  # the client's `initialize`
        self.told: Json = {}  # the result that it was given
        self.initialized = False  # the client said that it is ready
        self.stale = False  # its lists were answered without the server, or are of a lost session
        self._unsaid = False  # a session was lost in which a call had succeeded
        self._replayed: dict[str, Incoming] = {}

    @property
    def now(self) -> Live:
        return self._live

    @property
    def version(self) -> str:
        """The revision that the client was told."""
        said = self.told.get("protocolVersion")
        return said if isinstance(said, str) else ""

    def begun(self, hello: Incoming, told: Json, id_: str | None) -> None:
        """The client was given this result: the server's, or with `id_` None our own."""
        with self._changed:
            self.hello, self.told, self.initialized = hello, told, False
            self.stale = id_ is None
            version = told.get("protocolVersion")
            version = version if isinstance(version, str) else ""
            self._live = Live(self._live.number + 1, id_ is not None, id_ or "", version)
            self._changed.notify_all()

    def ready(self) -> None:
        """The client said `notifications/initialized`."""
        with self._changed:
            self.initialized = True
            self._changed.notify_all()

    def stands(self) -> None:
        """It was begun again on another stream (the older transport)."""
        with self._changed:
            self._live = replace(self._live, number=self._live.number + 1, live=True, id="", called=False)
            self.stale = True
            self._changed.notify_all()
        self.announce()

    def called(self, live: Live) -> None:
        """A call succeeded."""
        with self._changed:
            if self._live.number == live.number:
                self._live = replace(self._live, called=True)

    def lost(self, live: Live) -> None:
        """The app doesn't know it any more."""
        with self._changed:
            if self._live.number == live.number and self._live.live:
                self._unsaid = self._unsaid or self._live.called
                self._live = replace(self._live, live=False)
                self.stale = True
                self._changed.notify_all()

    def restarted(self) -> bool:
        """Whether a call may depend on a session that was lost. Said once, to the first call."""
        with self._changed:
            unsaid, self._unsaid = self._unsaid, False
            return unsaid

    def remember(self, message: Incoming) -> None:
        """What a new session has to be told again."""
        subject = "" if message.method == "logging/setLevel" else str(message.params.get("uri", ""))
        if message.method == "resources/unsubscribe":
            self._replayed.pop(f"resources/subscribe {subject}", None)
        elif message.method in REPLAYED and len(self._replayed) < REPLAYED_MAX:
            self._replayed[f"{message.method} {subject}"] = message

    def wait(self, live: Live, limit: float | None) -> None:
        """Until it is another one, or the limit."""
        with self._changed:
            if self._live == live:
                self._changed.wait(limit)

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def ensure(self, place: Place) -> Live:
        """A live session; the client's own `initialize` is repeated if need be. Raises what `Exchange.send` raises,
        `RefusedError`, and `NotStreamableError`."""
        with self._making:
            live = self._live
            if live.live or self.hello is None:
                return live
            result, id_ = self._begin(place, self.hello)
            version = result.get("protocolVersion")
            made = Live(live.number + 1, True, id_, version if isinstance(version, str) else "")
            if self.initialized:
                self._own(place, made, {"jsonrpc": "2.0", "method": "notifications/initialized"})
            for number, message in enumerate(list(self._replayed.values())):
                again = {"id": f"{OWN_ID}-{number}", "method": message.method, "params": dict(message.params)}
                self._own(place, made, {"jsonrpc": "2.0", **again})
            with self._changed:
                self._live = made
                self._changed.notify_all()
        self.announce()
        return made

    def _begin(self, place: Place, hello: Incoming) -> tuple[dict[str, Any], str]:
        message = {"jsonrpc": "2.0", "id": OWN_ID, "method": "initialize", "params": dict(hello.params)}
        with Exchange() as exchange:
            self._post(exchange, place, encode(message), {}, HELLO_LIMIT)
            said = response_of(exchange, OWN_ID)
            if not isinstance(result := said.get("result"), dict):
                raise RefusedError(said)
            return result, exchange.headers.get("mcp-session-id", "")

    def _own(self, place: Place, live: Live, message: Json) -> None:
        """A message of ours, whose answer tells nothing."""
        with Exchange() as exchange:
            self._post(exchange, place, encode(message), live.headers(), HELLO_LIMIT)
            try:
                exchange.whole() if "id" not in message else response_of(exchange, message["id"])
            except (LostError, RefusedError, NotStreamableError):
                return

    def announce(self) -> None:
        """The lists may differ from what the client was given: it is told, once."""
        with self._changed:
            due = self.stale and self.initialized
            if due:
                self.stale = False
        capabilities = self.told.get("capabilities")
        for name in LISTS if due and isinstance(capabilities, dict) else ():
            if isinstance(capabilities, dict) and name in capabilities:
                self._say({"jsonrpc": "2.0", "method": f"notifications/{name}/list_changed"})
