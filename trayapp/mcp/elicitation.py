"""URL elicitation: asks the client to open a page on which a person can sign in to a red workload.

2025-11-25: error -32042 names the page, and `notifications/elicitation/complete` says that the sign-in
is done. 2026-07-28: the result of the call is `input_required`; the client repeats it with the person's answer. Earlier
revisions can't open pages. The URL opens a page of ours that names the workload; it is never pre-authenticated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trayapp.mcp import messages
from trayapp.mcp.blocked import Blocked
from trayapp.mcp.messages import Json, Message
from trayapp.mcp.revisions import Revision

URL_REQUIRED = -32042  # URLElicitationRequiredError (2025-11-25)
COMPLETE = "notifications/elicitation/complete"
REQUEST = "amberlight-reauthorize"  # the name of our request among `inputRequests`


def supported(revision: Revision, capabilities: object) -> bool:
    """Whether the client said that it can open a page."""
    if not revision.url_elicitation or not isinstance(capabilities, Mapping):
        return False
    elicitation = capabilities.get("elicitation")
    return isinstance(elicitation, Mapping) and isinstance(elicitation.get("url"), Mapping)


def request(message: Message, revision: Revision, why: Blocked, url: str, id_: str) -> Json:
    """The response to a call that asks for the page. `id_` names the request where the revision wants that."""
    ask: Json = {
        "mode": "url",
        "url": url,
        "message": f"Sign in to {why.workload} to make this call.",
    }
    if revision.modern:
        asked = {REQUEST: {"method": "elicitation/create", "params": ask}}
        return messages.result(message, {"resultType": "input_required", "inputRequests": asked})
    data = {"elicitations": [{**ask, "elicitationId": id_}], **why.facts()}
    return messages.error(message, URL_REQUIRED, why.text, data)


def complete(id_: str) -> Json:
    """The sign-in is done (2025-11-25)."""
    return messages.notification(COMPLETE, {"elicitationId": id_})


def answer_of(message: Message) -> str | None:
    """What the person said to our request: accept, decline or cancel; None if this message is no such answer."""
    responses = message.params.get("inputResponses")
    ours = responses.get(REQUEST) if isinstance(responses, Mapping) else None
    action = ours.get("action") if isinstance(ours, Mapping) else None
    return action if isinstance(action, str) else None


def without_answer(data: Mapping[str, Any]) -> Json:
    """The request without what was ours: the upstream never asked for it, and has to reject what it doesn't know."""
    params = dict(data.get("params") or {})
    rest = {name: value for name, value in dict(params.get("inputResponses") or {}).items() if name != REQUEST}
    if rest:
        params["inputResponses"] = rest
    else:
        params.pop("inputResponses", None)
    return {**data, "params": params}
