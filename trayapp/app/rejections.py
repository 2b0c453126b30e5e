"""Why an edit of the configuration is rejected, by field where it was typed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trayapp.api.controls import Rejected
from trayapp.config.loader import ConfigError, Mistake
from trayapp.config.settings import IN_SETTINGS, IN_WORKLOAD, NAME, NAME_HELP

BAD_VALUE, NAME_TAKEN, BAD_FILE, CHANGED = "bad_value", "name_taken", "configuration", "changed"
UNKNOWN_KEY = "There's no such setting."


class RejectedError(Exception):
    """Nothing was changed."""

    def __init__(self, rejected: Rejected) -> None:
        super().__init__(rejected.message)
        self.rejected = rejected


def check_fields(name: str, keys: Mapping[str, Any]) -> None:
    """Raise `RejectedError` with all values of a workload that are invalid."""
    wrong = {} if NAME.fullmatch(name) else {"name": f"{NAME_HELP}." if name else "Enter a name."}
    raise_if(wrong | _wrong(keys, IN_WORKLOAD))


def check_settings(changes: Mapping[str, Any]) -> None:
    """Raise `RejectedError` with all settings that are invalid."""
    raise_if(_wrong({key: value for key, value in changes.items() if value is not None}, IN_SETTINGS))


def _wrong(keys: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, str]:
    wrong = {}
    for key, value in keys.items():
        try:
            if key not in known:
                raise ValueError(UNKNOWN_KEY)
            known[key].check(value)
        except ValueError as error:
            wrong[key] = sentence(str(error))
    return wrong


def raise_if(wrong: Mapping[str, str]) -> None:
    """Raise `RejectedError` if anything is wrong."""
    if wrong:
        raise RejectedError(_bad_values(wrong))


def _bad_values(wrong: Mapping[str, str]) -> Rejected:
    named = (text if text.lower().startswith(f"{key} ") else f"{key}: {text}" for key, text in wrong.items())
    return Rejected(400, BAD_VALUE, " ".join(named), wrong)


def site_file(name: str, file: Path) -> Rejected:
    """The workload is in the system-wide file."""
    return bad_file(f"{name} is in {file}, which only an administrator can change.")


def name_taken(name: str) -> Rejected:
    """There is a workload of this name."""
    text = f"A workload named {name} already exists."
    return Rejected(409, NAME_TAKEN, text, {"name": text})


def bad_file(text: str) -> Rejected:
    """The files can't be read or written as they are."""
    return Rejected(409, BAD_FILE, sentence(text))


@contextlib.contextmanager
def raised(file: Path) -> Iterator[None]:
    """Whatever reading or editing `file` raises becomes a `RejectedError`."""
    from trayapp.config.editor import ChangedError, EditError, NameTakenError

    try:
        yield
    except ConfigError as error:
        raise RejectedError(_of_mistakes(error.mistakes)) from None
    except NameTakenError as error:
        text = sentence(str(error))
        raise RejectedError(Rejected(409, NAME_TAKEN, text, {"name": text})) from None
    except ChangedError as error:
        raise RejectedError(Rejected(412, CHANGED, sentence(str(error)))) from None
    except EditError as error:
        raise RejectedError(bad_file(str(error))) from None
    except OSError as error:
        raise RejectedError(bad_file(f"{error.filename or file} can't be changed: {error.strerror}")) from None


def _of_mistakes(mistakes: tuple[Mistake, ...]) -> Rejected:
    """Mistakes in what was typed name their fields; one elsewhere in the file says where."""
    wrong: dict[str, str] = {}
    for mistake in mistakes:
        *table, key = mistake.key.split(".")
        if table == ["workloads"]:  # about the whole entry: its sentence begins with what is missing
            key = mistake.sentence.split(" ")[0]
        if key not in IN_WORKLOAD and key not in IN_SETTINGS:
            return bad_file(str(mistake))
        wrong.setdefault(key, sentence(mistake.sentence))
    return _bad_values(wrong)


def sentence(text: str) -> str:
    """With a capital letter and a full stop, unless it begins with a file or a key."""
    capitalized = text[:1].upper() + text[1:] if text[:2].islower() and "_" not in text.split(" ")[0] else text
    return capitalized if capitalized.endswith((".", "!", "?")) else f"{capitalized}."
