"""Small corrections of what people type: `Notion` is `notion`, `mcp.example.com/mcp` gets its https://.

What can't be corrected without a doubt is returned as it is, for the checks to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from trayapp.config.checks import LOOPBACK, issuer, url
from trayapp.config.settings import IN_WORKLOAD

_HOST = re.compile(r"(\[[0-9a-fA-F:]+\]|[^\s/:?#@\[\]]+)(?::[0-9]{1,5})?(?:[/?].*)?")


def corrected_name(text: str) -> str:
    """A workload's name in small letters, with hyphens for spaces."""
    return re.sub(r"\s+", "-", text.strip()).lower()


def corrected_address(text: str) -> str:
    """An address with its scheme: https, and http for this machine; no spaces around it."""
    address = text.strip()
    scheme, colon, rest = address.partition("://")
    if colon:
        return f"{scheme.lower()}://{rest}"
    found = _HOST.fullmatch(address)
    host = found[1].strip("[]").lower() if found else ""
    if host in LOOPBACK:
        return f"http://{address}"
    return f"https://{address}" if "." in host and not host.endswith(".") else address


def corrected(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of a workload's table without spaces around texts, and with whole addresses."""
    return {key: _corrected(key, value) for key, value in keys.items()}


def _corrected(key: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [each.strip() if isinstance(each, str) else each for each in value]
    if not isinstance(value, str):
        return value
    is_address = key in IN_WORKLOAD and IN_WORKLOAD[key].check in (url, issuer)
    return corrected_address(value) if is_address else value.strip()
