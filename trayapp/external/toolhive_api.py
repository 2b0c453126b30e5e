"""ToolHive's HTTP API on this machine: found by `server.json`, as its own clients find it, and proved to be its by a nonce.

The address has to be this machine's own: a loopback address or a Unix socket of this user. No proxy is used, no redirect
followed, and no answer is read beyond its limits of size and time.
"""

from __future__ import annotations

import contextlib
import hmac
import http.client
import ipaddress
import json
import os
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from trayapp.external.toolhive_files import PROCESS_MAX, DamagedError, Places, number, server_info

BASE = "/api/v1beta/workloads"
NONCE = "X-Toolhive-Nonce"
ANSWER_MAX = 4 << 20  # bytes; 200 workloads take about 100 kB
HEALTH_LIMIT = 3.0  # s for proving that it's there
ANSWER_LIMIT = 10.0  # s for any other answer: it acts after it has answered


class ApiError(Exception):
    """It didn't do what it was asked. The text completes "ToolHive …"; `refused`: it wants a sign-in first. `answered`: it
    won't do it; otherwise it still may."""

    def __init__(self, text: str, *, refused: bool = False, answered: bool = False) -> None:
        super().__init__(text)
        self.refused = refused
        self.answered = answered


@dataclass(frozen=True, slots=True)
class Listed:
    """A remote workload as the API lists it."""

    name: str
    client_url: str
    word: str
    context: str


@dataclass(frozen=True, slots=True)
class Api:
    """A running API server. `pid` 0: it doesn't say."""

    host: str  # empty: at `path`
    port: int
    path: str
    pid: int = 0

    def list(self) -> list[Listed]:
        """All remote workloads. Raises `ApiError`."""
        body = self._request("GET", f"{BASE}?all=true", (200,), ANSWER_LIMIT)
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        rows = found.get("workloads") if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping) or not isinstance(rows, list | None):
            raise ApiError("didn't answer with a list of workloads")
        return [
            Listed(*(_text(row, key) for key in ("name", "url", "status", "status_context")))
            for row in rows or ()
            if isinstance(row, Mapping) and row.get("remote") is True
        ]

    def act(self, name: str, verb: str) -> None:
        """Have it `restart` or `stop` a workload: it has begun when this returns. Raises `ApiError`."""
        self._request("POST", f"{BASE}/{quote(name, safe='')}/{verb}", (200, 202, 204), ANSWER_LIMIT)

    def is_healthy(self, nonce: str) -> bool:
        """Whether it answers, and is the one that wrote `server.json`."""
        try:
            with self._answer("GET", "/health", HEALTH_LIMIT) as answer:
                given = answer.getheader(NONCE) or ""
                return answer.status == 204 and hmac.compare_digest(given.encode(), nonce.encode())
        except ApiError:
            return False

    def _request(self, method: str, target: str, wanted: tuple[int, ...], limit: float) -> bytes:
        with self._answer(method, target, limit) as answer:
            if answer.status not in wanted:
                raise _refusal(answer.status)
            body = answer.read(ANSWER_MAX + 1)
            if len(body) > ANSWER_MAX:
                raise ApiError(f"answered with more than {ANSWER_MAX >> 20} MiB")
            return body

    @contextlib.contextmanager
    def _answer(self, method: str, target: str, limit: float) -> Iterator[http.client.HTTPResponse]:
        """The answer to a request, whose reading ends after `limit` s in all. Raises `ApiError`."""
        connection = _Connection(self, limit)
        late = threading.Event()

        def end() -> None:
            late.set()
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)  # whoever reads from it wakes up

        timer = threading.Timer(limit, end)
        timer.daemon = True
        timer.start()
        try:
            connection.request(method, target, headers={"Accept": "application/json", "Content-Length": "0"})
            yield connection.getresponse()
            if late.is_set():  # an answer of no announced length looks complete
                raise _slow(limit)
        except TimeoutError:
            raise _slow(limit) from None
        except (OSError, http.client.HTTPException) as error:
            if late.is_set():
                raise _slow(limit) from None
            if isinstance(error, OSError) and error.strerror:
                raise ApiError(f"didn't answer ({error.strerror.lower()})") from None
            raise ApiError("didn't answer with HTTP") from None
        finally:
            timer.cancel()
            connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, api: Api, limit: float) -> None:
        super().__init__(api.host or "localhost", api.port or None, timeout=limit)
        self._path = api.path

    def connect(self) -> None:
        if not self._path:
            super().connect()
            return
        if not hasattr(socket, "AF_UNIX"):
            raise OSError("this Python has no Unix sockets")
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def find(at: Places) -> Api | None:
    """The API server that runs for this user; None if none does, or what is there can't be proved to be it."""
    try:
        info = server_info(at)
        if info is None or not _is_own(at.server_file):
            return None
        url, nonce = _text(info, "url"), _text(info, "nonce")
        if not (nonce.isascii() and nonce.isprintable() and nonce.strip()):  # nothing else is valid in a header
            return None
        api = _at(url, number(info, "pid", PROCESS_MAX))
        return api if api is not None and api.is_healthy(nonce) else None
    except (DamagedError, OSError, ValueError):  # a ValueError: an impossible path
        return None


def _at(url: str, pid: int) -> Api | None:
    """The server at `http://ADDRESS:PORT` or `unix:///PATH`; None for an address that isn't this machine's."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme == "unix":
        path = unquote(parts.path)
        is_plain = not (parts.netloc or parts.query or parts.fragment) and ".." not in path
        return Api("", 0, path, pid) if is_plain and path.startswith("/") and _is_own_socket(Path(path)) else None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    is_here = address.is_loopback and "%" not in host  # no loopback address has a zone, which may be any text
    return Api(str(address), port, "", pid) if parts.scheme == "http" and is_here and port else None


def _is_own(file: Path) -> bool:
    return not hasattr(os, "geteuid") or file.stat(follow_symlinks=False).st_uid == os.geteuid()


def _is_own_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode) and _is_own(path)
    except OSError:
        return False


def _refusal(status: int) -> ApiError:
    if status in (401, 403):
        return ApiError(f"refused, because its API requires a sign-in ({status})", refused=True, answered=True)
    if status == 404:
        return ApiError("no longer has this workload", answered=True)
    if status < 400:
        return ApiError(f"gave an unexpected answer ({status})", answered=True)
    text = f"refused ({status})" if status < 500 else f"failed ({status}); see its log"
    return ApiError(text, answered=True)


def _slow(limit: float) -> ApiError:
    return ApiError(f"didn't answer within {limit:g} seconds")


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""
