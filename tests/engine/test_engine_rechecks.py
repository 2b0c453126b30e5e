"""Refusals by mistake, with the engine: a click tries the login again, and so does Amberlight, twice (M7)."""

from __future__ import annotations

import json
from pathlib import Path

from tests.engine.engines import ForgetfulJournal, Tokens, VirtualClock, login_of, one, virtual_engine
from trayapp.core.model import Login
from trayapp.core.outcomes import Answer, Reply
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import Unavailable
from trayapp.engine.ports import SystemChange
from trayapp.oauthtest import Mode, OAuthServer
from trayapp.vault.keystore import MemoryKeystore

JSON = {"content-type": "application/json"}


class MistakenTokens(Tokens):
    """Refuses every refresh with `code` until that is empty."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code
        self.reply = self._answer

    async def _answer(self, login: Login) -> Reply:
        if self.code:
            return Answer(401, JSON, json.dumps({"error": self.code}).encode())
        return Answer(200, JSON, json.dumps({"access_token": f"at-{self.asked}", "expires_in": 3600}).encode())


async def test_retry_now_reaches_the_server(tmp_path: Path) -> None:
    """Over real HTTP: one request per click, also after a restart; the server's next yes makes it green."""

    keystore = MemoryKeystore()
    with OAuthServer() as server:
        await keystore.store("one", login_of(server))
        server.mode = Mode.INVALID_GRANT
        async with one(server, tmp_path, keystore=keystore) as world:
            await world.becomes("unauthenticated refused")
            sent = server.count("token")
            world.do(Verb.RETRY)
            await world.until(lambda: world.view().auth.rechecked_at is not None, "the answer to the click")
            await world.quiet(0.15)
            assert (sent + 1, "unauthenticated refused") == (server.count("token"), world.status())
            assert "manual" == world.view().auth.last_trigger

        async with one(server, tmp_path, keystore=keystore) as world:
            await world.becomes("unauthenticated refused")
            await world.quiet(0.1)
            assert sent + 1 == server.count("token"), "a start sends nothing"
            server.mode = Mode.UNAVAILABLE
            world.do(Verb.RETRY)
            await world.until(lambda: server.count("token") == sent + 2, "the second click")
            await world.until(lambda: (e := world.view().auth.last_error) is not None and e.http_status == 503, "why")
            await world.quiet(0.15)
            assert (sent + 2, "unauthenticated refused") == (server.count("token"), world.status())

            server.mode = Mode.SUCCESS
            world.do(Verb.RETRY)
            await world.green()
            assert (None, None) == (world.view().auth.refused_at, world.view().auth.rechecked_at)


async def test_it_recovers_within_the_hour(tmp_path: Path) -> None:
    """Two requests more in an hour, none after that, and nothing is announced until a token comes."""

    clock, tokens = VirtualClock(), MistakenTokens("invalid_client")
    async with virtual_engine(["one", "two"], tmp_path, clock, tokens) as world:
        await clock.pass_time(1.0)
        assert ("unauthenticated refused", 2) == (world.status(), tokens.asked)
        await clock.pass_time(590.0)
        assert 2 == tokens.asked
        await clock.pass_time(15.0)
        assert 4 == tokens.asked
        assert isinstance(await world.engine.token("one"), Unavailable)
        tokens.code = ""
        world.do(Verb.PAUSE, "two")
        await clock.pass_time(3000.0)
        assert ("running ok", 5) == (world.status(), tokens.asked)
        assert ["unauthenticated refused", "running ok"] == [
            word for word in world.seen["one"] if not word.startswith("starting")
        ]
        tokens.code = "invalid_client"
        await clock.pass_time(20000.0)
        assert 8 == tokens.asked, "an ordinary refresh, and two checks of its refusal"


async def test_a_rotated_login_is_left_alone(tmp_path: Path) -> None:
    """Where it may live elsewhere, an invalid_grant is believed."""

    clock, tokens = VirtualClock(), MistakenTokens("invalid_grant")
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        await clock.pass_time(20000.0)
        assert ("unauthenticated refused", 1) == (world.status(), tokens.asked)


async def test_two_checks_are_all_across_restarts(tmp_path: Path) -> None:
    """However often the program starts; what a run has done the next one knows."""

    clock, tokens, journal = VirtualClock(), MistakenTokens("unauthorized_client"), ForgetfulJournal()
    for _ in range(8):
        async with virtual_engine(["one"], tmp_path, clock, tokens, journal=journal) as world:
            await clock.pass_time(900.0)
            assert "unauthenticated refused" == world.status()
    assert 3 == tokens.asked


async def test_offline_it_waits_and_a_network_triggers_nothing(tmp_path: Path) -> None:
    """A check that became due offline is made once there is a network; otherwise a network sends nothing."""

    clock, tokens = VirtualClock(), MistakenTokens("invalid_client")
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        await clock.pass_time(1.0)
        for offline in (True, False):
            world.system_changes(SystemChange(network=True, offline=offline))
            await clock.pass_time(60.0)
        assert 1 == tokens.asked
        world.system_changes(SystemChange(network=True, offline=True))
        await clock.pass_time(1500.0)
        assert 1 == tokens.asked
        world.system_changes(SystemChange(network=True, woke=True))
        await clock.pass_time(30.0)
        assert 2 == tokens.asked
