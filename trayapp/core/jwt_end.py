"""The end of an access token that is a JWT, for servers that don't send `expires_in`."""

from __future__ import annotations

import base64
import json

PAYLOAD_MAX = 65536  # characters; a header of that length is refused everywhere
LAST_SECOND = 1e11  # s since the epoch: the year 5138. Larger numbers are milliseconds, or nothing


def jwt_end(token: str) -> float | None:
    """`exp` of a signed JWT (RFC 7519 section 4.1.4), in seconds since the epoch; None if there is none to be read.

    Nothing is verified: the value only ever makes Amberlight ask for a new token earlier. A number that isn't seconds
    since the epoch, or isn't a number, counts as absent (M1).
    """
    parts = token.split(".")
    if len(parts) != 3 or len(parts[1]) > PAYLOAD_MAX:
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):  # not base64, not UTF-8, not JSON, or nested without end
        return None
    end = payload.get("exp") if isinstance(payload, dict) else None
    if isinstance(end, bool) or not isinstance(end, int | float) or not 0 < end < LAST_SECOND:
        return None
    return float(end)
