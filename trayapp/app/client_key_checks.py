"""Checks for `doctor` of the private keys that clients prove themselves with: each file is read as before a request."""

from __future__ import annotations

import asyncio

from trayapp.config.loader import Config
from trayapp.core.checks import OK, PROBLEM, Check

NAME = "client key"
KEYS_MAX = 10  # one is usual
HELP = "Until then, logins that need it can't be refreshed. They aren't lost."


async def client_keys(config: Config | None) -> list[Check]:
    """One check for each key file that the configuration names. Nothing is loaded if there is none."""
    if config is None:
        return []
    files = sorted({each.client_key_file for each in config.workloads.values() if each.client_key_file})
    return [await asyncio.to_thread(_checked, file) for file in files[:KEYS_MAX]]


def _checked(file: str) -> Check:
    from trayapp.oauth.signing import KeyUnusableError, private_key, read_key_file

    try:
        private_key(read_key_file(file))
    except KeyUnusableError as error:
        return Check(NAME, PROBLEM, f"{file} {error}.", HELP)
    return Check(NAME, OK, f"{file} can be used.")
