"""What a person types in `amberlight setup`: a name of the catalog or an address."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from trayapp.catalog.lookup import BY_NAME, near
from trayapp.importers.entries import ImportableEntry, SkippedEntry, make_entry


def typed(text: str) -> ImportableEntry | str:
    """A name of the catalog or an address, as an entry; or a sentence about it."""
    if (server := BY_NAME.get(text.lower())) is not None:
        if server.needs_client:
            return f"{server.title} needs a client ID of your own. See: amberlight add {server.name}"
        return _made(server.name, server.url)
    if not re.search(r"[.:/]", text):
        similar = near(text.lower())
        question = f" Did you mean {' or '.join(similar)}?" if similar else " Enter its address."
        return f"{text} isn't in the catalog.{question}"
    url = text if "://" in text else f"https://{text}"
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return "That isn't a valid address. Enter one that starts with https://"
    label = host.removeprefix("www.").removeprefix("mcp.").split(".")[0]
    return _made("server" if not label or label.isdigit() or ":" in host else label, url)


def _made(name: str, url: str) -> ImportableEntry | str:
    made = make_entry(name, {"url": url})
    return f"{name} can't be added: {made.reason}." if isinstance(made, SkippedEntry) else made
