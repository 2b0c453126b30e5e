"""Handlers that edit the configuration: workloads are added, changed, renamed and removed, settings are changed.

A refusal names every field that is wrong, so that a form can show it where it was typed. Nothing of what was typed is
repeated but the names of fields.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from aiohttp import web

from trayapp.api.clients import Detached
from trayapp.api.controls import Control, Draft, Rejected, SettingsTable
from trayapp.api.editing_schemas import SETTING_KEYS
from trayapp.api.schemas import KEYS
from trayapp.core.model import ACCOUNT, Secret
from trayapp.core.public import Json
from trayapp.core.snapshot import WorkloadView
from trayapp.server.replies import Refusal, json_reply, read_object

if TYPE_CHECKING:
    from trayapp.config.described import Row

SECRET = re.compile(r"[\x20-\x7e]{0,4096}")  # RFC 6749 appendix A.2, or a private key; empty deletes the secret
ASCII_HELP = "The field client_secret has to hold printable ASCII, or nothing at all."


class EditingApi:
    """`view` reads the request's workload; `row` makes its row of the list; `forget` is told of removed ones."""

    def __init__(
        self,
        control: Control,
        detached: Detached,
        view: Callable[[web.Request], WorkloadView],
        row: Callable[[web.Request, WorkloadView], Json],
        forget: Callable[[str], None],
    ) -> None:
        self._control = control
        self._detached = detached
        self._view = view
        self._row = row
        self._forget = forget

    async def add(self, request: web.Request) -> web.Response:
        draft = await _draft(request)
        missing = {
            field: f"The field {field} has to be there, and a string."
            for field, value in (("name", draft.name), ("url", draft.keys.get("url")))
            if (not isinstance(value, str) or not value) and (field, draft.keys.get("kind")) != ("url", ACCOUNT)
        }
        if missing:
            refuse(Rejected(400, "bad_request", next(iter(missing.values())), missing))
        given = {key: value for key, value in draft.keys.items() if value is not None}
        draft = Draft(draft.name, given, draft.secret, draft.check)
        name = await asyncio.shield(self._detached("add a workload", self._control.add(draft)))
        if isinstance(name, Rejected):
            refuse(name)
        return self._reply(request, name, 201)

    async def edit(self, request: web.Request) -> web.Response:
        view = self._view(request)
        draft = await _draft(request)
        job = self._control.edit(view.name, draft)
        edited = await asyncio.shield(self._detached(f"edit {view.name}", job))
        if isinstance(edited, Rejected):
            refuse(edited)
        if edited.name != view.name or edited.notes:  # beginning a sign-in that fits is no program's loop
            self._forget(view.name)
        answer = {"message": edited.message, "notes": list(edited.notes)}
        return json_reply({"workload": self._row_of(request, edited.name), **answer})

    async def remove(self, request: web.Request) -> web.Response:
        name = self._view(request).name
        await read_object(request, {})
        return await self.remove_all([name])

    async def remove_all(self, names: Sequence[str]) -> web.Response:
        """Remove these workloads. Raises `Refusal` if one of them is still there."""
        job = self._control.remove(names)
        removed = await asyncio.shield(self._detached(f"remove {', '.join(names)}", job))
        for name in names:
            self._forget(name)
        for each in removed.refused.values():
            refuse(each)
        return json_reply({"notes": list(removed.notes)}, 202)

    async def workload_settings(self, request: web.Request) -> web.Response:
        return _table(await self._control.settings(self._view(request).name))

    async def settings(self, request: web.Request) -> web.Response:
        return _table(await self._control.settings())

    async def change_settings(self, request: web.Request) -> web.Response:
        changes = await read_object(request, dict.fromkeys(SETTING_KEYS, object))
        if not changes:
            raise Refusal(400, "bad_request", "The body has to name at least one setting.")
        job = self._control.change_settings(changes, _revision(request))
        return _table(await asyncio.shield(self._detached("change settings", job)))

    def _reply(self, request: web.Request, name: str, status: int) -> web.Response:
        return json_reply(self._row_of(request, name), status)

    def _row_of(self, request: web.Request, name: str) -> Json:
        return self._row(request, self._control.snapshot().workloads[name])


async def _draft(request: web.Request) -> Draft:
    """The request's body. Raises `Refusal`."""
    keys = await read_object(request, {"check": bool, **dict.fromkeys(("name", "client_secret", *KEYS), object)})
    name, secret, check = keys.pop("name", None), keys.pop("client_secret", None), bool(keys.pop("check", False))
    if secret is not None and (not isinstance(secret, str) or not SECRET.fullmatch(secret)):
        refuse(Rejected(400, "bad_value", ASCII_HELP, {"client_secret": ASCII_HELP}))
    if name is not None and not isinstance(name, str):
        sentence = "The field name has to be a string."
        refuse(Rejected(400, "bad_request", sentence, {"name": sentence}))
    return Draft(name or "", keys, None if secret is None else Secret(secret), check, _revision(request))


def _revision(request: web.Request) -> str:
    return request.headers.get("If-Match", "").strip().removeprefix("W/").strip('"').replace("*", "")


def refuse(rejected: Rejected) -> NoReturn:
    """Raise the `Refusal` that says so."""
    details: dict[str, Json | str | int] = {}
    if rejected.fields:
        details["fields"] = dict(rejected.fields)
    if (client := rejected.client) is not None:
        details |= {
            "redirect_uri": client.redirect_uri,
            "redirect_port": client.redirect_port,
            "client_secret": client.secret,
            "client_from": client.client_from,
        }
    first = next(iter(rejected.fields), "")
    raise Refusal(rejected.status, rejected.code, rejected.message, field=first, details=details)


def _table(table: SettingsTable | Rejected) -> web.Response:
    if isinstance(table, Rejected):
        refuse(table)
    rows = [_row_json(row, table.notes) for row in table.rows]
    answer: Json = {"revision": table.revision, "file": table.file, "problem": table.problem, "settings": rows}
    return json_reply(answer, headers={"ETag": f'"{table.revision}"'})


def _row_json(row: Row, notes: Mapping[str, str]) -> Json:
    kind = row.kind
    return {
        "name": row.name,
        "group": row.group,
        "kind": kind.name,
        "meaning": row.meaning,
        "help": kind.help,
        "value": row.value,
        "default": row.default,
        "changed": row.changed,
        "source": row.source,
        "required": row.required,
        "choices": list(kind.choices),
        "minimum": kind.minimum,
        "maximum": kind.maximum,
        "note": notes.get(row.name, ""),
    }
