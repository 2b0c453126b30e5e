"""Outages of the loopback server: sentences, icon, tooltip, menu and API."""

from __future__ import annotations

import pytest

from tests.core.test_menu import GREEN, RED, RETRYING, local, menu, snap
from trayapp.core.menu import tray_view
from trayapp.core.outages import BY_COMMAND, BY_MENU, Cause, Outage, changed_text, fact, movable, remedy, short
from trayapp.core.presentation import Action, Colour, Glyph, Verb
from trayapp.core.public import app_json

TAKEN = Outage(8765, Cause.IN_USE, "python3 (process 1234)", listening=40001)


@pytest.mark.parametrize(
    ("outage", "wrong", "help_"),
    [
        (TAKEN, "Port 8765 is in use by python3 (process 1234)", "Quit that program, or choose Change port…"),
        (Outage(8765, Cause.IN_USE), "Port 8765 is in use by another program", "Quit that program, or choose"),
        (
            Outage(8765, Cause.OTHER_USER, "a program of another user (bob)"),
            "Port 8765 is in use by a program of another user (bob)",
            "To use another port, choose Change port…",
        ),
        (Outage(80, Cause.RESERVED), "The system reserves port 80", "To use another port, choose Change port…"),
        (Outage(8765, Cause.NO_LOOPBACK), "This computer has no loopback network (127.0.0.1)", "Bring up the network"),
        (Outage(0, Cause.NO_LOOPBACK), "This computer has no loopback network (127.0.0.1)", "Bring up the network"),
        (
            Outage(8765, Cause.UNREACHABLE, listening=8765),
            "Something blocks connections to port 8765 on this computer",
            "Check your firewall, or choose Change port…",
        ),
        (Outage(8765, Cause.FAILED, reason="Weird"), "Port 8765 can't be used (Weird)", "To use another port, choose"),
        (
            Outage(0, Cause.FAILED, reason="Too many open files"),
            "No port on this computer can be used (Too many",
            "Amb",
        ),
        (Outage(0, Cause.IN_USE), "No port on this computer can be used (no reason given)", "Amberlight keeps trying."),
    ],
)
def test_what_is_wrong_and_what_helps(outage: Outage, wrong: str, help_: str) -> None:
    """First what happened, then one thing to do."""

    assert fact(outage).startswith(wrong)
    assert fact(outage).endswith(", so clients can't connect.")
    assert remedy(outage, how=BY_MENU).startswith(help_)
    assert ("change-port" in remedy(outage, how=BY_COMMAND)) is movable(outage)
    assert len(short(outage)) <= 60


def test_a_green_icon_turns_amber() -> None:
    """The logins are fine, and no client can use them: the icon, its tooltip and the first menu items say so."""

    for views in ((), (GREEN,), (GREEN, RETRYING)):
        shown = tray_view(snap(*views, outage=TAKEN), local)
        assert (Glyph.WARNING, Colour.AMBER, (), True) == (
            shown.icon.glyph,
            shown.icon.colour,
            shown.icon.segments,
            shown.icon.attention,
        )
        assert "Clients can't connect: port 8765 is in use" == shown.tooltip.splitlines()[0]
        line, change = shown.menu[:2]
        assert ("⚠ Clients can't connect: port 8765 is in use", Action(Verb.SHOW)) == (line.text, line.action)
        assert ("Change port…", Action(Verb.CHANGE_PORT)) == (change.text, change.action)


def test_what_is_red_stays_red() -> None:
    """A sign-in that is needed is a person's as well; the menu says both."""

    shown = tray_view(snap(GREEN, RED, outage=TAKEN), local)
    assert Colour.RED is shown.icon.colour
    assert "change_port" in menu(GREEN, RED, outage=TAKEN)


def test_no_other_port_is_offered_where_none_helps() -> None:
    """Without the loopback interface, or where not even the system finds a port."""

    for outage in (Outage(8765, Cause.NO_LOOPBACK), Outage(0, Cause.FAILED)):
        items = menu(GREEN, outage=outage)
        assert "outage" in items
        assert "change_port" not in items


def test_a_configuration_that_cannot_be_read_is_not_an_empty_one() -> None:
    """Neither the summary nor the menu says that there are no workloads; the mistake comes before the port."""

    shown = tray_view(snap(broken="config.toml:3: url: missing", outage=TAKEN), local)
    assert ["Configuration error", "config.toml:3: url: missing"] == shown.tooltip.splitlines()
    assert Glyph.CROSS is shown.icon.glyph
    items = menu(broken="config.toml:3: url: missing", outage=TAKEN)
    assert ("broken", "outage") == tuple(items)[:2]
    assert not any("No workload" in item.text for item in items.values())


def test_the_api_says_it_in_fields_and_in_sentences() -> None:
    """Null while all is well."""

    told = app_json(snap(outage=TAKEN), "1", 0.0)["outage"]
    assert {
        "port": 8765,
        "cause": "in_use",
        "holder": "python3 (process 1234)",
        "listening": 40001,
        "movable": True,
        "text": "Port 8765 is in use by python3 (process 1234), so clients can't connect.",
        "help": "Quit that program, or choose Change port…",
        "command_help": "Quit that program, or run `amberlight change-port`.",
    } == told
    assert app_json(snap(), "1", 0.0)["outage"] is None


@pytest.mark.parametrize(
    ("updated", "failed", "rest"),
    [
        ((), (), ""),
        (("Cursor",), (), " Updated Cursor."),
        (("Cursor", "Zed", "Codex"), (), " Updated Cursor, Zed and Codex."),
        ((), ("Zed",), " Couldn't update Zed: reconnect it."),
        (("Cursor",), ("Zed", "Codex"), " Updated Cursor. Couldn't update Zed and Codex: reconnect them."),
    ],
)
def test_the_result_of_a_change(updated: tuple[str, ...], failed: tuple[str, ...], rest: str) -> None:
    """Which clients know the new port, and which have to be told."""

    assert f"Amberlight now uses port 8766.{rest}" == changed_text(8766, updated, failed)
