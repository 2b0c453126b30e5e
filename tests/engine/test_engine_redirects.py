"""A token endpoint that has moved within its own folder, as the engine and the status see it, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

from tests.engine.engines import QUICK, ForgetfulJournal, keystore_with, running
from tests.raw_server import Behaviour, Received, http_response, raw_server
from trayapp.core.model import Login, Saved, Secret, Spec

PATIENT = replace(QUICK, again=(0.02, 30.0), tick_interval=30.0, initial_retry_interval=30.0, max_retry_interval=30.0)


def endpoint(seen: list[str], lose_first: bool = False) -> Behaviour:
    """/t/token redirects to /t/token/, which gives a token and rotates; `lose_first`: its first answer never comes."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: Received) -> None:
        path = (await received.request(reader)).split(b" ", 2)[1].decode()
        seen.append(path)
        if path == "/t/token":
            writer.write(http_response("307 Temporary Redirect", b"", "Location: token/"))
        elif lose_first and seen.count(path) == 1:
            return
        else:
            body = {"access_token": f"at-{len(seen)}", "refresh_token": f"rt-{len(seen)}", "expires_in": 3600}
            writer.write(http_response("200 OK", json.dumps(body).encode()))
        await writer.drain()

    return behaviour


def login_at(port: int) -> Login:
    return Login(1, "line", Secret("rt-canary-5ad1"), 0.0, f"http://127.0.0.1:{port}/t/token", "c")


async def test_the_workload_is_green_and_says_where_it_was_redirected(tmp_path: Path) -> None:
    """The rotated login is stored with the endpoint it always had."""

    seen: list[str] = []
    async with raw_server(endpoint(seen)) as server:
        login = login_at(server.port)
        spec = Spec("one", "http://127.0.0.1:9/mcp", client_id="c", token_endpoint=login.token_endpoint, policy=QUICK)
        async with running([spec], tmp_path, keystore=await keystore_with(("one", login))) as world:
            view = await world.green()
            assert f"{login.token_endpoint}/" == view.auth.redirected_to
            stored = await world.stored()

    assert ["/t/token", "/t/token/"] == seen
    assert stored is not None
    assert ("rt-2", login.token_endpoint) == (stored.refresh_token.reveal(), stored.token_endpoint)
    assert replace(stored, refresh_token=login.refresh_token).fingerprint() == login.fingerprint()


async def test_a_lost_answer_behind_a_redirect_is_asked_for_again(tmp_path: Path) -> None:
    """The repeat (M9) goes where the token was sent, so that one lost answer doesn't end a login that still works."""

    seen: list[str] = []
    async with raw_server(endpoint(seen, lose_first=True)) as server:
        login = login_at(server.port)
        spec = Spec("one", "http://127.0.0.1:9/mcp", client_id="c", token_endpoint=login.token_endpoint, policy=PATIENT)
        async with running([spec], tmp_path, keystore=await keystore_with(("one", login))) as world:
            view = await world.green()
            assert f"{login.token_endpoint}/" == view.auth.redirected_to
            assert not world.w().maybe_spent

    assert ["/t/token", "/t/token/"] * 2 == seen


async def test_a_token_in_doubt_is_not_sent_to_a_new_address(tmp_path: Path) -> None:
    """Where no redirect was followed before, it isn't while the token may be spent: here since an earlier run."""

    seen: list[str] = []
    async with raw_server(endpoint(seen)) as server:
        login = login_at(server.port)
        spec = Spec("one", "http://127.0.0.1:9/mcp", client_id="c", token_endpoint=login.token_endpoint, policy=PATIENT)
        journal = ForgetfulJournal()
        journal.saved["one"] = Saved(open_intent=login.fingerprint())
        keystore = await keystore_with(("one", login))
        async with running([spec], tmp_path, keystore=keystore, journal=journal) as world:
            await world.until(lambda: world.w().last_error is not None, "the answer")
            assert world.w().maybe_spent
            error = world.w().last_error
            assert error is not None
            assert 307 == error.http_status
            await world.quiet(0.1)

    assert ["/t/token"] == seen
