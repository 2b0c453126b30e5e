"""A new workload that a page or a program asks for: checked like the configuration, written into it, read from it.

What is wrong is said with the name of the field, so that a form can say it where it was typed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from trayapp.api.controls import RejectedWorkload
from trayapp.config.loader import ConfigError, Mistake
from trayapp.config.paths import Paths
from trayapp.config.settings import IN_WORKLOAD, NAME, NAME_HELP

BAD, TAKEN, BROKEN = "bad_value", "name_taken", "configuration"


async def add(
    name: str,
    keys: Mapping[str, Any],
    *,
    paths: Paths,
    known: Callable[[str], bool],
    reload: Callable[[], tuple[list[str], list[str]]],
) -> RejectedWorkload | None:
    """Write `[workloads.NAME]` and take it up; None if that went well. Nothing is written if anything is wrong.

    `known` says whether there is a workload of that name, `reload` reads the configuration again.
    """
    if (wrong := _wrong(name, keys)) is not None:
        return wrong
    if known(name):
        return RejectedWorkload(409, TAKEN, "name", f"There is already a workload {name}.")
    try:
        await asyncio.to_thread(_write, paths, name, keys)  # it waits for a lock and for the disk
    except ConfigError as error:
        return _of_file(name, error.mistakes[0])
    except OSError as error:
        file = error.filename or paths.config_file
        return RejectedWorkload(409, BROKEN, "", f"{file} cannot be written: {error.strerror}.")
    except _EditFailedError as error:
        return RejectedWorkload(409, BROKEN, "", _sentence(str(error)))
    errors, _ = reload()
    if errors or not known(name):
        why = errors[0] if errors else f"The configuration does not name {name}"
        return RejectedWorkload(409, BROKEN, "", _sentence(why))
    return None


class _EditFailedError(Exception):
    """`config_edit` changed nothing."""


def _write(paths: Paths, name: str, keys: Mapping[str, Any]) -> None:
    from trayapp.config import editor  # with tomlkit, for those who add something

    try:
        editor.add(paths, name, keys)
    except editor.EditError as error:
        raise _EditFailedError(str(error)) from None


def _wrong(name: str, keys: Mapping[str, Any]) -> RejectedWorkload | None:
    """The first field that is not as it has to be."""
    if not NAME.fullmatch(name):
        return RejectedWorkload(400, BAD, "name", _sentence(NAME_HELP))
    for key, value in keys.items():
        try:
            IN_WORKLOAD[key].check(value)
        except ValueError as error:
            return RejectedWorkload(400, BAD, key, _sentence(f"{key} {error}"))
    return None


def _of_file(name: str, mistake: Mistake) -> RejectedWorkload:
    """About the new entry: the field is named. About the rest of the file: where it is wrong."""
    path = f"workloads.{name}"
    if mistake.key != path and not mistake.key.startswith(f"{path}."):
        return RejectedWorkload(409, BROKEN, "", _sentence(str(mistake)))
    field = mistake.key.removeprefix(path).lstrip(".") or mistake.sentence.split(" ")[0]
    return RejectedWorkload(400, BAD, field if field in IN_WORKLOAD else "", _sentence(mistake.sentence))


def _sentence(words: str) -> str:
    """With a capital letter and a full stop, unless it begins with a file or a key."""
    begun = words[:1].upper() + words[1:] if words[:2].islower() and "_" not in words.split(" ")[0] else words
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."
