"""Strict parsing of what a client sent: forms, queries and client credentials. Nothing is judged here.

RFC 6749 section 3.2: a parameter sent without a value counts as omitted, and none may be sent twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote_plus

SECRET_FIELDS = frozenset(
    {"refresh_token", "access_token", "token", "code", "code_verifier", "code_challenge", "state", "nonce"}
    | {"client_secret", "client_assertion", "assertion", "password", "device_code", "id_token_hint"}
)
MAX_FIELDS = 64
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class BadForm(ValueError):  # noqa: N818 - it is no error of this program
    """The text isn't a form. The message says why and quotes nothing of it but the name of a field."""


def digest(value: str) -> str:
    """What the request log holds in place of a secret: equal for equal values, and it reveals nothing."""
    return "sha256:" + hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def redacted(fields: Mapping[str, str]) -> dict[str, str]:
    """The same fields, each secret value replaced by its digest."""
    return {name: digest(value) if name in SECRET_FIELDS else value for name, value in fields.items()}


def parse_form(raw: bytes | str) -> dict[str, str]:
    """The fields of an `application/x-www-form-urlencoded` text. Raises `BadForm`."""
    try:
        text = raw.decode("ascii") if isinstance(raw, bytes) else raw
        if _BROKEN_ESCAPE.search(text):
            raise BadForm("a % that is not followed by two hexadecimal digits")
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS)
    except BadForm:
        raise
    except ValueError:  # UnicodeError is one of them; its text would quote the body
        raise BadForm("not name=value pairs of percent-encoded UTF-8") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise BadForm(f"the parameter {name[:40]!r} is sent twice")
        fields[name] = value
    return {name: value for name, value in fields.items() if value}


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Client id and secret of an `Authorization: Basic` header, form-decoded (RFC 6749 section 2.3.1)."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(rest.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    name, colon, secret = text.partition(":")
    return (unquote_plus(name), unquote_plus(secret)) if colon else None
