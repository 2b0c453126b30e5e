"""Advice for the dashboard and the API: the one action that helps a workload most, and a sentence about it."""

from __future__ import annotations

from collections.abc import Mapping

from trayapp.core.external import external_advice
from trayapp.core.model import Trouble
from trayapp.core.sentences import IF_ACCESS, KEYRING_REMEDIES, NO_ACTION, REAUTHORIZE_IN_TIME, REMEDIES, scope_names
from trayapp.core.snapshot import Detail, Status, WorkloadView

SCOPES_LISTED = 12  # before the browser opens, a person sees what is requested
ACTIONS = ("retry", "reauthorize", "resume")
EXTERNAL_ACTIONS = ("restart", "take_over")  # of workloads that other programs keep signed in

IN_BROWSER = "The sign-in page opens in your browser."
SIGN_IN = f"Sign in again. {IN_BROWSER}"
BY_DETAIL: Mapping[Detail, tuple[str, str]] = {
    Detail.NOT_STORED: ("", REMEDIES[Detail.NOT_STORED]),
    Detail.KEYRING_LOCKED: ("retry", "Unlock your keyring. Retry now asks for its password."),
    Detail.KEYRING_UNAVAILABLE: ("", KEYRING_REMEDIES[Trouble.UNAVAILABLE]),
    Detail.CONFIG_ERROR: ("", REMEDIES[Detail.CONFIG_ERROR]),
    Detail.CONFIRM_CHANGE: ("reauthorize", REMEDIES[Detail.CONFIRM_CHANGE]),
    Detail.UPSTREAM_REJECTS: ("", REMEDIES[Detail.UPSTREAM_REJECTS]),
    Detail.REFUSED: ("reauthorize", f"{SIGN_IN} If the server was wrong, choose Retry now."),
    Detail.LOST_ROTATION: ("reauthorize", SIGN_IN),
    Detail.ENDED: ("reauthorize", SIGN_IN),
    Detail.PERMISSION_NEEDED: ("reauthorize", f"Reauthorize to grant it. {IN_BROWSER}"),
    Detail.STRONGER_SIGN_IN: ("reauthorize", f"Reauthorize to confirm that it's you. {IN_BROWSER}"),
    Detail.CEILING: ("retry", "Choose Retry now. If that doesn't help, reauthorize."),
    Detail.NEVER_SIGNED_IN: ("reauthorize", f"Sign in to get started. {IN_BROWSER}"),
    Detail.PORTAL: ("", REMEDIES[Detail.PORTAL]),
    Detail.OFFLINE: ("", "Connect to a network. Amberlight then reconnects automatically."),
}
NO_ACTION_NEEDED = ("", NO_ACTION)


def advice(view: WorkloadView) -> tuple[str, str]:
    """The API action that helps most (one of `ACTIONS` or `EXTERNAL_ACTIONS`, or empty) and what to do; both empty if all is well."""
    if view.external is not None:
        return external_advice(view)
    detail, status = view.auth.detail, view.status
    if status is Status.STOPPED:
        return "resume", "Resume it to use it again."
    if status is Status.REMOVING:
        return NO_ACTION_NEEDED
    if status is Status.UNAUTHENTICATED and view.auth.signing_in:
        return "reauthorize", "Finish signing in. You can reopen the page from here."
    if detail is Detail.UPSTREAM_REJECTS and not view.auth.renewable:
        return "reauthorize", f"{REMEDIES[detail]} {IF_ACCESS}"
    if detail is Detail.PERMISSION_NEEDED and view.auth.reauthorize_scopes:
        return "reauthorize", f"Reauthorize to grant: {scope_names(view.auth.reauthorize_scopes, most=SCOPES_LISTED)}."
    if status is Status.RUNNING and detail is Detail.OK and view.auth.ends_soon:
        return "reauthorize", REAUTHORIZE_IN_TIME
    if detail in BY_DETAIL:
        return BY_DETAIL[detail]
    return ("", "") if status is Status.RUNNING and detail is Detail.OK else NO_ACTION_NEEDED
