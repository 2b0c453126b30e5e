"""Add a workload for the API: check it like the configuration, write it into the file, and read it from there.

A rejection names the field, so that a form can show it where it was typed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from trayapp.api.controls import RejectedWorkload
from trayapp.config.loader import ConfigError, Mistake
from trayapp.config.paths import Paths
from trayapp.config.settings import IN_WORKLOAD, NAME, NAME_HELP

BAD_VALUE, NAME_TAKEN, BAD_FILE = "bad_value", "name_taken", "configuration"


async def add(
    name: str,
    keys: Mapping[str, Any],
    *,
    paths: Paths,
    known: Callable[[str], bool],
    reload: Callable[[], Awaitable[tuple[list[str], list[str]]]],
) -> RejectedWorkload | None:
    """Write `[workloads.NAME]` and load it; None, or why it was rejected. Nothing is written if any field is wrong.

    `known` says whether there is a workload of that name; `reload` reads the configuration again and returns its errors
    and warnings.
    """
    if (rejected := _first_bad_field(name, keys)) is not None:
        return rejected
    if known(name):
        return RejectedWorkload(409, NAME_TAKEN, "name", f"There is already a workload {name}.")
    errors, _ = await reload()
    if errors:  # also a file that is missing, which would otherwise be made anew with this workload alone
        return RejectedWorkload(409, BAD_FILE, "", _sentence(errors[0]))
    try:
        await asyncio.to_thread(_write, paths, name, keys)  # waits for a lock and for the disk
    except ConfigError as error:
        return _from_mistake(name, error.mistakes[0])
    except OSError as error:
        file = error.filename or paths.config_file
        return RejectedWorkload(409, BAD_FILE, "", f"{file} cannot be written: {error.strerror}.")
    except _EditFailedError as error:
        return RejectedWorkload(409, BAD_FILE, "", _sentence(str(error)))
    errors, _ = await reload()
    if errors or not known(name):
        reason = errors[0] if errors else f"The configuration does not name {name}"
        return RejectedWorkload(409, BAD_FILE, "", _sentence(reason))
    return None


class _EditFailedError(Exception):
    """`config.editor` refused, and changed nothing."""


def _write(paths: Paths, name: str, keys: Mapping[str, Any]) -> None:
    """In a thread: add the table to the file."""
    from trayapp.config import editor  # imports tomlkit, which only adding needs

    try:
        editor.add(paths, name, keys)
    except editor.EditError as error:
        raise _EditFailedError(str(error)) from None


def _first_bad_field(name: str, keys: Mapping[str, Any]) -> RejectedWorkload | None:
    """The first field whose value is not valid."""
    if not NAME.fullmatch(name):
        return RejectedWorkload(400, BAD_VALUE, "name", _sentence(NAME_HELP))
    for key, value in keys.items():
        try:
            IN_WORKLOAD[key].check(value)
        except ValueError as error:
            return RejectedWorkload(400, BAD_VALUE, key, _sentence(f"{key} {error}"))
    return None


def _from_mistake(name: str, mistake: Mistake) -> RejectedWorkload:
    """A mistake in the new entry names its field; one elsewhere in the file says where."""
    path = f"workloads.{name}"
    if mistake.key != path and not mistake.key.startswith(f"{path}."):
        return RejectedWorkload(409, BAD_FILE, "", _sentence(str(mistake)))
    field = mistake.key.removeprefix(path).lstrip(".") or mistake.sentence.split(" ")[0]
    return RejectedWorkload(400, BAD_VALUE, field if field in IN_WORKLOAD else "", _sentence(mistake.sentence))


def _sentence(text: str) -> str:
    """With a capital letter and a full stop, unless it begins with a file or a key."""
    capitalized = text[:1].upper() + text[1:] if text[:2].islower() and "_" not in text.split(" ")[0] else text
    return capitalized if capitalized.endswith((".", "!", "?")) else f"{capitalized}."
