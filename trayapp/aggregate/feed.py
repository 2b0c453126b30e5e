"""Follows the app's event stream, so that the current state of every workload is known; asks for local keys.

While the stream is interrupted, the last known state holds; then it resumes at the last event received.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from trayapp.aggregate.availability import WorkloadRow, row_of
from trayapp.core.model import Secret

SILENCE_LIMIT = 40.0  # s; the app sends a heartbeat every 15
RECONNECT_AFTER = 1.0  # s
ANSWER_LIMIT = 5.0  # s for a short response of the app
EVENT_MAX = 64 << 20  # bytes; the list of 10,000 workloads has 10 MB
# This process talks only to the app, without TLS. Loading the system's certificates would cost 70 ms per client; this
# context has none and so trusts no server.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProxyAccess:
    """How this process reaches a workload: the proxy's URL, and the header with the local key."""

    url: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"ProxyAccess({self.url!r}, ***)"


class Feed:
    """The current rows by name. `changed` is called with the row before and after a change; None stands for no row."""

    def __init__(
        self, url: str, app_key: Secret, changed: Callable[[WorkloadRow | None, WorkloadRow | None], None]
    ) -> None:
        self.rows: dict[str, WorkloadRow] = {}
        self.ready = asyncio.Event()  # set once the full list has been received
        self._changed = changed
        self._last_event_id = ""
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {app_key.reveal()}"},
            timeout=httpx2.Timeout(ANSWER_LIMIT, read=SILENCE_LIMIT),
            verify=NO_TLS,
            trust_env=False,
        )

    async def run(self) -> None:
        """Follow the stream until cancelled."""
        try:
            while True:
                try:
                    await self._follow()
                except (httpx2.HTTPError, httpx2.SSEError, ValueError) as error:
                    log.info("the event stream broke (%s)", type(error).__name__)
                await asyncio.sleep(RECONNECT_AFTER)
        finally:
            await self._http.aclose()

    async def access(self, name: str) -> ProxyAccess:
        """Ask for the workload's URL and key; the key may have changed. Raises `httpx2.HTTPError` or `ValueError`."""
        answer = await self._http.get(f"/api/v1beta/workloads/{name}/client", timeout=ANSWER_LIMIT)
        answer.raise_for_status()
        found = answer.json()
        return ProxyAccess(str(found["url"]), {str(key): str(value) for key, value in dict(found["headers"]).items()})

    async def _follow(self) -> None:
        headers = {"Last-Event-ID": self._last_event_id} if self._last_event_id else {}
        async with self._http.stream("GET", "/api/v1beta/events", headers=headers) as answer:
            answer.raise_for_status()
            async for event in httpx2.EventSource(answer, max_event_size=EVENT_MAX):
                if event.data:
                    self._apply(event.event, json.loads(event.data))
                self._last_event_id = event.id or self._last_event_id

    def _apply(self, kind: str, data: object) -> None:
        if not isinstance(data, dict):
            return
        match kind:
            case "workload":
                self._put(row_of(data))
            case "removed":
                self._drop(str(data.get("name")))
            case "reset":
                rows = [row for each in data.get("workloads", ()) if (row := row_of(each)) is not None]
                for name in self.rows.keys() - {row.name for row in rows}:
                    self._drop(name)
                for row in rows:
                    self._put(row)
                self.ready.set()

    def _put(self, row: WorkloadRow | None) -> None:
        if row is None:
            return
        before, self.rows[row.name] = self.rows.get(row.name), row
        if before != row:
            self._changed(before, row)

    def _drop(self, name: str) -> None:
        before = self.rows.pop(name, None)
        if before is not None:
            self._changed(before, None)
