"""The protocol revisions of MCP, one row each: the differences that matter when answering in the upstream's place.

Read in the specification's own text (modelcontextprotocol.io/specification/REVISION, the pages on lifecycle, transports,
cancellation, elicitation and caching). What all revisions share is not in the table: lists are paged by an opaque
`nextCursor`, a notification is accepted with 202, a refused `tools/call` is a result with `isError`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision. The defaults are those of the handshake revisions with sessions."""

    version: str
    modern: bool = False  # no handshake and no session: every request carries its version and the client's capabilities
    batches: bool = False  # a POST may hold an array of messages
    result_type: bool = False  # each result says `resultType`, and what may be cached `ttlMs` and `cacheScope`
    unknown_method: int = 200  # HTTP status of error -32601
    url_elicitation: str = ""  # how a server asks for a page to be opened: "error" (-32042), "input_required", or not


TABLE = (
    Revision("2024-11-05"),  # over streamable HTTP; its own transport, HTTP+SSE, is `proxy/sse.py`
    Revision("2025-03-26", batches=True),
    Revision("2025-06-18"),
    Revision("2025-11-25", url_elicitation="error"),
    Revision("2026-07-28", modern=True, result_type=True, unknown_method=404, url_elicitation="input_required"),
)
BY_VERSION = {row.version: row for row in TABLE}
LATEST_HANDSHAKE = TABLE[-2]
UNNAMED = BY_VERSION["2025-03-26"]  # a request without a version header, since 2025-06-18

VERSION_META = "io.modelcontextprotocol/protocolVersion"
CLIENT_META = "io.modelcontextprotocol/clientInfo"
CAPABILITIES_META = "io.modelcontextprotocol/clientCapabilities"
SUBSCRIPTION_META = "io.modelcontextprotocol/subscriptionId"


def negotiated(asked: object) -> Revision:
    """The revision that a server answers to an `initialize` that asks for this one."""
    row = BY_VERSION.get(asked) if isinstance(asked, str) else None
    return row if row is not None and not row.modern else LATEST_HANDSHAKE


def of_header(value: str | None) -> Revision | None:
    """The revision that `MCP-Protocol-Version` names; None for one that is not in the table."""
    return UNNAMED if value is None else BY_VERSION.get(value)
