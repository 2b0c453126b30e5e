"""`amberlight change-port`: the running app listens on another port, and clients' files are updated."""

from __future__ import annotations

import argparse

from trayapp.cli.client import BASE, SLOW_LIMIT, ApiClient
from trayapp.cli.codes import FAILED, OK
from trayapp.cli.output import clean, print_result
from trayapp.config.paths import Paths


def change_port(arguments: argparse.Namespace, paths: Paths) -> int:
    """Exit code 1 if a client's file could not be updated."""
    body = {} if arguments.port is None else {"port": arguments.port}
    answer = ApiClient.of(paths).request("POST", f"{BASE}/port", body, SLOW_LIMIT)
    facts = {key: answer.get(key) for key in ("port", "updated", "failed")}
    print_result(arguments, clean(answer.get("message")), **facts)
    return FAILED if answer.get("failed") else OK
