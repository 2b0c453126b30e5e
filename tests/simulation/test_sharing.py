"""Workloads of one server: in a third of the worlds two share it, and the plan knows it once."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.simulation.loop import VirtualLoop
from tests.simulation.servers import AuthServer
from tests.simulation.sharing import shared
from tests.simulation.world import World


def made(count: int) -> list[AuthServer]:
    return [AuthServer(f"as{n}.example", rotates=True, grace=0.0, life=3600.0) for n in range(count)]


def test_a_third_of_the_worlds_shares_a_server() -> None:
    """Two of three workloads then have one server, and every pair occurs."""

    found = Counter(tuple(server.host for server in shared(seed, made(3))) for seed in range(300))

    alone = found.pop(("as0.example", "as1.example", "as2.example"))
    assert 170 < alone < 230
    assert 6 == len(found)
    assert all(2 == len(set(hosts)) for hosts in found)


def test_one_workload_shares_nothing() -> None:
    """A world of one workload is what it was."""

    assert all(1 == len(shared(seed, made(1))) for seed in range(20))


def test_a_shared_server_is_planned_once() -> None:
    """Its troubles concern both workloads, whose logins are families of their own."""

    seed = next(seed for seed in range(100) if len({server.host for server in shared(seed, made(3))}) < 3)

    async def world() -> World:
        return World(seed, 3, 3)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        w = runner.run(world())

    assert 2 == len(w.servers)
    assert 3 == len(w.specs)
    assert {2, 1} == {len(server.families) for server in w.servers}
    assert {server.host for server in w.servers} >= {e.target.split()[0] for e in w.plan.events if e.what == "storm"}
    assert {server.endpoint for server in w.servers} == {spec.token_endpoint for spec in w.specs}
