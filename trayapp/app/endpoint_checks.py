"""Checks for `doctor` that servers can be reached: DNS, TCP, TLS certificate, and this machine's clock against theirs.

No token is sent, only an empty HEAD request: the `Date` of its response shows how wrong this machine's clock is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from trayapp.config.loader import Config
from trayapp.core.checks import OK, PROBLEM, WARNING, Check
from trayapp.core.classify import INTERCEPTED
from trayapp.core.lengths import duration_words
from trayapp.system import proxies

CONNECT_LIMIT = 5.0  # s per server, TLS included
DATE_LIMIT = 2.0  # s for the answer to the HEAD request
CLOCK_OFF = 60.0  # s; ID tokens and certificates tolerate little more
CHECK_NETWORK = "Check the network, the VPN and the firewall."
ENDPOINTS_MAX = 20  # the output is for people


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """The check of one server. `ahead` is how far this machine's clock is ahead of the server's, in s, if known."""

    check: Check
    host: str = ""
    ahead: float | None = None


async def endpoints(config: Config | None, token_endpoints: Mapping[str, str]) -> list[Check]:
    """Whether each authorization server can be reached now.

    `found` has the token endpoint of each signed-in workload; for others, what the configuration names is tried.
    """
    if config is None:
        return []
    script = proxies.script()
    servers: dict[tuple[str, str, int], list[str]] = {}
    for spec in config.workloads.values():
        parts = urlsplit(
            token_endpoints.get(spec.name) or spec.token_endpoint or spec.issuer or spec.url or spec.metadata_url
        )
        port = parts.port or (443 if parts.scheme == "https" else 80)
        servers.setdefault((parts.scheme, parts.hostname or "", port), []).append(spec.name)
    chosen = list(servers)[:ENDPOINTS_MAX]
    results = await asyncio.gather(*(_endpoint(*server, servers[server]) for server in chosen))
    checks = [each.check for each in results]
    if (left := len(servers) - len(chosen)) > 0:
        checks.append(Check("endpoint", WARNING, f"{left} more servers weren't checked."))
    return [*checks, *([Check("proxy", WARNING, *_script_words(script))] if script else []), *clock(results)]


def _script_words(script: str) -> tuple[str, str]:
    host = urlsplit(script).hostname or "a file"
    return (
        f"The system's settings name a proxy script ({host}), which Amberlight doesn't follow.",
        "If servers can't be reached, set HTTPS_PROXY to the proxy that it names.",
    )


def clock(results: list[ServerCheck]) -> list[Check]:
    """This machine's clock against those of the servers; the median difference counts."""
    differences = sorted((each.ahead, each.host) for each in results if each.ahead is not None)
    if not differences:
        return []
    ahead, host = differences[len(differences) // 2]
    if abs(ahead) <= CLOCK_OFF:
        return [Check("clock", OK, f"The clock agrees with that of {host}.")]
    direction = "ahead of" if ahead > 0 else "behind"
    text = f"The clock of this machine is {duration_words(abs(ahead))} {direction} that of {host}."
    return [
        Check(
            "clock",
            WARNING,
            text,
            "Let the system set the clock. With a wrong one, certificates and tokens are invalid.",
        )
    ]


async def _endpoint(scheme: str, host: str, port: int, names: list[str]) -> ServerCheck:
    label = f"{host}:{port} (for {', '.join(names[:3])}{' and others' if len(names) > 3 else ''})"
    proxy = proxy_for(scheme, host, port)
    try:
        if proxy is not None:
            await _server_time(*proxy)
            text = f"{label}: goes through the proxy {proxy[0]}:{proxy[1]}, which answers. What is beyond it wasn't checked."
            return ServerCheck(Check("endpoint", OK, text))
        date = await _server_time(host, port, secure=scheme == "https")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
        through = f" through the proxy {proxy[0]}:{proxy[1]}" if proxy else ""
        reason, help_ = _diagnosis(error)
        return ServerCheck(Check("endpoint", PROBLEM, f"{label}: {reason}{through}.", help_))
    text = f"{label}: can be reached{', certificate trusted' if scheme == 'https' else ''}."
    return ServerCheck(Check("endpoint", OK, text), host, None if date is None else time.time() - date)


async def _server_time(host: str, port: int, *, secure: bool = False) -> float | None:
    """Connect; over TLS, also the server's time (wall seconds), if it gives one."""
    context = None
    if secure:
        import ssl

        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with asyncio.timeout(CONNECT_LIMIT):
        reader, writer = await asyncio.open_connection(
            host, port, ssl=context, server_hostname=host if secure else None
        )
    try:
        return await _date_header(reader, writer, host) if secure else None
    finally:
        writer.transport.abort()  # a TLS shutdown would have to wait for the server


async def _date_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> float | None:
    with contextlib.suppress(OSError, ValueError, EOFError, TimeoutError, asyncio.LimitOverrunError):
        async with asyncio.timeout(DATE_LIMIT):
            writer.write(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii"))
            head = await reader.readuntil(b"\r\n\r\n")
        for line in head.decode("latin-1").splitlines()[1:]:
            name, _, value = line.partition(":")
            if name.strip().lower() == "date":
                return parsedate_to_datetime(value.strip()).timestamp()
    return None


def proxy_for(scheme: str, host: str, port: int) -> tuple[str, int] | None:
    """Host and port of the proxy of this address, as it is configured. Ignores its password."""
    if host in ("127.0.0.1", "::1", "localhost"):
        return None
    proxy_url = proxies.configured(scheme, host, port)
    if not proxy_url:
        return None
    try:
        parts = urlsplit(proxy_url if "://" in proxy_url else f"http://{proxy_url}")
        return (parts.hostname, parts.port or 80) if parts.hostname else None
    except ValueError:
        return None


def _diagnosis(error: Exception) -> tuple[str, str]:
    """What went wrong, and what to do."""
    import socket
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        help_ = f"{INTERCEPTED} Open its URL in a browser, and check this computer's clock."
        return f"its certificate isn't trusted ({error.verify_message})", help_
    if isinstance(error, ssl.SSLError):
        return "TLS failed", INTERCEPTED
    if isinstance(error, socket.gaierror):
        return "its name can't be found", "Check the network, the VPN and the name in the configuration."
    if isinstance(error, TimeoutError):
        return f"no answer within {CONNECT_LIMIT:g} seconds", CHECK_NETWORK
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused", "The server may be down; Amberlight retries automatically."
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower(), CHECK_NETWORK
    return f"it can't be reached ({type(error).__name__})", CHECK_NETWORK
