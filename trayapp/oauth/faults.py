"""Transport faults: whether a request left this machine, and a plain name for what stopped it.

The proof is `RequestProgress.sent`, never the class of an exception: a silent proxy raises the
same `ReadTimeout` as a silent token endpoint, and a write that broke halfway shows up as a `ReadError`. Classes only
choose the name and the wording: for the kinds in `core/classify.py:EXPLAINED` a reason to stand in brackets. Nothing here
quotes an exception's own text, because that may hold a URL.
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
from trayapp.oauth.address_class import too_near
from trayapp.oauth.progress import AddressTooNearError, ConnectionDoneError, RequestProgress, TooLateError

log = logging.getLogger(__name__)

# How TLS says "wait"; a time limit leaves them behind in the chain of exceptions.
UNSENDABLE = "a value in it can't be sent"
IGNORED_CAUSES = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


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
    """Kind and words for a request of which nothing left: everything here is safe to retry."""

    def any_of(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    host = progress.host
    if progress.reached is not None and any_of(AddressTooNearError):
        return "request", too_near(host, progress.reached)
    if any_of(BadCertificatesError):
        return "tls", "can't read the certificates in SSL_CERT_FILE or SSL_CERT_DIR"
    if any_of(BadProxyError):
        return "proxy", "its address must be HTTP or HTTPS"
    if any_of(UnicodeError, httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.LocalProtocolError):
        return "request", UNSENDABLE
    if any_of(httpx2.ProxyError):
        return "proxy", f"it refused to connect to {host}{_proxy_status(causes)}"
    if progress.overtaken:
        return "unreachable", f"The network changed before {host} was reached."
    if any_of(TooLateError):
        return "connect_timeout", f"The connection to {host} was made too long ago to be used."
    if any_of(ConnectionDoneError):
        return "reset", f"{host} closed the connection before the request was sent."
    if progress.tunnelling:
        return "proxy", f"it didn't connect to {host}"
    if progress.proxied and not progress.handshaking and not any_of(ssl.SSLError):
        return "proxy", "can't reach it"
    if any_of(ssl.SSLCertVerificationError):
        return "tls", f"the certificate of {host} isn't trusted"
    if any_of(socket.gaierror):
        return "dns", f"Can't find {host}."
    if any_of(ConnectionRefusedError):
        return "refused", f"{host} refused the connection."
    if any_of(ConnectionResetError, BrokenPipeError):
        return "reset", f"The connection to {host} was reset before the request was sent."
    if any_of(ssl.SSLError):
        return "tls", f"the TLS handshake with {host} failed"
    if any_of(TimeoutError, httpx2.TimeoutException):
        return "connect_timeout", f"Connecting to {host} timed out."
    if progress.handshaking:
        return "tls", f"{host} closed the connection during the TLS handshake"
    if any_of(OSError):
        return "unreachable", f"Can't reach {host}."
    return "internal", "An unexpected error occurred before the request was sent."


def _name_sent(causes: list[BaseException], progress: RequestProgress, limit: float) -> tuple[str, str]:
    """Kind and words for a request of which something may have left: the server may have acted on it."""

    def any_of(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    host = progress.host
    if any_of(TooLargeError):
        return "truncated", f"The answer from {host} is too large."
    if any_of(httpx2.DecodingError):
        return "truncated", f"The answer from {host} can't be decoded."
    if any_of(TimeoutError, httpx2.TimeoutException):
        return "timeout", f"{host} didn't answer within {limit:g} seconds."
    if any_of(ssl.SSLError):
        return "tls", f"the TLS connection to {host} failed after the request was sent"
    if any_of(ConnectionError, httpx2.ReadError, httpx2.WriteError):
        return "reset", f"The connection to {host} was reset after the request was sent."
    if any_of(httpx2.RemoteProtocolError):
        if progress.answered:
            return "truncated", f"The answer from {host} was cut off."
        if any(str(cause).startswith("Server disconnected") for cause in causes):
            return "eof", f"No answer from {host}."
        return "truncated", f"The answer from {host} isn't HTTP."
    return "internal", "An unexpected error occurred after the request was sent."


def _proxy_status(causes: list[BaseException]) -> str:
    """The status of the proxy's answer. The rest of its line is the proxy's own text and is left out."""
    for cause in causes:
        if isinstance(cause, httpx2.ProxyError) and (found := re.match(r"\d{3}\b", str(cause))):
            return f", HTTP {found[0]}"
    return ""
