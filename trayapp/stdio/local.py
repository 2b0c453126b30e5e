"""What the client is told when the app can't be reached, in the words of the steady endpoint (`mcp/answers.py`).

Imported when it is needed: the modules behind it are a third of what the process would have.
"""

from __future__ import annotations

from trayapp.mcp import answers, blocked, messages
from trayapp.mcp.blocked import Blocked
from trayapp.mcp.messages import Json, Message
from trayapp.mcp.noted import NoteKey
from trayapp.mcp.revisions import BY_VERSION, negotiated
from trayapp.stdio.incoming import Incoming


def away(label: str, sentence: str) -> Blocked:
    """The app can't be reached."""
    text = sentence if sentence.startswith(label) else f"{label} isn't available. {sentence}"
    return Blocked(label, text, "stopped", "not_running", 5)


def initialize(message: Incoming, label: str, sentence: str) -> Json:
    """A result that promises lists, which will be announced."""
    version = negotiated(message.params.get("protocolVersion")).version
    return answers.initialize(None, version, Blocked(label, sentence))


def answer(message: Incoming, version: str, why: Blocked) -> list[Json]:
    """The responses to a request that was not made, one for each of its ids."""
    revision = BY_VERSION.get(message.version or version) or negotiated(message.version or version)
    if not message.method:  # a batch
        return [
            messages.error(Message("", each), messages.INTERNAL_ERROR, why.text, why.facts()) for each in message.ids
        ]
    asked = Message(message.method, message.ids[0], message.params)
    found = answers.answer(asked, revision, None, NoteKey("", "", revision.version, ""), why)
    return [] if found is None else [found]


def unanswered(message: Incoming, version: str, why: Blocked) -> list[Json]:
    """The responses to a request whose fate is unknown, or that was refused."""
    revision = BY_VERSION.get(message.version or version) or negotiated(message.version or version)
    return [answers.refused(Message(message.method, each, message.params), revision, why) for each in message.ids]


def fate_unknown(label: str) -> Blocked:
    """The call was sent, and the app ended before the answer."""
    return blocked.fate_unknown(label)


def session_restarted(label: str) -> Blocked:
    """The session ended, and something in it may have depended on earlier calls."""
    return blocked.session_restarted(label)
