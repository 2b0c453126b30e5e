"""Answers in the upstream's place, by MCP revision: what a client gets while the workload can't be reached.

Nothing is executed here and nothing is promised: `initialize` results and lists come from notes (`mcp/noted.py`), calls
get the sentence that says what is wrong and what to do, notifications are accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trayapp.mcp import messages
from trayapp.mcp.blocked import META, UNAVAILABLE, Blocked
from trayapp.mcp.messages import INTERNAL_ERROR, INVALID_PARAMS, LIST_CHANGED, LISTS, METHOD_NOT_FOUND, Json, Message
from trayapp.mcp.noted import NoteKey, Notes
from trayapp.mcp.revisions import Revision

REMEMBERED = frozenset({"logging/setLevel", "resources/subscribe", "resources/unsubscribe"})
SERVER = {"name": "amberlight", "title": "Amberlight", "version": "1"}
LISTED_LATER = "Its tools will be listed once it's connected."
LIST_GONE = "This list changed. Request it again without a cursor."


def declared(hello: Json) -> Json:
    """An `initialize` or `server/discover` result as the client gets it: every list may change, and the client will be told."""
    capabilities = hello.get("capabilities")
    if not isinstance(capabilities, Mapping):
        return hello
    told = {
        name: {**value, "listChanged": True} if name in LIST_CHANGED and isinstance(value, Mapping) else value
        for name, value in capabilities.items()
    }
    return {**hello, "capabilities": told}


def initialize(noted: Json | None, version: str, why: Blocked) -> Json:
    """The result of `initialize`: the noted one, or a minimal one of this revision. The minimal one has the sentence in
    `instructions`: without tools there is no call that could return it to the model."""
    if noted is not None:
        return declared(noted)
    said = why.text.removeprefix(f"{why.workload} {UNAVAILABLE}. ")  # the sentence before says it
    return {
        "protocolVersion": version,
        "capabilities": {name: {"listChanged": True} for name in LIST_CHANGED},
        "serverInfo": SERVER,
        "instructions": f"{why.workload} wasn't available when this session began. {said} {LISTED_LATER}",
    }


def unsupported(message: Message, supported: list[str], asked: str) -> Json:
    """The error that names the revisions there are; it goes with HTTP 400."""
    data: Json = {"supported": supported, "requested": asked}
    return messages.error(message, messages.UNSUPPORTED_VERSION, "Unsupported protocol version.", data)


def answer(message: Message, revision: Revision, notes: Notes | None, key: NoteKey, why: Blocked) -> Json | None:
    """The response to anything but `initialize`; None where there is none (202)."""
    if not message.request:
        return None
    if not message.answerable:
        return messages.error(message, messages.INVALID_REQUEST, "The id of a request must be a string or an integer.")
    method = message.method
    if method == "server/discover":
        return _discover(message, notes, key)
    if method in LISTS:
        return _list(message, revision, notes, key)
    if method == "tools/call":
        return messages.result(message, refused_call(revision, why))
    if revision.modern and method in _HANDSHAKE_ONLY:
        return messages.error(message, METHOD_NOT_FOUND, f"MCP {revision.version} has no method {method}.")
    if method == "ping" or method in REMEMBERED:
        return messages.result(message, {})
    return messages.error(message, INTERNAL_ERROR, why.text, why.facts())


_HANDSHAKE_ONLY = REMEMBERED | {"ping", "initialize"}


def refused_call(revision: Revision, why: Blocked) -> Json:
    """The result of a call that was not made, or whose fate is unknown: an error that the model gets to read."""
    kind: Json = {"resultType": "complete"} if revision.result_type else {}
    return {**kind, "content": [{"type": "text", "text": why.text}], "isError": True, "_meta": {META: why.facts()}}


def refused(message: Message, revision: Revision, why: Blocked) -> Json:
    """The response to a request that could not be made, whatever its method."""
    if message.method == "tools/call":
        return messages.result(message, refused_call(revision, why))
    return messages.error(message, INTERNAL_ERROR, why.text, why.facts())


def _discover(message: Message, notes: Notes | None, key: NoteKey) -> Json:
    """Only from a note: which era the upstream speaks cannot be guessed, and a client keeps to what it was told."""
    noted = None if notes is None else notes.hello(key, "server/discover")
    if noted is None:
        return messages.error(message, METHOD_NOT_FOUND, "The protocol version isn't known yet. Use initialize.")
    return messages.result(message, {**declared(noted), **_CACHE, "resultType": "complete"})


_CACHE: Json = {"ttlMs": 0, "cacheScope": "private"}


def _list(message: Message, revision: Revision, notes: Notes | None, key: NoteKey) -> Json:
    """All pages in one. A cursor belongs to a list that was being read upstream: the client begins again."""
    if message.params.get("cursor") is not None:
        return messages.error(message, INVALID_PARAMS, LIST_GONE)
    items = None if notes is None else notes.list_of(key, message.method)
    told: dict[str, Any] = {LISTS[message.method]: items or []}
    if revision.result_type:
        told = {"resultType": "complete", **told, **_CACHE}
    return messages.result(message, told)


def http_status(answer: Json, revision: Revision) -> int:
    """The HTTP status that goes with a response of ours."""
    error = answer.get("error")
    if not isinstance(error, Mapping):
        return 200
    if error.get("code") == METHOD_NOT_FOUND:
        return 404 if answer.get("id") is not None and revision.unknown_method == 404 else 200
    return 400 if error.get("code") in (messages.PARSE_ERROR, messages.INVALID_REQUEST) else 200


def harmless(told: Json, now: Json, *, guessed: bool) -> bool:
    """Whether a client that was told `told` may continue with an upstream that now says `now`.

    The revision has to be the same, and no capability that was promised may be missing. A guessed result promised
    only lists, and those may be empty.
    """
    if told.get("protocolVersion") != now.get("protocolVersion"):
        return False
    before, after = told.get("capabilities"), now.get("capabilities")
    if guessed or not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return True
    return set(before) <= set(after)
