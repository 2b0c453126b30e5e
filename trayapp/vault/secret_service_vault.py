"""Secret Service vault over dbus-fast: one open connection, and no dialog unless a person asked.

Blocking, and for one thread: the event loop in here runs only while a call lasts, and nothing wakes it in between. What
crosses the bus is in `secret_connection.py`, how it does in `secret_session.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from trayapp.vault.secret_connection import Connection, open_connection
from trayapp.vault.secret_errors import LockedError, NoCollectionError
from trayapp.vault.secret_naming import Naming

T = TypeVar("T")


class SecretServiceVault:
    """A `Vault`. A failure other than a lock is retried once on a new connection.

    A restarted daemon no longer knows our session: the first call after that fails and the second works.
    """

    name = "Secret Service"
    limit: int | None = None
    prompt = False

    def __init__(self, *, encrypted: bool = False, naming: Naming | None = None) -> None:
        """`encrypted`: secrets cross the bus encrypted once more, which loads much."""
        self._encrypted = encrypted
        self._naming = naming or Naming()
        self._runner: asyncio.Runner | None = None
        self._connection: Connection | None = None

    def open(self) -> None:
        """Connect now. Raises `ServiceError`, or whatever connecting to the bus raises."""
        self._with_retry(Connection.ready)

    def get(self, service: str, user: str) -> str | None:
        return self._with_retry(lambda connection: connection.get(self._naming.attributes(service, user)))

    def set(self, service: str, user: str, value: str) -> None:
        attributes = self._naming.attributes(service, user)
        self._with_retry(lambda connection: connection.set(f"Amberlight: {user}", attributes, value))

    def delete(self, service: str, user: str) -> None:
        self._with_retry(lambda connection: connection.delete(self._naming.attributes(service, user)))

    def locked(self) -> bool:
        return self._with_retry(Connection.locked)

    def close(self) -> None:
        runner, self._runner = self._runner, None
        connection, self._connection = self._connection, None
        if runner is not None:
            if connection is not None:
                runner.run(connection.close())
            runner.close()

    def _with_retry(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            return self._run(work)
        except (LockedError, NoCollectionError):
            raise  # a retry would be a second dialog
        except Exception:  # noqa: BLE001 - a lost bus shows itself in many ways
            self.close()
        return self._run(work)

    def _run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._with_connection(work))

    async def _with_connection(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        if self._connection is None:
            self._connection = await open_connection(self._naming, encrypted=self._encrypted)
        self._connection.prompt = self.prompt
        return await work(self._connection)
