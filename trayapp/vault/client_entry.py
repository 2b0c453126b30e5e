"""Keyring entry of a workload's client: one secret text, split into parts where the vault limits the length of entries.

Blocking, and called from the keyring's thread only. The entry is overwritten in place, so a crash halfway loses it;
that is why no login is stored like this. A damaged text counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

from trayapp.core.model import Secret
from trayapp.vault.login_store import Vault
from trayapp.vault.slots import RefusalError

log = logging.getLogger(__name__)

VERSION = 1
PARTS_MAX = 32  # parts of one text in a vault that limits entries


def read_entry(vault: Vault, service: str, name: str) -> Secret | None:
    """The text of an entry and its parts; None if there is none, or no complete one."""
    header = vault.get(service, name)
    if header is None:
        return None
    try:
        fields = json.loads(header)
        parts, digest, text = fields["parts"], fields["sha256"], fields.get("text")
        known = fields["v"] == VERSION and isinstance(parts, int) and 0 <= parts <= PARTS_MAX
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        known, parts, digest, text = False, 0, "", None
    if known and parts:
        pieces = [vault.get(f"{service}/{number}", name) for number in range(1, parts + 1)]
        text = None if None in pieces else "".join(piece for piece in pieces if piece)
    if not known or not isinstance(text, str) or _digest(text) != digest:
        log.warning("What the keyring keeps of the client of %s is damaged and will be overwritten", name)
        return None
    return Secret(text)


def write_entry(vault: Vault, service: str, name: str, text: Secret) -> None:
    """Write the parts first and the entry that names them last."""
    value = text.reveal()
    header: dict[str, Any] = {"v": VERSION, "parts": 0, "sha256": _digest(value), "text": value}
    header_text, pieces = json.dumps(header), list[str]()
    if vault.limit is not None and len(header_text) > vault.limit:
        pieces = [value[at : at + vault.limit] for at in range(0, len(value), vault.limit)]
        header_text = json.dumps({"v": VERSION, "parts": len(pieces), "sha256": header["sha256"]})
    for number, piece in enumerate(pieces, 1):
        vault.set(f"{service}/{number}", name, piece)
    vault.set(service, name, header_text)
    _clear_parts(vault, service, name, len(pieces))


def erase_entry(vault: Vault, service: str, name: str) -> None:
    """Delete the entry and its parts after looking for them: backends raise for missing entries, each in its own way."""
    _clear_parts(vault, service, name, 0)
    if vault.get(service, name) is not None:
        vault.delete(service, name)


def move_entry(vault: Vault, service: str, name: str, new_service: str, new: str) -> None:
    """Move an entry, which is erased only once it has been read back; one that is at the new place already is replaced."""
    text = read_entry(vault, service, name)
    if text is not None:
        write_entry(vault, new_service, new, text)
        if read_entry(vault, new_service, new) != text:
            raise RefusalError(f"the keyring returned a different client of {new} than was written")
    erase_entry(vault, service, name)


def _clear_parts(vault: Vault, service: str, name: str, keep: int) -> None:
    """Delete parts beyond the first `keep`, the last one first, so that an interruption leaves no gap that would hide
    the rest."""
    if vault.limit is None:
        return
    last = keep
    while last < PARTS_MAX and vault.get(f"{service}/{last + 1}", name) is not None:
        last += 1
    for number in range(last, keep, -1):
        vault.delete(f"{service}/{number}", name)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
