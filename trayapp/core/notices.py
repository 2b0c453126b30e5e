"""What is announced, once: the difference between what was said and what is so now.

`notices` is told everything and remembers through `ShownNotices` alone. Amber is announced only where somebody missed a
token; red until it is solved; offline never. Several at once are one notification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trayapp.core import sentences
from trayapp.core.model import DeviceCode, Problem
from trayapp.core.presentation import Action, Notice, Verb
from trayapp.core.snapshot import Detail, Snapshot, Status, WorkloadView

AMBER_DELAY = 60.0  # s of retrying before a word is said: most outages are over by then
OVERRULABLE = ("different_account", "different_server", "scope_lost")  # of a sign-in; a person may agree to these
REMINDER_INTERVAL = 86400.0  # s between two reminders of the same sign-in


@dataclass(frozen=True, slots=True)
class ShownNotices:
    """What was said so far and has not ended. Names are sorted."""

    amber: tuple[str, ...] = ()
    red: Mapping[str, float] = field(default_factory=dict)  # name → wall, when it was last said
    red_shown: tuple[str, ...] = ()  # what the red notification on the screen speaks of
    failed: Mapping[str, Problem] = field(default_factory=dict)  # sign-ins that came to nothing
    codes: Mapping[str, DeviceCode] = field(default_factory=dict)  # sign-ins that wait for their code


def notices(
    shown_before: ShownNotices,
    snapshot: Snapshot,
    refused: frozenset[str],
    wall: float,
    user_is_back: bool = False,
) -> tuple[ShownNotices, tuple[Notice, ...], tuple[str, ...]]:
    """What to show and which keys to withdraw.

    `refused`: the workloads whose clients went away without a token in this outage. `nudge`: the user is just back, by
    wake or unlock; only then is a reminder repeated.
    """
    amber, show_amber, drop_amber = _amber(shown_before, snapshot, refused, wall)
    red, shown, show_red, drop_red = _red(shown_before, snapshot, wall, user_is_back)
    failed, show_failed, drop_failed = _failed_sign_ins(shown_before, snapshot)
    codes, show_code, drop_code = _device_codes(shown_before, snapshot)
    show = show_amber + show_red + show_failed + show_code
    return ShownNotices(amber, red, shown, failed, codes), show, drop_amber + drop_red + drop_failed + drop_code


def _device_codes(
    shown_before: ShownNotices, snapshot: Snapshot
) -> tuple[Mapping[str, DeviceCode], tuple[Notice, ...], tuple[str, ...]]:
    """The code that a person has to type, for as long as it is good (RFC 8628); asked for, so muted or not."""
    codes = {name: view.auth.device for name, view in snapshot.workloads.items() if view.auth.device is not None}
    show = tuple(_code_notice(name, code) for name, code in codes.items() if shown_before.codes.get(name) != code)
    return codes, show, tuple(f"device:{name}" for name in shown_before.codes if name not in codes)


def _code_notice(name: str, code: DeviceCode) -> Notice:
    """SECURITY.md 13: the code, the place, and a word of warning."""
    body = f"{sentences.enter_code(code)}, on any machine. Only do so if you began this sign-in yourself."
    return Notice(
        f"device:{name}", f"{name}: code {code.user_code}", body, (("Open page", Action(Verb.REAUTHORIZE, name)),)
    )


def _failed_sign_ins(
    shown_before: ShownNotices, snapshot: Snapshot
) -> tuple[Mapping[str, Problem], tuple[Notice, ...], tuple[str, ...]]:
    """A person asked for a sign-in and is told what became of it, muted or not; a new try takes it away."""
    errors = {name: view.auth.sign_in_error for name, view in snapshot.workloads.items()}
    failed = {name: error for name, error in errors.items() if error is not None and error.kind != "cancelled"}
    show = tuple(
        _failed_notice(name, error) for name, error in failed.items() if shown_before.failed.get(name) != error
    )
    return failed, show, tuple(f"sign_in:{name}" for name in shown_before.failed if name not in failed)


def _failed_notice(name: str, error: Problem) -> Notice:
    if error.kind in OVERRULABLE:
        what = "server" if error.kind == "different_server" else "account"
        title, button = f"{name}: is this the right {what}?", ("Use it all the same", Action(Verb.ACCEPT, name))
    else:
        title, button = f"{name}: the sign-in did not work", ("Try again", Action(Verb.REAUTHORIZE, name))
    return Notice(f"sign_in:{name}", title, error.summary, (button,))


def _amber(
    shown_before: ShownNotices, snapshot: Snapshot, refused: frozenset[str], wall: float
) -> tuple[tuple[str, ...], tuple[Notice, ...], tuple[str, ...]]:
    """Once per outage; withdrawn without a word when the last of them has recovered."""
    retrying = {n for n, view in snapshot.workloads.items() if view.status is Status.AUTH_RETRYING}
    still = tuple(n for n in shown_before.amber if n in retrying)
    new = {n for n in (retrying & refused) - set(still) if _long_enough(snapshot.workloads[n], wall)}
    if new and not snapshot.gate and not snapshot.muted:
        names = tuple(sorted(new.union(still)))
        old = _notice_keys("amber", shown_before.amber)
        notice = _amber_notice(names, snapshot.workloads)
        return names, (notice,), tuple(key for key in old if key != notice.key)
    if still:  # the notification still speaks the truth of somebody
        return shown_before.amber, (), ()
    return (), (), _notice_keys("amber", shown_before.amber)


def _long_enough(view: WorkloadView, wall: float) -> bool:
    began = view.auth.since if view.auth.retrying_since is None else view.auth.retrying_since
    return wall - began >= AMBER_DELAY


def _red(
    shown_before: ShownNotices, snapshot: Snapshot, wall: float, user_is_back: bool
) -> tuple[Mapping[str, float], tuple[str, ...], tuple[Notice, ...], tuple[str, ...]]:
    """Until solved, paused or muted. One notification speaks of all of them, and of nobody else."""
    names = tuple(sorted(n for n, view in snapshot.workloads.items() if _is_red(view)))
    last_said = {n: at for n, at in shown_before.red.items() if n in names}
    shown, old = shown_before.red_shown, _notice_keys("red", shown_before.red_shown)
    solved = any(n not in names for n in shown)
    if snapshot.muted or not names:
        return (last_said, (), (), old) if solved else (last_said, shown, (), ())
    new = any(n not in last_said for n in names)
    again = user_is_back and any(
        abs(wall - at) >= REMINDER_INTERVAL for n, at in last_said.items() if not _signing_in(snapshot, n)
    )
    if not (new or again or solved):
        return last_said, shown, (), ()
    if new or again:
        last_said = dict.fromkeys(names, wall)
    notice = _red_notice(names, snapshot.workloads)
    return last_said, names, (notice,), tuple(key for key in old if key != notice.key)


def _is_red(view: WorkloadView) -> bool:
    return view.status is Status.UNAUTHENTICATED and view.auth.detail is not Detail.NEVER_SIGNED_IN


def _signing_in(snapshot: Snapshot, name: str) -> bool:
    return snapshot.workloads[name].auth.signing_in


def _notice_keys(kind: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The key of the notification that speaks of these; none of nobody."""
    if not names:
        return ()
    return (f"{kind}:{names[0]}" if len(names) == 1 else kind,)


def _amber_notice(names: tuple[str, ...], views: Mapping[str, WorkloadView]) -> Notice:
    (key,) = _notice_keys("amber", names)
    if len(names) > 1:
        title = f"{len(names)} workloads cannot be refreshed right now"
        body = f"{sentences.list_names(names)}. Nothing to do: Amberlight is trying again by itself."
        return Notice(key, title, body, (("Show", Action(Verb.SHOW)),))
    name = names[0]
    body = sentences.AMBER_BODIES.get(views[name].auth.detail, sentences.AMBER_BODY_DEFAULT)
    return Notice(key, f"{name} cannot be refreshed right now", body, (("Retry now", Action(Verb.RETRY, name)),))


def _red_notice(names: tuple[str, ...], views: Mapping[str, WorkloadView]) -> Notice:
    (key,) = _notice_keys("red", names)
    if len(names) > 1:
        return Notice(
            key,
            f"{len(names)} workloads need you to sign in",
            f"{sentences.list_names(names)}.",
            (("Show", Action(Verb.SHOW)),),
        )
    name = names[0]
    body = sentences.RED_BODIES.get(views[name].auth.detail, sentences.RED_BODY_DEFAULT)
    buttons = (("Reauthorize", Action(Verb.REAUTHORIZE, name)), ("Retry now", Action(Verb.RETRY, name)))
    return Notice(key, f"{name} needs you to sign in", body, buttons)
