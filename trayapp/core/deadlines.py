"""When the engine has to look again: deadlines derived from state, so that no timer can be forgotten.

M10 and M12 live here, above the delays of `retry.py`: an attempt leaves at the latest of what its series, the server's
`Retry-After`, the limit of automatic attempts and the gate allow. All instants are `.at` seconds.
"""

from __future__ import annotations

from trayapp.core import schedule
from trayapp.core.gate import Gate
from trayapp.core.model import Phase, Series, Step, Trigger, Workload

GRACE_MAX = 600.0  # s; the longest grace that a known server gives a token that was spent (Atlassian)
FIRST_IN_DOUBT = 10.0  # s until the first attempt with a token in doubt that is made against the kernel's word
AGAIN_IN_DOUBT = 60.0  # s until the next one; with these M8's limit is not reached


def ready_at(w: Workload) -> float | None:
    """When the workload itself wants its next attempt, gate apart; None: not by time."""
    if w.phase not in (Phase.VALID, Phase.WAITING) or w.due is None or w.after:
        return None
    if w.trigger is Trigger.MANUAL and w.phase is Phase.WAITING:
        return w.due
    rescue = w.series is Series.AGAIN
    return schedule.rate_limited(w.recent, max(w.due, w.not_before), w.spec.policy, rescue=rescue)


def opens_at(w: Workload, gate: Gate) -> float | None:
    """When the next attempt may begin; None: an event has to come first.

    The state of the workload has to be that before the attempt; for one that is on its way see `open_at`.
    """
    ready = ready_at(w)
    if ready is None:
        return None
    return open_at(w, gate, ready, manual=w.trigger is Trigger.MANUAL and w.phase is Phase.WAITING)


def open_at(w: Workload, gate: Gate, at: float, *, manual: bool) -> float | None:
    """When an attempt that is ready `at` may leave (M10); None: an event has to come first.

    Offline and portal hints can be wrong, so even then one attempt per tick is made; an answer opens the gate.
    """
    if gate.sleeping:
        return None
    if manual:
        return at
    if gate.blocked(w.loopback):
        return max(at, despite_gate_at(w, gate), gate.settles_at() or 0.0)
    return gate.opens_at(at, w.loopback)


def despite_gate_at(w: Workload, gate: Gate) -> float:
    """When an attempt is made though the way is said to be closed: once a tick, and a token in doubt more often while
    a grace may last (M9): where there really is no network nothing is sent, and nothing lost."""
    closed, last = gate.closed_since or 0.0, w.last_attempt_at or 0.0
    since, pause = max(closed, last), w.spec.policy.tick_interval
    if w.maybe_spent and w.marked_at is not None and since < w.marked_at + GRACE_MAX:
        pause = min(pause, AGAIN_IN_DOUBT if last > closed else FIRST_IN_DOUBT)
    return since + pause


def next_deadline(w: Workload, gate: Gate) -> float | None:
    """The next instant at which the machine wants `Go` or `Time`; None: it waits for a named event."""
    instants = [opens_at(w, gate), w.store_at if w.unsaved else None]
    if w.phase is Phase.LOADING:
        instants.append(w.due)
    if w.attempt is not None and w.attempt.step is Step.SENT:
        instants.append(w.attempt.deadline)
    return min((i for i in instants if i is not None), default=None)
