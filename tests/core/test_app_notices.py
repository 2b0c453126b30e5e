"""Notifications about Amberlight itself: each is shown once while it is true, and withdrawn afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.test_menu import GREEN, PAUSED, RED, snap, view
from tests.core.test_outages import TAKEN
from trayapp.core.app_notices import START_KEYRING, THIS_RUN_ONLY, app_notices, changes, forget, in_short, problems
from trayapp.core.outages import Cause, Outage
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Detail, Status

UNSAVED = view("mail", Status.RUNNING, Detail.NOT_STORED)


def test_an_outage_is_told_once_with_its_remedy() -> None:
    """A new outage of another port or cause is another one; the end withdraws the notice."""

    shown, show, gone = changes(frozenset(), snap(GREEN, outage=TAKEN))
    (notice,) = show
    assert ("Clients can't connect", ()) == (notice.title, gone)
    assert "Port 8765 is in use by python3 (process 1234), so clients can't connect. Quit" in notice.body
    assert (("Change port…", Action(Verb.CHANGE_PORT)),) == notice.buttons
    assert (shown, (), ()) == changes(shown, snap(GREEN, outage=replace(TAKEN, holder="ruby (process 9)")))
    shown, show, gone = changes(shown, snap(GREEN, outage=Outage(8765, Cause.NO_LOOPBACK)))
    assert ((notice.key,), ()) == (gone, show[0].buttons)
    assert (frozenset(), (), (show[0].key,)) == changes(shown, snap(GREEN))


def test_what_nobody_could_see_is_shown_again() -> None:
    """There was no notification service."""

    shown, (notice,), _ = changes(frozenset(), snap(outage=TAKEN))
    assert (notice,) == changes(forget(shown, {notice.key, "other"}), snap(outage=TAKEN))[1]


def test_muted_means_silent() -> None:
    """What became true meanwhile is shown once notifications are on again."""

    muted = snap(outage=TAKEN, muted=True)
    assert (frozenset(), (), ()) == changes(frozenset(), muted)
    assert (frozenset(), (), ()) == changes(frozenset(), snap(outage=TAKEN), quiet=True)
    shown, _, _ = changes(frozenset(), snap(outage=TAKEN))
    assert (shown, (), ()) == changes(shown, muted)
    assert (frozenset(), (), tuple(shown)) == changes(shown, snap(), quiet=True)


def test_who_signs_in_gets_an_answer_even_when_muted() -> None:
    """A person clicked, and waits for what comes of it."""

    shown, (notice,), _ = changes(frozenset(), snap(UNSAVED, outage=TAKEN, muted=True, this_run_only=True))
    assert (frozenset({notice.key}), "Signed in to mail for this run only") == (shown, notice.title)


def test_a_configuration_that_cannot_be_read() -> None:
    """The notice names the place; so does the sentence for a terminal."""

    (notice,) = app_notices(snap(broken="config.toml:3: url: is missing"))
    assert "Can't read the configuration" == notice.title
    (partly,) = app_notices(snap(UNSAVED, broken="config.toml:3: url: is missing"))
    assert ("The configuration has a mistake", notice.body) == (partly.title, partly.body)
    wanted = "config.toml:3: url: is missing. Fix it, and Amberlight reloads it automatically."
    assert (wanted, (wanted,)) == (notice.body, problems(snap(broken="config.toml:3: url: is missing.")))


def test_a_login_that_no_keyring_holds() -> None:
    """Only where there is no keyring at all: the system asks for a locked one."""

    assert () == app_notices(snap(UNSAVED))
    (notice,) = app_notices(snap(UNSAVED, GREEN, PAUSED, RED, this_run_only=True))
    assert "Signed in to mail for this run only" == notice.title
    assert f"{THIS_RUN_ONLY} {START_KEYRING}" == notice.body


def test_a_terminal_gets_the_command() -> None:
    """And nothing while all is well."""

    assert () == problems(snap(GREEN))
    (sentence,) = problems(snap(GREEN, outage=TAKEN))
    assert sentence.endswith("Quit that program, or run `amberlight change-port`.")


@pytest.mark.parametrize(
    ("mistake", "short"),
    [
        (
            "/home/ada/.config/amberlight/config.toml:19: workloads.mail.clientid: unknown key. Did you mean client_id?",
            "config.toml:19: unknown key. Did you mean client_id?",
        ),
        (
            "/etc/config.toml:5: isn't valid TOML, column 32: cannot overwrite a value",
            "config.toml:5: isn't valid TOML, column 32: cannot overwrite a value",
        ),
        (r"C:\Users\ada\config.toml: can't be read: it's a directory", "config.toml: can't be read: it's a directory"),
        ("/home/ada/config.toml is missing. Restore it.", "/home/ada/config.toml is missing. Restore it."),
        ("No keyring.", "No keyring."),
    ],
)
def test_a_mistake_in_a_narrow_place(mistake: str, short: str) -> None:
    """What is wrong matters more than the folder."""

    assert short == in_short(mistake)
