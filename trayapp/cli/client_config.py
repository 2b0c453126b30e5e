"""`amberlight client-config`: prints settings for a client, and warnings on standard error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trayapp.cli.client import ApiClient
from trayapp.cli.codes import FAILED, OK
from trayapp.cli.listing import app_state
from trayapp.cli.output import clean, print_error, print_line
from trayapp.clients.connecting import not_lasting_text


def show(client: ApiClient, answer: Mapping[str, Any], name: str, program: str, *, logins: str = "the login") -> int:
    """Print the app's settings for this client. `logins` names what the key in them opens.

    During an outage the address is one that nobody should write down.
    """
    texts = answer.get("settings")
    text = texts.get(program) if isinstance(texts, Mapping) else None
    if not isinstance(text, str):
        print_error(f"amberlight: Amberlight sent no settings for {program}. If you updated it, restart it.")
        return FAILED
    lasting = answer.get("lasting") is True or str(answer.get("url")) not in text
    if not lasting and (problem := outage_text(client)):
        print_error(f"amberlight: {problem}")
        return FAILED
    print_line(text)
    if answer.get("headers"):
        print_error(
            f"amberlight: this contains the local key of {name}. Anyone who has it can use {logins} from this machine. "
            "Keep it out of shared files and version control."
        )
    if not lasting:
        print_error(f"amberlight: {not_lasting_text(str(answer.get('url')))}")
    return OK


def outage_text(client: ApiClient) -> str:
    """Why clients can't reach the app and what to do, as it says; empty if they can."""
    outage = app_state(client).get("outage")
    return f"{clean(outage.get('text'))} {clean(outage.get('command_help'))}" if isinstance(outage, Mapping) else ""
