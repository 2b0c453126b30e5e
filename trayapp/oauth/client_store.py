"""What is kept of a workload's client beside its login: the registration, a secret given by hand, and where they belong.

One entry of the keyring per workload, which outlives sign-ins, sign-outs and failed attempts: so a client is registered
once and not at every click. What this run has seen or made counts even where no keyring can keep it. A secret belongs to
the authorization server that it was first used with, and is sent to no other.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import Any, Protocol

from trayapp.core.model import Secret, Trouble
from trayapp.oauth.address_class import AddressClass
from trayapp.oauth.discovery import DiscoveredServer
from trayapp.oauth.registration import RegisteredClient, from_fields, to_fields

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """All that is kept of one workload. `url` is the address that `found` speaks of."""

    client: RegisteredClient | None = None  # registered by us
    secret: Secret | None = None  # given by a person, for the configured client_id
    secret_for: str = ""  # the issuer, or token endpoint, that it was first used with
    url: str = ""
    discovered: DiscoveredServer | None = None


class ClientStore(Protocol):
    """`vault/keystore.py`: one more secret text per workload."""

    async def load_client(self, name: str) -> Secret | Trouble | None: ...

    async def store_client(self, name: str, text: Secret) -> Trouble | None: ...

    async def discard_client(self, name: str) -> Trouble | None: ...


class ClientRecords:
    """The kept clients of all workloads. Without a store they live as long as this run."""

    def __init__(self, store: ClientStore | None = None) -> None:
        self._store = store
        self._records: dict[str, ClientRecord] = {}
        self._unreadable: set[str] = set()  # what the keyring holds of these could not be read yet

    async def load(self, name: str, *, retry_unreadable: bool = False) -> ClientRecord:
        """What is kept. What cannot be read counts as nothing and is not written over; the keyring is asked for it once
        more with `again`, and not at every look, as each question may be a dialog."""
        if self._store is None or (name in self._records and not (retry_unreadable and name in self._unreadable)):
            return self._records.get(name, ClientRecord())
        text = await self._store.load_client(name)
        if isinstance(text, Trouble):
            log.warning("%s: what is kept of its client cannot be read now (%s)", name, text)
            self._unreadable.add(name)
            return self._records.setdefault(name, ClientRecord())
        made_meanwhile = self._records.get(name)
        self._records[name] = ClientRecord() if text is None else from_text(text)
        self._unreadable.discard(name)
        if made_meanwhile is not None:
            await self.save(name, _merged(made_meanwhile, self._records[name]))
        return self._records[name]

    async def save(self, name: str, record: ClientRecord) -> Trouble | None:
        """Keep it: in the keyring, unless that may hold something that could not be read."""
        await self.load(name)
        if name in self._unreadable:
            self._records[name] = record
            return Trouble.LOCKED
        if self._records.get(name) == record:
            return None
        self._records[name] = record
        if self._store is None:
            return None
        trouble = await self._store.store_client(name, to_text(record))
        if trouble is not None:
            log.warning("%s: its client is kept for this run only (%s)", name, trouble)
        return trouble

    async def drop_client(self, name: str) -> None:
        """The server does not know the registration any more."""
        await self.save(name, replace(await self.load(name), client=None))

    async def set_secret(self, name: str, secret: Secret | None) -> Trouble | None:
        """A person's own; None takes it away. It may be used with another server from now on."""
        record = await self.load(name, retry_unreadable=True)
        return await self.save(name, replace(record, secret=secret, secret_for=""))

    async def forget(self, name: str) -> RegisteredClient | None:
        """Nothing of it is kept; the registration that was, for its server to be told."""
        client = (await self.load(name)).client
        self._records.pop(name, None)
        self._unreadable.discard(name)
        if self._store is not None and (trouble := await self._store.discard_client(name)) is not None:
            log.warning("%s: its client could not be deleted from the keyring (%s)", name, trouble)
        return client


def _merged(record: ClientRecord, stored: ClientRecord) -> ClientRecord:
    """What was made while the keyring could not be read, and beside it what the keyring held all the time."""
    has_secret = record.secret is not None
    return ClientRecord(
        client=record.client or stored.client,
        secret=record.secret if has_secret else stored.secret,
        secret_for=record.secret_for if has_secret else stored.secret_for,
        url=record.url if record.discovered else stored.url,
        discovered=record.discovered or stored.discovered,
    )


# --- as text ---------------------------------------------------------------------------------------------------------


def to_text(record: ClientRecord) -> Secret:
    """JSON, ASCII only."""
    fields: dict[str, Any] = {}
    if record.client is not None:
        fields["client"] = to_fields(record.client)
    if record.secret is not None:
        fields |= {"secret": record.secret.reveal(), "secret_for": record.secret_for}
    if record.discovered is not None:
        discovered = record.discovered
        fields["found"] = {
            "url": record.url,
            "issuers": list(discovered.issuers),
            "resource": discovered.resource,
            "scopes": list(discovered.scopes),
            "least": int(discovered.nearest_allowed),
        }
    return Secret(json.dumps(fields, separators=(",", ":")))


def from_text(text: Secret) -> ClientRecord:
    """What `to_text` wrote; what makes no sense is left out."""
    try:
        fields = json.loads(text.reveal())
    except (ValueError, RecursionError):
        return ClientRecord()
    if not isinstance(fields, dict):
        return ClientRecord()
    secret, secret_for = fields.get("secret"), fields.get("secret_for")
    url, discovered = _discovered_from(fields.get("found"))
    return ClientRecord(
        client=from_fields(fields.get("client")),
        secret=Secret(secret) if isinstance(secret, str) and secret else None,
        secret_for=secret_for if isinstance(secret_for, str) else "",
        url=url,
        discovered=discovered,
    )


def _discovered_from(fields: object) -> tuple[str, DiscoveredServer | None]:
    if not isinstance(fields, dict):
        return "", None
    url, issuers, resource = fields.get("url"), _strings(fields.get("issuers")), fields.get("resource")
    nearest_allowed = fields.get("least")
    if not isinstance(url, str) or not issuers or not isinstance(resource, str) or nearest_allowed not in (0, 1, 2):
        return "", None
    return url, DiscoveredServer(issuers, resource, _strings(fields.get("scopes")), AddressClass(nearest_allowed))


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
