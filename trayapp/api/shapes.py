"""Building blocks of the JSON Schemas in `schemas.py`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from trayapp.core import external
from trayapp.core.public import Json

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
COUNT: Json = {"type": "integer", "minimum": 0}
SECONDS: Json = {"type": "number", "minimum": 0}
NAME: Json = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"}
OWNER_ID: Json = {"type": "string", "pattern": f"^{external.OWNER_ID.pattern}$"}
EXTERNAL_NAME: Json = {"type": "string", "pattern": f"^{external.NAME.pattern}$"}
LISTED_NAME: Json = {
    "type": "string",
    "pattern": "^([a-z0-9-]+/[A-Za-z0-9._-]{1,128}|[a-z0-9][a-z0-9_-]{0,62})$",
    "description": "Another program's is OWNER/NAME.",
}
TIME: Json = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}


def ref(name: str) -> Json:
    """A reference to a schema in `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(shape: Json) -> Json:
    """This schema, or null for a value that isn't known."""
    return {"anyOf": [shape, {"type": "null"}]}


def array(shape: Json) -> Json:
    return {"type": "array", "items": shape}


def object_of(description: str, properties: Mapping[str, Json], *, optional: tuple[str, ...] = ()) -> Json:
    """An object with exactly these keys, of which only `optional` may be missing."""
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": [key for key in properties if key not in optional],
        "additionalProperties": False,
    }


def enum_of(kind: type[StrEnum]) -> Json:
    """One of the values of an enumeration."""
    return {"type": "string", "enum": [each.value for each in kind]}
