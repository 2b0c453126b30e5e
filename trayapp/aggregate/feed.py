"""Hearing of the workloads: the app's event stream, read for as long as this process lives, and the local keys.

What was heard last holds while the stream is broken; it is taken up again where it was left.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import httpx2

from trayapp.aggregate.states import WorkloadRow, row_of
from trayapp.core.model import Secret

SILENCE = 40.0  # s; the app says something every 15
AGAIN = 1.0  # s until a broken stream is asked for again
LIMIT = 5.0  # s for a short answer of the app
LARGEST = 64 << 20  # bytes of one event; the list of 10,000 workloads has 10 MB
# This process speaks with the app alone, without TLS. Reading all authorities would take 70 ms for each client; this
# context knows none, and so trusts nobody.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProxyAccess:
    """How this process reaches a workload: the proxy's address and the header with the local key."""

    url: str
    headers: dict[str, str]

    def __repr__(self) -> str:
        return f"Access({self.url!r}, ***)"


class Feed:
    """The rows by name. `changed` is told before and after (None: there is none)."""

    def __init__(
        self, url: str, app_key: Secret, changed: Callable[[WorkloadRow | None, WorkloadRow | None], None]
    ) -> None:
        self.rows: dict[str, WorkloadRow] = {}
        self.ready = asyncio.Event()  # the full list was heard once
        self._changed = changed
        self._last = ""
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {app_key.reveal()}"},
            timeout=httpx2.Timeout(LIMIT, read=SILENCE),
            verify=NO_TLS,
            trust_env=False,
        )

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    await self._listen()
                except (httpx2.HTTPError, httpx2.SSEError, ValueError) as error:
                    log.info("the event stream broke (%s)", type(error).__name__)
                await asyncio.sleep(AGAIN)
        finally:
            await self._http.aclose()

    async def access(self, name: str) -> ProxyAccess:
        """The key may have changed since it was asked for last. Raises `httpx2.HTTPError` or `ValueError`."""
        answer = await self._http.get(f"/api/v1beta/workloads/{name}/client", timeout=LIMIT)
        answer.raise_for_status()
        found = answer.json()
        return ProxyAccess(str(found["url"]), {str(key): str(value) for key, value in dict(found["headers"]).items()})

    async def _listen(self) -> None:
        headers = {"Last-Event-ID": self._last} if self._last else {}
        async with self._http.stream("GET", "/api/v1beta/events", headers=headers) as answer:
            answer.raise_for_status()
            async for event in httpx2.EventSource(answer, max_event_size=LARGEST):
                if event.data:
                    self._hear(event.event, json.loads(event.data))
                self._last = event.id or self._last

    def _hear(self, kind: str, data: object) -> None:
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
