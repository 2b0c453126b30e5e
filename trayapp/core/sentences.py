"""Texts about a workload: what is wrong, and what happens or what to do next.

Each sentence is written once, in this module. None contains a time of day, which would go stale, except a menu line,
which is redrawn. Nothing here decides a status; `view.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from trayapp.core.deadlines import access_only
from trayapp.core.model import BrowserFault, DeviceCode, Login, Problem, Trigger, Trouble, Workload
from trayapp.core.permission import Needs
from trayapp.core.snapshot import Detail, Removal, Status, WorkloadView

SCOPES_SHOWN = 3
SCOPE_SHOWN = 40  # characters of one; Google's are addresses
SHORT_LOGIN = 2 * 86400.0  # s; of a login that lasts no longer, the hour of its end matters
YEAR_9999 = 253402300799.0  # s since the epoch; the last second that a datetime can hold
ADDRESS_MAX = 80  # characters of a URL in a menu line; of a longer one only the host is shown
LocalTime = Callable[[float], str]  # wall seconds → the time of day where the user is, such as "14:32"

# What a state means and what happens next. For details that depend on more, see `context`.
CONTEXT: Mapping[Detail, str] = {
    Detail.NOT_STORED: "The newest login could not be saved in the keyring and is held in memory only: keep Amberlight "
    "running; it tries again by itself.",
    Detail.KEYRING_LOCKED: "The keyring is locked: unlock it, and Amberlight goes on by itself.",
    Detail.CONFIRM_CHANGE: "Its server or client was changed in the configuration: choose Reauthorize to sign in there; "
    "until then nothing is sent.",
    Detail.UPSTREAM_REJECTS: "The service rejects even fresh tokens: check there that your account still has access; "
    "Amberlight asks again from time to time.",
    Detail.LOST_ROTATION: "Choose Reauthorize to sign in again: the server replaced this login, but its answer was lost "
    "on the way; you did nothing wrong.",
    Detail.ENDED: "Choose Reauthorize to sign in again: this login couldn't be renewed and has ended.",
    Detail.NEVER_SIGNED_IN: "Not signed in yet: choose “Sign in…” in its menu.",
    Detail.PAUSED: "Paused: choose Resume to start it again.",
    Detail.SLEEPING: "The computer is about to sleep; Amberlight goes on when it wakes.",
    Detail.PORTAL: "This network wants you to sign in first: open any web page to do so; Amberlight goes on by itself.",
    Detail.OFFLINE: "There is no network; Amberlight goes on by itself when it is back.",
    Detail.SETTLING: "The network has just changed; Amberlight tries in a moment.",
    Detail.SERVER_SAID_WAIT: "The server asked to wait; Amberlight tries again by itself after that.",
    Detail.STARTING: "Starting with the saved login.",
    Detail.OK: "",
}

KEYRING_CONTEXT: Mapping[Trouble, str] = {
    Trouble.LOCKED: CONTEXT[Detail.KEYRING_LOCKED],
    Trouble.UNAVAILABLE: "No safe keyring was found: start one (GNOME Keyring, KWallet, …), and Amberlight goes on by "
    "itself.",
    Trouble.NO_COLLECTION: "The keyring has no default collection: open its database, or create one in its program; Amberlight "
    "continues automatically.",
    Trouble.HANGING: "The keyring does not answer: look for a window that asks for its password; Amberlight tries again "
    "by itself.",
    Trouble.FAILED: "The keyring answered with an error; Amberlight tries again by itself.",
}

# The state in a menu line.
SHORT_STATE: Mapping[Detail, str] = {
    Detail.NOT_STORED: "login not saved",
    Detail.KEYRING_LOCKED: "keyring locked",
    Detail.KEYRING_UNAVAILABLE: "keyring not available",
    Detail.CONFIG_ERROR: "configuration error",
    Detail.CONFIRM_CHANGE: "changed, needs sign-in",
    Detail.UPSTREAM_REJECTS: "rejected by the service",
    Detail.REFUSED: "needs sign-in",
    Detail.LOST_ROTATION: "needs sign-in",
    Detail.ENDED: "needs sign-in",
    Detail.CEILING: "needs sign-in or a retry",
    Detail.NEVER_SIGNED_IN: "not signed in yet",
    Detail.PAUSED: "paused",
    Detail.SLEEPING: "going to sleep",
    Detail.PORTAL: "network sign-in needed",
    Detail.OFFLINE: "offline",
    Detail.SETTLING: "network settling",
    Detail.SERVER_SAID_WAIT: "server asked to wait",
    Detail.RETRYING: "retrying",
    Detail.REFRESH_DELAYED: "refresh delayed",
    Detail.STARTING: "starting",
    Detail.PERMISSION_NEEDED: "needs additional permission",
    Detail.STRONGER_SIGN_IN: "needs a stronger sign-in",
    Detail.OK: "running",
}
TIMED = frozenset({Detail.RETRYING, Detail.SERVER_SAID_WAIT})  # menu lines that say when the next attempt is

NEEDS_A_PERSON = frozenset({Detail.REFUSED, Detail.LOST_ROTATION, Detail.ENDED, Detail.CEILING, Detail.NEVER_SIGNED_IN})
SHORT_BY_STATUS: Mapping[Status, str] = {
    Status.REMOVING: "being removed",
    Status.STOPPING: "stopping",
    Status.POLICY_STOPPED: "stopped by policy",
    Status.UNKNOWN: "unknown",
}

# For a client that got no token, to be shown to its user (M15).
HELP: Mapping[Detail, str] = {
    Detail.KEYRING_LOCKED: "Unlock the keyring; {name} goes on by itself.",
    Detail.KEYRING_UNAVAILABLE: "Start a keyring (GNOME Keyring, KWallet, …); {name} goes on by itself.",
    Detail.CONFIRM_CHANGE: "The configuration of {name} was changed: choose Reauthorize in the Amberlight menu, or run "
    "“amberlight reauthorize {name}”.",
    Detail.CEILING: "If the network is right again, choose Retry now in the Amberlight menu or run “amberlight retry "
    "{name}”; otherwise run “amberlight reauthorize {name}”.",
    Detail.NEVER_SIGNED_IN: "Choose “Sign in…” in the Amberlight menu, or run “amberlight reauthorize {name}”.",
    Detail.PORTAL: "Open any web page and sign in to the network; {name} goes on by itself.",
    Detail.OFFLINE: "Connect to a network; {name} goes on by itself.",
}
HELP_BY_STATUS: Mapping[Status, str] = {
    Status.UNAUTHENTICATED: "Choose Reauthorize in the Amberlight menu, or run “amberlight reauthorize {name}”.",
    Status.STOPPED: "{name} is paused. Choose Resume in the Amberlight menu, or run “amberlight start {name}”.",
    Status.REMOVING: "{name} is being removed; “amberlight add” brings it back.",
    Status.ERROR: "Mend the configuration of {name}; “amberlight status {name}” says what is wrong.",
    Status.UNHEALTHY: "Check that your account still has access to the service behind {name}.",
    Status.STARTING: "{name} is starting: ask again in a moment.",
}
DOUBTED = (
    "{name}: the service didn't accept its token (401), and there is no other. If it happens again, sign in again."
)
HELP_DEFAULT = "Nothing to do: Amberlight is trying to refresh {name} and goes on by itself."

ENDS_SOON = "Its login can't be renewed automatically. It works until it ends. Reauthorize opens its sign-in page."

# The body of a notification: shorter, and without any text from a server.
RED_BODIES: Mapping[Detail, str] = {
    Detail.REFUSED: "The server no longer accepts its login. Reauthorize opens its sign-in page.",
    Detail.LOST_ROTATION: "The server's answer with the new login was lost on the way; you did nothing wrong. "
    "Reauthorize opens its sign-in page.",
    Detail.ENDED: "Its login couldn't be renewed and has ended. Reauthorize opens its sign-in page.",
}
RED_BODY_DEFAULT = (  # the ceiling, whatever is in the way by now: nobody refused this login
    "It could not be refreshed for a long time. Retry now if the network is right again; Reauthorize opens its sign-in "
    "page."
)
AMBER_BODIES: Mapping[Detail, str] = {
    Detail.KEYRING_LOCKED: "Unlock the keyring; it goes on by itself.",
    Detail.KEYRING_UNAVAILABLE: "The keyring does not answer as it should; it goes on by itself when it does.",
}
AMBER_BODY_DEFAULT = "A program just asked in vain. Nothing to do: Amberlight is trying again and goes on by itself."


def context(w: Workload, status: Status, detail: Detail, usable: bool) -> str:
    """The `status_context`: one sentence, empty if all is well."""
    if status is Status.REMOVING:
        return "Being removed: its login is revoked and deleted."
    if status is Status.UNAUTHENTICATED and w.device is not None:
        return f"{enter_code(w.device)} to finish signing in, on any machine; only if you began this sign-in."
    if status is Status.UNAUTHENTICATED and w.browser_fault is BrowserFault.NOT_OPENED:
        return "Couldn't open a browser. Copy the sign-in address from the menu and open it in any browser."
    if status is Status.UNAUTHENTICATED and w.signing_in:
        return "Finish signing in in your browser; its menu can open the page again."
    if status is Status.STOPPED and detail is Detail.NOT_STORED:  # both are true: it is written again while paused, too
        return f"{CONTEXT[Detail.PAUSED]} {CONTEXT[Detail.NOT_STORED]}"
    match detail:
        case Detail.KEYRING_UNAVAILABLE:
            return KEYRING_CONTEXT[w.keyring or Trouble.UNAVAILABLE]
        case Detail.CONFIG_ERROR:
            return w.broken or "Its configuration cannot be used: mend it, and Amberlight reads it again by itself."
        case Detail.REFUSED:
            return _refused_context(w)
        case Detail.CEILING:
            tried = duration(w.spec.policy.ceiling)
            return f"No success in {tried} of trying, the login is kept: choose Retry now, or Reauthorize to sign in again."
        case Detail.RETRYING:
            return f"Cannot refresh now, trying again by itself: {_reason_clause(w.last_error, 'waiting for the next attempt.')}"
        case Detail.REFRESH_DELAYED if w.failing is None:
            return "Its token is being renewed."
        case Detail.REFRESH_DELAYED:
            subject = "Works, but its token" if usable else "Its token"
            reason = _reason_clause(w.last_error, "waiting for the next attempt.")
            return f"{subject} could not be renewed yet, trying again by itself: {reason}"
        case Detail.PERMISSION_NEEDED | Detail.STRONGER_SIGN_IN:
            wanted = beyond_login(detail, w.needs.missing(w.login.scope) if w.needs and w.login else ())
            return f"{wanted[:1].upper()}{wanted[1:]}. Reauthorize asks for it; everything else keeps working."
        case Detail.UPSTREAM_REJECTS if access_only(w):
            return "The service keeps refusing this login. Check there that your account still has access, or choose Reauthorize."
        case Detail.OK if usable and access_only(w):
            return renewal(w.login)
        case _:
            return CONTEXT[detail]


def _refused_context(w: Workload) -> str:
    """The verdict, whatever a check has met since, and whether another check is planned."""
    said = w.refusal.summary if w.refusal and w.refusal.summary else w.last_error.summary if w.last_error else ""
    text = f"Choose Reauthorize to sign in again: {_clause(said) or 'the server ended this login.'}"
    planned = w.due is not None and w.trigger is Trigger.RECHECK
    return (
        f"{text.rstrip('.')}. Amberlight checks again within the hour, in case the server was wrong."
        if planned
        else text
    )


def renewal(login: Login | None) -> str:
    """What to know about a login without a refresh token."""
    if login is None or login.expires_at is None:
        return "Its login can't be renewed and has no known end."
    short = login.expires_at - login.obtained_at < SHORT_LOGIN
    ends = utc(login.expires_at, "%Y-%m-%d at %H:%M" if short else "%Y-%m-%d")
    return f"Its login can't be renewed and ends on {ends}. Reauthorize before then to stay signed in."


def utc(wall: float, form: str) -> str:
    """A wall time in UTC, and marked so: time zones don't reach this package."""
    return f"{datetime.fromtimestamp(min(max(wall, 0.0), YEAR_9999), UTC):{form}} (UTC)"


def beyond_login(detail: Detail, missing: tuple[str, ...]) -> str:
    """ "needs additional permission: write": what a request needed beyond the login."""
    words = SHORT_STATE[detail]
    return f"{words}: {scope_names(missing)}" if missing and detail is Detail.PERMISSION_NEEDED else words


def scope_names(scopes: tuple[str, ...], most: int = SCOPES_SHOWN) -> str:
    """Scopes in a row, by default as many as fit in a menu line."""
    return list_names(tuple(shorten(scope) for scope in scopes), most)


def shorten(scope: str) -> str:
    """A scope as it is shown: of a long one the end, which says most."""
    return scope if len(scope) <= SCOPE_SHOWN else f"…{scope[1 - SCOPE_SHOWN :]}"


def permission_help(name: str, needs: Needs, missing: tuple[str, ...]) -> str:
    """For a client whose request needs more than the login grants."""
    detail = Detail.PERMISSION_NEEDED if needs.permission else Detail.STRONGER_SIGN_IN
    what = f"{name} {beyond_login(detail, missing)}."
    return f"{what} {HELP_BY_STATUS[Status.UNAUTHENTICATED].format(name=name)}"


def enter_code(device: DeviceCode) -> str:
    """ "Enter code ABCD-EFGH at example.com/device": the URL as a person would type it."""
    parts = urlsplit(device.verification_uri)
    address = f"{parts.netloc}{parts.path.rstrip('/')}" + (f"?{parts.query}" if parts.query else "")
    return f"Enter code {device.user_code} at {address if len(address) <= ADDRESS_MAX else parts.netloc}"


def _reason_clause(problem: Problem | None, otherwise: str) -> str:
    """The problem's summary, to follow a colon."""
    return _clause(problem.summary if problem else "") or otherwise


def _clause(text: str) -> str:
    return text[:1].lower() + text[1:]


def short(view: WorkloadView, local: LocalTime) -> str:
    """The state in a few words for a menu line. Times are times of day, so that nothing is redrawn as time passes."""
    auth = view.auth
    if view.status in SHORT_BY_STATUS:
        return SHORT_BY_STATUS[view.status]
    if view.status is Status.UNAUTHENTICATED and auth.signing_in:
        return "no browser opened" if auth.browser_fault is BrowserFault.NOT_OPENED else "signing in"
    text = beyond_login(auth.detail, auth.missing_scopes)
    if auth.detail in TIMED and auth.next_attempt_at is not None:
        text += f", next at {local(auth.next_attempt_at)}"
    if auth.rechecked_at is not None and view.status is Status.UNAUTHENTICATED:
        text += f", checked again at {local(auth.rechecked_at)}"
    if view.status is Status.RUNNING and auth.detail not in (Detail.OK, Detail.RETRYING):
        return f"running, {text}"
    if view.status is Status.RUNNING and auth.ends_soon:
        return "running, sign-in ends soon"
    if view.status is Status.STOPPED and auth.detail is not Detail.PAUSED:
        return f"paused, {text}"
    if view.status is Status.UNAUTHENTICATED and auth.detail not in NEEDS_A_PERSON:
        return f"needs sign-in, {text}"
    return text


def help_for(view: WorkloadView) -> str:
    """What the user of a client can do about it, in one sentence."""
    return help_of(view.name, view.status, view.auth.detail)


def help_of(name: str, status: Status, detail: Detail) -> str:
    """The same, from the three values that it depends on."""
    by_detail = HELP.get(detail)
    if status in (Status.STOPPED, Status.REMOVING) or by_detail is None:
        by_detail = HELP_BY_STATUS.get(status, HELP_DEFAULT)
    return by_detail.format(name=name)


def list_names(of: tuple[str, ...], most: int = 5) -> str:
    """Names in a row, the first `most` of them and a count of the rest."""
    shown = ", ".join(of[:most])
    return shown if len(of) <= most else f"{shown} and {len(of) - most} more"


def left_over_short(removal: Removal) -> str:
    """`left_over` in one menu line."""
    if not removal.deleted:
        return f"{removal.name}: its removed login is still in the locked keyring"
    return f"{removal.name}: its removed login may still be valid at {removal.server}"


def left_over(removal: Removal) -> str:
    """What is still to be done for a login that was removed or signed out, and what a person can do about it."""
    sentences = []
    if not removal.deleted:
        sentences.append(
            f"The login of {removal.name} is still in the keyring, which can't be used now. Amberlight deletes it when the"
            " keyring is unlocked, even after a restart."
        )
    if not removal.revoked:
        offered = removal.until is not None or not removal.server
        why = "didn't confirm its revocation" if offered else "offers no revocation"
        what = f"The login of {removal.name}" if removal.deleted else "It"
        sentences.append(f"{what} may still be valid at {removal.server or 'its server'}, which {why}.")
        if removal.until is not None:
            sentences.append("Amberlight keeps asking for an hour.")
        sentences.append("To be sure, remove Amberlight's access in your account there.")
    return " ".join(sentences)


def duration(seconds: float) -> str:
    """A length of time in the largest unit that divides it: "24 h", "10 min", "90 s"."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
