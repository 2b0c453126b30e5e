"""`amberlight set`: one setting of a workload or of the app, written as in the documentation or as people say it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from trayapp.cli.client import ApiClient, NotRunningError
from trayapp.cli.codes import OK, USAGE
from trayapp.cli.output import clean, print_error, print_result
from trayapp.config.paths import Paths

START_AT_LOGIN, PORT = "start_at_login", "port"
FLAGS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
LISTS = ("durations", "texts", "choices")


def set_value(arguments: argparse.Namespace, paths: Paths) -> int:
    name, key, values = split(arguments.words, reset=arguments.reset)
    try:
        value = None if arguments.reset else parsed(key, values, of_workload=bool(name))
    except ValueError as error:
        print_error(f"amberlight: {error}\nSee `amberlight set --help`.")
        return USAGE
    if name:
        from trayapp.cli.edit_command import change

        return change(arguments, paths, name, {key: value})
    try:
        client = ApiClient.of(paths)
    except NotRunningError:
        if key == START_AT_LOGIN:
            raise
        return _change_file(arguments, paths, key, value)
    notes = [
        row.get("note") for row in client.change_settings({key: value}).get("settings", ()) if row.get("name") == key
    ]
    text = clean(next(filter(None, notes), "")) if key == PORT else ""
    print_result(arguments, text or done_text(key, value), key=key, value=value)
    return OK


def _change_file(arguments: argparse.Namespace, paths: Paths, key: str, value: Any) -> int:
    from trayapp.config import editor
    from trayapp.config.described import SETTINGS

    editor.change(paths, SETTINGS, {key: value})
    print_result(arguments, done_text(key, value), key=key, value=value)
    return OK


def done_text(key: str, value: Any) -> str:
    """What was done."""
    from trayapp.config.toml_values import value_text

    return f"{key} is reset to its default." if value is None else f"{key} is {value_text(value)} now."


def split(words: Sequence[str], *, reset: bool) -> tuple[str, str, Sequence[str]]:
    """The workload, or "" for the app's own settings; the key; and the values."""
    from trayapp.config.settings import IN_SETTINGS, IN_WORKLOAD

    own = words[0] in IN_SETTINGS or words[0] == START_AT_LOGIN
    if len(words) < (2 if reset else 3) or (own and words[1] not in IN_WORKLOAD):
        return "", words[0], words[1:]
    return words[0], words[1], words[2:]


def parsed(key: str, values: Sequence[str], *, of_workload: bool) -> Any:
    """The value as in config.toml. Raises `ValueError` with a sentence."""
    from trayapp.config.checks import flag
    from trayapp.config.kinds import KINDS
    from trayapp.config.settings import IN_SETTINGS, IN_WORKLOAD

    known = IN_WORKLOAD if of_workload else IN_SETTINGS
    if key not in known and not (key == START_AT_LOGIN and not of_workload):
        raise ValueError(_unknown(key, of_workload=of_workload))
    check = flag if key == START_AT_LOGIN else known[key].check
    kind = KINDS[check].name
    if not values:
        raise ValueError(f"{key}: add its value, or --reset")
    if kind not in LISTS and len(values) > 1:
        raise ValueError(f"{key} takes one value. Put it in quotes if it has spaces")
    value = _value(key, kind, values)
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    return value


def _unknown(key: str, *, of_workload: bool) -> str:
    from difflib import get_close_matches

    from trayapp.config.settings import IN_SETTINGS, IN_WORKLOAD

    near = get_close_matches(key, IN_WORKLOAD if of_workload else [*IN_SETTINGS, START_AT_LOGIN], 1, 0.6)
    if not of_workload and key in IN_WORKLOAD:
        return f"{key} is a setting of a workload: amberlight set NAME {key} VALUE"
    if of_workload and key in IN_SETTINGS:
        return f"{key} is a setting of Amberlight: amberlight set {key} VALUE"
    return f"there's no setting {clean(key)}." + (f" Did you mean {near[0]}?" if near else "")


def _value(key: str, kind: str, values: Sequence[str]) -> Any:
    if kind in LISTS:
        items = [item for value in values for item in re.split(r"[\s,]+", value) if item]
        return [int(item) if key == "allowed_users" and item.isdecimal() else item for item in items]
    (text,) = values
    if kind == "flag":
        return FLAGS.get(text.strip().lower(), text)
    if kind in ("count", "port") and re.fullmatch(r"-?[0-9]{1,9}", text.strip()):
        return int(text)
    if kind == "number":
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            return text
    if kind == "url":
        from trayapp.config.corrections import corrected_address

        return corrected_address(text)
    return text.strip()
