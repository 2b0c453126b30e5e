"""Checks for `doctor` of hosted client metadata documents: each is fetched as a sign-in server would, and read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trayapp.config.loader import Config
from trayapp.core.checks import OK, PROBLEM, WARNING, Check
from trayapp.core.outcomes import Fault

if TYPE_CHECKING:
    from trayapp.oauth.wire import Wire

NAME = "client metadata"
DOCUMENTS_MAX = 10  # one is usual
PRINT = "Host what `amberlight client-metadata` prints, as application/json and without a redirect."


async def client_documents(config: Config | None) -> list[Check]:
    """One check for each document and redirect port that the configuration names. Nothing is loaded if there is none."""
    if config is None:
        return []
    specs: list[tuple[str, int, bool | None]] = (
        [(config.settings.client_metadata_url, 0, None)] if not config.workloads else []
    )
    specs += [
        (each.client_metadata_url, each.redirect_port, bool(each.client_key_file)) for each in config.workloads.values()
    ]
    wanted = sorted({each for each in specs if each[0]})[:DOCUMENTS_MAX]
    if not wanted:
        return []
    from trayapp.oauth.wire import Wire

    wire = Wire()
    return list(await asyncio.gather(*(_checked(url, port, wire, keyed) for url, port, keyed in wanted)))


async def _checked(url: str, port: int, wire: Wire, keyed: bool | None) -> Check:
    from trayapp.oauth.client_document import look, unreachable

    fault = await look(url, port, wire, keyed=keyed)
    if isinstance(fault, Fault):
        help_ = "Sign-in servers that use it must be able to fetch it. Until then, they refuse the sign-in."
        return Check(NAME, WARNING, f"{url}: {unreachable(fault, urlsplit(url).hostname or '')}", help_)
    if fault:
        return Check(NAME, PROBLEM, f"{url} {fault}.", PRINT)
    return Check(NAME, OK, f"{url} can be fetched and is complete.")
