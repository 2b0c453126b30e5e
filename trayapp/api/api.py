"""Handlers of the workloads API, in ToolHive's shape. Each asks the `Control` and serializes its answer.

Nothing is decided here except what a request may look like and how often a program may have a sign-in page opened. Who
may ask at all has been settled by `server/server.py`. An access token appears in one response only, that of `token`
(SECURITY.md 33).
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from trayapp.api import catalog_search, openapi
from trayapp.api.clients import ClientsApi, browser_refusal, refuse_browsers
from trayapp.api.controls import Control
from trayapp.api.editing import ASCII_HELP, SECRET, EditingApi
from trayapp.api.events import Events
from trayapp.api.external import ExternalApi
from trayapp.api.history import History, HistoryReader, NoHistory
from trayapp.api.pagekeys import PageKeys
from trayapp.api.pages import PageSessions
from trayapp.api.port import PortApi
from trayapp.api.records import Inspection, NoInspection, RecordsApi
from trayapp.api.requested_sign_ins import RequestedSignIns
from trayapp.api.setting_up import SettingUpApi
from trayapp.api.take_over import TakeOverApi
from trayapp.core import metrics
from trayapp.core.model import Problem, Secret
from trayapp.core.presentation import Action, Verb
from trayapp.core.public import (
    Json,
    app_json,
    list_row_json,
    listed_views,
    rfc3339,
    spec_json,
    status_json,
    unavailable_json,
)
from trayapp.core.sentences import NO_SUCH_WORKLOAD, bound_token
from trayapp.core.snapshot import Unavailable, WorkloadView
from trayapp.server.replies import OWN_HEADERS, PAGE, Refusal, empty_reply, json_reply, read_object
from trayapp.storage.activity import Activity

MIN_VALIDITY = 60.0  # s; the default of `token`
MIN_VALIDITY_MAX = 86400.0  # s
FLOWS = ("", "browser", "device")  # empty: as configured
NEEDS_CLIENT = "registration"  # of a problem: a client set up by hand helps
WAIT_MAX = 30.0  # s; one attempt takes no longer
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

T = TypeVar("T")


def routes(
    control: Control,
    *,
    version: str,
    events: Events | None = None,
    page_keys: PageKeys | None = None,
    history_reader: HistoryReader | None = None,
    activity: Activity | None = None,
    inspection: Inspection | None = None,
    now: Callable[[], float] = time.monotonic,
) -> list[web.RouteDef]:
    """The routes that need a key, for `LoopbackServer(routes=…)`. `now` is any monotonic clock in seconds."""
    api = _Api(control, version, page_keys or PageKeys(), now)
    clients = ClientsApi(control, api.detached, api.view, api.known)
    external = ExternalApi(control, api.detached, api.row, _flag)
    history = History(history_reader or NoHistory(), lambda: list(control.snapshot().everything))
    take_over = TakeOverApi(control, api.detached, external.view, _name, api.forget_sign_in)
    setting_up = SettingUpApi(control, api.detached, api.view)
    records = RecordsApi(activity or Activity(None), inspection or NoInspection(), api.detached)
    handlers: dict[str, Handler] = {
        "metrics": api.metrics,
        "document": api.document,
        "version": api.version,
        "events": (events or Events(control)).stream,
        "listing": api.listing,
        "add": api.editing.add,
        "edit": api.editing.edit,
        "workload_settings": api.editing.workload_settings,
        "settings": api.editing.settings,
        "change_settings": api.editing.change_settings,
        "catalog": catalog_search.catalog,
        "offers": setting_up.offers,
        "check": setting_up.check,
        "retry_all": api.retry_all,
        "stop_several": api.verb_for_several(Verb.PAUSE),
        "restart_several": api.verb_for_several(Verb.RESUME),
        "delete_several": api.remove_several,
        "configuration": api.configuration,
        "remove": api.editing.remove,
        "status": api.status,
        "token": api.token,
        "token_used": api.token_used,
        "client": clients.one,
        "clients": clients.several,
        "aggregate": clients.aggregate,
        "installed_clients": clients.installed,
        "connect_client": clients.connect,
        "disconnect_client": clients.disconnect,
        "retry": api.verb(Verb.RETRY),
        "stop": api.verb(Verb.PAUSE),
        "restart": api.verb(Verb.RESUME),
        "sign_out": api.verb(Verb.SIGN_OUT),
        "reauthorize": api.reauthorize,
        "cancel": api.cancel,
        "callback": api.callback,
        "secret": api.secret,
        "reload": api.reload,
        "external": external.listing,
        "external_status": external.status,
        "external_history": history.of(external.view),
        "external_restart": external.restart,
        "plan_take_over": take_over.plan,
        "take_over": take_over.take,
        "give_back": take_over.give_back,
        "history": history.of(api.view),
        "histories": history.all,
        "activity": records.activity,
        "activity_clients": records.clients,
        "clear_activity": records.clear,
        "diagnostics": records.diagnostics,
        "fix": records.fix,
        "log": records.log,
        "report": records.report,
        "app": api.app,
        "change_port": PortApi(control, api.detached, page_keys or PageKeys()).change,
        "dashboard": api.dashboard,
        "doctor": api.doctor,
        "quit": api.quit,
    }
    return openapi.register(handlers, open_=False)


def open_routes(page_keys: PageKeys | None = None) -> list[web.RouteDef]:
    """The routes that need no key, for `LoopbackServer(open_routes=…)`."""
    return openapi.register({"health": health, "session": PageSessions(page_keys or PageKeys()).session}, open_=True)


async def health(request: web.Request) -> web.Response:
    return empty_reply(204)


class _Api:
    """The handlers, in the order of the routes."""

    def __init__(self, control: Control, version: str, page_keys: PageKeys, now: Callable[[], float]) -> None:
        self._control = control
        self._page_keys = page_keys
        self._version = version
        self._now = now
        self._sign_ins = RequestedSignIns(control, self.detached, now)
        self._jobs: set[asyncio.Task[Any]] = set()
        self.editing = EditingApi(control, self.detached, self.view, self.row, self._sign_ins.forget)

    def forget_sign_in(self, name: str) -> None:
        """A workload is gone: a sign-in of a later one of its name is no repetition."""
        self._sign_ins.forget(name)

    def detached(self, what: str, job: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a job to its end even if the client disconnects: only the waiting is cancelled."""
        task = asyncio.create_task(job, name=what)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)
        return task

    def view(self, request: web.Request) -> WorkloadView:
        """The workload that the request names. Raises `Refusal` 400 or 404."""
        view = self._control.snapshot().workloads.get(_name(request))
        if view is None:
            raise _unknown()
        return view

    async def metrics(self, request: web.Request) -> web.Response:
        control = self._control
        page = metrics.render(
            control.snapshot(),
            control.counted(),
            now=time.time(),
            started_at=control.started_at,
            version=self._version,
        )
        return web.Response(body=page.encode(), headers={**OWN_HEADERS, "Content-Type": metrics.CONTENT_TYPE})

    async def document(self, request: web.Request) -> web.Response:
        return json_reply(openapi.document(self._version))  # built on demand, because it is rarely asked for

    async def version(self, request: web.Request) -> web.Response:
        return json_reply({"version": self._version})

    async def listing(self, request: web.Request) -> web.Response:
        views = listed_views(self._control.snapshot(), everything=_flag(request, "all"))
        return json_reply({"workloads": [self.row(request, view) for view in views]})

    def row(self, request: web.Request, view: WorkloadView) -> Json:
        port = request.url.port or 0  # the Host header has been checked, so this is our port
        created_at = self._control.created_at(view.name)
        return list_row_json(view, port=port, created_at=created_at, started_at=self._control.started_at)

    async def configuration(self, request: web.Request) -> web.Response:
        spec = self._control.spec(_name(request))
        if spec is None:
            raise _unknown()
        owner = await self._control.taken_over_from(spec.name)
        return json_reply(spec_json(spec) | {"taken_over_from": owner})

    async def status(self, request: web.Request) -> web.Response:
        return json_reply(status_json(self.view(request)) | {"sources": self._control.sources()})

    def verb(self, verb: Verb) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
        """A handler that posts an action for one workload."""

        async def post(request: web.Request) -> web.Response:
            view = self.view(request)
            await read_object(request, {})
            self._control.post(Action(verb, view.name))
            return empty_reply(202)

        return post

    def verb_for_several(self, verb: Verb) -> Callable[[web.Request], Coroutine[Any, Any, web.Response]]:
        """A handler that posts an action for each of the named workloads, or for none if one name is wrong."""

        async def post(request: web.Request) -> web.Response:
            for name in await self._names(request):
                self._control.post(Action(verb, name))
            return empty_reply(202)

        return post

    async def remove_several(self, request: web.Request) -> web.Response:
        return await self.editing.remove_all(await self._names(request))

    async def _names(self, request: web.Request) -> list[str]:
        """The body's `{"names": [...]}` without duplicates. Raises `Refusal` if any is wrong; there are no groups."""
        return self.known((await read_object(request, {"names": list})).get("names"))

    def known(self, names: object) -> list[str]:
        """These names, each once. Raises `Refusal` if any is wrong."""
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise Refusal(400, "bad_request", "The field names has to be a list of names of workloads.")
        known = self._control.snapshot().workloads
        for name in names:
            if not NAME.fullmatch(name):
                raise _bad_name()
            if name not in known:
                raise _unknown()
        return list(dict.fromkeys(names))

    async def retry_all(self, request: web.Request) -> web.Response:
        await read_object(request, {})
        self._control.post(Action(Verb.RETRY_ALL))
        return empty_reply(202)

    async def token(self, request: web.Request) -> web.Response:
        if request.get(PAGE, False):
            raise browser_refusal()
        refuse_browsers(request)
        view = self.view(request)
        validity = _seconds(request, "min_validity", MIN_VALIDITY, MIN_VALIDITY_MAX)
        answer = await self._control.token(view.name, validity, _seconds(request, "wait", 0.0, WAIT_MAX))
        if isinstance(answer, Unavailable):
            headers = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
            return json_reply(unavailable_json(answer), 503, headers)
        if answer.proof_key is not None:
            raise Refusal(409, "bound_token", bound_token(view.name))
        token = answer.value.reveal()
        return json_reply({"access_token": token, "token_type": "Bearer", "expires_at": rfc3339(answer.expires_wall)})

    async def token_used(self, request: web.Request) -> web.Response:
        """What a server thought of a token that a program got here."""
        view = self.view(request)
        body = await read_object(request, {"access_token": str, "accepted": bool})
        token, accepted = body.get("access_token"), body.get("accepted")
        if not isinstance(token, str) or not isinstance(accepted, bool):
            raise Refusal(400, "bad_request", "The fields access_token and accepted are required.")
        self._control.token_used(view.name, Secret(token), accepted=accepted)
        return empty_reply(202)

    async def reauthorize(self, request: web.Request) -> web.Response:
        view = self.view(request)
        body = await read_object(request, {"browser": bool, "accept": bool, "flow": str})
        browser, accept = bool(body.get("browser", True)), bool(body.get("accept", False))
        flow = body.get("flow", "")
        if flow not in FLOWS:
            raise Refusal(400, "bad_request", "The field flow has to be browser or device.")
        result = await self._sign_ins.url(view, browser=browser, accept=accept, flow=flow)
        if isinstance(result, Problem):
            field = "client_id" if result.kind == NEEDS_CLIENT else ""
            raise Refusal(409, result.kind, result.summary, field=field)
        steps, registered = list(self._control.steps(view.name)), self._control.registered(view.name)
        return json_reply({"authorization_url": result, "steps": steps, "registered": registered}, 202)

    async def secret(self, request: web.Request) -> web.Response:
        view = self.view(request)
        text = (await read_object(request, {"client_secret": str})).get("client_secret")
        if not isinstance(text, str) or not SECRET.fullmatch(text):
            raise Refusal(400, "bad_request", ASCII_HELP)
        problem = await asyncio.shield(
            self.detached(f"secret of {view.name}", self._control.set_secret(view.name, Secret(text) if text else None))
        )
        if problem is not None:
            raise Refusal(409, problem.kind, problem.summary)
        return empty_reply(204)

    async def cancel(self, request: web.Request) -> web.Response:
        name = self.view(request).name
        body = await read_object(request, {"register": bool})
        self._control.cancel_sign_in(name, register=bool(body.get("register", False)))
        self._sign_ins.cancelled(name)
        return empty_reply(202)

    async def callback(self, request: web.Request) -> web.Response:
        view = self.view(request)
        url = (await read_object(request, {"url": str})).get("url")
        if not isinstance(url, str) or not url:
            raise Refusal(400, "bad_request", "The field url has to hold the address that the browser ended up at.")
        problem = self._control.paste(view.name, url)
        if problem is not None:
            raise Refusal(400, problem.kind, problem.summary)
        return empty_reply(202)

    async def reload(self, request: web.Request) -> web.Response:
        await read_object(request, {})
        errors, warnings = await asyncio.shield(self.detached("reload", self._control.reload()))
        return json_reply({"ok": not errors, "errors": errors, "warnings": warnings})

    async def doctor(self, request: web.Request) -> web.Response:
        return json_reply(asdict(await asyncio.shield(self.detached("doctor", self._control.report()))))

    async def app(self, request: web.Request) -> web.Response:
        return json_reply(app_json(self._control.snapshot(), self._version, self._control.started_at))

    async def dashboard(self, request: web.Request) -> web.Response:
        await read_object(request, {})
        port = request.url.port or 0  # the Host header has been checked, so this is our port
        return json_reply({"url": f"http://127.0.0.1:{port}/#once={self._page_keys.link().reveal()}"})

    async def quit(self, request: web.Request) -> web.Response:
        await read_object(request, {})
        self._control.quit()
        return empty_reply(202)


def _unknown() -> Refusal:
    return Refusal(404, "unknown_workload", NO_SUCH_WORKLOAD)


def _name(request: web.Request) -> str:
    name = request.match_info["name"]
    if not NAME.fullmatch(name):
        raise _bad_name()
    return name


def _bad_name() -> Refusal:
    rule = "1 to 63 of a-z, 0-9, _ and -, the first a letter or digit"
    return Refusal(400, "bad_name", f"A workload's name is {rule}.")


def _flag(request: web.Request, key: str) -> bool:
    text = request.query.get(key, "false")
    if text not in ("true", "false"):
        raise Refusal(400, "bad_request", f"The parameter {key} has to be true or false.")
    return text == "true"


def _seconds(request: web.Request, key: str, default: float, maximum: float) -> float:
    try:
        value = float(request.query.get(key, default))
    except ValueError:
        value = math.nan
    if not 0 <= value <= maximum:  # false for NaN too
        limit = f"0 to {maximum:.0f}"
        raise Refusal(400, "bad_request", f"The parameter {key} has to be a number of seconds from {limit}.")
    return value
