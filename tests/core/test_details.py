"""Error details for a bug report, and one notice per workload with a problem."""

from __future__ import annotations

from dataclasses import replace

from tests.core.history import Player, play, played, player, reached
from trayapp.core import details, view
from trayapp.core.gate import Gate
from trayapp.core.model import Phase, Policy, Problem
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Snapshot, WorkloadView


def _view(p: Player) -> WorkloadView:
    return view.derive(p.w, Gate(), p.now)


def test_the_details_of_an_error_are_fit_for_a_bug_report() -> None:
    """Kind, sentence, status and code; no address and no token."""

    p = played(reached(Phase.REFRESHING), "refused")

    assert [
        "w: unauthenticated (refused)",
        "oauth 400invalid_grant. Choose Reauthorize to sign in again.",
        "Last error: oauth: oauth 400invalid_grant",
        "HTTP status: 400",
        "Error code: invalid_grant",
    ] == details.error_details(_view(p)).splitlines()


def test_failed_attempts_are_counted_in_the_details() -> None:
    """A workload without an error has only its state."""

    p = player(Policy(max_tries=1))
    play("loaded -> x\ngo -> x\nprobe ok -> x\nnot-sent -> x", p)

    assert details.error_details(_view(p)).endswith("Failed attempts: 1")
    assert "w: running (ok)" == details.error_details(_view(reached(Phase.VALID)))


def test_everything_that_is_not_well_has_a_notice_of_its_own() -> None:
    """Red offers the sign-in first, amber only the retry; what is well is left out."""

    red = _view(reached(Phase.SIGNED_OUT))
    p = player(Policy(max_tries=1))
    play("loaded -> x\ngo -> x\nprobe ok -> x\nnot-sent -> x", p)
    amber = replace(_view(p), name="a")
    well = replace(_view(reached(Phase.VALID)), name="b")
    shown = details.problem_notices(Snapshot(1, {view.name: view for view in (red, amber, well)}))

    assert ["show:a", "show:w"] == [notice.key for notice in shown]
    assert [("Retry now", Action(Verb.RETRY, "a"))] == list(shown[0].buttons)
    assert [Verb.REAUTHORIZE, Verb.RETRY] == [action.verb for _, action in shown[1].buttons]


def test_what_a_person_decided_is_no_problem_to_show() -> None:
    """Paused or being removed, whatever the keyring is like: a retry would do nothing there."""

    for way in ("pause", "remove"):
        p = player()
        play(f"loaded -> x\ngo -> x\nprobe locked -> x\n{way} -> x", p)
        assert () == details.problem_notices(Snapshot(1, {"w": _view(p)}))


def test_a_changed_configuration_is_shown_with_its_way_out() -> None:
    """A keyring that was locked before has no part in it."""

    p = player()
    play("loaded -> x\ngo -> x\nprobe locked -> x\nconfigured identity -> x", p)
    (notice,) = details.problem_notices(Snapshot(1, {"w": _view(p)}))

    assert "choose Reauthorize to sign in there" in notice.body
    assert Verb.REAUTHORIZE is notice.buttons[0][1].verb


def test_a_problem_without_a_status_says_only_its_kind() -> None:
    """Nothing that is not known is shown."""

    seen = _view(reached(Phase.VALID))
    seen = replace(seen, auth=replace(seen.auth, last_error=Problem("dns", "No such name.")))

    assert "w: running (ok)\nLast error: dns: No such name." == details.error_details(seen)


def test_all_well_has_a_text() -> None:
    """Also with one workload, and with none."""

    assert [
        "No workloads yet. To add one, run `amberlight add NAME URL`.",
        "Your workload is connected.",
        "All workloads are connected.",
    ] == [details.all_well_text(count) for count in (0, 1, 2)]
