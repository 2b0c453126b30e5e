"""What every client goes through, in one process each: what its user sees is asserted at every step."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.real.clients.bridges import Inspector
from tests.real.clients.client import Agent, Client
from tests.real.clients.model import Model
from tests.real.clients.site import Site

Open = Callable[[Site], Client]
RECONNECTING = "lab is reconnecting."
RESTARTED = "lab restarted its session, so this call wasn't made"
SIGN_IN = "amberlight reauthorize lab"
SETTLED = 2.0  # s; a client asks for its lists again, of the new login: until then there are none to be told while red
LIMIT = 15.0  # s until a client has noticed that there are other tools


def whole_life(root: Path, opened: Open, *, modern: bool = True) -> None:
    """Amber with notes from before → green → server restarted → Amberlight restarted → red → signed in again."""
    with Site(root, modern=modern) as site:
        site.start()
        site.becomes("running")
        with opened(site) as client:
            assert client.connected()
            assert has_echo(client)
            works(client, "first")
        site.amber()
        with opened(site) as client:
            assert client.connected(), client.process.tail()
            assert has_echo(client)
            shows(client, "amber", RECONNECTING)
            site.green()
            works(client, "green")
            server_restarts(site, client, modern=modern)
            site.restart()
            site.becomes("running")
            works(client, "amberlight restarted")
            if client.opens_pages:
                signs_in_from_the_client(site, client)
            site.red()
            shows(client, "red", SIGN_IN)
            site.reauthorize()
            works(client, "reauthorized")
            amberlight_is_not_running(site, client)
        assert not {"amber", "red", "not running"} & set(site.upstream.calls)
        assert len(site.upstream.calls) == len(set(site.upstream.calls)), "something was executed twice"


def server_restarts(site: Site, client: Client, *, modern: bool) -> None:
    """Where a session was lost the client is told, once; where there are none nothing is to be seen."""
    site.upstream.restart()
    keeps = client.sessions or (not modern and not isinstance(client, Inspector))
    if keeps:
        shows(client, "server restarted", RESTARTED)
    works(client, "after the restart")


def signs_in_from_the_client(site: Site, client: Client) -> None:
    """The client asks its user to open a page; who signs in there gets the answer of the call that was waiting."""
    site.red()
    client.person = site.press
    works(client, "signed in from the client")
    client.person = None
    time.sleep(SETTLED)


def amberlight_is_not_running(site: Site, client: Client) -> None:
    """A call that finds nobody fails; the next one works, unless the client gives up for good."""
    site.stop()
    assert "echo: not running" not in client.call("not running")
    site.start()
    site.becomes("running")
    if client.survives_refusal:
        works(client, "running again")
    else:
        assert "echo: running again" not in client.call("running again")


def nothing_noted(root: Path, opened: Open) -> None:
    """Amber from the first start on: connected without tools, which come when it is green, without another start."""
    with Site(root) as site:
        site.amber()
        site.start()
        site.becomes("auth_retrying")
        with opened(site) as client:
            assert client.connected(), client.process.tail()
            assert not has_echo(client)
            if not isinstance(client, Agent):
                if not isinstance(client, Inspector):
                    shows(client, "amber", RECONNECTING)
            else:
                assert client.was_told(RECONNECTING) is client.shows_instructions
            site.restart()  # and the client's stream with it
            site.becomes("auth_retrying")
            site.green()
            if client.follows_changes:
                end = time.monotonic() + LIMIT
                while not has_echo(client):
                    assert time.monotonic() < end, f"no tools: {client.process.tail()}"
                    time.sleep(0.3)
                works(client, "green")
            else:
                assert not has_echo(client)
                client.begin_again()
                assert has_echo(client)
                works(client, "green")
        assert "amber" not in site.upstream.calls


def has_echo(client: Client) -> bool:
    """Whether the server's tool is offered, under whatever name."""
    return any(name.endswith("echo") for name in client.tools())


def works(client: Client, text: str) -> None:
    """A call reaches the server, and its answer the model or user."""
    said = client.call(text)
    assert f"echo: {text}" in said, f"{said}\n{client.process.tail()}"


def shows(client: Client, text: str, sentence: str) -> None:
    """A call gets this sentence, which the model or user can read."""
    said = client.call(text)
    assert sentence in said, f"{said}\n{client.process.tail()}"


def opening(kind: type[Client], model: Model, packages: Path) -> Open:
    """How a client of this kind is opened."""
    return lambda site: kind(site, model, packages)
