"""A validator for the API's JSON Schemas: small, and strict about keywords.

A keyword it doesn't know is an error, so nothing in the document goes unchecked silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
}
SILENT = {"description", "properties", "additionalProperties"}  # the last two are looked at together


def resolved(document: Mapping[str, Any], ref: str) -> Any:
    """The schema that a `$ref` points to."""
    assert ref.startswith("#/")
    found: Any = document
    for part in ref[2:].split("/"):
        found = found[part]
    return found


def violations(document: Mapping[str, Any], schema: Mapping[str, Any], value: Any, where: str = "$") -> list[str]:
    """How the value violates the schema, one line each; empty if it doesn't."""
    return list(_violations(document, schema, value, where))


def _violations(document: Mapping[str, Any], schema: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:
    for key, rule in schema.items():
        match key:
            case "$ref":
                yield from _violations(document, resolved(document, rule), value, where)
            case "type":
                if not TYPES[rule](value):
                    yield f"{where}: {type(value).__name__} is no {rule}"
            case "anyOf":
                if all(violations(document, each, value) for each in rule):
                    yield f"{where}: {value!r} is none of {rule}"
            case "const":
                if value != rule or type(value) is not type(rule):
                    yield f"{where}: not {rule!r}"
            case "enum":
                if value not in rule:
                    yield f"{where}: {value!r} is no word of {rule}"
            case "pattern":
                if isinstance(value, str) and not re.search(rule, value):
                    yield f"{where}: {value!r} does not look like {rule}"
            case "format":
                assert rule == "date-time", rule
                if isinstance(value, str):
                    datetime.fromisoformat(value)
            case "minimum":
                if TYPES["number"](value) and value < rule:
                    yield f"{where}: {value} is below {rule}"
            case "maximum":
                if TYPES["number"](value) and value > rule:
                    yield f"{where}: {value} is above {rule}"
            case "required":
                if isinstance(value, dict):
                    yield from (f"{where}: {name} is missing" for name in rule if name not in value)
            case "items":
                if isinstance(value, list):
                    for number, each in enumerate(value):
                        yield from _violations(document, rule, each, f"{where}[{number}]")
            case _:
                assert key in SILENT, f"the validator does not know {key}"
    if isinstance(value, dict):
        yield from _members(document, schema, value, where)


def _members(
    document: Mapping[str, Any], schema: Mapping[str, Any], value: Mapping[str, Any], where: str
) -> Iterator[str]:
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, each in value.items():
        if name in properties:
            yield from _violations(document, properties[name], each, f"{where}.{name}")
        elif rest is False:
            yield f"{where}: {name} is not in the document"
        elif rest is not True:
            yield from _violations(document, rest, each, f"{where}.{name}")
