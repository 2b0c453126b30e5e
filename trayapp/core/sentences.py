"""Sentences about a workload: what happened, then what to do.

Each sentence is written once, in this module. None contains a time of day, which would go stale, except a menu line,
which is redrawn. Nothing here decides a status; `view.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from trayapp.core.deadlines import access_only
from trayapp.core.labels import label
from trayapp.core.model import BrowserFault, DeviceCode, Login, Problem, Trigger, Trouble, Workload
from trayapp.core.permission import Needs
from trayapp.core.snapshot import Detail, Removal, Status, WorkloadView
from trayapp.core.wall_time import utc_datetime

SCOPES_SHOWN = 3
SCOPE_SHOWN = 40  # characters of one; Google's are addresses
SHORT_LOGIN = 2 * 86400.0  # s; of a login that lasts no longer, the hour of its end matters
ADDRESS_MAX = 80  # characters of a URL in a menu line; of a longer one only the host is shown
LocalTime = Callable[[float], str]  # wall seconds → the time of day where the user is, such as "14:32"

# What happened. For details that depend on more, see `context`.
PROBLEMS: Mapping[Detail, str] = {
    Detail.NOT_STORED: "The newest login isn't saved in the keyring yet.",
    Detail.KEYRING_LOCKED: "The keyring is locked.",
    Detail.CONFIG_ERROR: "This workload isn't configured correctly.",
    Detail.CONFIRM_CHANGE: "The configuration names a different server or client, and Amberlight won't connect until you "
    "confirm.",
    Detail.UPSTREAM_REJECTS: "The service refuses access.",
    Detail.REFUSED: "The server ended this session.",
    Detail.LOST_ROTATION: "The server's answer with the new login got lost, and the old login no longer works.",
    Detail.ENDED: "The login couldn't be renewed and has ended.",
    Detail.NEVER_SIGNED_IN: "Not signed in yet.",
    Detail.PAUSED: "Paused.",
    Detail.SLEEPING: "The computer is about to sleep.",
    Detail.PORTAL: "This network asks you to sign in.",
    Detail.OFFLINE: "No network connection.",
    Detail.SETTLING: "The network just changed.",
    Detail.SERVER_SAID_WAIT: "The server asked to wait.",
    Detail.RETRYING: "Couldn't refresh the token yet.",
    Detail.STARTING: "Starting with the saved login.",
}
KEYRING_PROBLEMS: Mapping[Trouble, str] = {
    Trouble.LOCKED: PROBLEMS[Detail.KEYRING_LOCKED],
    Trouble.UNAVAILABLE: "No secure keyring was found.",
    Trouble.NO_COLLECTION: "The keyring has no default collection.",
    Trouble.HANGING: "The keyring isn't responding.",
    Trouble.FAILED: "The keyring returned an error.",
}

# What to do about it, or what Amberlight does.
NO_ACTION = "No action needed."
RUNNING_TEXT = "Running."  # in the history of one that has nothing else to say
RETRYING = "Amberlight retries automatically."
CLOSE_TAB = "You can close this tab."
CONTINUES = "Amberlight continues automatically."
SIGN_IN_AGAIN = "Choose Reauthorize to sign in again."
REMEDIES: Mapping[Detail, str] = {
    Detail.NOT_STORED: "Keep Amberlight running, and unlock or start your keyring; the login is then saved automatically.",
    Detail.KEYRING_LOCKED: "Unlock your keyring to continue.",
    Detail.CONFIG_ERROR: "Fix the configuration; Amberlight reloads it automatically.",
    Detail.CONFIRM_CHANGE: "If you made this change, choose Reauthorize to sign in there.",
    Detail.UPSTREAM_REJECTS: "Check your account there.",
    Detail.REFUSED: SIGN_IN_AGAIN,
    Detail.LOST_ROTATION: SIGN_IN_AGAIN,
    Detail.ENDED: SIGN_IN_AGAIN,
    Detail.CEILING: "The login is kept: choose Retry now, or Reauthorize to sign in again.",
    Detail.NEVER_SIGNED_IN: "Choose Sign in to get started.",
    Detail.PAUSED: "Choose Resume to use it again.",
    Detail.SLEEPING: "Amberlight continues when it wakes.",
    Detail.PORTAL: "Open any web page and sign in to this Wi-Fi network.",
    Detail.OFFLINE: "Amberlight reconnects when the network is back.",
    Detail.SETTLING: "Amberlight reconnects in a few seconds.",
    Detail.SERVER_SAID_WAIT: RETRYING,
    Detail.RETRYING: RETRYING,
}
KEYRING_REMEDIES: Mapping[Trouble, str] = {
    Trouble.LOCKED: REMEDIES[Detail.KEYRING_LOCKED],
    Trouble.UNAVAILABLE: f"Start one, such as GNOME Keyring or KWallet; {CONTINUES}",
    Trouble.NO_COLLECTION: f"Open its database or create a default collection in your keyring app; {CONTINUES}",
    Trouble.HANGING: f"Look for a window that asks for its password; {RETRYING}",
    Trouble.FAILED: RETRYING,
}

# The detail in a few words: in a menu line after the label, and in the command line's list.
SHORT_STATE: Mapping[Detail, str] = {
    Detail.NOT_STORED: "login not saved yet",
    Detail.KEYRING_LOCKED: "keyring locked",
    Detail.KEYRING_UNAVAILABLE: "keyring unavailable",
    Detail.CONFIG_ERROR: "configuration error",
    Detail.CONFIRM_CHANGE: "configuration changed",
    Detail.UPSTREAM_REJECTS: "access refused",
    Detail.REFUSED: "sign-in needed",
    Detail.LOST_ROTATION: "sign-in needed",
    Detail.ENDED: "sign-in needed",
    Detail.CEILING: "couldn't refresh",
    Detail.NEVER_SIGNED_IN: "not signed in",
    Detail.PAUSED: "paused",
    Detail.SLEEPING: "going to sleep",
    Detail.PORTAL: "network sign-in needed",
    Detail.OFFLINE: "offline",
    Detail.SETTLING: "network changed",
    Detail.SERVER_SAID_WAIT: "server asked to wait",
    Detail.RETRYING: "reconnecting",
    Detail.REFRESH_DELAYED: "refresh delayed",
    Detail.STARTING: "starting",
    Detail.PERMISSION_NEEDED: "needs additional permission",
    Detail.STRONGER_SIGN_IN: "needs a stronger sign-in",
    Detail.OK: "connected",
}
WORTH_A_WORD = frozenset(  # details that say more than the label
    {
        Detail.NOT_STORED,
        Detail.KEYRING_LOCKED,
        Detail.KEYRING_UNAVAILABLE,
        Detail.CONFIRM_CHANGE,
        Detail.CEILING,
        Detail.SLEEPING,
        Detail.PORTAL,
        Detail.OFFLINE,
        Detail.SETTLING,
        Detail.SERVER_SAID_WAIT,
        Detail.REFRESH_DELAYED,
        Detail.PERMISSION_NEEDED,
        Detail.STRONGER_SIGN_IN,
    }
)
TIMED = frozenset({Detail.RETRYING, Detail.SERVER_SAID_WAIT})  # menu lines that say when the next attempt is

# For a client that got no token, to be shown to its user (M15).
REAUTHORIZE_HELP = "Choose Reauthorize in the Amberlight menu, or run `amberlight reauthorize {name}`."
HELP: Mapping[Detail, str] = {
    Detail.KEYRING_LOCKED: "Unlock your keyring; {name} continues automatically.",
    Detail.KEYRING_UNAVAILABLE: "Start a keyring, such as GNOME Keyring or KWallet; {name} continues automatically.",
    Detail.CONFIRM_CHANGE: "The configuration of {name} was changed. To confirm it, choose Reauthorize in the Amberlight "
    "menu, or run `amberlight reauthorize {name}`.",
    Detail.CEILING: "Choose Retry now in the Amberlight menu or run `amberlight retry {name}`. If that doesn't help, run "
    "`amberlight reauthorize {name}`.",
    Detail.NEVER_SIGNED_IN: "Choose “Sign in…” in the Amberlight menu, or run `amberlight reauthorize {name}`.",
    Detail.PORTAL: "Open any web page and sign in to this Wi-Fi network; {name} continues automatically.",
    Detail.OFFLINE: "Connect to a network; {name} continues automatically.",
}
HELP_BY_STATUS: Mapping[Status, str] = {
    Status.UNAUTHENTICATED: REAUTHORIZE_HELP,
    Status.STOPPED: "{name} is paused. Choose Resume in the Amberlight menu, or run `amberlight start {name}`.",
    Status.REMOVING: "{name} is being removed. To keep it, add it again with `amberlight add`.",
    Status.ERROR: "Fix the configuration of {name}. Run `amberlight status {name}` for details.",
    Status.UNHEALTHY: "Check that your account still has access to the service behind {name}.",
    Status.STARTING: "{name} is starting. Try again in a few seconds.",
}
DOUBTED = "{name}: the service didn't accept its token (401), and there's no other. If it happens again, sign in again."
HELP_DEFAULT = f"{NO_ACTION} {{name}} reconnects automatically."

IF_ACCESS = "If it has access, choose Reauthorize."
REAUTHORIZE_IN_TIME = "Reauthorize before then to stay signed in."
ONLY_IF_YOURS = "Do this only if you started the sign-in yourself."
ENDS_SOON = "Its login can't be renewed. Choose Reauthorize to stay signed in."

SEE_LOG = "See the log for details."
UNEXPECTED = f"Something went wrong in Amberlight. {SEE_LOG}"

# The body of a notification: shorter, and without any text from a server.
RED_BODIES: Mapping[Detail, str] = {
    detail: f"{PROBLEMS[detail]} {SIGN_IN_AGAIN}" for detail in (Detail.REFUSED, Detail.LOST_ROTATION, Detail.ENDED)
}
RED_BODY_DEFAULT = (  # the ceiling, whatever is in the way by now: nobody refused this login
    f"Couldn't refresh its login for a long time. {REMEDIES[Detail.CEILING]}"
)
AMBER_BODIES: Mapping[Detail, str] = {
    Detail.KEYRING_LOCKED: f"{PROBLEMS[Detail.KEYRING_LOCKED]} {REMEDIES[Detail.KEYRING_LOCKED]}",
    Detail.KEYRING_UNAVAILABLE: f"The keyring can't be used. {CONTINUES}",
}
AMBER_BODY_DEFAULT = f"A client is waiting for it. {NO_ACTION}"


def context(w: Workload, status: Status, detail: Detail, usable: bool) -> str:
    """The `status_context`: what happened, then what to do; empty if all is well."""
    if status is Status.REMOVING:
        return "Amberlight is revoking and deleting its login."
    if status is Status.UNAUTHENTICATED and w.device is not None:
        return f"{enter_code(w.device)} to finish signing in, on any device. {ONLY_IF_YOURS}"
    if status is Status.UNAUTHENTICATED and w.browser_fault is BrowserFault.NOT_OPENED:
        return "Couldn't open a browser. Copy the sign-in URL from the menu and open it in any browser."
    if status is Status.UNAUTHENTICATED and w.signing_in:
        return "Waiting for you to sign in in your browser. The menu can open the page again."
    if status is Status.STOPPED and detail is Detail.NOT_STORED:  # both are true: it is written again while paused, too
        return f"{PROBLEMS[Detail.PAUSED]} {PROBLEMS[detail]} {REMEDIES[detail]}"
    match detail:
        case Detail.KEYRING_UNAVAILABLE:
            trouble = w.keyring or Trouble.UNAVAILABLE
            return f"{KEYRING_PROBLEMS[trouble]} {KEYRING_REMEDIES[trouble]}"
        case Detail.CONFIG_ERROR if w.broken:
            return w.broken
        case Detail.REFUSED:
            return _refused_context(w)
        case Detail.CEILING:
            return f"Couldn't refresh for {duration(w.spec.policy.ceiling)}. {REMEDIES[detail]}"
        case Detail.RETRYING:
            return f"{_reason(w.last_error)} {RETRYING}"
        case Detail.REFRESH_DELAYED if w.failing is None:
            return "Refreshing the token."
        case Detail.REFRESH_DELAYED:
            works = " The current token still works." if usable else ""
            return f"{_reason(w.last_error)}{works} {RETRYING}"
        case Detail.PERMISSION_NEEDED | Detail.STRONGER_SIGN_IN:
            wanted = beyond_login(detail, w.needs.missing(w.login.scope) if w.needs and w.login else ())
            return f"{wanted[:1].upper()}{wanted[1:]}. Choose Reauthorize to grant it; everything else keeps working."
        case Detail.UPSTREAM_REJECTS if access_only(w):
            return f"{PROBLEMS[detail]} {REMEDIES[detail]} {IF_ACCESS}"
        case Detail.UPSTREAM_REJECTS:
            return f"{PROBLEMS[detail]} {REMEDIES[detail]} Amberlight asks again periodically."
        case Detail.OK:
            return renewal(w.login) if usable and access_only(w) else ""
        case _:
            return " ".join(text for text in (PROBLEMS[detail], REMEDIES.get(detail)) if text)


def _refused_context(w: Workload) -> str:
    """The verdict, whatever a check has met since, and whether another check is planned."""
    said = w.refusal.summary if w.refusal and w.refusal.summary else w.last_error.summary if w.last_error else ""
    text = f"{_sentence(said) or PROBLEMS[Detail.REFUSED]} {REMEDIES[Detail.REFUSED]}"
    planned = w.due is not None and w.trigger is Trigger.RECHECK
    return f"{text} Amberlight checks again within the hour, in case the server was wrong." if planned else text


def renewal(login: Login | None) -> str:
    """What to know about a login without a refresh token."""
    if login is None or login.expires_at is None:
        return "The login can't be renewed; its end isn't known."
    short = login.expires_at - login.obtained_at < SHORT_LOGIN
    ends = utc(login.expires_at, "%Y-%m-%d at %H:%M" if short else "%Y-%m-%d")
    return f"The login can't be renewed and ends on {ends}. {REAUTHORIZE_IN_TIME}"


def utc(wall: float, form: str) -> str:
    """A wall time in UTC, and marked so: time zones don't reach this package."""
    return f"{utc_datetime(max(wall, 0.0)):{form}} (UTC)"


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


def _reason(problem: Problem | None) -> str:
    """Why the last attempt failed, as a sentence."""
    return _sentence(problem.summary if problem else "") or PROBLEMS[Detail.RETRYING]


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def short(view: WorkloadView, local: LocalTime) -> str:
    """The state for a menu line: its label and what else is worth a word. Times are times of day, so that nothing is
    redrawn as time passes."""
    return ", ".join((label(view), *_additions(view, local)))


def _additions(view: WorkloadView, local: LocalTime) -> Iterator[str]:
    auth, status = view.auth, view.status
    if status is Status.UNAUTHENTICATED and auth.signing_in:
        unopened = auth.browser_fault is BrowserFault.NOT_OPENED
        yield "enter the code" if auth.device else "no browser opened" if unopened else "finish in your browser"
        return
    said = auth.detail not in WORTH_A_WORD or SHORT_STATE[auth.detail] == label(view).lower()
    if status is not Status.REMOVING and not said:
        yield beyond_login(auth.detail, auth.missing_scopes)
    if auth.detail in TIMED and auth.next_attempt_at is not None:
        yield f"next attempt at {local(auth.next_attempt_at)}"
    if auth.rechecked_at is not None and status is Status.UNAUTHENTICATED:
        yield f"checked again at {local(auth.rechecked_at)}"
    if status is Status.RUNNING and auth.detail is Detail.OK and auth.ends_soon:
        yield "sign-in ends soon"


def no_workload(name: str) -> str:
    return f"There's no workload named {name}."


NO_SUCH_WORKLOAD = "There's no workload of this name."


def no_address(name: str) -> str:
    """Why a client can't connect to an account."""
    return (
        f"{name} is an account: it has no address to connect to. Programs get its token from: amberlight token {name}"
    )


def no_sign_in(name: str) -> str:
    return f"No sign-in to {name} is in progress."


def sign_in_cancelled(name: str, again: str = "") -> str:
    """An edit has ended it; `again` is what the workload is called now, if there still is one to sign in to."""
    text = f"The sign-in to {name} was cancelled."
    return f"{text} To sign in again, run `amberlight reauthorize {again}`." if again else text


def sign_in_outdated(name: str) -> str:
    """An edit has made it useless, and whoever signs in there would do so in vain."""
    return (
        f"The sign-in to {name} in progress is for its earlier configuration. "
        f"To sign in with the new one, run `amberlight reauthorize {name}`."
    )


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


def left_over(removal: Removal, *, quits: bool = False) -> str:
    """What is still to be done for a login that was removed or signed out, and what a person can do about it.

    `quits`: Amberlight ends now, and retries nothing.
    """
    sentences = []
    if not removal.deleted:
        sentences.append(
            f"The login of {removal.name} is still in the keyring, which can't be used now. Amberlight deletes it once the"
            " keyring is unlocked, even after a restart."
        )
    if not removal.revoked:
        offered = removal.until is not None or not removal.server
        why = "didn't confirm that it's revoked" if offered else "doesn't support revocation"
        what = f"The login of {removal.name}" if removal.deleted else "It"
        sentences.append(f"{what} may still be valid at {removal.server or 'its server'}, which {why}.")
        if removal.until is not None and not quits:
            sentences.append("Amberlight retries for an hour.")
        sentences.append("To be sure, remove Amberlight's access in your account there.")
    return " ".join(sentences)


def bound_token(name: str) -> str:
    """Why a token that is bound to a key isn't given to programs (RFC 9449)."""
    return (
        f"{name}'s tokens work only with a key that Amberlight keeps (DPoP). Connect through Amberlight instead: "
        f"amberlight client-config {name}"
    )


def duration(seconds: float) -> str:
    """A length of time in the largest unit that divides it: "24 hours", "1 minute", "90 seconds"."""
    units = ((3600, "hour"), (60, "minute"))
    size, unit = next(((s, u) for s, u in units if seconds >= s and seconds % s == 0), (1, "second"))
    count = f"{seconds / size:g}"
    return f"{count} {unit}" if count == "1" else f"{count} {unit}s"
