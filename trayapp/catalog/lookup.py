"""Find servers in the catalog: by name, by the words of a search, or by a name that is nearly right."""

from __future__ import annotations

from collections.abc import Mapping

from trayapp.catalog import accounts, cloudflare, developing, working
from trayapp.catalog.server import Server

SERVERS: tuple[Server, ...] = tuple(
    sorted((*cloudflare.SERVERS, *developing.SERVERS, *working.SERVERS), key=lambda server: server.name)
)
ACCOUNTS: tuple[Server, ...] = accounts.ACCOUNTS
BY_NAME: Mapping[str, Server] = {server.name: server for server in (*SERVERS, *ACCOUNTS)}
NEAR = 3  # names that are suggested for an unknown one


def search(text: str) -> list[Server]:
    """The servers that have every word of `text` in name, title, vendor, address or what they are about; best first.

    An empty text finds all, accounts last. A server whose name or title begins with the text comes before the others.
    """
    words = text.casefold().split()
    found = [server for server in BY_NAME.values() if all(word in _text(server) for word in words)]
    return sorted(
        found, key=lambda server: (_rank(server, text.casefold().strip()), server.kind != "server", server.name)
    )


def near(name: str) -> list[str]:
    """Names like this one, best first: `notoin` and `notion-work` are like `notion`."""
    from difflib import get_close_matches

    part_of = [known for known in BY_NAME if name.startswith(f"{known}-") or known.startswith(f"{name}-")]
    return list(dict.fromkeys([*part_of, *get_close_matches(name, BY_NAME, n=NEAR, cutoff=0.7)]))[:NEAR]


def _text(server: Server) -> str:
    """What a search looks at."""
    return "\n".join((server.name, server.title, server.vendor, server.url, server.about, server.notes)).casefold()


def _rank(server: Server, text: str) -> int:
    if server.name == text:
        return 0
    begins = server.name.startswith(text) or server.title.casefold().startswith(text)
    return 1 if begins else 2
