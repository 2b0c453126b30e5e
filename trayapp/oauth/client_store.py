"""Client records, kept per workload beside the login: the registration, a secret entered by a person, and their server.

Each workload has one keyring entry for its client. It outlives sign-ins, sign-outs and failed attempts, so a client is
registered once and not at every click. A registration that another one has replaced is remembered until the workload is
removed, so that it can be deleted at the server: the current login may still depend on it. Records of this run count
even where no keyring can store them. A secret belongs to the authorization server that it was first used with and is
sent to no other (SECURITY.md 12).
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

REPLACED_MAX = 4  # replaced registrations that are remembered, the newest ones


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """What is stored for one workload. `url` is the workload address that `discovered` was found for."""

    client: RegisteredClient | None = None  # registered by Amberlight
    secret: Secret | None = None  # entered by a person, for the configured client_id
    secret_for: str = ""  # the issuer, or token endpoint, that it was first used with
    url: str = ""
    discovered: DiscoveredServer | None = None
    doubted: bool = False  # the server may have forgotten `client`: the next sign-in registers again
    replaced: tuple[RegisteredClient, ...] = ()  # earlier registrations that can be deleted at the server


class ClientStore(Protocol):
    """Storage for one secret text per workload (`vault/keystore.py`)."""

    async def load_client(self, name: str) -> Secret | Trouble | None: ...

    async def store_client(self, name: str, text: Secret) -> Trouble | None: ...

    async def discard_client(self, name: str) -> Trouble | None: ...


class ClientRecords:
    """The client records of all workloads. Without a store they last as long as this run."""

    def __init__(self, store: ClientStore | None = None) -> None:
        self._store = store
        self._records: dict[str, ClientRecord] = {}
        self._unreadable: set[str] = set()  # workloads whose record in the keyring couldn't be read yet

    async def load(self, name: str, *, retry_unreadable: bool = False) -> ClientRecord:
        """The record of a workload. One that can't be read counts as empty and isn't overwritten. The keyring is asked
        for it again only with `retry_unreadable`, because each question may show a dialog."""
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
        """Store a record: in memory, and in the keyring unless that may hold a record that couldn't be read."""
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
        """Don't use the registration any more: the server no longer knows it."""
        record = await self.load(name)
        await self.save(name, replace(record, client=None, doubted=False, replaced=_deletable(record)))

    async def doubt_client(self, name: str, client_id: str = "") -> None:
        """The server may have forgotten this registration (empty: whichever is kept): the next sign-in makes another."""
        record = await self.load(name)
        if record.client is not None and client_id in ("", record.client.id):
            await self.save(name, replace(record, doubted=True))

    async def trust_client(self, name: str, client_id: str) -> None:
        """This registration has just served a sign-in."""
        record = await self.load(name)
        if record.doubted and record.client is not None and record.client.id == client_id:
            await self.save(name, replace(record, doubted=False))

    async def renewed(self, name: str, client: RegisteredClient) -> None:
        """Keep what the server has changed about this registration, even if another one has replaced it."""
        record = await self.load(name)
        replaced = tuple(client if one.id == client.id else one for one in record.replaced)
        own = record.client is not None and record.client.id == client.id
        await self.save(name, replace(record, client=client if own else record.client, replaced=replaced))

    async def replace_client(self, name: str, client: RegisteredClient) -> None:
        """Keep a new registration, and the earlier one for its deletion: a login may depend on it until this one's
        sign-in has become current."""
        record = await self.load(name)
        await self.save(name, replace(record, client=client, doubted=False, replaced=_deletable(record)))

    async def set_secret(self, name: str, secret: Secret | None) -> Trouble | None:
        """Set the secret that a person entered; None removes it. The server that uses it next becomes its owner."""
        record = await self.load(name, retry_unreadable=True)
        return await self.save(name, replace(record, secret=secret, secret_for=""))

    def rename(self, name: str, new: str) -> None:
        """The keyring's entry was moved; so is what this run knows of it."""
        if (record := self._records.pop(name, None)) is not None:
            self._records[new] = record
        if name in self._unreadable:
            self._unreadable.remove(name)
            self._unreadable.add(new)

    async def forget(self, name: str) -> tuple[RegisteredClient, ...]:
        """Delete the record. Returns the registrations it held, so that they can be deleted at the server too."""
        record = await self.load(name)
        self._records.pop(name, None)
        self._unreadable.discard(name)
        if self._store is not None and (trouble := await self._store.discard_client(name)) is not None:
            log.warning("%s: its client could not be deleted from the keyring (%s)", name, trouble)
        return (*record.replaced, *filter(None, (record.client,)))


def _deletable(record: ClientRecord) -> tuple[RegisteredClient, ...]:
    """Its registrations that can be deleted at the server, the newest ones."""
    every = (*record.replaced, *filter(None, (record.client,)))
    return tuple(client for client in every if client.manage_uri)[-REPLACED_MAX:]


def _merged(record: ClientRecord, stored: ClientRecord) -> ClientRecord:
    """The record of this run, completed by the one that the keyring held while it couldn't be read."""
    has_secret = record.secret is not None
    return ClientRecord(
        client=record.client or stored.client,
        secret=record.secret if has_secret else stored.secret,
        secret_for=record.secret_for if has_secret else stored.secret_for,
        url=record.url if record.discovered else stored.url,
        discovered=record.discovered or stored.discovered,
        doubted=record.doubted or (record.client is None and stored.doubted),
        replaced=((stored.replaced if record.client is None else _deletable(stored)) + record.replaced)[-REPLACED_MAX:],
    )


# --- as text ---------------------------------------------------------------------------------------------------------


def to_text(record: ClientRecord) -> Secret:
    """The record as ASCII JSON."""
    fields: dict[str, Any] = {}
    if record.client is not None:
        fields["client"] = to_fields(record.client)
    if record.doubted:
        fields["doubted"] = True
    if record.replaced:
        fields["replaced"] = [to_fields(client) for client in record.replaced]
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
        } | ({"dpop": True} if discovered.dpop else {})
    return Secret(json.dumps(fields, separators=(",", ":")))


def from_text(text: Secret) -> ClientRecord:
    """The record that `to_text` wrote; fields that make no sense are left out."""
    try:
        fields = json.loads(text.reveal())
    except (ValueError, RecursionError):
        return ClientRecord()
    if not isinstance(fields, dict):
        return ClientRecord()
    secret, secret_for = fields.get("secret"), fields.get("secret_for")
    url, discovered = _discovered_from(fields.get("found"))
    replaced = fields.get("replaced")
    return ClientRecord(
        client=from_fields(fields.get("client")),
        secret=Secret(secret) if isinstance(secret, str) and secret else None,
        secret_for=secret_for if isinstance(secret_for, str) else "",
        url=url,
        discovered=discovered,
        doubted=fields.get("doubted") is True,
        replaced=tuple(filter(None, map(from_fields, replaced if isinstance(replaced, list) else ()))),
    )


def _discovered_from(fields: object) -> tuple[str, DiscoveredServer | None]:
    if not isinstance(fields, dict):
        return "", None
    url, issuers, resource = fields.get("url"), _strings(fields.get("issuers")), fields.get("resource")
    nearest_allowed = fields.get("least")
    if not isinstance(url, str) or not issuers or not isinstance(resource, str) or nearest_allowed not in (0, 1, 2):
        return "", None
    scopes, dpop = _strings(fields.get("scopes")), fields.get("dpop") is True
    return url, DiscoveredServer(issuers, resource, scopes, AddressClass(nearest_allowed), dpop)


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
