"""`amberlight report`: a file to attach to a bug report. It has no secrets, and a person can read all of it.

Everything passes through `core/redaction.py`, which also knows the keys that this installation has.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from trayapp.app.report import contents, file_name, report_text
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import OK
from trayapp.cli.doctor import run_checks
from trayapp.cli.output import clean, print_json, print_line, print_result
from trayapp.config.paths import Paths
from trayapp.system.private_files import create_private, errors_name

Json = dict[str, Any]


def report(arguments: argparse.Namespace, paths: Paths) -> int:
    now = time.time()
    made = contents(paths, os.environ, now, app(paths), run_checks(paths, os.environ))
    if arguments.format == "json" and arguments.output in (None, "-"):
        print_json(made)
        return OK
    text = json.dumps(made, indent=2, ensure_ascii=False) if arguments.format == "json" else report_text(made)
    if arguments.output == "-":
        print_line(text)
        return OK
    file = _written(arguments.output or "", file_name(now), text)
    said = f"Wrote {clean(file)}. It has no secrets, but names your workloads and servers. Read it before you send it."
    print_result(arguments, said, file=str(file))
    return OK


def _written(chosen: str, named: str, text: str) -> Path:
    """Write the file of the chosen name, or the first of our own that is free. Raises `OSError`."""
    if chosen:
        _write_new(Path(chosen), text)
        return Path(chosen)
    file, number = Path(named), 1
    while True:
        try:
            _write_new(file, text)
            return file
        except FileExistsError:  # there may be several in a second
            number += 1
            file = Path(named).with_stem(f"{Path(named).stem}-{number}")


def _write_new(file: Path, text: str) -> None:
    """A new file that only its owner can read, whole or not at all. Raises `OSError` if there is one already."""
    with errors_name(file):
        handle = create_private(file, os.O_WRONLY)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as opened:
                opened.write(text + "\n")
        except OSError:
            file.unlink(missing_ok=True)
            raise


def app(paths: Paths) -> Json:
    """How the running app and its workloads are, or why nobody can tell."""
    try:
        client = ApiClient.of(paths)
        return {"state": client.app(), "workloads": [*client.workloads(), *client.external()[0]]}
    except NotRunningError as error:
        return {"problem": f"Amberlight isn't running. {error}".strip()}
    except ApiError as error:
        return {"problem": str(error)}
