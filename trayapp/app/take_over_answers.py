"""What the person is told about a take-over and about undoing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trayapp.api.controls import Rejected
from trayapp.core.model import Problem

if TYPE_CHECKING:  # loaded when somebody takes a workload over
    from trayapp.external.moving import Done
    from trayapp.external.take_over import Plan

UNKNOWN = "not_taken_over"
UNKNOWN_WORKLOAD = "unknown_workload"  # the kinds of problems that are a 404


def outcome(done: Sequence[Done] | Problem) -> tuple[tuple[str, ...], list[str], str]:
    """Titles of the clients that were updated, sentences on the others, and what to do so that they notice."""
    if isinstance(done, Problem):
        return (), [done.summary], ""
    from trayapp.external.moving import restarts

    updated = tuple(dict.fromkeys(each.title for each in done if not each.problem))
    return updated, [each.problem for each in done if each.problem], restarts(done)


def taken_text(plan: Plan) -> str:
    as_name = f" as {plan.name}" if plan.name != plan.theirs else ""
    return f"Took over {plan.theirs} from {plan.owner}{as_name}."


def updated_text(titles: Sequence[str]) -> str:
    from trayapp.clients.connecting import joined

    return f"Updated {joined(titles)}." if titles else ""


def put_back_text(titles: Sequence[str]) -> str:
    from trayapp.clients.connecting import joined

    return f"Restored {joined(titles)}." if titles else ""


def again_text(name: str) -> str:
    """How to restore the client entries that are left."""
    return f"To try again: amberlight take-over --undo {name}."


def not_taken_over(name: str) -> Rejected:
    return Rejected(404, UNKNOWN, f"{name} wasn't taken over from another program.")


def gone(problem: Problem, theirs: str, name: str) -> Problem:
    """What to do if its owner doesn't have it any more; any other problem as it is."""
    if problem.kind != UNKNOWN_WORKLOAD:
        return problem
    text = f"{theirs} is gone, so {name} can't be given back. To remove it here: amberlight remove {name}."
    return replace(problem, summary=text)


def changed_text(name: str) -> str:
    """The workload here is a different one now, or its URL has changed."""
    return (
        f"{name} has a different URL from the workload that was taken over. Restore its URL, or remove it: "
        f"amberlight remove {name}."
    )


def another_text(theirs: str, name: str) -> str:
    """Its owner now has a different workload of that name."""
    return (
        f"{theirs} has a different URL from the workload that was taken over, so {name} can't be given back. "
        f"To remove it here: amberlight remove {name}."
    )


def rejection(problem: Problem) -> Rejected:
    return Rejected(404 if problem.kind == UNKNOWN_WORKLOAD else 409, problem.kind, problem.summary)
