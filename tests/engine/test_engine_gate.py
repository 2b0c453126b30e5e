"""The gate (M10): nothing leaves while offline or asleep, and network or wake bring an attempt within seconds.

Servers here have a name, as loopback endpoints are never held back by the network.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.engine.engines import World, accounted_for, keystore_with, login_of, one, running, spec_of, with_policy
from tests.oauth.token_requests import NAME, server_side
from trayapp.core.gate import Gate
from trayapp.core.model import Trigger
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import Unavailable
from trayapp.engine.ports import SystemChange
from trayapp.oauthtest import Mode, OAuthServer
from trayapp.osevents.clocks import SystemClock

OFFLINE = SystemChange(network=True, offline=True)
ONLINE = SystemChange(network=True)
PATIENT = with_policy(attempt_limit=2.0, connect_limit=2.0, tick_interval=60.0)


@pytest.fixture
def server(authority: trustme.CA, trusted: None, names: set[str]) -> Iterator[OAuthServer]:
    """An authorization server with a name and a certificate."""
    with OAuthServer(ssl_context=server_side(authority)) as server:
        yield server


@asynccontextmanager
async def named(server: OAuthServer, path: Path, gate: Gate | None = None, **changes: Any) -> AsyncIterator[World]:
    """One workload at that server, by its name."""
    endpoint = f"https://{NAME}:{server.token_endpoint.rpartition(':')[2]}"
    spec = spec_of(server, token_endpoint=endpoint, policy=replace(PATIENT, **changes))
    keystore = await keystore_with(("one", login_of(server, token_endpoint=endpoint)))
    async with running([spec], path, keystore=keystore, certificates=True, gate=gate) as world:
        yield world


def offline_now() -> Gate:
    """The gate of a machine that starts without a network."""
    return Gate(offline=True, closed_since=SystemClock().now().at, settle=0.03, settle_max=0.1)


async def test_offline_at_the_start_sends_nothing_and_recovers_with_the_network(
    tmp_path: Path, server: OAuthServer
) -> None:
    """`starting`, amber after the grace, no request; the network is there: green."""

    async with named(server, tmp_path, offline_now()) as world:
        await world.becomes("auth_retrying offline")
        assert "offline" == world.engine.snapshot().gate
        assert accounted_for(world)
        caller = await world.engine.token("one")
        assert isinstance(caller, Unavailable)
        assert 30 == caller.retry_after
        assert 0 == server.count("token")
        world.system_changes(ONLINE)
        await world.green()
        assert 1 == server.count("token")


async def test_offline_with_a_usable_token_stays_green(tmp_path: Path, server: OAuthServer) -> None:
    """The token is good: green, whatever the network does; back online it is not refreshed early."""

    async with named(server, tmp_path) as world:
        await world.green()
        world.system_changes(OFFLINE)
        await world.until(lambda: world.engine.gate.offline)
        await world.quiet(0.2)
        assert "running ok" == world.status()
        world.system_changes(ONLINE)
        await world.quiet(0.2)
        assert "running ok" == world.status()
        assert 1 == server.count("token")


async def test_a_network_change_ends_the_wait_of_an_outage(tmp_path: Path, server: OAuthServer) -> None:
    """In amber, with the next tick a minute away: a change of network brings the next attempt immediately."""

    server.mode = Mode.FIREWALL
    async with named(server, tmp_path) as world:
        await world.becomes("auth_retrying retrying")
        asked = server.count("token")
        server.mode = Mode.SUCCESS
        world.system_changes(ONLINE)
        await world.green()
        assert asked + 1 == server.count("token")
        assert Trigger.NETWORK is world.w().last_trigger


async def test_a_wake_ends_the_wait_of_an_outage(tmp_path: Path, server: OAuthServer) -> None:
    """The same for a wake."""

    server.mode = Mode.FIREWALL
    async with named(server, tmp_path) as world:
        await world.becomes("auth_retrying retrying")
        server.mode = Mode.SUCCESS
        world.system_changes(SystemChange(woke=True))
        await world.green()
        assert Trigger.WAKE is world.w().last_trigger


async def test_nothing_leaves_while_sleep_is_imminent(tmp_path: Path, server: OAuthServer) -> None:
    """Even *Retry now* waits for the wake."""

    async with named(server, tmp_path) as world:
        await world.green()
        world.system_changes(SystemChange(sleep_soon=True))
        await world.until(lambda: world.engine.gate.sleeping)
        world.do(Verb.RETRY)
        await world.quiet(0.1)
        assert 1 == server.count("token")
        world.system_changes(SystemChange(woke=True))
        await world.until(lambda: 2 == server.count("token"), "the attempt after the wake")


async def test_while_offline_one_attempt_a_tick_finds_the_network(tmp_path: Path, server: OAuthServer) -> None:
    """The kernel may be wrong: an answer opens the gate for all."""

    async with named(server, tmp_path, offline_now(), tick_interval=0.2) as world:
        await world.becomes("running ok")
        assert not world.engine.gate.offline


async def test_a_portal_s_page_opens_no_gate(tmp_path: Path, server: OAuthServer) -> None:
    """It is an answer, but not the server's."""

    server.mode = Mode.CAPTIVE_HTML
    async with named(server, tmp_path, offline_now(), tick_interval=0.05) as world:
        await world.until(lambda: server.count("token") >= 2)
        assert world.engine.gate.offline


async def test_a_server_on_this_machine_says_nothing_about_the_network(tmp_path: Path) -> None:
    """Requests to it leave while offline, and its answer opens no gate."""

    with OAuthServer() as server:
        async with one(server, tmp_path, gate=offline_now()) as world:
            await world.green()
            assert world.engine.gate.offline


async def test_retry_now_passes_the_gate(tmp_path: Path, server: OAuthServer) -> None:
    """A person may know better than the kernel."""

    async with named(server, tmp_path, offline_now()) as world:
        await world.becomes("auth_retrying offline")
        world.do(Verb.RETRY)
        await world.green()
        assert not world.engine.gate.offline


async def test_a_network_change_revives_a_workload_past_the_ceiling(tmp_path: Path, server: OAuthServer) -> None:
    """It was never refused, so the network's return turns it green without a person."""

    server.mode = Mode.FIREWALL
    async with named(server, tmp_path, ceiling=0.1, tick_interval=0.04) as world:
        await world.becomes("unauthenticated ceiling")
        asked = server.count("token", outcome="ok")
        server.mode = Mode.SUCCESS
        world.system_changes(ONLINE)
        await world.green()
        assert (asked + 1, []) == (server.count("token", outcome="ok"), world.opened)
