"""Advice for the dashboard and the API: the one action that helps a workload most, and a sentence about it."""

from __future__ import annotations

from collections.abc import Mapping

from trayapp.core.sentences import scope_names
from trayapp.core.snapshot import Detail, Status, WorkloadView

SCOPES_LISTED = 12  # before the browser opens, a person sees what is asked for
ACTIONS = ("retry", "reauthorize", "resume")

SIGN_IN = "Sign in again: Reauthorize opens the sign-in page in your browser."
BY_DETAIL: Mapping[Detail, tuple[str, str]] = {
    Detail.NOT_STORED: ("", "Keep Amberlight running and unlock or start your keyring; the login is saved by itself."),
    Detail.KEYRING_LOCKED: ("retry", "Unlock your keyring: Retry now asks for its password."),
    Detail.KEYRING_UNAVAILABLE: ("", "Start a keyring (GNOME Keyring, KWallet, …); it goes on by itself."),
    Detail.CONFIG_ERROR: ("", "Mend its configuration; it is read again by itself."),
    Detail.CONFIRM_CHANGE: (
        "reauthorize",
        "If the change in its configuration was meant, Reauthorize signs you in there.",
    ),
    Detail.UPSTREAM_REJECTS: ("", "Check with the service that your account still has access."),
    Detail.REFUSED: ("reauthorize", f"{SIGN_IN} If the server was wrong, Retry now tries once more."),
    Detail.LOST_ROTATION: ("reauthorize", SIGN_IN),
    Detail.ENDED: ("reauthorize", SIGN_IN),
    Detail.PERMISSION_NEEDED: ("reauthorize", "Reauthorize asks for it in your browser."),
    Detail.STRONGER_SIGN_IN: ("reauthorize", "Reauthorize opens the sign-in page, which asks for more than before."),
    Detail.CEILING: ("retry", "Retry now if the network is right again; if that does not help, Reauthorize."),
    Detail.NEVER_SIGNED_IN: ("reauthorize", "Sign in: the sign-in page opens in your browser."),
    Detail.PORTAL: ("", "Open any web page and sign in to the network; it goes on by itself."),
    Detail.OFFLINE: ("", "Connect to a network; it goes on by itself."),
}
NO_ACTION_NEEDED = ("", "Nothing to do: it goes on by itself.")


def advice(view: WorkloadView) -> tuple[str, str]:
    """The API action that helps most (one of `ACTIONS`, or empty) and what to do; both empty if all is well."""
    detail, status = view.auth.detail, view.status
    if status is Status.STOPPED:
        return "resume", "Resume it when you want to use it again."
    if status is Status.REMOVING:
        return NO_ACTION_NEEDED
    if status is Status.UNAUTHENTICATED and view.auth.signing_in:
        return "reauthorize", "Finish signing in in your browser; its page can be opened again from here."
    if detail is Detail.UPSTREAM_REJECTS and not view.auth.renewable:
        return "reauthorize", f"{BY_DETAIL[detail][1]} If it has, Reauthorize gets another login."
    if detail is Detail.PERMISSION_NEEDED and view.auth.reauthorize_scopes:
        return "reauthorize", f"Reauthorize asks for: {scope_names(view.auth.reauthorize_scopes, most=SCOPES_LISTED)}."
    if status is Status.RUNNING and detail is Detail.OK and view.auth.ends_soon:
        return "reauthorize", "Reauthorize before then to stay signed in."
    if detail in BY_DETAIL:
        return BY_DETAIL[detail]
    return ("", "") if status is Status.RUNNING and detail is Detail.OK else NO_ACTION_NEEDED
