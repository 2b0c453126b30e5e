"""Notifications: what to show and withdraw, as the difference between what was shown and the current snapshot.

`notices` is a pure function; its only memory is `ShownNotices`. Amber is announced only if a caller was refused (M15: a
call or a plain request, never a list), red until it is solved, offline never. Several workloads share one notification.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace

from trayapp.core import sentences
from trayapp.core.external import unwell_notice
from trayapp.core.labels import Label, label
from trayapp.core.model import BrowserFault, DeviceCode, Problem
from trayapp.core.notice_kinds import ENDING, KINDS, PERMISSION, RECONNECTING, SIGN_IN
from trayapp.core.presentation import Action, Notice, Verb
from trayapp.core.snapshot import Detail, Snapshot, Status, WorkloadView

AMBER_DELAY = 60.0  # s of retrying before it is announced: most outages are over by then
OVERRULABLE = {  # problems of a sign-in that a person may agree to: question, button
    "different_account": ("Use a different account for {name}?", "Use this account"),
    "different_server": ("Use a different server for {name}?", "Use this server"),
    "scope_lost": ("Use a login with fewer permissions for {name}?", "Use this login"),
    "not_renewable": ("Use a login for {name} that can't be renewed?", "Use this login"),
}
REMINDER_INTERVAL = 86400.0  # s between two reminders of the same sign-in


@dataclass(frozen=True, slots=True)
class ShownNotices:
    """What has been announced and isn't over yet. Names are sorted."""

    amber: tuple[str, ...] = ()
    red: Mapping[str, float] = field(default_factory=dict)  # name → wall time of its last announcement
    red_shown: tuple[str, ...] = ()  # the names in the red notification on screen
    failed: Mapping[str, Problem] = field(default_factory=dict)  # failed sign-ins
    codes: Mapping[str, DeviceCode] = field(default_factory=dict)  # device authorizations that wait for their code
    pages: Mapping[str, BrowserFault] = field(default_factory=dict)  # sign-in pages that may not be open
    ending: frozenset[str] = frozenset()  # logins that can't be renewed and end soon
    lacking: frozenset[str] = frozenset()  # workloads whose server asked for more than the login grants


def notices(
    shown_before: ShownNotices,
    snapshot: Snapshot,
    refused: frozenset[str],
    wall: float,
    user_is_back: bool = False,
    allowed: Set[str] = frozenset(KINDS),
) -> tuple[ShownNotices, tuple[Notice, ...], tuple[str, ...]]:
    """The new memory, the notices to show and the keys to withdraw. `wall` is now.

    `refused` names the workloads that had to refuse a caller in this outage (M15). `user_is_back` is true right after
    a wake or an unlock; only then is a reminder repeated. `allowed` are the `KINDS` that may be shown now.
    """
    if snapshot.external:  # another program doesn't say whether its clients wait: each of its outages counts
        refused = refused | snapshot.external.keys()
        snapshot = replace(snapshot, workloads=snapshot.everything, external={})

    def seen_by(kind: str) -> Snapshot:
        return snapshot if kind in allowed else replace(snapshot, muted=True)

    amber, show_amber, drop_amber = _amber(shown_before, seen_by(RECONNECTING), refused, wall)
    red, shown, show_red, drop_red = _red(shown_before, seen_by(SIGN_IN), wall, user_is_back)
    failed, show_failed, drop_failed = _failed_sign_ins(shown_before, snapshot)
    codes, show_code, drop_code = _device_codes(shown_before, snapshot)
    pages, show_page, drop_page = _unopened_pages(shown_before, snapshot)
    ending, show_end, drop_end = _once("ending", shown_before.ending, _ending(snapshot), seen_by(ENDING))
    lacking, show_lack, drop_lack = _once("permission", shown_before.lacking, _lacking(snapshot), seen_by(PERMISSION))
    show = show_amber + show_red + show_failed + show_code + show_page + show_end + show_lack
    drop = drop_amber + drop_red + drop_failed + drop_code + drop_page + drop_end + drop_lack
    return ShownNotices(amber, red, shown, failed, codes, pages, ending, lacking), show, drop


def forget(shown: ShownNotices, keys: Set[str]) -> ShownNotices:
    """The memory without the notices of these keys, which nobody could see: `notices` shows again what is still true."""
    red_unseen = shown.red_shown if keys & set(_notice_keys("red", shown.red_shown)) else ()
    return ShownNotices(
        amber=() if keys & set(_notice_keys("amber", shown.amber)) else shown.amber,
        red={name: at for name, at in shown.red.items() if name not in red_unseen},
        red_shown=() if red_unseen else shown.red_shown,
        failed={name: problem for name, problem in shown.failed.items() if f"sign_in:{name}" not in keys},
        codes={name: code for name, code in shown.codes.items() if f"device:{name}" not in keys},
        pages={name: fault for name, fault in shown.pages.items() if f"page:{name}" not in keys},
        ending=frozenset(name for name in shown.ending if f"ending:{name}" not in keys),
        lacking=frozenset(name for name in shown.lacking if f"permission:{name}" not in keys),
    )


def _once(
    kind: str, shown: frozenset[str], notices_by_name: Mapping[str, Notice], snapshot: Snapshot
) -> tuple[frozenset[str], tuple[Notice, ...], tuple[str, ...]]:
    """A notice per workload, shown once while it is true, however often its cause repeats, and withdrawn afterwards."""
    names = notices_by_name.keys()
    new = () if snapshot.muted else tuple(notices_by_name[name] for name in sorted(names - shown))
    still = shown & names if snapshot.muted else frozenset(names)
    return still, new, tuple(f"{kind}:{name}" for name in sorted(shown - names))


def _ending(snapshot: Snapshot) -> Mapping[str, Notice]:
    """Logins that can't be renewed and end soon (RULES.md section 6)."""
    ending = (n for n, view in snapshot.workloads.items() if view.auth.ends_soon and view.status is Status.RUNNING)
    return {
        name: _reauthorize_notice("ending", name, f"Your sign-in to {name} ends soon", sentences.ENDS_SOON)
        for name in ending
    }


def _lacking(snapshot: Snapshot) -> Mapping[str, Notice]:
    """Workloads whose server asked for more than the login grants (RULES.md section 7)."""
    beyond = (Detail.PERMISSION_NEEDED, Detail.STRONGER_SIGN_IN)
    return {
        name: _reauthorize_notice(
            "permission", name, f"{name} {sentences.SHORT_STATE[view.auth.detail]}", view.status_context
        )
        for name, view in snapshot.workloads.items()
        if view.auth.detail in beyond
    }


def _reauthorize_notice(kind: str, name: str, title: str, body: str) -> Notice:
    return Notice(f"{kind}:{name}", title, body, (("Reauthorize", Action(Verb.REAUTHORIZE, name)),))


def _device_codes(
    shown_before: ShownNotices, snapshot: Snapshot
) -> tuple[Mapping[str, DeviceCode], tuple[Notice, ...], tuple[str, ...]]:
    """User codes to type, for as long as they are valid (RFC 8628). Shown even when muted: a person asked for them."""
    codes = {name: view.auth.device for name, view in snapshot.workloads.items() if view.auth.device is not None}
    show = tuple(_code_notice(name, code) for name, code in codes.items() if shown_before.codes.get(name) != code)
    return codes, show, tuple(f"device:{name}" for name in shown_before.codes if name not in codes)


def _code_notice(name: str, code: DeviceCode) -> Notice:
    """The code, where to type it, and a warning against codes from somebody else (SECURITY.md 13)."""
    body = f"{sentences.enter_code(code)}, on any device. {sentences.ONLY_IF_YOURS}"
    return Notice(
        f"device:{name}",
        f"Sign-in code for {name}: {code.user_code}",
        body,
        (("Open page", Action(Verb.REAUTHORIZE, name)),),
    )


def _unopened_pages(
    shown_before: ShownNotices, snapshot: Snapshot
) -> tuple[Mapping[str, BrowserFault], tuple[Notice, ...], tuple[str, ...]]:
    """Sign-in pages that may not be open, until the sign-in ends. Shown even when muted: a person waits for the page."""
    faults = {name: view.auth.browser_fault for name, view in snapshot.workloads.items()}
    pages = {name: fault for name, fault in faults.items() if fault is not None}
    show = tuple(_page_notice(name, fault) for name, fault in pages.items() if shown_before.pages.get(name) != fault)
    return pages, show, tuple(f"page:{name}" for name in shown_before.pages if name not in pages)


def _page_notice(name: str, fault: BrowserFault) -> Notice:
    """The way on where no browser opens. The address itself is not shown: it is long."""
    copy = (("Copy URL", Action(Verb.COPY_SIGN_IN, name)),)
    if fault is BrowserFault.NOT_OPENED:
        body = "Copy the sign-in URL and open it in any browser on this computer."
        return Notice(f"page:{name}", f"Couldn't open a browser for {name}", body, copy)
    body = "If no page opened, copy the sign-in URL into any browser on this computer."
    return Notice(f"page:{name}", f"Sign in to {name} in your browser", body, copy)


def _failed_sign_ins(
    shown_before: ShownNotices, snapshot: Snapshot
) -> tuple[Mapping[str, Problem], tuple[Notice, ...], tuple[str, ...]]:
    """Failed sign-ins. Shown even when muted: a person asked for them; a new try withdraws the notice."""
    errors = {name: view.auth.sign_in_error for name, view in snapshot.workloads.items()}
    failed = {name: error for name, error in errors.items() if error is not None and error.kind != "cancelled"}
    show = tuple(
        _failed_notice(name, error) for name, error in failed.items() if shown_before.failed.get(name) != error
    )
    return failed, show, tuple(f"sign_in:{name}" for name in shown_before.failed if name not in failed)


def _failed_notice(name: str, error: Problem) -> Notice:
    if error.kind in OVERRULABLE:
        question, words = OVERRULABLE[error.kind]
        title, button = question.format(name=name), (words, Action(Verb.ACCEPT, name))
    else:
        title, button = f"Couldn't sign in to {name}", ("Try again", Action(Verb.REAUTHORIZE, name))
    return Notice(f"sign_in:{name}", title, error.summary, (button,))


def _amber(
    shown_before: ShownNotices, snapshot: Snapshot, refused: frozenset[str], wall: float
) -> tuple[tuple[str, ...], tuple[Notice, ...], tuple[str, ...]]:
    """Retrying workloads, announced once per outage; withdrawn silently when the last of them has recovered."""
    retrying = {n for n, view in snapshot.workloads.items() if view.status is Status.AUTH_RETRYING}
    still = tuple(n for n in shown_before.amber if n in retrying)
    new = {n for n in (retrying & refused) - set(still) if _long_enough(snapshot.workloads[n], wall)}
    if new and not snapshot.gate and not snapshot.muted:
        names = tuple(sorted(new.union(still)))
        old = _notice_keys("amber", shown_before.amber)
        notice = _amber_notice(names, snapshot.workloads)
        return names, (notice,), tuple(key for key in old if key != notice.key)
    if still:  # the notice is still true of some of them
        return shown_before.amber, (), ()
    return (), (), _notice_keys("amber", shown_before.amber)


def _long_enough(view: WorkloadView, wall: float) -> bool:
    began = view.auth.since if view.auth.retrying_since is None else view.auth.retrying_since
    return wall - began >= AMBER_DELAY


def _red(
    shown_before: ShownNotices, snapshot: Snapshot, wall: float, user_is_back: bool
) -> tuple[Mapping[str, float], tuple[str, ...], tuple[Notice, ...], tuple[str, ...]]:
    """Workloads that need a sign-in: one notice for all of them, until solved, paused or muted."""
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
    """The key of the notice about these names, as a tuple; empty if there are none."""
    if not names:
        return ()
    return (f"{kind}:{names[0]}" if len(names) == 1 else kind,)


def _amber_notice(names: tuple[str, ...], views: Mapping[str, WorkloadView]) -> Notice:
    (key,) = _notice_keys("amber", names)
    if len(names) == 1 and views[names[0]].external is not None:
        return unwell_notice(key, views[names[0]])
    named = names[0] if len(names) == 1 else f"{len(names)} workloads"
    keyring = next((views[name] for name in names if views[name].auth.detail in sentences.AMBER_BODIES), None)
    if keyring is not None:  # one keyring holds all logins
        title, body = f"{named}: {label(keyring)}", sentences.AMBER_BODIES[keyring.auth.detail]
    elif len(names) > 1:
        title, body = f"{named} are reconnecting", sentences.NO_ACTION
    else:
        title, body = f"{named} is reconnecting", sentences.AMBER_BODY_DEFAULT
    if len(names) > 1:
        return Notice(key, title, f"{_listed(names, views)}. {body}", (("Show", Action(Verb.SHOW)),))
    return Notice(key, title, body, (("Retry now", Action(Verb.RETRY, names[0])),))


def _red_notice(names: tuple[str, ...], views: Mapping[str, WorkloadView]) -> Notice:
    (key,) = _notice_keys("red", names)
    if len(names) > 1:
        return Notice(
            key,
            f"{len(names)} workloads: {Label.SIGN_IN_NEEDED}",
            f"{_listed(names, views)}.",
            (("Show", Action(Verb.SHOW)),),
        )
    name = names[0]
    if views[name].external is not None:
        return unwell_notice(key, views[name])
    body = sentences.RED_BODIES.get(views[name].auth.detail, sentences.RED_BODY_DEFAULT)
    buttons = (("Reauthorize", Action(Verb.REAUTHORIZE, name)), ("Retry now", Action(Verb.RETRY, name)))
    return Notice(key, f"{name}: {Label.SIGN_IN_NEEDED}", body, buttons)


def _listed(names: tuple[str, ...], views: Mapping[str, WorkloadView]) -> str:
    return sentences.list_names(tuple(views[name].title for name in names))
