"""Takes out of a text what must not be in a bug report: secrets, whatever looks like one, and who the person is.

Nothing that Amberlight writes has a secret in it, so this is the second net. It may take too much, never too little.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

GONE = "***"
LOOKED_AT = 3  # times the length that is shown of a text
SECRET_MIN = 6  # characters; shorter known secrets would take pieces out of words

_NAMES = (  # of what holds a secret; only from a word's start, or a long one is read once for each character
    r"(?<![\w-])[\w-]*(?:token|secret|password|passphrase|passwd|api[_-]?key|authorization|cookie|verifier|assertion)[\w-]*"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,40}://)[^\s/@\"'<>]*@"), rf"\1{GONE}@"),  # a name and password in a URL
    (
        re.compile(r"(?i)(\b[a-z][a-z0-9+.-]{0,40}://[^\s?#\"'<>]*)[?#][^\s\"'<>]*"),
        rf"\1?{GONE}",
    ),  # its query and fragment
    (re.compile(r"(?i)\b(bearer|basic|dpop|digest)[ =]+[^\s\"',;]+"), rf"\1 {GONE}"),
    (re.compile(r"\beyJ[\w-]{4,}(?:\.[\w-]*){0,4}"), GONE),  # a JWT
    (re.compile(rf"(?i)({_NAMES}(?:\s*=|[\"']\s*[=:])\s*[\"']?)[^\s\"',;&]+"), rf"\1{GONE}"),
    (re.compile(rf"(?i)({_NAMES}:\s*)(?=[^\s\"',;&]*[0-9]|[^\s\"',;&]{{16}})[^\s\"',;&]+"), rf"\1{GONE}"),  # not prose
    (re.compile(r"(?i)\b(code|state|nonce|sid|session|user_code|device_code)=[^\s\"',;&]+"), rf"\1={GONE}"),
    (re.compile(r"[\w.+-]{1,64}@((?:[\w-]+\.)+[a-z]{2,})", re.IGNORECASE), rf"{GONE}@\1"),  # an e-mail address
    (re.compile(r"(?<![\w+=~-])(?=[\w+=~-]*[0-9])(?=[\w+=~-]*[A-Za-z])[\w+=~-]{24,}"), GONE),  # opaque
)


def redact(text: str, *, secrets: Collection[str] = (), home: str = "") -> str:
    """The text without these secrets and without what looks like one; `home` becomes ~."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SECRET_MIN:
            text = text.replace(secret, GONE)
    if len(home) > 1:
        text = text.replace(home, "~")
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redact_start(text: str, most: int) -> str:
    """The first `most` characters of a text of any length, redacted. Part of a secret may not look
    like one, so the last word of what is looked at is left out."""
    start = text[: LOOKED_AT * most]
    if len(start) < len(text):
        start = start.rpartition(" ")[0] or GONE
    return redact(start)[:most]


def redact_all(value: Any, *, secrets: Collection[str] = (), home: str = "") -> Any:
    """The same for each text in a JSON value."""
    if isinstance(value, str):
        return redact(value, secrets=secrets, home=home)
    if isinstance(value, Mapping):
        return {key: redact_all(each, secrets=secrets, home=home) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(each, secrets=secrets, home=home) for each in value]
    return value
