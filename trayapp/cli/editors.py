"""A text in the person's own editor, until what comes back is valid or they give up."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from trayapp.cli.output import clean, print_error
from trayapp.cli.questions import can_ask, confirmed
from trayapp.system.processes import findable

FOUND = ("sensible-editor", "editor", "nano", "vim", "vi", "notepad")  # tried if neither variable is set


class NoEditorError(Exception):
    """No editor could be started; the message says why."""


def edited(text: str, name: str, problem: Callable[[str], str], environ: Mapping[str, str] = os.environ) -> str | None:
    """The text as the person saved it; None if they gave up. `problem` says why a text isn't valid, or is empty.

    Raises `NoEditorError`. A draft that isn't valid is offered for another try, and kept in a file in the end.
    """
    directory = Path(tempfile.mkdtemp(prefix="amberlight-"))  # 0700
    draft = directory / name
    draft.write_text(text, encoding="utf-8", newline="")
    try:
        while True:
            _open(draft, environ)
            new, why = _read(draft, text)
            if not (why := why or problem(new)):
                shutil.rmtree(directory, ignore_errors=True)
                return new
            print_error("\n".join(f"amberlight: {clean(line)}" for line in why.splitlines()))
            if not _again():
                print_error(f"Nothing was changed. Your draft: {draft}")
                return None
    except NoEditorError:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def _read(draft: Path, old: str) -> tuple[str, str]:
    """The draft with the line ends of the old text, whatever the editor made of them; and why it can't be read, or nothing."""
    try:
        new = draft.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return "", f"{draft} isn't UTF-8 text. Save it as UTF-8"
    return (new if "\r\n" in old else new.replace("\r\n", "\n")), ""


def _again() -> bool:
    return can_ask() and confirmed("Edit it again?", enter=True)


def _open(file: Path, environ: Mapping[str, str]) -> None:
    words = [*_command(environ), str(file)]
    try:
        code = subprocess.run(findable(words) if os.name == "nt" else words, check=False).returncode
    except OSError as error:
        raise NoEditorError(f"the editor {words[0]} can't be started: {error.strerror}. Set EDITOR") from None
    if code:
        raise NoEditorError(f"the editor {words[0]} failed (exit code {code}). Nothing was changed")


def _command(environ: Mapping[str, str]) -> list[str]:
    for variable in ("VISUAL", "EDITOR"):
        try:
            words = (
                windows_words(environ.get(variable, "")) if os.name == "nt" else shlex.split(environ.get(variable, ""))
            )
        except ValueError:
            raise NoEditorError(f"{variable} isn't a command: a quotation mark has no end") from None
        if words:
            return words
    found = next((program for program in FOUND if shutil.which(program)), None)
    if found is None:
        example = "setx EDITOR notepad" if os.name == "nt" else "export EDITOR=nano"
        raise NoEditorError(f"no editor was found. Set EDITOR, for example: {example}")
    return [found]


def windows_words(command: str) -> list[str]:
    """The words of a command as Windows writes it: backslashes are part of paths, and quotation marks hold spaces together.

    A path with spaces needs none if the whole text names a file. Raises `ValueError` if a quotation mark has no end.
    """
    if Path(command).is_file():
        return [command]
    if command.count('"') % 2:
        raise ValueError(command)
    # What a quotation mark encloses, and everything up to a space beside it, is one word.
    return [word.replace('"', "") for word in re.findall(r'(?:"[^"]*"|[^\s"])+', command)]
