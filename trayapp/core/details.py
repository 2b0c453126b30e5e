"""What a person gets who asks for more: the details of an error, and every workload that is not well, one by one."""

from __future__ import annotations

from trayapp.core.presentation import Action, Notice, Verb
from trayapp.core.snapshot import Snapshot, Status, WorkloadView

NOT_A_PROBLEM = (Status.RUNNING, Status.STARTING, Status.STOPPED)


def error_details(view: WorkloadView) -> str:
    """The last error and what surrounds it, for a bug report. No token, no address with a query, no body is in it."""
    error = view.auth.last_error
    lines = [f"{view.name}: {view.status} ({view.auth.detail})", view.status_context]
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
    """One notice for each workload that is not well."""
    unwell = [view for _, view in sorted(snapshot.workloads.items()) if view.status not in NOT_A_PROBLEM]
    return tuple(_notice(view) for view in unwell)


def _notice(view: WorkloadView) -> Notice:
    retry = ("Retry now", Action(Verb.RETRY, view.name))
    sign_in = ("Reauthorize", Action(Verb.REAUTHORIZE, view.name))
    red = view.status in (Status.UNAUTHENTICATED, Status.ERROR)
    return Notice(f"show:{view.name}", view.name, view.status_context, (sign_in, retry) if red else (retry,))


def all_well_text(count: int) -> str:
    """Nothing to show is worth a sentence too."""
    if not count:
        return "No workload yet. Add one: amberlight add NAME URL"
    return "Everything is signed in." if count > 1 else "It is signed in."
