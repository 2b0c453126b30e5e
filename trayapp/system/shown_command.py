"""Commands as people read and copy them, quoted for the shell of this system.

On Windows that may be PowerShell or the command processor: the latter doesn't know single quotes, so double ones are
used. PowerShell runs a quoted program only after `&`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable

_PLAIN = re.compile(r"[\w@+=:./\\-]+")


def quoted(word: str, system: str = os.name) -> str:
    """One word of a command."""
    if system != "nt":
        return shlex.quote(word)
    return word if _PLAIN.fullmatch(word) else '"{}"'.format(word.replace('"', r"\""))


def shown(command: Iterable[str], system: str = os.name) -> str:
    """A whole command."""
    return " ".join(quoted(word, system) for word in command)


def allow_changes(file: str, system: str = os.name) -> str:
    """The command after which its owner may change a file."""
    return f"{'attrib -r' if system == 'nt' else 'chmod u+w'} {quoted(file, system)}"
