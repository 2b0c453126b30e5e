"""`amberlight client-config`: prints settings for another program, and warnings on standard error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trayapp.cli.codes import FAILED, OK
from trayapp.cli.output import print_error, print_line


def show(answer: Mapping[str, Any], name: str, program: str, *, logins: str = "the login") -> int:
    """Print what the app returned for this program. `logins` names what the key in it opens."""
    texts = answer.get("settings")
    text = texts.get(program) if isinstance(texts, Mapping) else None
    if not isinstance(text, str):
        print_error(f"amberlight: the app's answer holds no settings for {program}; is it another version?")
        return FAILED
    print_line(text)
    if answer.get("headers"):
        print_error(
            f"amberlight: this holds the local key of {name}: whoever has it may use {logins} from this machine. "
            "Keep it out of shared files and version control."
        )
    if answer.get("lasting") is not True:
        print_error(
            "amberlight: this port is good until Amberlight ends; set a fixed `port` in config.toml to keep it."
        )
    return OK
