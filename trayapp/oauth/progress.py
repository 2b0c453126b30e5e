"""How far one request got, and the last look at its connection before the first byte leaves.

Connecting is the preflight of M8: name, route, proxy, TLS and certificate are proven by the very connection that then
carries the token, and until then nothing is spent. What was proven must still hold when the token leaves, so between the
two at most `SEND_WITHIN` passes, and the server has neither closed nor answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Callable, Mapping
from typing import Any

from trayapp.oauth.address_class import AddressClass, class_of_address

SEND_WITHIN = 1.0  # s from the end of connecting; only a machine that slept or stood still takes longer
TURNS = 4  # of the loop with nothing new: it reads in one and TLS takes its messages in the next
READS_AHEAD = sys.platform == "win32"  # its loop takes what comes from the socket before anybody asks for it


class AddressTooNearError(Exception):
    """A name led to an address nearer than the server that named it may use (SSRF)."""

    def __init__(self, reached: AddressClass) -> None:
        super().__init__(reached.name)
        self.reached = reached


class TooLateError(Exception):
    """The connection was made too long ago to be trusted."""


class ConnectionDoneError(Exception):
    """The server closed the connection, or answered before it was asked."""


class RequestProgress:
    """How far one request got. httpx2 calls it at every step (its `trace` extension).

    `sent` is set *before* the first write of the request, so False proves that nothing of it left. `now` counts sleep.
    """

    def __init__(self, host: str, now: Callable[[], float], nearest_allowed: AddressClass = AddressClass.LOCAL) -> None:
        self.host = host
        self.nearest_allowed = nearest_allowed  # a connection to a nearer address is closed
        self.reached: AddressClass | None = None  # class of the server's address; None: unknown, or behind a proxy
        self.sent = False
        self.answered = False  # the header of an answer was read
        self.proxied = False  # the connection is to a proxy
        self.tunnelling = False  # CONNECT was sent and not yet answered
        self.handshaking = False
        self.overtaken = False  # the network changed before anything was sent
        self.connecting: asyncio.Timeout | None = None  # ends with the first byte
        self._now = now
        self._connected_at = now()
        self._stream: Any = None

    async def close(self) -> None:
        """Close the stream that the HTTP library leaves open when it is cancelled during a TLS handshake."""
        if self.handshaking and self._stream is not None:
            with contextlib.suppress(Exception):
                await self._stream.aclose()

    def network_changed(self) -> None:
        """End a request of which nothing has left: it waits for a network that is gone."""
        if not self.sent and self.connecting is not None and not self.connecting.expired():
            self.overtaken = True
            self.connecting.reschedule(asyncio.get_running_loop().time())

    async def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        step = name.rpartition(".")[0].rpartition(".")[2], name.rpartition(".")[2]
        match step:
            case ("connect_tcp", "started"):
                self.proxied = _text(info.get("host")) != self.host
            case ("connect_tcp", "complete"):
                self._connected(info.get("return_value"))
                await self._check_peer(self._stream)
            case ("start_tls", "started"):
                self.handshaking, self.tunnelling = True, False
            case ("start_tls", "complete"):
                self.handshaking = False
                self._connected(info.get("return_value"))
            case ("send_request_headers", "started"):
                if info["request"].method == b"CONNECT":
                    self.tunnelling = True
                else:
                    await self._ready_to_send()
                    self.sent = True
            case ("receive_response_headers", "complete"):
                self.answered = self.sent

    def _connected(self, stream: Any) -> None:
        self._stream, self._connected_at = stream, self._now()

    async def _check_peer(self, stream: Any) -> None:
        """Check where the connection really went: a name can lead anywhere, and somewhere else the next time."""
        address = None if self.proxied or stream is None else stream.get_extra_info("server_addr")
        if not address:
            return
        self.reached = class_of_address(str(address[0]))
        if self.reached < self.nearest_allowed:
            await stream.aclose()
            raise AddressTooNearError(self.reached)

    async def _ready_to_send(self) -> None:
        """Raise if the connection is no longer what was proven; else stop the clock of connecting.

        TLS early data would pass all of this by; Python's `ssl` has none, and nothing here resumes a session.
        """
        await self._check_silence()
        if self._now() - self._connected_at > SEND_WITHIN:
            raise TooLateError
        if self.connecting is not None:
            self.connecting.reschedule(None)

    async def _check_silence(self) -> None:
        """Raise if the server has sent or closed anything. What TLS sends by itself (session tickets) is no answer."""
        if self._stream is None:
            return
        tls = self._stream.get_extra_info("ssl_object")
        try:
            if tls is not None:
                tls.read(1)  # what came with the end of the handshake
                raise ConnectionDoneError
        except ssl.SSLWantReadError:
            pass
        except OSError as exc:
            raise ConnectionDoneError from exc
        if not READS_AHEAD and not self._stream.get_extra_info("is_readable"):
            return
        reading, idle = asyncio.create_task(self._stream.read(1), name="look before sending"), 0
        try:
            while not reading.done() and idle < TURNS and self._now() - self._connected_at <= SEND_WITHIN:
                await asyncio.sleep(0)
                idle = 0 if self._stream.get_extra_info("is_readable") else idle + 1
            if reading.done():
                raise ConnectionDoneError
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


def _text(host: object) -> str:
    return host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
