"""One operation of the API: a row of the tables that routes and `openapi.json` are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trayapp.core.public import Json

BASE = "/api/v1beta"
ALL = f"{BASE}/workloads"
ONE = ALL + "/{name}"


@dataclass(frozen=True, slots=True)
class Query:
    """One optional query parameter."""

    name: str
    shape: Json
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `id` names its handler; `answers` are the schemas by status, None meaning no body."""

    id: str
    method: str
    path: str
    summary: str
    answers: Mapping[int, Json | None]
    query: tuple[Query, ...] = ()
    body: Mapping[str, Json] | None = None  # fields of the JSON object; None: a body isn't read
    required: tuple[str, ...] = ()  # fields that must be present
    refusals: tuple[int, ...] = ()  # besides those that follow from the other fields
    media: str = "application/json"
    open: bool = False  # no key needed
    revised: bool = False  # takes the revision it is about in `If-Match`


def click(id_: str, path: str, summary: str, refusals: tuple[int, ...] = ()) -> Operation:
    """An operation without fields that is carried out later."""
    return Operation(id_, "POST", path, summary, {202: None}, body={}, refusals=refusals)
