"""Notes: the last `initialize` results and lists of an MCP server, which answer clients while it can't be reached.

Notes are kept under everything that an answer may depend on: the workload, the account behind it, path and query, the
headers that can change an answer, the protocol revision and the client's capabilities. A client that wasn't there before
the outage gets what one without any capabilities was told, whatever its revision: that is what every client gets at
least. So a list never reaches a caller that would not have got it. Notes are dropped as a whole when account, scope or
address change.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from trayapp.core.activity import CLIENT_HEADER
from trayapp.mcp.messages import LISTS, Json
from trayapp.mcp.revisions import BY_VERSION

WORKLOAD_MAX = 4 * 1024 * 1024  # bytes of notes of one workload; lists that would exceed it are not noted
PAGES_MAX = 200  # of one list
KEYS_MAX = 64  # variants of one workload; the oldest goes first
FORMAT = 1

# Headers that every request has and no list depends on. What is not here (X-…, Accept-Language) may change a list.
_NEUTRAL = frozenset(
    {"accept", "accept-encoding", "content-type", "content-length", "user-agent", "last-event-id", "cache-control"}
    | {"pragma", "priority", "traceparent", "tracestate", "baggage", "mcp-session-id", "mcp-protocol-version"}
    | {"mcp-method", "mcp-name", "host", "authorization", "x-request-id", CLIENT_HEADER.lower()}
)


class NoteKey(NamedTuple):
    """What an answer depends on, within one workload and account."""

    path: str  # path and query below the workload
    headers: str  # digest
    version: str
    capabilities: str  # digest of the client's


def key_of(path: str, headers: Iterable[tuple[str, str]], version: str, capabilities: object) -> NoteKey:
    """The key of a request. `headers` are those that are forwarded."""
    varying = sorted((name.lower(), value) for name, value in headers if name.lower() not in _NEUTRAL)
    return NoteKey(path, _digest(varying), version, _digest(capabilities))


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class _Packed(NamedTuple):
    """An answer as compressed JSON: notes are rarely read, and as objects ten servers' lists would take megabytes."""

    data: bytes
    size: int  # bytes of the JSON

    def text(self) -> str:
        return zlib.decompress(self.data).decode("ascii")

    def answer(self) -> Json:
        found: Json = json.loads(self.text())
        return found


def _packed(answer: Json) -> _Packed:
    text = json.dumps(answer, separators=(",", ":")).encode("ascii")
    return _Packed(zlib.compress(text, 1), len(text))


NO_CAPABILITIES = _digest({})


@dataclass(slots=True)
class _Pages:
    """One list: its pages in order. `awaited` is the cursor of the next one, None when it is complete."""

    pages: list[_Packed] = field(default_factory=list)
    awaited: object = None
    seen: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Variant:
    """What is noted under one key: whole answers, complete lists, and lists that are being read."""

    hellos: dict[str, _Packed] = field(default_factory=dict)
    lists: dict[str, list[_Packed]] = field(default_factory=dict)
    reading: dict[str, _Pages] = field(default_factory=dict)

    def size(self) -> int:
        """Bytes of JSON, complete or not."""
        pages = [*self.lists.values(), *(each.pages for each in self.reading.values())]
        return sum(each.size for each in self.hellos.values()) + sum(each.size for some in pages for each in some)

    def forget(self, method: str) -> None:
        """As if it had never been noted."""
        for each in (self.hellos, self.lists, self.reading):
            each.pop(method, None)


class Notes:
    """The notes of one workload, for one account at a time. `changed` tells whether they differ from what was saved."""

    def __init__(self) -> None:
        self.account: str | None = None
        self.changed = False
        self.legacy = False  # the server announced an endpoint of the legacy SSE transport, whoever asked
        self._variants: dict[NoteKey, _Variant] = {}

    def belongs_to(self, account: str | None) -> bool:
        """Whether these are the notes of this account. None: the login cannot be read, so it cannot have changed."""
        return account is None or self.account is None or account == self.account

    def note(self, account: str, key: NoteKey, method: str, params: Mapping[str, Any], answer: Json) -> bool:
        """Note an answer; False if it would be too much. Notes of another account are dropped first."""
        if account != self.account:
            self._variants.clear()
            self.account = account
        variant = self._variants.pop(key, None) or _Variant()
        self._variants[key] = variant  # the newest last
        while len(self._variants) > KEYS_MAX:
            del self._variants[next(iter(self._variants))]
        self.changed = True
        if method in LISTS:
            _add_page(variant, method, params.get("cursor"), answer)
        else:
            variant.hellos[method] = _packed(answer)
        if self.size() > WORKLOAD_MAX:
            variant.forget(method)
            return False
        return True

    def hello(self, key: NoteKey, method: str) -> Json | None:
        """The noted result of `initialize` or `server/discover`."""
        found = self._variants.get(key)
        noted = None if found is None else found.hellos.get(method)
        return None if noted is None else noted.answer()

    def hello_of_others(self, key: NoteKey, version: str) -> Json | None:
        """What every client is told at least at `initialize`, as one of `version`."""
        near = self._nearest(key, lambda each: "initialize" in each.hellos)
        return None if near is None else {**near.hellos["initialize"].answer(), "protocolVersion": version}

    def _nearest(self, key: NoteKey, has: Callable[[_Variant], bool]) -> _Variant | None:
        """The variant of this key, or else the newest of any client without capabilities that has it."""
        if (own := self._variants.get(key)) is not None and has(own):
            return own
        least = (each for of, each in reversed(self._variants.items()) if of == (*key[:2], of.version, NO_CAPABILITIES))
        return next((each for each in least if has(each)), None)

    def negotiated(self, path: str, asked: str) -> str | None:
        """The revision that other clients were told who asked for this one; None if none is noted."""
        for key, each in self._variants.items():
            if (key.path, key.version) == (path, asked) and "initialize" in each.hellos:
                told = each.hellos["initialize"].answer().get("protocolVersion")
                if isinstance(told, str):
                    return told
        return None

    def forget_handshake(self, path: str) -> None:
        """The server refuses it now."""
        for key, each in self._variants.items():
            if key.path == path and "initialize" in each.hellos:
                each.forget("initialize")
                self.changed = True

    def without_handshake(self, path: str) -> list[str]:
        """The revisions of a server that speaks none with a handshake; empty if it does, or nothing is known of it."""
        hellos = [each.hellos for key, each in self._variants.items() if key.path == path]
        told = next((each["server/discover"] for each in hellos if "server/discover" in each), None)
        if told is None or any("initialize" in each for each in hellos):
            return []
        spoken = told.answer().get("supportedVersions")
        if not isinstance(spoken, list):
            return []
        rows = [BY_VERSION.get(each) for each in spoken if isinstance(each, str)]
        known = [row.version for row in rows if row is not None]
        return known if all(row is None or row.modern for row in rows) else []

    def list_of(self, key: NoteKey, method: str) -> list[Any] | None:
        """All items of a noted list, its pages joined; None if none is noted."""
        found = self._nearest(key, lambda each: method in each.lists)
        if found is None:
            return None
        items = [page.answer().get(LISTS[method]) for page in found.lists[method]]
        return [item for each in items if isinstance(each, list) for item in each]

    def size(self) -> int:
        """Bytes, about; what `WORKLOAD_MAX` bounds."""
        return sum(each.size() for each in self._variants.values())

    def dump(self) -> str:
        """For the disk. Lists that are still being read are left out."""
        variants = ",".join(
            f'{{"key":{json.dumps(list(key))},"hellos":{_joined(each.hellos)},"lists":{_joined(each.lists)}}}'
            for key, each in self._variants.items()
            if each.hellos or each.lists
        )
        facts = json.dumps({"format": FORMAT, "account": self.account, "legacy": self.legacy})
        return f'{facts[:-1]}, "variants":[{variants}]}}'


def _joined(noted: Mapping[str, _Packed] | Mapping[str, list[_Packed]]) -> str:
    """The JSON object, from texts that are JSON already."""

    def text(each: _Packed | list[_Packed]) -> str:
        return each.text() if isinstance(each, _Packed) else f"[{','.join(page.text() for page in each)}]"

    return "{" + ",".join(f"{json.dumps(method)}:{text(each)}" for method, each in noted.items()) + "}"


def _add_page(variant: _Variant, method: str, cursor: object, page: Json) -> None:
    """One page, in whatever order clients ask. A list counts when its last page is there; the old one counts until then."""
    reading = variant.reading.get(method)
    if cursor is None:
        reading = variant.reading[method] = _Pages()
    elif reading is None or reading.awaited != cursor or str(cursor) in reading.seen:
        variant.reading.pop(method, None)  # a page out of order, or a loop: it is not known what belongs together
        return
    if cursor is not None:
        reading.seen.add(str(cursor))
    reading.pages.append(_packed({name: value for name, value in page.items() if name != "nextCursor"}))
    reading.awaited = page.get("nextCursor")
    if reading.awaited is None:
        variant.lists[method] = variant.reading.pop(method).pages
    elif len(reading.pages) >= PAGES_MAX:
        variant.reading.pop(method)


def load(text: str) -> Notes:
    """Notes from the disk; whatever is wrong with them makes them empty."""
    notes = Notes()
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            return notes
        for each in data["variants"]:
            key = NoteKey(*(str(part) for part in each["key"]))
            hellos = {str(m): _packed(dict(r)) for m, r in each["hellos"].items()}
            lists = {str(m): [_packed(dict(p)) for p in pages] for m, pages in each["lists"].items() if m in LISTS}
            notes._variants[key] = _Variant(hellos, lists)
        notes.legacy = data.get("legacy") is True
        notes.account = None if data["account"] is None else str(data["account"])
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return Notes()
    return notes
