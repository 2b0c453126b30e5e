"""Text format of a login slot: what reads back whole is a login, everything else is damage or absence.

Pure: no keyring is called here. A slot is a header and, where a backend limits the length of values, numbered parts
beside it. The header carries generation, candidate flag, part count and a SHA-256 over all of it. It is written last:
until then the slot reads as what it was before, or as damaged, never as a mixture. It names its own place, so that a
keyring that answers with another entry is noticed. A value that fits stands in the header itself: one entry, one write,
one prompt. All text is ASCII (JSON escapes the rest), so a character is one UTF-16 unit and no surrogate pair can be
torn apart.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from trayapp.core.model import Login, Secret

VERSION = 1
ACCESS_ONLY = 2  # of a login without a refresh token: an older program, which knows none, must not send or overwrite it
KEYED = (
    3  # of a login that a private key proves: an older program would send that key as a password, or refresh without it
)
NEWEST = KEYED
WINDOWS_LIMIT = 1200  # UTF-16 units; the vault holds 1,280, and other programs that split leave the same margin
MAX_PARTS = 64  # a header that claims more is damaged; reading on could take for ever

_TEXT = ("lineage", "token_endpoint", "client_id")
_OPTIONAL_TEXT = ("issuer", "subject", "scope", "resource", "revocation_endpoint")
_SHOWN_TEXT = ("account",)  # only shown: no login is lost over it
_OPTIONAL_SECRET = ("client_secret", "registration", "access_token", "proof_key")


class DamagedError(Exception):
    """This slot holds no login. The text says why and quotes nothing of its contents."""


class RefusalError(Exception):
    """A slot rule forbids it, or the keyring contradicts itself. The text is fit for a log."""


@dataclass(frozen=True, slots=True)
class Header:
    """The entry that makes a slot valid. `inline` is the payload itself if there are no parts; `place` is where it was
    written to, empty if it doesn't say."""

    generation: int
    candidate: bool
    parts: int
    sha256: str
    inline: str | None
    place: str = ""
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot as it was read. `login` is None if it is absent, or damaged; then `damage` says why."""

    letter: str
    login: Login | None = None
    candidate: bool = False
    damage: str = ""
    parts: int = 0

    @property
    def rank(self) -> tuple[int, float]:
        """Orders valid slots by age; the newer one is greater."""
        return (self.login.generation, self.login.obtained_at) if self.login else (-1, 0.0)


def encode(login: Login, *, candidate: bool, limit: int | None, place: str = "") -> tuple[str, ...]:
    """The entries of a slot in the order they are written: parts first, header last.

    `place` is the workload and the slot's letter. `limit` is the longest entry in characters. Raises `RefusalError` for
    a login that no slot can hold.
    """
    payload = _payload(login)
    whole = _header(login, candidate, payload, place, parts=0)
    if limit is None or len(whole) <= limit:
        return (whole,)
    parts = tuple(payload[at : at + limit] for at in range(0, len(payload), limit))
    if len(parts) > MAX_PARTS:
        raise RefusalError(f"a login of {len(payload)} characters is too long for this keyring")
    return (*parts, _header(login, candidate, payload, place, parts=len(parts)))


def _payload(login: Login) -> str:
    fields: dict[str, Any] = {"refresh_token": login.refresh_token.reveal(), "obtained_at": login.obtained_at}
    fields |= {name: getattr(login, name) for name in _TEXT}
    fields |= {name: getattr(login, name) for name in _OPTIONAL_TEXT + _SHOWN_TEXT if getattr(login, name)}
    fields |= {name: getattr(login, name).reveal() for name in _OPTIONAL_SECRET if getattr(login, name) is not None}
    if login.expires_at is not None:
        fields["expires_at"] = login.expires_at
    try:
        return json.dumps(fields, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError):
        raise RefusalError("a login with a field that is neither text nor number can't be stored") from None


def _header(login: Login, candidate: bool, payload: str, place: str, *, parts: int) -> str:
    version = KEYED if _is_keyed(login) else VERSION if login.renewable else ACCESS_ONLY
    fields: dict[str, Any] = {
        "v": version,
        "generation": login.generation,
        "candidate": candidate,
        "parts": parts,
        "sha256": _digest(version, login.generation, candidate, payload),
    }
    if place:
        fields["place"] = place
    if not parts:
        fields["payload"] = payload
    return json.dumps(fields, separators=(",", ":"))


def _is_keyed(login: Login) -> bool:
    """Whether its client proves itself by a private key (RFC 7523), or its tokens are bound to one (RFC 9449)."""
    if login.proof_key is not None:
        return True
    return login.registration is not None and "private_key_jwt" in login.registration.reveal()


def _digest(version: int, generation: int, candidate: bool, payload: str) -> str:
    """A SHA-256 over the header's own facts too: a flipped flag or number is damage like any other."""
    text = f"{version}\n{generation}\n{int(candidate)}\n{payload}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()  # damaged text may hold a lone surrogate


def read_header(text: str) -> Header:
    """The header in a text. Raises `DamagedError`, and `RefusalError` for a slot that a newer version wrote: we must
    not overwrite that one."""
    fields = _object(text, "the header")
    version = fields.get("v")
    if isinstance(version, int) and version > NEWEST:
        raise RefusalError(
            "a newer version of Amberlight wrote this login; use that version, or remove the workload and sign in again"
        )
    generation, candidate, parts, sha256, inline, place = (
        fields.get(name) for name in ("generation", "candidate", "parts", "sha256", "payload", "place")
    )
    if not _is_count(generation) or not _is_count(parts) or parts > MAX_PARTS:
        raise DamagedError("the header's numbers make no sense")
    if not isinstance(candidate, bool) or not isinstance(sha256, str) or (parts == 0) != isinstance(inline, str):
        raise DamagedError("the header is incomplete")
    known = version if version in (ACCESS_ONLY, KEYED) else VERSION
    return Header(generation, candidate, parts, sha256, inline, place if isinstance(place, str) else "", known)


def read_login(header: Header, parts: tuple[str | None, ...]) -> Login:
    """The login that `header` and its parts hold. Raises `DamagedError`."""
    if None in parts:
        raise DamagedError("a part is missing")
    payload = header.inline if header.inline is not None else "".join(part for part in parts if part)
    if _digest(header.version, header.generation, header.candidate, payload) != header.sha256:
        raise DamagedError("the digest doesn't match")
    fields = _object(payload, "the login")
    times = {name: fields[name] for name in ("obtained_at", "expires_at") if name in fields}
    if "obtained_at" not in times or not all(_is_number(each) for each in times.values()):
        raise DamagedError("the time of the login isn't a number")
    optional: dict[str, Any] = {name: _text(fields, name) for name in _OPTIONAL_TEXT if name in fields}
    optional |= {name: fields[name] for name in _SHOWN_TEXT if isinstance(fields.get(name), str)}
    optional |= {name: Secret(_text(fields, name)) for name in _OPTIONAL_SECRET if name in fields}
    login = Login(
        generation=header.generation,
        refresh_token=Secret(_text(fields, "refresh_token")),
        obtained_at=float(times["obtained_at"]),
        expires_at=float(times["expires_at"]) if "expires_at" in times else None,
        lineage=_text(fields, "lineage"),
        token_endpoint=_text(fields, "token_endpoint"),
        client_id=_text(fields, "client_id"),
        **optional,
    )
    if not login.renewable and not login.access_token:
        raise DamagedError("there's no token in it")
    return login


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise DamagedError(f"{what} isn't JSON") from None
    if not isinstance(fields, dict):
        raise DamagedError(f"{what} isn't a JSON object")
    return fields


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise DamagedError(f"{name} is missing or isn't text")
    return value


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def current(pair: tuple[Slot, Slot]) -> Slot | None:
    """The slot of the current login: valid, no candidate, the highest generation."""
    return max((slot for slot in pair if slot.login and not slot.candidate), key=lambda slot: slot.rank, default=None)


def pending(pair: tuple[Slot, Slot]) -> Slot | None:
    """The candidate that waits for agreement. One that a newer login has overtaken doesn't count."""
    newest = max((slot for slot in pair if slot.login and slot.candidate), key=lambda slot: slot.rank, default=None)
    held = current(pair)
    if newest is None or (held is not None and newest.rank[0] <= held.rank[0]):
        return None
    return newest


def target(pair: tuple[Slot, Slot], avoid: str | None, login: Login) -> Slot:
    """The slot to write a login to: never `avoid`, the slot with the highest generation.

    With no login to protect: the slot that already holds this very candidate, else one without anything valid, else the
    older candidate.
    """
    if avoid is not None:
        return next(slot for slot in pair if slot.letter != avoid)
    return min(pair, key=lambda slot: (not same_payload(slot, login), slot.login is not None, slot.rank))


def same_payload(slot: Slot, login: Login) -> bool:
    """Whether only the header differs: accepting a candidate is then a single write."""
    return slot.login is not None and replace(slot.login, generation=login.generation) == login
