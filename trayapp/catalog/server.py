"""One entry of the catalog.

It gives an address, and nothing that the server itself says: sign-in server, scopes and client registration always come
from the server. Accounts have no such server, so their endpoints and scopes are here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Server:
    """A remote MCP server, or an account. `name` is the workload's name, unless the person chooses another one."""

    name: str
    title: str
    url: str
    about: str  # what it serves, in a few words
    vendor: str
    source: str  # a page or repository of the vendor's that states the address
    checked: str  # date of the text that was read there; empty where it carried none
    sse: bool = False  # the older transport, HTTP with SSE
    client_from: str = ""  # if the server registers no clients: where people create one of their own ("at …", "in …")
    client_authentication: Literal["required", "optional", "none"] = "optional"  # such a client's, by its secret
    notes: str = ""  # good to know first: an admin's consent, a plan, other regions' addresses
    redirect: str = "http://127.0.0.1:{port}/callback"  # what to register for such a client; empty: nothing
    keys: Mapping[str, Any] = field(default_factory=dict)  # of an account's entry, which has no address

    @property
    def transport(self) -> str:
        return "sse" if self.sse else "http"

    @property
    def kind(self) -> str:
        """As in the configuration."""
        return "account" if self.keys else "server"

    def entry(self) -> dict[str, Any]:
        """The keys of its workload."""
        return {"kind": "account", **self.keys} if self.keys else {"url": self.url}

    @property
    def needs_client(self) -> bool:
        """Its sign-in server doesn't register clients: people need a client id of their own."""
        return bool(self.client_from)

    def as_json(self) -> dict[str, object]:
        """The entry as the API and `amberlight catalog --format json` have it."""
        return {
            "name": self.name,
            "title": self.title,
            "vendor": self.vendor,
            "about": self.about,
            "kind": self.kind,
            "url": self.url,
            "keys": self.entry(),
            "transport": self.transport,
            "needs_client_id": self.needs_client,
            "client_from": self.client_from,
            "client_secret": self.client_authentication,
            "notes": self.notes,
            "source": self.source,
        }
