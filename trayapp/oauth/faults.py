"""Transport faults: whether a request left this machine, and a plain name for what stopped it.

The proof is `RequestProgress.sent`, never the class of an exception: a silent proxy raises the
same `ReadTimeout` as a silent token endpoint, and a write that broke halfway shows up as a `ReadError`. Classes only
choose the name and the wording. Nothing here quotes an exception's own text, because that may hold a URL.
"""

from __future__ import annotations

import logging
import re
import socket
import ssl
import traceback
from collections.abc import Iterator

import httpx2

from trayapp.core.outcomes import Fault
from trayapp.oauth.address_class import PLACE_TEXTS
from trayapp.oauth.progress import AddressTooNearError, ConnectionDoneError, RequestProgress, TooLateError

log = logging.getLogger(__name__)

# How TLS says "wait"; a time limit leaves them behind in the chain of exceptions.
IGNORED_CAUSES = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
UNTRUSTED_CERTIFICATE = "certificate not trusted: VPN, inspection or captive portal?"


class TooLargeError(Exception):
    """The body exceeded its cap."""


class BadProxyError(Exception):
    """The proxy settings of the environment can't be used."""


class BadCertificatesError(Exception):
    """The certificates that the environment names can't be read."""


def fault(exc: Exception, progress: RequestProgress, limit: float) -> Fault:
    """The fault that `exc` stands for. `limit` (s) is only for the wording."""
    causes = [cause for cause in exception_chain(exc) if not isinstance(cause, IGNORED_CAUSES)]
    kind, words = _name_sent(causes, progress, limit) if progress.sent else _name_unsent(causes, progress)
    if kind == "internal":
        log.error("unexpected %s in a request\n%s", type(exc).__name__, "".join(traceback.format_tb(exc.__traceback__)))
    return Fault(progress.sent, kind, words[:200])


def exception_chain(exc: BaseException) -> Iterator[BaseException]:
    """The exception and everything behind it: causes, contexts (httpcore's pool hides the cause) and group members."""
    pending, seen = [exc], set[int]()
    while pending:
        exception = pending.pop()
        if id(exception) in seen:
            continue
        seen.add(id(exception))
        yield exception
        pending += [link for link in (exception.__context__, exception.__cause__) if link is not None]
        if isinstance(exception, BaseExceptionGroup):
            pending += exception.exceptions


def _name_unsent(causes: list[BaseException], progress: RequestProgress) -> tuple[str, str]:
    """Kind and sentence for a request of which nothing left: everything here is safe to retry."""

    def any_of(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    host = progress.host
    if progress.reached is not None and any_of(AddressTooNearError):
        return (
            "request",
            f"Nothing was sent: {host} is {PLACE_TEXTS[progress.reached]}, the server that named it is not.",
        )
    if any_of(BadCertificatesError):
        return "tls", "The certificates named by SSL_CERT_FILE or SSL_CERT_DIR cannot be read."
    if any_of(BadProxyError):
        return "proxy", "The proxy named by the environment cannot be used: an http:// or https:// address is needed."
    if any_of(UnicodeError, httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.LocalProtocolError):
        return "request", "The request could not be built: a value in it cannot be sent."
    if any_of(httpx2.ProxyError):
        return "proxy", f"The proxy refused the connection to {host}{_proxy_status(causes)}."
    if progress.overtaken:
        return "unreachable", f"The network changed before {host} was reached."
    if any_of(TooLateError):
        return "connect_timeout", f"The connection to {host} was made too long ago to be used."
    if any_of(ConnectionDoneError):
        return "reset", f"{host} closed the connection before the request was sent."
    if progress.tunnelling:
        return "proxy", f"The proxy did not open a connection to {host}."
    if progress.proxied and not progress.handshaking and not any_of(ssl.SSLError):
        return "proxy", "The proxy named by the environment cannot be reached."
    if any_of(ssl.SSLCertVerificationError):
        return "tls", f"{host}: {UNTRUSTED_CERTIFICATE}"
    if any_of(socket.gaierror):
        return "dns", f"The name {host} could not be looked up."
    if any_of(ConnectionRefusedError):
        return "refused", f"{host} refused the connection."
    if any_of(ConnectionResetError, BrokenPipeError):
        return "reset", f"The connection to {host} was reset before the request was sent."
    if any_of(ssl.SSLError):
        return "tls", f"No secure connection to {host}: the TLS handshake failed."
    if any_of(TimeoutError, httpx2.TimeoutException):
        return "connect_timeout", f"No connection to {host} in time."
    if progress.handshaking:
        return "tls", f"No secure connection to {host}: it was closed during the TLS handshake."
    if any_of(OSError):
        return "unreachable", f"{host} cannot be reached."
    return "internal", "Something unexpected went wrong before the request was sent."


def _name_sent(causes: list[BaseException], progress: RequestProgress, limit: float) -> tuple[str, str]:
    """Kind and sentence for a request of which something may have left: the server may have acted on it."""

    def any_of(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    host = progress.host
    if any_of(TooLargeError):
        return "truncated", f"The answer of {host} is too large."
    if any_of(httpx2.DecodingError):
        return "truncated", f"The answer of {host} cannot be decoded."
    if any_of(TimeoutError, httpx2.TimeoutException):
        return "timeout", f"{host} did not answer within {limit:g} s."
    if any_of(ssl.SSLError):
        return "tls", f"The secure connection to {host} broke after the request was sent."
    if any_of(ConnectionError, httpx2.ReadError, httpx2.WriteError):
        return "reset", f"The connection to {host} was reset after the request was sent."
    if any_of(httpx2.RemoteProtocolError):
        if progress.answered:
            return "truncated", f"The answer of {host} broke off."
        if any(str(cause).startswith("Server disconnected") for cause in causes):
            return "eof", f"{host} closed the connection without an answer."
        return "truncated", f"What {host} answered is not HTTP."
    return "internal", "Something unexpected went wrong after the request was sent."


def _proxy_status(causes: list[BaseException]) -> str:
    """The status of the proxy's answer. The rest of its line is the proxy's own text and is left out."""
    for cause in causes:
        if isinstance(cause, httpx2.ProxyError) and (found := re.match(r"\d{3}\b", str(cause))):
            return f" (HTTP {found[0]})"
    return ""
