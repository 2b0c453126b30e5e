"""Options of `add` and `edit` as keys of a workload's entry, and what a running app says of a changed file."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from trayapp.cli.output import clean, print_error

_TEXTS = (
    "url",
    "issuer",
    "metadata_url",
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "device_authorization_endpoint",
    "client_id",
    "resource",
    "redirect_port",
)


def configuration_keys(arguments: argparse.Namespace) -> Mapping[str, Any]:
    """The keys that were given."""
    found = {key: getattr(arguments, key) for key in _TEXTS}
    found |= {"scopes": arguments.scope, "hosts": arguments.host, "flow": "device" if arguments.device else None}
    given = {key: value for key, value in found.items() if value is not None}
    return {**getattr(arguments, "preset", {}), **given}


def key_errors(keys: Mapping[str, Any]) -> list[str]:
    """Mistakes in the options, in terms of the command line. The messages are those of `config/settings.py`."""
    from trayapp.config.settings import IN_WORKLOAD

    sentences = []
    for key, value in keys.items():
        try:
            IN_WORKLOAD[key].check(value)
        except ValueError as error:
            option = {"url": "URL", "scopes": "--scope", "hosts": "--host"}.get(key, "--" + key.replace("_", "-"))
            sentences.append(f"{option}: {error}")
    return sentences


def report_reload(answer: Mapping[str, Any]) -> bool:
    """Print the app's errors and warnings; whether it took the new configuration."""
    for sentence in (*(answer.get("errors") or ()), *(answer.get("warnings") or ())):
        print_error(f"amberlight: {clean(sentence)}")
    if answer.get("ok") is not True:
        print_error("amberlight: Amberlight keeps its previous configuration")
        return False
    return True
