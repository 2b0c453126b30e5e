"""Text to paste into a client's settings, for people who don't want `connect` to write its file."""

from __future__ import annotations

import json

from trayapp.clients import edits, entries
from trayapp.clients.entries import Transport, own_access
from trayapp.clients.table import TABLE, Client
from trayapp.core.client_settings import ClientAccess

PLAIN = "json"  # for every other program: name, type, URL and headers, without any client's own words


def pasted(client: Client, access: ClientAccess) -> str:
    """What a new file of this client would hold. Contains the local key, but where the client starts our command."""
    own = own_access(access)
    made = edits.fresh(client, access.name, entries.entry(client, own, entries.transport_for(client, own)))
    return made.rstrip("\n")


def plain(access: ClientAccess) -> str:
    """The same for a program that is not in the table."""
    kind = Transport.SSE if access.sse else Transport.HTTP
    return json.dumps({"name": access.name, "type": kind, "url": access.url, "headers": access.headers()}, indent=2)


def texts(access: ClientAccess) -> dict[str, str]:
    """The text for each client, by its name, and the plain one."""
    return {client.name: pasted(client, access) for client in TABLE} | {PLAIN: plain(access)}
