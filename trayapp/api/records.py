"""Handlers of what is looked at after the fact: activity, diagnostics, the log, a report."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Protocol

from aiohttp import web

from trayapp.api.clients import Detached
from trayapp.api.history import since_of, whole_number
from trayapp.core.activity import CLIENT_MAX, Use
from trayapp.core.checks import Check
from trayapp.core.log_lines import LEVELS, LogEntry, LogQuery
from trayapp.core.model import Problem
from trayapp.core.public import Json, rfc3339
from trayapp.server.replies import Refusal, empty_reply, json_reply, read_object
from trayapp.storage.activity import Activity, UseQuery

LIMIT_MAX = 1000  # rows or entries of one response
ID_MAX = (1 << 63) - 1
EXTERNAL_NAME_MAX = 170  # characters of another program's OWNER/NAME


class Inspection(Protocol):
    """What the app finds out about itself and this machine."""

    async def checks(self) -> list[Check]:
        """Those of `amberlight doctor`."""
        ...

    async def fix(self) -> list[Check] | Problem:
        """Fix what can be fixed, and check again."""
        ...

    async def log(self, query: LogQuery) -> tuple[str, list[LogEntry], bool]:
        """The log's file, entries newest first, and whether there are more."""
        ...

    async def bug_report(self) -> tuple[str, str]:
        """A name for the file, and the text."""
        ...


class NoInspection:
    """That of an app that can't look at itself: some tests."""

    async def checks(self) -> list[Check]:
        """None."""
        return []

    async def fix(self) -> list[Check] | Problem:
        """Nothing to fix."""
        return []

    async def log(self, query: LogQuery) -> tuple[str, list[LogEntry], bool]:
        """No log."""
        return "", [], False

    async def bug_report(self) -> tuple[str, str]:
        """An empty one."""
        return "", ""


def use_json(id_: int, use: Use) -> Json:
    """`{id, at, workload, client, client_version, via, mcp, method, target, status, served, duration}`."""
    return {"id": id_, **asdict(use), "at": rfc3339(use.at)}


class RecordsApi:
    """`detached` runs a job to its end even if the client disconnects."""

    def __init__(self, activity: Activity, inspection: Inspection, detached: Detached) -> None:
        self._activity = activity
        self._inspection = inspection
        self._detached = detached

    async def activity(self, request: web.Request) -> web.Response:
        before = whole_number(request, "before", 0, ID_MAX, 0) if "before" in request.query else None
        query = UseQuery(
            workload=_name(request),
            client=_client(request),
            since=since_of(request, 0.0),
            before=before,
            limit=whole_number(request, "limit", 100, LIMIT_MAX),
        )
        rows, more = await self._activity.read(query)
        found: Json = {"rows": [use_json(id_, use) for id_, use in rows], "more": more}
        return json_reply({**found, "recording": self._activity.recording, "dropped": self._activity.dropped})

    async def clients(self, request: web.Request) -> web.Response:
        rows = await self._activity.clients(_name(request))
        return json_reply({"rows": [{**asdict(row), "at": rfc3339(row.at)} for row in rows]})

    async def clear(self, request: web.Request) -> web.Response:
        await read_object(request, {})
        await asyncio.shield(self._detached("clear the activity", self._activity.clear()))
        return empty_reply(204)

    async def diagnostics(self, request: web.Request) -> web.Response:
        return _checks(await asyncio.shield(self._detached("run the checks", self._inspection.checks())))

    async def fix(self, request: web.Request) -> web.Response:
        await read_object(request, {})
        done = await asyncio.shield(self._detached("fix what can be fixed", self._inspection.fix()))
        if isinstance(done, Problem):
            raise Refusal(409, done.kind, done.summary)
        return _checks(done)

    async def log(self, request: web.Request) -> web.Response:
        level = request.query.get("level", LEVELS[0])
        if level not in LEVELS:
            raise Refusal(400, "bad_request", f"The parameter level has to be one of {', '.join(LEVELS)}.")
        limit = whole_number(request, "limit", 200, LIMIT_MAX)
        name = _short(request, "workload", EXTERNAL_NAME_MAX)
        file, entries, more = await self._inspection.log(LogQuery(level, name, since_of(request, 0.0), limit))
        return json_reply(
            {"file": file, "entries": [{**asdict(each), "at": rfc3339(each.at)} for each in entries], "more": more}
        )

    async def report(self, request: web.Request) -> web.Response:
        file, text = await asyncio.shield(self._detached("make a report", self._inspection.bug_report()))
        return json_reply({"file": file, "text": text})


def _checks(checks: Sequence[Check]) -> web.Response:
    rows = [asdict(check) for check in checks]
    return json_reply({"checks": rows, "fixable": any(check.fixable for check in checks)})


def _name(request: web.Request) -> str:
    """The parameter `workload`, empty for all. Whether there is one is not asked: it may have been removed."""
    return _short(request, "workload", 63)


def _client(request: web.Request) -> str:
    return _short(request, "client", CLIENT_MAX)


def _short(request: web.Request, key: str, most: int) -> str:
    text = request.query.get(key, "")
    if len(text) > most:
        raise Refusal(400, "bad_request", f"The parameter {key} has at most {most} characters.")
    return text
