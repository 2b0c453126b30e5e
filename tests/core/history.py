"""Test histories: conversations with the state machine written as plain text.

Each line is `event -> phase, anything unusual | effects`. `play` runs the events on the left through the real
`machine.step` and returns the conversation as it really went, so that a failing test shows both, aligned. A line begins
with `+N` if N seconds pass first (`+N asleep`: while the machine sleeps).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from trayapp.core import machine
from trayapp.core import messages as m
from trayapp.core import outcomes as o
from trayapp.core.model import (
    AccessToken,
    Login,
    Moment,
    Phase,
    Policy,
    Problem,
    Saved,
    Secret,
    SignedOut,
    Spec,
    Trouble,
    Workload,
)
from trayapp.core.permission import Needs

ENDPOINT = "https://as.example/token"
SPEC = Spec("w", "https://api.example/mcp", client_id="c", token_endpoint=ENDPOINT)
LIFETIME = 1000.0


def login(generation: int = 1, lineage: str = "L", endpoint: str = ENDPOINT) -> Login:
    """A login whose refresh token is named after its lineage and generation."""
    return Login(generation, lineage, Secret(f"{lineage}{generation}"), 0.0, endpoint, "c")


def access_only(now: Moment, life: float | None = None, lineage: str = "A") -> Login:
    """A login without a refresh token, obtained now; its access token is named after its lineage."""
    ends = None if life is None else now.wall + life
    plain = replace(login(1, lineage), refresh_token=Secret(""), obtained_at=now.wall)
    return replace(plain, access_token=Secret(f"{lineage}-access"), expires_at=ends)


def access(serial: int, at: float, life: float | None = LIFETIME) -> AccessToken:
    """An access token as a sign-in would bring it."""
    ends = None if life is None else at + life
    return AccessToken(serial, Secret(f"access{serial}"), at, ends, ends)


@dataclass
class Player:
    """A conversation in progress: the workload, the clocks and what the keyring and server will say."""

    w: Workload
    now: Moment = field(default=Moment(1000.0, 1000.0, 1_000_000.0))
    jitter: float = 0.5
    serial: int = 0
    saved: Saved = field(default_factory=Saved)
    spec: Spec = SPEC

    def pass_time(self, seconds: float, asleep: bool = False) -> None:
        """Advance the clocks."""
        awake = self.now.awake + (0.0 if asleep else seconds)
        self.now = Moment(self.now.at + seconds, awake, self.now.wall + seconds)

    def finished(self, outcome: o.Outcome, attempt: int | None = None) -> m.Finished:
        """The end of the attempt in flight, or of attempt number `attempt` with the current token."""
        current = self.w.attempt
        own = self.w.login or login()
        self.serial += 1
        return m.Finished(
            self.now,
            attempt if attempt is not None else (current.number if current else 99),
            current.fingerprint if current else own.fingerprint(),
            current.lineage if current else own.lineage,
            outcome,
            self.jitter,
            self.serial,
        )

    def number(self) -> int:
        """The number of the attempt in flight, or one that was never used."""
        return self.w.attempt.number if self.w.attempt else 99


def _problem(kind: str = "http", status: int | None = None, code: str = "") -> Problem:
    return Problem(kind, f"{kind} {status or ''}{code}".strip(), status, code)


def _refreshed(p: Player, words: list[str]) -> m.Event:
    token = None
    if "rotated" in words:
        token = Secret(f"{p.w.login.lineage if p.w.login else 'L'}{p.w.highest_generation + 1}")
    elif "same" in words and p.w.login:
        token = p.w.login.refresh_token
    life = None if "endless" in words else LIFETIME
    return p.finished(o.Refreshed(Secret(f"access{p.serial + 1}"), token, life, "s" if "scope" in words else None))


def _busy(p: Player, words: list[str]) -> m.Event:
    status = int(words[0]) if words and words[0].isdigit() else 503
    after = float(words[words.index("after") + 1]) if "after" in words else None
    return p.finished(
        o.ServerBusy(
            _problem("http", status),
            retry_after=after,
            maybe_spent=status in (502, 504),
            portal="page" in words,
            refresh_token=Secret(f"L{p.w.highest_generation + 1}") if "rotated" in words else None,
        )
    )


def _loaded(p: Player, words: list[str]) -> m.Event:
    saved = p.saved
    if "none" in words:
        return m.Loaded(p.now, None, saved)
    if "access-only" in words:
        life = next((float(word) for word in words if word.lstrip("-").isdigit()), None)
        found = access_only(p.now, life)
        if "refused" in words:
            saved = replace(saved, signed_out=SignedOut.REFUSED, combination=found.fingerprint())
        p.serial += 1
        return m.Loaded(p.now, found, replace(saved, paused="paused" in words), p.serial, "asked" in words)
    generation = next((int(word) for word in words if word.isdigit()), 1)
    endpoint = "https://other.example/token" if "foreign" in words else ENDPOINT
    found = login(generation, endpoint=endpoint)
    if "refused" in words:
        saved = replace(saved, signed_out=SignedOut.REFUSED, combination=found.fingerprint())
    if "original" in words:
        saved = replace(saved, original=found.fingerprint())
    if "intent" in words:
        saved = replace(saved, open_intent=found.fingerprint())
    if "paused" in words:
        saved = replace(saved, paused=True)
    if "retrying" in words or "gave_up" in words:
        saved = replace(saved, retrying_since=p.now.wall - 500, counted=400.0, gave_up="gave_up" in words)
    return m.Loaded(p.now, found, saved, asked="asked" in words)


def _trouble(words: list[str]) -> Trouble:
    return Trouble(words[-1]) if words and words[-1] in list(Trouble) else Trouble.LOCKED


def _keyring(p: Player, words: list[str]) -> m.Event:
    if words == ["up"]:
        return m.KeyringUp(p.now)
    return m.KeyringDown(p.now, _trouble(words), saved=replace(p.saved, paused="paused" in words))


def _signed_in(p: Player, words: list[str]) -> m.Event:
    p.serial += 1
    if "access-only" in words:
        life = next((float(word) for word in words if word.isdigit()), None)
        return m.SignedIn(p.now, access_only(p.now, life), access(p.serial, p.now.at, life))
    return m.SignedIn(p.now, login(1, "N"), access(p.serial, p.now.at))


def _rejected(p: Player, words: list[str]) -> m.Event:
    serial = next((int(word) for word in words if word.isdigit()), p.w.access.serial if p.w.access else 0)
    return m.Rejected(p.now, serial, "invalid_token" if "invalid" in words else "")


def _permission(p: Player, words: list[str]) -> m.Event:
    serial = p.w.access.serial if p.w.access else 0
    stronger = words == ["stronger"]
    scopes = () if stronger else tuple(words)
    return m.PermissionNeeded(p.now, serial, Needs(permission=not stronger, scopes=scopes, authentication=stronger))


Maker = Callable[[Player, list[str]], m.Event]

EVENTS: dict[str, Maker] = {
    "loaded": _loaded,
    "keyring": _keyring,
    "probe": lambda p, words: (
        m.ProbeOk(p.now, p.number()) if words == ["ok"] else m.KeyringDown(p.now, _trouble(words), p.number())
    ),
    "stale-probe": lambda p, words: m.KeyringDown(p.now, Trouble.LOCKED, 77),
    "go": lambda p, words: m.Go(p.now),
    "refreshed": _refreshed,
    "not-sent": lambda p, words: p.finished(o.NotSent(_problem(words[0] if words else "dns"))),
    "busy": _busy,
    "ambiguous": lambda p, words: p.finished(o.Ambiguous(_problem("reset"))),
    "refused": lambda p, words: p.finished(o.Refused(_problem("oauth", 400, words[0] if words else "invalid_grant"))),
    "stored": lambda p, words: m.Stored(p.now, int(words[0]) if words else p.w.storing or 0, "L"),
    "not-stored": lambda p, words: m.NotStored(p.now, p.w.storing or 0, "L", _trouble(words)),
    "missing": lambda p, words: m.LoginMissing(
        p.now, int(words[0]) if words else p.w.login.generation if p.w.login else 0, "L"
    ),
    "rejected": _rejected,
    "permission": _permission,
    "client": lambda p, words: m.ClientRenewed(p.now, words[0] if words else "c", Secret("renewed")),
    "accepted": lambda p, words: m.Accepted(p.now),
    "network": lambda p, words: m.NetworkUp(p.now),
    "wake": lambda p, words: m.Woke(p.now),
    "sleep": lambda p, words: m.SleepSoon(p.now),
    "unreachable": lambda p, words: m.Unreachable(
        p.now, o.NotSent(_problem(words[0] if words else "dns")), p.now.at, p.jitter
    ),
    "offline": lambda p, words: m.GateBlocked(p.now),
    "online": lambda p, words: m.GateUnblocked(p.now),
    "manual": lambda p, words: m.Manual(p.now),
    "hot": lambda p, words: m.HotCall(p.now, float(words[0]) if words else 0.0),
    "time": lambda p, words: m.Time(p.now),
    "sign-in": lambda p, words: (
        m.SignInStarted(p.now)
        if words == ["started"]
        else m.SignInEnded(p.now, _problem("denied") if words == ["failed"] else None)
    ),
    "signed-in": _signed_in,
    "pause": lambda p, words: m.Pause(p.now),
    "resume": lambda p, words: m.Resume(p.now),
    "sign-out": lambda p, words: m.SignOut(p.now),
    "remove": lambda p, words: m.Remove(p.now),
    "shutdown": lambda p, words: m.Shutdown(p.now),
    "configured": lambda p, words: m.Configured(p.now, _spec(p, words)),
}


def _spec(p: Player, words: list[str]) -> Spec:
    if "identity" in words:
        return replace(p.spec, token_endpoint="https://other.example/token")
    if "timing" in words:
        return replace(p.spec, policy=replace(p.spec.policy, refresh_ahead_max=50.0))
    return p.spec


def token_name(of: Login) -> str:
    """The token that a login is."""
    return (of.refresh_token if of.renewable or of.access_token is None else of.access_token).reveal()


def effect_text(effect: m.Effect) -> str:
    """An effect as it is written in a history, without access tokens."""
    match effect:
        case m.Load(prompt=prompt):
            return "load with prompt" if prompt else "load"
        case m.Probe(attempt=n, prompt=prompt):
            return f"probe #{n}" + (" with prompt" if prompt else "")
        case m.Send(attempt=n, login=sent):
            return f"send #{n} {sent.refresh_token.reveal()}"
        case m.Abandon(attempt=n):
            return f"abandon #{n}"
        case m.Store(login=wanted):
            return f"store {token_name(wanted)} g{wanted.generation}"
        case m.CheckStored(login=wanted):
            return f"check {token_name(wanted)} g{wanted.generation}"
        case m.Note(kind=kind, outcome=outcome):
            return f"note {kind} {outcome}"
        case m.Discard(login=gone, revoke=revoke) | m.Forget(login=gone, revoke=revoke):
            token = token_name(gone) if gone else "nothing"
            return f"{type(effect).__name__.lower()} {token}" + (" and revoke" if revoke else "")
        case _:
            return {
                m.CloseIntent: "close intent",
                m.Save: "save",
                m.Done: "done",
                m.ReadConfiguration: "read configuration",
            }[type(effect)]


def state_text(w: Workload, at: float) -> str:
    """The state as it is written in a history: the phase and everything unusual about it."""
    words = [w.phase.value]
    if w.attempt is not None:
        words[0] += f":{w.attempt.step.value}"
    if w.due is not None:
        words.append(f"due {w.due - at:+g}")
    if w.phase is Phase.SIGNED_OUT and w.due is not None:
        words.append(w.trigger.value)
    if w.phase is Phase.WAITING:
        words.append(f"{w.series.value}/{w.trigger.value}")
    marks = {
        "long": w.failing is not None and w.failing.exhausted,
        "long wait": w.failing is not None and w.failing.long_wait,
        "gave up": w.failing is not None and w.failing.gave_up,
        "marked": w.maybe_spent,
        "unsaved": w.unsaved and w.storing is None,
        "signing in": w.signing_in,
        f"keyring {w.keyring}": w.keyring is not None,
        f"{w.signed_out}": w.signed_out is not None,
        f"after {w.after}": bool(w.after),
        f"{w.strikes} strikes": w.strikes > 0,
        "confirm": w.confirm is not None,
        f"needs {' '.join(w.needs.scopes) if w.needs else ''}".strip(): w.needs is not None,
    }
    words += [word for word, holds in marks.items() if holds]
    if w.not_before > at:
        words.append(f"not before {w.not_before - at:+g}")
    return ", ".join(words)


def play_line(p: Player, text: str) -> tuple[m.Event, tuple[m.Effect, ...]]:
    """Apply the event written in one line; returns it and the effects."""
    words = text.split()
    while words[0].startswith("+"):
        asleep = len(words) > 1 and words[1] == "asleep"
        p.pass_time(float(words[0][1:]), asleep)
        words = words[2:] if asleep else words[1:]
    event = EVENTS[words[0]](p, words[1:])
    p.w, effects = machine.step(p.w, event)
    return event, effects


def played(p: Player, text: str) -> Player:
    """Apply all events of `text`, which stand between semicolons."""
    for event in text.split("; "):
        play_line(p, event)
    return p


def player(policy: Policy | None = None, **saved: object) -> Player:
    """A conversation with a workload that has just been configured."""
    spec = SPEC if policy is None else replace(SPEC, policy=policy)
    w, _ = machine.begin(spec)
    return Player(w, spec=spec, saved=Saved(**saved))  # type: ignore[arg-type]


def play(text: str, p: Player | None = None) -> str:
    """Play the events of `text`; returns the conversation as it really went, in the same form."""
    p = p or player()
    lines = []
    for line in text.strip().splitlines():
        event = line.split("->")[0].strip()
        _, effects = play_line(p, event)
        right = state_text(p.w, p.now.at)
        if effects:
            right += " | " + ", ".join(effect_text(effect) for effect in effects)
        lines.append(f"{event:<24} -> {right}")
    return "\n".join(lines)


def aligned(text: str) -> str:
    """The expected text in the layout of `play`."""
    lines = []
    for line in text.strip().splitlines():
        left, right = line.split("->", 1)
        lines.append(f"{left.strip():<24} -> {right.strip()}")
    return "\n".join(lines)


def reached(phase: Phase, p: Player | None = None) -> Player:
    """A workload brought to a phase by the usual events."""
    p = p or player()
    events_to = {
        Phase.LOADING: "",
        Phase.WAITING: "loaded",
        Phase.REFRESHING: "loaded; go; probe ok",
        Phase.VALID: "loaded; go; probe ok; refreshed",
        Phase.SIGNED_OUT: "loaded; go; probe ok; refused invalid_client",
        Phase.PAUSED: "loaded; pause",
        Phase.BROKEN: "loaded; configured identity",
    }
    for event in filter(None, events_to[phase].split("; ")):
        play_line(p, event)
    return p
