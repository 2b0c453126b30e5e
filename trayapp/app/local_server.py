"""What the loopback server serves: the API, the dashboard, the sign-in link's page, the proxy and `/mcp`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from urllib.parse import urlsplit

from trayapp import __version__
from trayapp.api.api import open_routes, routes
from trayapp.api.controls import Control
from trayapp.api.events import Events
from trayapp.api.history import HistoryReader
from trayapp.api.pagekeys import PageKeys
from trayapp.api.pages import Pages
from trayapp.api.reauthorize_page import ReauthorizePage
from trayapp.api.records import Inspection
from trayapp.core.model import Spec
from trayapp.core.snapshot import Status, WorkloadView
from trayapp.proxy.aggregate import Aggregate
from trayapp.proxy.proxy import Proxy
from trayapp.server.server import LoopbackServer
from trayapp.storage.activity import Activity


def server_factory(
    runtime_dir: Path,
    control: Control,
    events: Events,
    page_keys: PageKeys,
    history: HistoryReader,
    reauthorize_page: ReauthorizePage,
    aggregate: Aggregate,
    proxy: Proxy,
    allowed_users: Callable[[], Collection[int]],
    activity: Activity,
    inspection: Inspection,
) -> Callable[[int], LoopbackServer]:
    """Makes servers by their port. All of them serve the same, each with an API key of its own."""

    def make(port: int) -> LoopbackServer:
        return LoopbackServer(
            port=port,
            runtime_dir=runtime_dir,
            version=__version__,
            routes=routes(
                control,
                version=__version__,
                events=events,
                page_keys=page_keys,
                history_reader=history,
                activity=activity,
                inspection=inspection,
            ),
            open_routes=[
                *open_routes(page_keys),
                *reauthorize_page.routes(),
                *aggregate.routes(),
                *proxy.routes(),
            ],
            pages=[*Pages().routes(), *reauthorize_page.pages()],
            direct=proxy.direct(),
            page_key=lambda key: page_keys.admits(key) or aggregate.admits(key),
            allowed_origins=proxy.allowed_origins,
            allowed_users=allowed_users,
        )

    return make


def sign_in_host(view: WorkloadView | None, spec: Spec | None) -> str | None:
    """The host of a workload that waits for a person's sign-in; None for any other."""
    if view is None or spec is None or view.status is not Status.UNAUTHENTICATED:
        return None
    return urlsplit(spec.url).hostname
