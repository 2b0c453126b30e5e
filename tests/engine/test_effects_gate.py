"""After a slow keyring probe the gate is checked once more before the token is sent (M10)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.engines import Tokens, VirtualClock, virtual_engine
from trayapp.core.model import Trouble
from trayapp.engine.ports import SystemChange

DUE = 3300.0  # s; when a token of an hour is refreshed
SLOW = 10.0  # s that the keyring takes


@pytest.mark.parametrize(
    ("news", "back"),
    [
        pytest.param(SystemChange(network=True), None, id="the network is new"),
        pytest.param(SystemChange(sleep_soon=True), SystemChange(woke=True), id="sleep is imminent, and called off"),
        pytest.param(SystemChange(network=True, offline=True), SystemChange(network=True), id="the network is gone"),
    ],
)
async def test_news_during_a_slow_probe_holds_the_request_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, news: SystemChange, back: SystemChange | None
) -> None:
    """Until the network has settled, here for three seconds, however long that takes."""

    clock, tokens = VirtualClock(), Tokens(life=3600.0)
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:

        async def probe(name: str, *, prompt: bool = False) -> Trouble | None:
            await clock.sleep(SLOW)
            return None

        world.engine.set_settling_times(3.0, 15.0)
        await clock.pass_time(1.0)
        monkeypatch.setattr(world.keystore, "probe", probe)
        await clock.pass_time(DUE - 1.0 + SLOW - 0.5)
        world.system_changes(news)
        await clock.pass_time(2.0)
        if back is not None:
            await clock.pass_time(20.0)
            assert 1 == tokens.asked
            world.system_changes(back)
            await clock.pass_time(2.0)
        assert 1 == tokens.asked

        await clock.pass_time(2.5)
        assert 2 == tokens.asked
