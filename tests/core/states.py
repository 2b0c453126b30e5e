"""Workloads in every visible state, each with its expected status, detail and sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from trayapp.core import gate as gates
from trayapp.core.gate import Gate
from trayapp.core.model import (
    AccessToken,
    Attempt,
    Failing,
    Login,
    Moment,
    Phase,
    Problem,
    Secret,
    Series,
    SignedOut,
    Spec,
    Step,
    Trigger,
    Trouble,
    Workload,
)
from trayapp.core.permission import Needs
from trayapp.core.snapshot import Detail, Status

NOW = Moment(at=1000.0, awake=900.0, wall=1_700_000_000.0)
SPEC = Spec("jira", "https://jira.example/mcp", token_endpoint="https://login.example/token")
LOGIN = Login(1, "l", Secret("rt"), 0.0, "https://login.example/token", "client", scope="read")
ACCESS_ONLY = replace(
    LOGIN, refresh_token=Secret(""), obtained_at=NOW.wall - 5e7, access_token=Secret("at"), expires_at=NOW.wall + 600.0
)
OPEN = Gate()
OFFLINE = gates.network(OPEN, 980.0, offline=True)
JUST_OFFLINE = gates.network(OPEN, 995.0, offline=True)
PORTAL = gates.network(OPEN, 980.0, offline=False, portal=True)
ASLEEP = gates.sleep_soon(OPEN, 999.0)
SETTLING = gates.woke(gates.with_settling_times(OPEN, 3.0, 15.0), 998.0)  # until 1001
PAGE = Problem("http", "A firewall or proxy blocked the request (403).", 403)
NO = Problem("oauth", "The server no longer accepts this login (invalid_grant).", 400, "invalid_grant")


def token(left: float | None = 600.0, rejected: bool = False) -> AccessToken:
    return AccessToken(1, Secret("at"), 900.0, None if left is None else NOW.at + left, None, rejected)


def outage(**changes: Any) -> Failing:
    return replace(Failing(since=Moment(950.0, 850.0, NOW.wall - 50.0), tries=1, total=1), **changes)


def work(phase: Phase = Phase.WAITING, **changes: Any) -> Workload:
    return replace(Workload(SPEC, phase=phase, login=LOGIN), **changes)


LONG = outage(exhausted=True, retrying_since=NOW.wall - 40.0, total=5)
GONE = outage(exhausted=True, gave_up=True, total=150)
FLIGHT = Attempt(3, Trigger.TICK, Step.SENT, NOW, "f", "l")
VALID = work(Phase.VALID, access=token(), due=1300.0)
SHORT = work(failing=outage(), access=token(-5.0), last_error=PAGE, due=1010.0, series=Series.SHORT)
AMBER = work(failing=LONG, access=token(-5.0), last_error=PAGE, due=1200.0, series=Series.TICK)
START = work(due=1000.0)

STATES: list[tuple[str, Workload, Gate, Status, Detail, str]] = [
    ("all is well", VALID, OPEN, Status.RUNNING, Detail.OK, ""),
    ("a token without end", replace(VALID, access=token(None), due=None), OPEN, Status.RUNNING, Detail.OK, ""),
    ("offline does not matter while nothing is due", VALID, OFFLINE, Status.RUNNING, Detail.OK, ""),
    ("nor does settling", replace(VALID, due=990.0), SETTLING, Status.RUNNING, Detail.OK, ""),
    (
        "past due and offline",
        replace(VALID, due=990.0),
        OFFLINE,
        Status.RUNNING,
        Detail.OFFLINE,
        "No network connection. Amberlight reconnects when the network is back.",
    ),
    ("past due and offline for a moment", replace(VALID, due=990.0), JUST_OFFLINE, Status.RUNNING, Detail.OK, ""),
    ("the short retry behind a token is unseen", replace(SHORT, access=token()), OPEN, Status.RUNNING, Detail.OK, ""),
    (
        "exhausted behind a token",
        replace(AMBER, access=token()),
        OPEN,
        Status.RUNNING,
        Detail.REFRESH_DELAYED,
        "A firewall or proxy blocked the request (403). The current token still works. Amberlight retries automatically.",
    ),
    (
        "gave up, but the token still works",
        work(failing=GONE, access=token()),
        OPEN,
        Status.RUNNING,
        Detail.REFRESH_DELAYED,
        "Couldn't refresh the token yet. The current token still works. Amberlight retries automatically.",
    ),
    (
        "the upstream rejected the token",
        work(access=token(rejected=True)),
        OPEN,
        Status.RUNNING,
        Detail.REFRESH_DELAYED,
        "Refreshing the token.",
    ),
    (
        "the short retry",
        SHORT,
        OPEN,
        Status.RUNNING,
        Detail.RETRYING,
        "A firewall or proxy blocked the request (403). Amberlight retries automatically.",
    ),
    (
        "the short retry at a start",
        replace(SHORT, access=None, last_error=None),
        OPEN,
        Status.STARTING,
        Detail.RETRYING,
        "Couldn't refresh the token yet. Amberlight retries automatically.",
    ),
    (
        "the long phase",
        AMBER,
        OPEN,
        Status.AUTH_RETRYING,
        Detail.RETRYING,
        "A firewall or proxy blocked the request (403). Amberlight retries automatically.",
    ),
    (
        "the server said when",
        replace(AMBER, not_before=1500.0),
        OPEN,
        Status.AUTH_RETRYING,
        Detail.SERVER_SAID_WAIT,
        "The server asked to wait. Amberlight retries automatically.",
    ),
    (
        "the portal",
        AMBER,
        PORTAL,
        Status.AUTH_RETRYING,
        Detail.PORTAL,
        "This network asks you to sign in. Open any web page and sign in to this Wi-Fi network.",
    ),
    (
        "sleep comes",
        AMBER,
        ASLEEP,
        Status.AUTH_RETRYING,
        Detail.SLEEPING,
        "The computer is about to sleep. Amberlight continues when it wakes.",
    ),
    (
        "settling",
        SHORT,
        SETTLING,
        Status.RUNNING,
        Detail.SETTLING,
        "The network just changed. Amberlight reconnects in a few seconds.",
    ),
    ("starting", START, OPEN, Status.STARTING, Detail.STARTING, "Starting with the saved login."),
    ("reading", work(Phase.LOADING), OPEN, Status.STARTING, Detail.STARTING, "Starting with the saved login."),
    (
        "starting offline, at first",
        START,
        JUST_OFFLINE,
        Status.STARTING,
        Detail.OFFLINE,
        "No network connection. Amberlight reconnects when the network is back.",
    ),
    (
        "starting offline, then",
        START,
        OFFLINE,
        Status.AUTH_RETRYING,
        Detail.OFFLINE,
        "No network connection. Amberlight reconnects when the network is back.",
    ),
    (
        "the keyring is locked at a start",
        work(Phase.LOADING, keyring=Trouble.LOCKED, keyring_since=985.0),
        OPEN,
        Status.AUTH_RETRYING,
        Detail.KEYRING_LOCKED,
        "The keyring is locked. Unlock your keyring to continue.",
    ),
    (
        "the keyring has just been found locked",
        work(Phase.LOADING, keyring=Trouble.LOCKED, keyring_since=999.0),
        OPEN,
        Status.STARTING,
        Detail.KEYRING_LOCKED,
        "The keyring is locked. Unlock your keyring to continue.",
    ),
    (
        "locked for a moment, offline for long",
        work(keyring=Trouble.LOCKED, keyring_since=999.0),
        OFFLINE,
        Status.AUTH_RETRYING,
        Detail.KEYRING_LOCKED,
        "The keyring is locked. Unlock your keyring to continue.",
    ),
    (
        "the keyring hangs behind a token",
        work(access=token(), keyring=Trouble.HANGING, keyring_since=900.0),
        OFFLINE,
        Status.RUNNING,
        Detail.KEYRING_UNAVAILABLE,
        "The keyring isn't responding. Look for a window that asks for its password; Amberlight retries automatically.",
    ),
    (
        "no keyring",
        work(keyring=Trouble.UNAVAILABLE),
        OPEN,
        Status.AUTH_RETRYING,
        Detail.KEYRING_UNAVAILABLE,
        "No secure keyring was found. Start one, such as GNOME Keyring or KWallet; Amberlight continues automatically.",
    ),
    (
        "a failing keyring",
        work(keyring=Trouble.FAILED, keyring_since=0.0),
        OPEN,
        Status.AUTH_RETRYING,
        Detail.KEYRING_UNAVAILABLE,
        "The keyring returned an error. Amberlight retries automatically.",
    ),
    (
        "the write failed",
        replace(VALID, unsaved=True, keyring_tries=1, store_at=1060.0),
        OPEN,
        Status.RUNNING,
        Detail.NOT_STORED,
        "The newest login isn't saved in the keyring yet. Keep Amberlight running, and unlock or start your keyring; the "
        "login is then saved automatically.",
    ),
    ("a write under way", replace(VALID, unsaved=True, storing=2), OPEN, Status.RUNNING, Detail.OK, ""),
    (
        "a rotation under way",
        replace(VALID, phase=Phase.REFRESHING, unsaved=True, storing=2, attempt=replace(FLIGHT, step=Step.STORING)),
        OPEN,
        Status.RUNNING,
        Detail.OK,
        "",
    ),
    (
        "refreshed while still unsaved",
        replace(VALID, phase=Phase.REFRESHING, unsaved=True, attempt=FLIGHT),
        OPEN,
        Status.RUNNING,
        Detail.NOT_STORED,
        "The newest login isn't saved in the keyring yet. Keep Amberlight running, and unlock or start your keyring; the "
        "login is then saved automatically.",
    ),
    (
        "refused",
        work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED, last_error=NO),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.REFUSED,
        "The server no longer accepts this login (invalid_grant). Choose Reauthorize to sign in again.",
    ),
    (
        "refused, while the token still works",
        work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED, access=token()),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.REFUSED,
        "The server ended this session. Choose Reauthorize to sign in again.",
    ),
    (
        "lost",
        work(Phase.SIGNED_OUT, signed_out=SignedOut.LOST_ROTATION, last_error=NO),
        OFFLINE,
        Status.UNAUTHENTICATED,
        Detail.LOST_ROTATION,
        "The server's answer with the new login got lost, and the old login no longer works. Choose Reauthorize to sign in "
        "again.",
    ),
    (
        "over",
        work(Phase.SIGNED_OUT, login=ACCESS_ONLY, signed_out=SignedOut.ENDED, access=token(-5.0)),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.ENDED,
        "The login couldn't be renewed and has ended. Choose Reauthorize to sign in again.",
    ),
    (
        "no refresh token",
        replace(VALID, login=ACCESS_ONLY, due=None),
        OPEN,
        Status.RUNNING,
        Detail.OK,
        "The login can't be renewed and ends on 2023-11-14 (UTC). Reauthorize before then to stay signed in.",
    ),
    (
        "no refresh token, and it is rejected",
        replace(VALID, login=ACCESS_ONLY, due=None, strikes=3),
        OPEN,
        Status.UNHEALTHY,
        Detail.UPSTREAM_REJECTS,
        "The service refuses access. Check your account there. If it has access, choose Reauthorize.",
    ),
    (
        "more permission is needed",
        replace(VALID, needs=Needs(permission=True, scopes=("read", "write"))),
        OPEN,
        Status.RUNNING,
        Detail.PERMISSION_NEEDED,
        "Needs additional permission: write. Choose Reauthorize to grant it; everything else keeps working.",
    ),
    (
        "more permission is needed, but the token is gone",
        replace(SHORT, needs=Needs(permission=True)),
        OPEN,
        Status.RUNNING,
        Detail.RETRYING,
        "A firewall or proxy blocked the request (403). Amberlight retries automatically.",
    ),
    (
        "a stronger sign-in is needed",
        replace(VALID, needs=Needs(authentication=True, acr_values=("mfa",))),
        OPEN,
        Status.RUNNING,
        Detail.STRONGER_SIGN_IN,
        "Needs a stronger sign-in. Choose Reauthorize to grant it; everything else keeps working.",
    ),
    (
        "never signed in",
        work(Phase.SIGNED_OUT, login=None, signed_out=SignedOut.NEVER),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.NEVER_SIGNED_IN,
        "Not signed in yet. Choose Sign in to get started.",
    ),
    (
        "the ceiling",
        work(failing=GONE, access=token(-5.0), last_error=PAGE),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.CEILING,
        "Couldn't refresh for 24 hours. The login is kept: choose Retry now, or Reauthorize to sign in again.",
    ),
    (
        "signing in",
        work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED, signing_in=True),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.REFUSED,
        "Waiting for you to sign in in your browser. The menu can open the page again.",
    ),
    (
        "the upstream rejects",
        work(access=token(rejected=True), strikes=3),
        OPEN,
        Status.UNHEALTHY,
        Detail.UPSTREAM_REJECTS,
        "The service refuses access. Check your account there. Amberlight asks again periodically.",
    ),
    (
        "broken",
        work(Phase.BROKEN, broken="config.toml, line 3: “url” is missing."),
        OPEN,
        Status.ERROR,
        Detail.CONFIG_ERROR,
        "config.toml, line 3: “url” is missing.",
    ),
    (
        "broken without a word",
        work(Phase.BROKEN),
        OPEN,
        Status.ERROR,
        Detail.CONFIG_ERROR,
        "This workload isn't configured correctly. Fix the configuration; Amberlight reloads it automatically.",
    ),
    (
        "changed",
        work(Phase.BROKEN, broken="x", confirm=SPEC),
        OPEN,
        Status.ERROR,
        Detail.CONFIRM_CHANGE,
        "The configuration names a different server or client, and Amberlight won't connect until you confirm. If you made "
        "this change, choose Reauthorize to sign in there.",
    ),
    (
        "paused",
        work(Phase.PAUSED, access=token()),
        OFFLINE,
        Status.STOPPED,
        Detail.PAUSED,
        "Paused. Choose Resume to use it again.",
    ),
    (
        "being paused",
        replace(VALID, phase=Phase.REFRESHING, attempt=FLIGHT, after="pause"),
        OPEN,
        Status.STOPPED,
        Detail.PAUSED,
        "Paused. Choose Resume to use it again.",
    ),
    (
        "paused while the keyring is locked",
        work(Phase.PAUSED, keyring=Trouble.LOCKED, keyring_since=900.0),
        OPEN,
        Status.STOPPED,
        Detail.PAUSED,
        "Paused. Choose Resume to use it again.",
    ),
    (
        "paused without a keyring, behind a portal",
        work(Phase.PAUSED, keyring=Trouble.UNAVAILABLE, keyring_since=900.0),
        PORTAL,
        Status.STOPPED,
        Detail.PAUSED,
        "Paused. Choose Resume to use it again.",
    ),
    (
        "being paused while the keyring is asked",
        work(Phase.REFRESHING, attempt=replace(FLIGHT, step=Step.PROBE), keyring=Trouble.LOCKED, after="pause"),
        SETTLING,
        Status.STOPPED,
        Detail.PAUSED,
        "Paused. Choose Resume to use it again.",
    ),
    (
        "paused with a login that is not saved",
        work(Phase.PAUSED, unsaved=True, keyring_tries=1, store_at=1060.0),
        OPEN,
        Status.STOPPED,
        Detail.NOT_STORED,
        "Paused. The newest login isn't saved in the keyring yet. Keep Amberlight running, and unlock or start your keyring; "
        "the login is then saved automatically.",
    ),
    (
        "changed while the keyring is locked",
        work(Phase.BROKEN, broken="x", confirm=SPEC, keyring=Trouble.LOCKED, keyring_since=900.0),
        OFFLINE,
        Status.ERROR,
        Detail.CONFIRM_CHANGE,
        "The configuration names a different server or client, and Amberlight won't connect until you confirm. If you made "
        "this change, choose Reauthorize to sign in there.",
    ),
    (
        "changed with a login that is not saved",
        work(Phase.BROKEN, broken="x", confirm=SPEC, unsaved=True, keyring_tries=1),
        OPEN,
        Status.ERROR,
        Detail.CONFIRM_CHANGE,
        "The configuration names a different server or client, and Amberlight won't connect until you confirm. If you made "
        "this change, choose Reauthorize to sign in there.",
    ),
    (
        "refused while the keyring is locked",
        work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED, keyring=Trouble.LOCKED, keyring_since=900.0),
        PORTAL,
        Status.UNAUTHENTICATED,
        Detail.REFUSED,
        "The server ended this session. Choose Reauthorize to sign in again.",
    ),
    (
        "refused before it was saved",
        work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED, unsaved=True, keyring_tries=1),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.REFUSED,
        "The server ended this session. Choose Reauthorize to sign in again.",
    ),
    (
        "the ceiling, and then the keyring was locked",
        work(failing=GONE, keyring=Trouble.LOCKED, keyring_since=900.0),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.KEYRING_LOCKED,  # true here: an unlock brings an attempt (M7)
        "The keyring is locked. Unlock your keyring to continue.",
    ),
    (
        "being removed while the keyring is locked",
        work(Phase.PAUSED, after="remove", keyring=Trouble.LOCKED, keyring_since=900.0, unsaved=True, keyring_tries=1),
        OFFLINE,
        Status.REMOVING,
        Detail.OK,
        "Amberlight is revoking and deleting its login.",
    ),
    (
        "being removed",
        work(Phase.PAUSED, after="remove"),
        OPEN,
        Status.REMOVING,
        Detail.OK,
        "Amberlight is revoking and deleting its login.",
    ),
]
