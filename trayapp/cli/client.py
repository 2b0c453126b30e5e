"""HTTP client of the commands for the running app: finds it by its lock and uses only the standard library.

It uses no proxy and follows no redirect, and every wait has a limit. The API key is sent in one header and appears
nowhere else. The result is JSON or an `ApiError`; `NotRunningError` means that nothing answers.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from trayapp.core.checks import OK, PROBLEM, WARNING, Check, Report
from trayapp.core.model import Secret
from trayapp.core.outages import RETRYING
from trayapp.server.instance import holder, is_held, process_exists
from trayapp.server.serverfile import ServerFileError, read

if TYPE_CHECKING:
    from trayapp.config.paths import Paths

CONNECT_LIMIT = 2.0  # s; loopback connections are immediate
READ_LIMIT = 10.0  # s
SLOW_LIMIT = 60.0  # s; for requests that may wait for another server: sign-in page, token, revocation
TOKEN_WAIT = 30.0  # s; one attempt takes no longer
RESPONSE_MAX = 16 << 20  # bytes; 10,000 workloads are 8 MB
UNEXPECTED_ANSWER = "Amberlight sent an unexpected answer. If you updated it, restart it."
BASE = "/api/v1beta"

Json = dict[str, Any]


class NotRunningError(Exception):
    """No app is running. The text says how that shows; it is empty if there is no `server.json`."""


class ApiError(Exception):
    """The app refused, or its response makes no sense. `status` is 0 if there was no response."""

    def __init__(self, status: int, code: str, message: str, body: Json | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.body = body or {}


@dataclass(frozen=True, slots=True)
class ApiClient:
    """The client for one running app. Every method raises `NotRunningError` or `ApiError`."""

    host: str
    port: int
    key: Secret
    pid: int
    version: str
    held: bool = False  # it holds the lock, so it runs

    @classmethod
    def of(cls, paths: Paths) -> ApiClient:
        """This user's running app, found by its lock, wherever its `server.json` is. Raises `NotRunningError`; or
        `ApiError` if one runs that can't be reached."""
        running = holder(paths.lock_file)
        places = [*([running.runtime_dir] if running else []), paths.runtime_dir, paths.other_runtime_dir]
        problem = NotRunningError("")
        for place in dict.fromkeys(places):
            try:
                return replace(cls.find(place), held=is_held(paths.lock_file))
            except NotRunningError as error:
                problem = error if not str(problem) else problem
        if is_held(paths.lock_file):
            who = f"Amberlight is running{f' (process {running.pid})' if running else ''}"
            if running and running.problem:
                raise ApiError(0, "unreachable", f"{who}, but can't be reached: {running.problem} {RETRYING}")
            why = str(problem) or f"{places[0] / 'server.json'} is missing."
            raise ApiError(
                0, "unreachable", f"{who}, but can't be reached: {why} Amberlight rewrites it within a minute."
            )
        raise problem

    @classmethod
    def find(cls, runtime_dir: Path) -> ApiClient:
        """The app whose `server.json` is in this directory. Raises `NotRunningError`."""
        try:
            info = read(runtime_dir)
        except ServerFileError as error:
            raise NotRunningError(str(error)) from None
        if info is None:
            raise NotRunningError("")
        if not process_exists(info.pid):
            raise NotRunningError(f"It quit unexpectedly (process {info.pid} is gone).")
        host, _, port = info.url.removeprefix("http://").partition(":")
        if not 0 < int(port) <= 65535:
            raise NotRunningError(f"{runtime_dir / 'server.json'} names the port {port}, which doesn't exist.")
        return cls(host, int(port), info.api_key, info.pid, info.version)

    def workloads(self) -> list[Json]:
        """The rows of all workloads."""
        rows = self.request("GET", f"{BASE}/workloads?all=true").get("workloads")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise _unexpected(200)
        return rows

    def external(self, limit: float = READ_LIMIT) -> tuple[list[Json], list[str]]:
        """The rows of all workloads of other programs, and why some are missing; none from an app of an earlier version."""
        try:
            answer = self.request("GET", f"{BASE}/external?all=true", limit=limit)
        except ApiError as error:
            if error.status == 404:
                return [], []
            raise
        rows, problems = answer.get("workloads"), answer.get("problems")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise _unexpected(200)
        return rows, [str(each) for each in problems] if isinstance(problems, list) else []

    def status(self, name: str) -> Json:
        """One workload, ours or `OWNER/NAME`."""
        return self.request("GET", self._workload_path(name, "status"))

    def post(self, name: str, verb: str, body: Json | None = None) -> Json:
        """POST `retry`, `stop`, `restart`, `reauthorize`, `cancel` or `callback` for one workload."""
        return self.request("POST", self._workload_path(name, verb), body, SLOW_LIMIT)

    def several(self, verb: str, names: Sequence[str]) -> None:
        """POST `stop`, `restart` or `delete` for several workloads at once."""
        self.request("POST", f"{BASE}/workloads/{verb}", {"names": list(names)}, SLOW_LIMIT)

    def history(self, name: str, since: str, limit: int) -> Json:
        """The segments of a workload's history since this RFC 3339 time."""
        query = urlencode({"since": since, "limit": limit})
        return self.request("GET", f"{self._workload_path(name, 'history')}?{query}")

    def changes(self, limit: float) -> Iterator[tuple[str, Json]]:
        """Events as they happen, with their data; "" for a sign of life. Ends if there is none for this long (s)."""
        headers = {"Authorization": f"Bearer {self.key.reveal()}", "Accept": "text/event-stream"}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=CONNECT_LIMIT)
        try:
            self._connect(connection, limit)
            connection.request("GET", f"{BASE}/events", headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                _read(answer.status, answer.read(RESPONSE_MAX + 1))
            yield from _events(iter(lambda: answer.readline(RESPONSE_MAX), b""))
        except (OSError, http.client.HTTPException):
            return
        finally:
            connection.close()

    def retry_all(self) -> None:
        self.request("POST", f"{BASE}/workloads/retry")

    def add(self, body: Json) -> str:
        """Add a workload; its name, which may have been corrected."""
        return str(self.request("POST", f"{BASE}/workloads", body, SLOW_LIMIT).get("name"))

    def edit(self, name: str, body: Json) -> Json:
        """Change a workload, or its name."""
        return self.request("PATCH", self._workload_path(name), body, SLOW_LIMIT)

    def change_settings(self, body: Json) -> Json:
        """Change settings of the app."""
        return self.request("PATCH", f"{BASE}/settings", body, SLOW_LIMIT)

    def remove(self, name: str) -> Json:
        """Revoke and delete the login and take the workload out of the configuration. A slow server may still be
        revoking."""
        return self.request("DELETE", self._workload_path(name), limit=SLOW_LIMIT)

    def token(self, name: str, min_validity: float, wait: float = TOKEN_WAIT) -> Json:
        query = urlencode({"min_validity": f"{min_validity:g}", "wait": f"{wait:g}"})
        return self.request("GET", f"{self._workload_path(name, 'token')}?{query}", limit=SLOW_LIMIT)

    def token_used(self, name: str, token: Secret, *, accepted: bool) -> None:
        """Tell the app what a server thought of a token."""
        body = {"access_token": token.reveal(), "accepted": accepted}
        self.request("POST", self._workload_path(name, "token-used"), body)

    def hosts(self, name: str) -> list[str]:
        """The git servers that an account's token is for."""
        hosts = self.request("GET", self._workload_path(name)).get("hosts")
        return [host for host in hosts if isinstance(host, str)] if isinstance(hosts, list) else []

    def client(self, name: str) -> Json:
        """What other programs need to reach the workload; holds its local key."""
        return self.request("GET", self._workload_path(name, "client"))

    def clients(self, names: Sequence[str]) -> Json:
        """The same for several workloads at once, without the texts to paste."""
        return self.request("POST", f"{BASE}/workloads/clients", {"names": list(names)}, SLOW_LIMIT)

    def aggregate(self) -> Json:
        """What other programs need to reach all workloads at `/mcp`; holds its local key."""
        return self.request("GET", f"{BASE}/aggregate/client")

    def secret(self, name: str, secret: Secret) -> None:
        """Store a client secret in the keyring; an empty one deletes it."""
        self.request("POST", self._workload_path(name, "secret"), {"client_secret": secret.reveal()}, SLOW_LIMIT)

    def reload(self) -> Json:
        return self.request("POST", f"{BASE}/reload", limit=SLOW_LIMIT)

    def app(self) -> Json:
        """The state of the app itself."""
        return self.request("GET", f"{BASE}/status")

    def doctor(self) -> Report:
        """The app's own checks; an unknown state counts as a problem."""
        answer = self.request("GET", f"{BASE}/doctor", limit=SLOW_LIMIT)
        checks, tray, endpoints = answer.get("checks"), answer.get("tray"), answer.get("token_endpoints")
        if not isinstance(checks, list) or not isinstance(tray, bool) or not isinstance(endpoints, dict):
            raise _unexpected(200)
        if not all(isinstance(check, dict) for check in checks):
            raise _unexpected(200)
        found = {name: url for name, url in endpoints.items() if isinstance(url, str)}
        return Report(tuple(_check(check) for check in checks), tray, found)

    def _workload_path(self, name: str, resource: str = "") -> str:
        owner, slash, own_name = name.partition("/")
        if slash:
            one = f"{BASE}/external/{quote(owner, safe='')}/{quote(own_name, safe='')}"
            return one if resource == "status" else f"{one}/{resource}"
        return f"{BASE}/workloads/{quote(name, safe='')}" + (f"/{resource}" if resource else "")

    def request(self, method: str, path: str, body: Json | None = None, limit: float = READ_LIMIT) -> Json:
        """One request on its own connection; the response's JSON object, `{}` if it has no body."""
        headers = {"Authorization": f"Bearer {self.key.reveal()}", "Accept": "application/json"}
        payload = None if body is None else json.dumps(body).encode()
        if payload is not None:
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=CONNECT_LIMIT)
        try:
            self._connect(connection, limit)
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            return _read(answer.status, answer.read(RESPONSE_MAX + 1))
        except TimeoutError:
            raise ApiError(
                0, "timeout", f"Amberlight (process {self.pid}) is running but didn't respond in time."
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, "broken", f"Amberlight closed the connection ({type(error).__name__}).") from None
        finally:
            connection.close()

    def _connect(self, connection: http.client.HTTPConnection, limit: float) -> None:
        try:
            connection.connect()
        except ConnectionRefusedError:
            if self.held:
                what = f"Amberlight (process {self.pid}) is running, but nothing listens at http://{self.host}:{self.port}."
                raise ApiError(0, "unreachable", f"{what} {RETRYING}") from None
            raise NotRunningError(f"Nothing listens at http://{self.host}:{self.port} any more.") from None
        sock: socket.socket = connection.sock
        sock.settimeout(limit)


def _check(fields: Json) -> Check:
    state = str(fields.get("state"))
    state = state if state in (OK, WARNING) else PROBLEM
    return Check(str(fields.get("name")), state, str(fields.get("text")), str(fields.get("help") or ""))


def _events(lines: Iterable[bytes]) -> Iterator[tuple[str, Json]]:
    """Server-sent events. Raises `ApiError` for one whose data isn't an object."""
    kind, data = "", bytearray()
    for line in lines:
        field, _, value = line.rstrip(b"\r\n").partition(b":")
        if line[:1] == b":":
            yield "", {}
        elif field == b"event":
            kind = value.strip().decode("ascii", "replace")
        elif field == b"data":
            data += value
        elif not field and kind:
            yield kind, _read(200, bytes(data))
            kind, data = "", bytearray()


def _read(status: int, content: bytes) -> Json:
    if len(content) > RESPONSE_MAX:
        raise _unexpected(status)
    try:
        data: object = json.loads(content) if content else {}
    except (ValueError, RecursionError):
        raise _unexpected(status) from None
    if not isinstance(data, dict):
        raise _unexpected(status)
    if 200 <= status < 300:
        return data
    code, message = data.get("error"), data.get("message") or data.get("help")
    if status == 403:
        message = "Amberlight rejected the key in server.json. To get a new one, quit Amberlight and start it again."
    if not isinstance(code, str) or not isinstance(message, str):
        raise _unexpected(status, data)
    raise ApiError(status, code, message, data)


def _unexpected(status: int, body: Json | None = None) -> ApiError:
    message = f"What answers at Amberlight's port isn't Amberlight, or is another version (HTTP {status})."
    return ApiError(status, "odd_answer", message, body)
