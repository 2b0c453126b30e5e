"""What an upstream asks for beyond the login: read from its challenge, kept within bounds, shown, and asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.history import Player, aligned, play, played, player
from trayapp.core import machine, notices, sentences, view
from trayapp.core import messages as m
from trayapp.core.advice import advice
from trayapp.core.details import problem_notices
from trayapp.core.gate import Gate
from trayapp.core.menu import tray_view
from trayapp.core.notices import ShownNotices
from trayapp.core.permission import NAME_MAX, NAMES_MAX, Needs, needs_of, scopes_in
from trayapp.core.public import auth_json, unavailable_json
from trayapp.core.snapshot import Detail, Snapshot, Status, WorkloadView

CONNECTED = "loaded; go; probe ok; refreshed"


def connected(scope: str = "read") -> Player:
    """A workload with a token of these scopes."""
    p = played(player(), CONNECTED)
    assert p.w.login is not None
    p.w = replace(p.w, login=replace(p.w.login, scope=scope))
    return p


def seen(p: Player) -> WorkloadView:
    return view.derive(p.w, Gate(), p.now)


# --- the challenge -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("challenge", "needs"),
    [
        ({"error": "insufficient_scope", "scope": "read write"}, Needs(permission=True, scopes=("read", "write"))),
        ({"error": "insufficient_scope"}, Needs(permission=True)),
        ({"error": "insufficient_scope", "scope": " write  write\tread "}, Needs(True, ("write", "read"))),
        ({"error": "insufficient_scope", "scope": 'ok "quoted" back\\slash nön \x00 \x1b[31m'}, Needs(True, ("ok",))),
        ({"error": "insufficient_scope", "scope": "x" * (NAME_MAX + 1) + " ok"}, Needs(True, ("ok",))),
        ({"error": "insufficient_scope", "scope": "x" * 1_000_000}, Needs(True)),
        (
            {"error": "insufficient_user_authentication", "acr_values": "gold silver", "max_age": "5"},
            Needs(authentication=True, acr_values=("gold", "silver"), max_age=5),
        ),
        ({"error": "insufficient_user_authentication", "max_age": "0"}, Needs(authentication=True, max_age=0)),
        (
            {"error": "insufficient_user_authentication", "max_age": "315360000"},
            Needs(authentication=True, max_age=315360000),
        ),
        ({"error": "insufficient_user_authentication", "max_age": "315360001"}, Needs(authentication=True)),
        ({"error": "insufficient_user_authentication", "max_age": "-1"}, Needs(authentication=True)),
        ({"error": "insufficient_user_authentication", "max_age": "9" * 30}, Needs(authentication=True)),
        ({"error": "insufficient_user_authentication", "max_age": "999999999"}, Needs(authentication=True)),
        ({"error": "insufficient_user_authentication", "max_age": "٣"}, Needs(authentication=True)),
        ({"error": "invalid_token", "scope": "write"}, None),
        ({"scope": "write"}, None),
        ({}, None),
    ],
)
def test_a_challenge_is_read_strictly(challenge: dict[str, str], needs: Needs | None) -> None:
    """Names that no scope can have are dropped, and so are ages that ask for nothing."""

    assert needs == needs_of(challenge)


@given(st.dictionaries(st.sampled_from(["scope", "acr_values", "max_age"]), st.text()), st.booleans())
def test_no_challenge_asks_for_too_much(parameters: dict[str, str], scope: bool) -> None:
    """Whatever it says, what is kept is short, printable ASCII."""

    error = "insufficient_scope" if scope else "insufficient_user_authentication"
    needs = needs_of({**parameters, "error": error})
    assert needs is not None
    for names in (needs.scopes, needs.acr_values):
        assert len(names) <= NAMES_MAX
        assert all(0 < len(name) <= NAME_MAX and name.isascii() and name.isprintable() for name in names)


def test_requests_add_up_within_bounds() -> None:
    """Each is remembered, but no more than `NAMES_MAX`; the most recent sign-in that was asked for counts."""

    assert (32, 128) == (NAMES_MAX, NAME_MAX)
    needs = Needs()
    for number in range(100):
        needs = needs.with_more(Needs(permission=True, scopes=(f"s{number}",)))
    assert tuple(f"s{number}" for number in range(NAMES_MAX)) == needs.scopes
    both = needs.with_more(Needs(authentication=True, acr_values=("a",), max_age=60)).with_more(Needs(max_age=5))
    assert (True, True, ("a",), 5) == (both.permission, both.authentication, both.acr_values, both.max_age)


def test_a_server_that_quotes_the_token_reveals_nothing() -> None:
    """Whole, in part or within another name; what merely resembles it in a few characters is a scope."""

    token = "canary-0123456789-abcdef"
    names = (token, f"scope-{token}", token[3:15], "canary", "canary-read", "write")
    needs = Needs(permission=True, scopes=names, acr_values=(token, "gold")).without(token)
    assert (("canary", "canary-read", "write"), ("gold",)) == (needs.scopes, needs.acr_values)
    assert needs == needs.without("")


def test_a_short_token_is_quoted_no_less() -> None:
    """Servers that give out tokens of a few characters exist."""

    names = ("canary-1", "x:canary-1:y", "canary-", "write")
    needs = Needs(permission=True, scopes=names, acr_values=names[:1]).without("canary-1")
    assert (("canary-", "write"), ()) == (needs.scopes, needs.acr_values)


def test_a_sign_in_asks_for_the_granted_and_the_needed() -> None:
    """In this order and each once; scopes that commas separate are scopes as well."""

    needs = Needs(permission=True, scopes=("write", "read"))
    assert ("read", "user", "write") == needs.beyond("read,user").scopes
    assert ("write",) == needs.missing("read user")
    assert ("write", "read") == needs.missing("read write")  # the server knows better
    assert ("a", "b") == scopes_in(" a,b a")


# --- the machine -------------------------------------------------------------------------------------------------


def test_the_workload_keeps_running() -> None:
    """Nothing is refreshed, nothing is stored, and the token is served on."""

    history = """
        permission write     -> valid, due +800, needs write
        permission write     -> valid, due +800, needs write
        permission admin     -> valid, due +800, needs write admin
        accepted             -> valid, due +800, needs write admin
        sign-in started      -> valid, due +800, signing in, needs write admin
        sign-in failed       -> valid, due +800, needs write admin | note sign_in failed
        signed-in            -> valid, due +800 | store N1 g2, note sign_in signed_in
        """
    assert aligned(history) == play(history, connected())


def test_a_challenge_to_an_older_token_is_not_about_this_login() -> None:
    """A request may have been under way while a person signed in."""

    p = connected()
    needs = Needs(permission=True, scopes=("write",))
    before = p.w
    assert (before, ()) == machine.step(before, m.PermissionNeeded(p.now, 99, needs))
    without = replace(before, access=None)
    assert (without, ()) == machine.step(without, m.PermissionNeeded(p.now, 1, needs))


def test_a_thousand_requests_are_one_notice() -> None:
    """The state changes with what is new, and the notice is shown once, until a sign-in withdraws it."""

    p = connected()
    played(p, "permission write")
    first = seen(p)
    assert p.w.needs is not None
    memory, shown, _ = notices.notices(ShownNotices(), Snapshot(1, {"w": first}), frozenset(), p.now.wall)
    (notice,) = shown
    assert ("permission:w", "w needs additional permission") == (notice.key, notice.title)
    assert "write" in notice.body
    before = p.w
    for number in range(1000):
        played(p, "permission write" if number % 2 else f"permission s{number}")
        memory, shown, dropped = notices.notices(memory, Snapshot(2, {"w": seen(p)}), frozenset(), p.now.wall)
        assert ((), ()) == (shown, dropped)
    assert NAMES_MAX == len(p.w.needs.scopes)
    assert before.access == p.w.access
    memory = notices.forget(memory, {"permission:w"})
    assert 1 == len(notices.notices(memory, Snapshot(2, {"w": seen(p)}), frozenset(), p.now.wall)[1])
    memory = notices.notices(memory, Snapshot(2, {"w": seen(p)}), frozenset(), p.now.wall)[0]
    played(p, "signed-in")
    assert ("permission:w",) == notices.notices(memory, Snapshot(3, {"w": seen(p)}), frozenset(), p.now.wall)[2]


# --- what is shown -----------------------------------------------------------------------------------------------


def test_everybody_is_told_what_is_missing() -> None:
    """Green in the tray, with the words; the API has the scopes; the advice names all that will be asked for."""

    p = connected()
    played(p, "permission write")
    told = seen(p)

    assert (Status.RUNNING, Detail.PERMISSION_NEEDED, True) == (told.status, told.auth.detail, told.auth.usable)
    assert "Connected, needs additional permission: write" == sentences.short(told, str)
    assert ("reauthorize", "Reauthorize to grant: read, write.") == advice(told)
    facts = auth_json(told.auth)
    assert (["write"], ["read", "write"]) == (facts["missing_scopes"], facts["reauthorize_scopes"])
    items = {item.key: item.text for item in tray_view(Snapshot(1, {"w": told}), str).menu}
    assert "✔ w: Connected, needs additional permission: write" == items["workload:w"]
    assert "Reauthorize w (adds write)…" == items["top:w"]


def test_configured_scopes_are_asked_for_as_well() -> None:
    """What is shown beforehand is what the sign-in will ask for."""

    p = connected()
    p.w = replace(p.w, spec=replace(p.w.spec, scopes=("read", "user")))
    played(p, "permission write")
    assert ("read", "user", "write") == seen(p).auth.reauthorize_scopes


def test_show_names_it() -> None:
    """*Show* speaks of green workloads only where a sign-in would help."""

    p = connected()
    assert () == problem_notices(Snapshot(1, {"w": seen(p)}))
    played(p, "permission write")
    (notice,) = problem_notices(Snapshot(1, {"w": seen(p)}))
    ending = replace(seen(p), auth=replace(seen(p).auth, detail=Detail.OK, ends_soon=True))
    assert 1 == len(problem_notices(Snapshot(1, {"w": ending})))
    assert () == problem_notices(Snapshot(1, {"w": replace(ending, status=Status.STOPPED)}))
    assert ["Reauthorize"] == [label for label, _ in notice.buttons]
    assert "write" in notice.body


def test_many_and_long_scopes_stay_one_line() -> None:
    """Three are named, and of an address its end."""

    p = connected()
    played(p, f"permission https://www.googleapis.com/auth/{'x' * 30}.readonly b c d e")
    line = sentences.short(seen(p), str)

    assert line.startswith("Connected, needs additional permission: …xx")
    assert line.endswith(".readonly, b, c and 2 more")
    assert len(line) < 120


def test_a_stronger_sign_in_is_named() -> None:
    """No scope is missing: the server wants another factor, or a fresh sign-in."""

    p = connected()
    played(p, "permission stronger")
    told = seen(p)

    assert Detail.STRONGER_SIGN_IN is told.auth.detail
    assert "Connected, needs a stronger sign-in" == sentences.short(told, str)
    assert "reauthorize" == advice(told)[0]
    items = {item.key: item.text for item in tray_view(Snapshot(1, {"w": told}), str).menu}
    assert "Reauthorize w…" == items["top:w"]


def test_a_server_that_does_not_say_which() -> None:
    """The advice stays general."""

    p = connected(scope="")
    p.w, _ = machine.step(p.w, m.PermissionNeeded(p.now, p.serial, Needs(permission=True)))
    told = seen(p)

    assert "Needs additional permission. Choose Reauthorize" in told.status_context
    assert ("reauthorize", "Reauthorize to grant it. The sign-in page opens in your browser.") == advice(told)


def test_the_client_gets_the_sentence() -> None:
    """403's body: what this request lacked, and what the person can do."""

    p = connected()
    played(p, "permission admin")
    why = view.not_permitted(p.w, seen(p), Needs(permission=True, scopes=("read", "write")))
    assert why.help.startswith("w needs additional permission: write. Choose Reauthorize")
    assert ("permission_needed", "running", "permission_needed", None) == (
        why.error,
        unavailable_json(why)["status"],
        unavailable_json(why)["detail"],
        why.retry_after,
    )
    stronger = view.not_permitted(replace(p.w, login=None), seen(p), Needs(authentication=True))
    assert stronger.help.startswith("w needs a stronger sign-in.")


def test_a_doubted_token_has_words_of_its_own() -> None:
    """There is no other one, and the next request says more."""

    p = connected()
    why = view.doubted(p.w, seen(p))
    assert ("upstream_rejects", 10) == (why.error, why.retry_after)
    assert why.help.startswith("w: the service didn't accept its token (401)")
