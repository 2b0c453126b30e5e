"""Workloads that other programs keep signed in: watched here, never owned.

A program's own status word decides how its workload is drawn. Everything else is derived: the label, the advice, how
often to look, and which workloads to have restarted once the network is back. Nothing here reads a login.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trayapp.core.labels import label
from trayapp.core.one_line import clean
from trayapp.core.presentation import Action, Colour, Notice, Verb
from trayapp.core.redaction import redact_start
from trayapp.core.snapshot import AuthView, Detail, External, Health, Status, WorkloadView
from trayapp.core.view import style_of

URL_MAX = 2000  # characters of an address
WORD_MAX = 40  # characters of a status word that we don't know
CONTEXT_MAX = 500  # characters of a program's own explanation
LOOK_EVERY = 60.0  # s between two looks, where the program doesn't report changes
LOOK_EVERY_TROUBLED = 5.0  # s, while anything of it is amber or red
HEAL_AFTER = 2.0  # s after the network has settled: the program may have noticed, too
HEALS_MAX = 3  # restarts of one workload
HEALS_WINDOW = 3600.0  # s in which they are counted

OWNER_ID = re.compile(r"[a-z0-9-]{1,40}")  # the part of a name before the slash
NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")  # the part after it; not `.` or `..`, as it is part of a URL

GONE = frozenset({Status.STOPPED, Status.STOPPING, Status.REMOVING, Status.POLICY_STOPPED})  # not drawn in the tray
UNWELL = frozenset({Status.AUTH_RETRYING, Status.UNAUTHENTICATED, Status.ERROR, Status.UNHEALTHY})

_DETAILS: Mapping[Status, Detail] = {
    Status.STARTING: Detail.STARTING,
    Status.AUTH_RETRYING: Detail.RETRYING,
    Status.UNAUTHENTICATED: Detail.ENDED,
    Status.STOPPED: Detail.PAUSED,
    Status.POLICY_STOPPED: Detail.PAUSED,
}

_USER_IN_URL = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/?#]*@", re.I)
_KEY_OF_OURS = re.compile(r"^(https?://[^/?#]*/k/)[^/?#]+", re.I)  # a local key in an address of ours
_IN_QUERY = re.compile(r"([?&;])([^?=&;#]*)=[^&;#]+")

# A refusal by the server: a restart would only open another program's sign-in page. Any of OAuth's errors is one, as Go
# writes it or in the server's own answer, except those that pass.
_REFUSED = re.compile(
    r"invalid_grant|invalid_client|unauthorized_client|invalid_scope|unsupported_grant_type|access_denied|new token|"
    r"(?:oauth2: |\berror\W{1,4}[:=]\W{0,4})\\?\"(?!server_error|temporarily_unavailable|slow_down)[a-z]+_[a-z_]+\b|"
    r"(?:interaction|login|consent|account_selection)_required",
    re.I,
)
# What passes: no answer, no name, no trust, or an answer that isn't OAuth's.
_PASSING = re.compile(
    r"transient|deadline exceeded|time(?:d )?-?out|\bEOF\b|connection|no such host|unreachable|dial tcp|lookup|x509|tls:|"
    r"cannot parse|\b5\d\d\b|\b429\b|<html|redirect",
    re.I,
)


@dataclass(frozen=True, slots=True)
class ExternalWorkload:
    """A workload as another program reports it. Texts are that program's own."""

    name: str
    url: str  # of the server
    client_url: str  # where its clients reach it; empty: not known
    word: str  # its status
    context: str = ""  # why it is so
    since: float = 0.0  # wall; when that was written; 0: not known


def external_name(owner_id: str, name: str) -> str:
    """`OWNER/NAME`, by which menu, API and command line name it: `toolhive/github`."""
    return f"{owner_id}/{name}"


def split_name(name: str) -> tuple[str, str] | None:
    """The owner's id and its name for the workload; None if that is no name of another program's workload."""
    owner, slash, own = name.partition("/")
    return (owner, own) if slash and OWNER_ID.fullmatch(owner) and NAME.fullmatch(own) else None


def status_of(word: str) -> Status:
    """The status that a program's word means; `UNKNOWN` for a word of a later version."""
    try:
        return Status(word)
    except ValueError:
        return Status.UNKNOWN


def external_view(
    owner_id: str, owner: str, found: ExternalWorkload, actions: Sequence[Verb], doing: str = ""
) -> WorkloadView:
    """The view of another program's workload. `actions` are those that its owner can carry out."""
    status = status_of(found.word)
    style = style_of(status)
    detail = _DETAILS.get(status, Detail.OK)
    return WorkloadView(
        name=external_name(owner_id, found.name),
        url=_shown_url(found.url),
        status=status,
        status_context=doing or redact_start(clean(found.context).strip(), CONTEXT_MAX),
        health=style.health if status is not Status.UNKNOWN else Health.UNKNOWN,
        colour=style.colour,
        glyph=style.glyph,
        auth=AuthView(detail=detail, since=found.since, usable=status is Status.RUNNING),
        external=External(
            owner=owner,
            name=found.name,
            word=clean(found.word).strip()[:WORD_MAX] or Status.UNKNOWN.value,
            client_url=_shown_url(found.client_url, fragment=True),
            actions=tuple(actions),
            doing=doing,
        ),
    )


def _shown_url(url: str, *, fragment: bool = False) -> str:
    """An address without the passwords and keys that another program's configuration may have in it. Any value in the
    query may be one, whatever its name. `fragment`: keep it, as it's the name of a workload."""
    whole, mark, after = clean(url).strip().partition("#")
    bare = _KEY_OF_OURS.sub(r"\1***", _USER_IN_URL.sub(r"\1", whole))
    shown = _IN_QUERY.sub(r"\1\2=***", bare)
    return f"{shown}{mark}{after}"[:URL_MAX] if fragment else shown[:URL_MAX]


def external_advice(view: WorkloadView) -> tuple[str, str]:
    """The action that helps most, and what to do; both empty if all is well or nothing can be done from here."""
    facts = view.external
    if facts is None or facts.doing or view.status not in UNWELL:
        return "", ""
    if Verb.RESTART in facts.actions and Verb.TAKE_OVER in facts.actions:
        return (
            Verb.RESTART.value,
            f"Restart it in {facts.owner}, or take it over so that Amberlight keeps it signed in.",
        )
    if Verb.RESTART in facts.actions:
        return Verb.RESTART.value, f"Restart it in {facts.owner}."
    if Verb.TAKE_OVER in facts.actions:
        return Verb.TAKE_OVER.value, "Take it over so that Amberlight keeps it signed in."
    return "", f"{facts.owner} keeps it signed in. Check it there."


def drawn(views: Iterable[WorkloadView]) -> Iterable[WorkloadView]:
    """Those that belong in the tray: another program's stopped workloads leave it quietly."""
    return (view for view in views if view.external is None or view.status not in GONE)


def buttons(view: WorkloadView) -> tuple[tuple[str, Action], ...]:
    """The buttons of a notification about it."""
    actions = view.external.actions if view.external else ()
    offered = ((Verb.RESTART, "Restart"), (Verb.TAKE_OVER, "Take over…"))
    return tuple((text, Action(verb, view.name)) for verb, text in offered if verb in actions)


def unwell_notice(key: str, view: WorkloadView) -> Notice:
    """The notification about one of them that is amber or red, without any text of a server's."""
    owner = view.external.owner if view.external else ""
    if view.colour is Colour.AMBER:
        return Notice(key, f"{view.title} is reconnecting", f"{owner} can't refresh its token.", buttons(view))
    return Notice(key, f"{view.title}: {label(view)}", external_advice(view)[1], buttons(view))


# --- how often to look -----------------------------------------------------------------------------------------------


def look_after(views: Iterable[WorkloadView]) -> float:
    """Seconds until the next look at a program that doesn't report changes."""
    return LOOK_EVERY_TROUBLED if any(view.status in UNWELL for view in views) else LOOK_EVERY


# --- healing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Heals:
    """When workloads were restarted by us without a click; `at` is the clock that counts sleep, in seconds."""

    at: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def heal(views: Iterable[WorkloadView], before: Heals, at: float) -> tuple[Heals, list[str]]:
    """Which workloads to have restarted now, once the network is back or the machine is awake: those that failed
    temporarily, at most `HEALS_MAX` times in `HEALS_WINDOW`. Asked once for each return."""
    recent = {
        name: kept for name, times in before.at.items() if (kept := tuple(t for t in times if at - t < HEALS_WINDOW))
    }
    names = []
    for view in views:
        if view.external is None or view.external.doing or Verb.RESTART not in view.external.actions:
            continue
        if is_passing(view) and len(recent.get(view.name, ())) < HEALS_MAX:
            recent[view.name] = (*recent.get(view.name, ()), at)
            names.append(view.name)
    return Heals(recent), names


def is_passing(view: WorkloadView) -> bool:
    """Whether its login failed temporarily: the program is retrying, or what it says is no refusal.

    A restart of any other would open that program's sign-in page, which nobody asked for.
    """
    if view.status is Status.AUTH_RETRYING:
        return True
    text = view.status_context
    return view.status is Status.UNAUTHENTICATED and not _REFUSED.search(text) and bool(_PASSING.search(text))
