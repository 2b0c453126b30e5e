"""Details on request: the text of *Copy error details*, and one notice for each workload with a problem."""

from __future__ import annotations

from trayapp.core.external import UNWELL, unwell_notice
from trayapp.core.presentation import Action, Notice, Verb
from trayapp.core.snapshot import Detail, Snapshot, Status, WorkloadView

BEYOND_LOGIN = (Detail.PERMISSION_NEEDED, Detail.STRONGER_SIGN_IN)  # a request needed more than the login grants
NOT_A_PROBLEM = (Status.RUNNING, Status.STARTING, Status.STOPPED, Status.REMOVING)


def error_details(view: WorkloadView) -> str:
    """The last error and its context, for a bug report. Contains no token, no URL with a query and no body."""
    error = view.auth.last_error
    word = f"{view.status} ({view.auth.detail})" if view.external is None else view.external.word
    lines = [f"{view.title}: {word}", view.status_context]
    if error is not None:
        lines.append(f"Last error: {error.kind}: {error.summary}")
        if error.http_status is not None:
            lines.append(f"HTTP status: {error.http_status}")
        if error.code:
            lines.append(f"Error code: {error.code}")
    if view.auth.attempts:
        lines.append(f"Failed attempts: {view.auth.attempts}")
    return "\n".join(line for line in lines if line)


def problem_notices(snapshot: Snapshot) -> tuple[Notice, ...]:
    """One notice for each workload that isn't well."""
    unwell = [view for _, view in sorted(snapshot.everything.items()) if _is_problem(view)]
    return tuple(_notice(view) for view in unwell)


def _is_problem(view: WorkloadView) -> bool:
    if view.external is not None:
        return view.status in UNWELL
    lacks = view.auth.detail in BEYOND_LOGIN or view.auth.ends_soon
    return view.status not in NOT_A_PROBLEM or (view.status is Status.RUNNING and lacks)


def _notice(view: WorkloadView) -> Notice:
    if view.external is not None:
        return unwell_notice(f"show:{view.name}", view)
    retry = ("Retry now", Action(Verb.RETRY, view.name))
    sign_in = ("Reauthorize", Action(Verb.REAUTHORIZE, view.name))
    if view.status is Status.RUNNING:  # only a sign-in helps
        return Notice(f"show:{view.name}", view.name, view.status_context, (sign_in,))
    red = view.status in (Status.UNAUTHENTICATED, Status.ERROR)
    return Notice(f"show:{view.name}", view.name, view.status_context, (sign_in, retry) if red else (retry,))


def all_well_text(count: int) -> str:
    """The text to show instead if there are no such notices; `count` is the number of workloads."""
    if not count:
        return "No workloads yet. To add one, run `amberlight add NAME URL`."
    return "All workloads are connected." if count > 1 else "Your workload is connected."
