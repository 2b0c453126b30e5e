"""Starts the app in the background, if none runs, and waits until it answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from trayapp.app.log_tail import last_lines
from trayapp.cli.client import ApiClient, ApiError, Json, NotRunningError
from trayapp.cli.output import clean
from trayapp.config import quit_marker
from trayapp.config.paths import Paths
from trayapp.stdio.starter import Starter

START_LIMIT = 20.0  # s until the app answers; a second as a rule
POLL = 0.1  # s

T = TypeVar("T")


class StartFailedError(Exception):
    """It didn't start, or doesn't answer. The text says why, in one or more lines."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The app, what it answered, and whether it was started for this."""

    client: ApiClient
    answer: Json
    started: bool


def app_that_answers(
    paths: Paths,
    ask: Callable[[ApiClient], Json],
    *,
    starter: Starter | None = None,
    limit: float = START_LIMIT,
) -> Answered:
    """Ask the app once it answers. Raises `StartFailedError`, or `ApiError` if it refuses."""
    quit_marker.clear(paths)  # who runs this wants it to run
    starter, started, problem = starter or Starter(paths), False, ""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        try:
            client = ApiClient.of(paths)
            return Answered(client, ask(client), started)
        except NotRunningError:
            waiting, sentence = starter.ensure()
            if not waiting:
                told = str(paths.background_log_file) in sentence
                raise StartFailedError(sentence + (_last_words(paths) if told else "")) from None
            started = True
        except ApiError as error:
            early = started and error.status == 403  # server.json is still that of a killed one
            if error.status and not early:  # an answer, and not the first moment of its life
                raise
            problem = str(error)
        time.sleep(POLL)
    raise StartFailedError(problem or f"Amberlight didn't start within {limit:g} seconds. See: amberlight logs")


def _last_words(paths: Paths) -> str:
    """The app's last output before it ended, on a line of its own; empty if there was none."""
    try:
        return "".join(f"\n{clean(line)}" for line in last_lines(paths.background_log_file, 1))
    except OSError:
        return ""
