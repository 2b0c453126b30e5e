"""The proxy with bound tokens (RFC 9449): a proof for each request, the upstream's nonces, and no strike because of them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.engine.engines import keystore_with, login_of, with_policy
from tests.oauth.test_dpop import opened
from tests.proxy.proxied_engine import proxied_engine
from tests.proxy.proxying import proxied, token, upstream
from tests.raw_server import Received, raw_server
from trayapp.core.model import AccessToken, Secret
from trayapp.oauth.dpop import new_key, target_of
from trayapp.oauthtest import EchoWorkload, OAuthServer

CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
KEY = new_key()


def bound(serial: int = 1, key: Secret | None = KEY) -> AccessToken:
    plain = token(serial)
    return AccessToken(serial, plain.value, 0.0, None, proof_key=key)


class Upstream:
    """Wants its newest nonce in each proof; `always` never has enough."""

    def __init__(self, *, always: bool = False) -> None:
        self.nonce = "n-1"
        self.always = always
        self.requests: list[dict[str, Any]] = []

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        proof = request.headers.getall("DPoP", [])
        claims = opened(proof[0])[1] if len(proof) == 1 else {}
        self.requests.append({"scheme": request.headers["Authorization"].partition(" ")[0], "body": body, **claims})
        head = {"DPoP-Nonce": self.nonce}
        if self.always or claims.get("nonce") != self.nonce:
            challenge = {"WWW-Authenticate": 'DPoP error="use_dpop_nonce", algs="ES256"'}
            return web.json_response({}, status=401, headers={**head, **challenge})
        return web.json_response({"done": True}, headers=head)


async def test_each_request_has_a_proof_of_its_own(tmp_path: Path) -> None:
    """Method, address without query, and the token; the nonce challenge is one repeat, and the next request knows it."""

    served = Upstream()
    async with upstream(served) as server, proxied(server.url, tmp_path) as site:
        site.tokens.answer = bound()
        for _ in range(2):
            status, _, head = await site.ask("POST", "/w/one?page=2", data=CALL, headers={"DPoP": "the client's own"})
            assert 200 == status
            assert "DPoP-Nonce" not in head
    assert ["DPoP"] * 3 == [each["scheme"] for each in served.requests]
    assert [None, "n-1", "n-1"] == [each.get("nonce") for each in served.requests]
    assert 3 == len({each["jti"] for each in served.requests})
    assert {("POST", target_of(server.url))} == {(each["htm"], each["htu"]) for each in served.requests}
    assert all(each["ath"] for each in served.requests)
    assert {CALL} == {each["body"] for each in served.requests}
    assert [] == site.tokens.rejections


async def test_a_nonce_that_changes_costs_one_repeat(tmp_path: Path) -> None:
    """Nobody notices; nothing is refreshed."""

    served = Upstream()
    async with upstream(served) as server, proxied(server.url, tmp_path) as site:
        site.tokens.answer = bound()
        for nonce in ("n-2", "n-3"):
            served.nonce = nonce
            assert 200 == (await site.ask("GET"))[0]
    assert 4 == len(served.requests)
    assert [] == site.tokens.rejections


async def test_an_upstream_that_never_has_enough(tmp_path: Path) -> None:
    """One repeat, then the caller is told to try again; no strike: nothing is wrong with the token."""

    served = Upstream(always=True)
    async with upstream(served) as server, proxied(server.url, tmp_path) as site:
        site.tokens.answer = bound()
        assert 503 == (await site.ask("GET"))[0]
    assert 2 == len(served.requests)
    assert [] == site.tokens.rejections


async def test_a_repeat_on_a_new_connection_has_a_new_proof(tmp_path: Path) -> None:
    """The first request may have arrived, and servers take no proof twice (section 11.1)."""

    proofs: list[str] = []

    async def drops_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
        while request := await seen.request(reader):
            proofs.extend(line[6:].decode() for line in request.split(b"\r\n") if line.lower().startswith(b"dpop:"))
            if len(proofs) == 2:
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with raw_server(drops_the_second) as seen, proxied(f"http://127.0.0.1:{seen.port}", tmp_path) as site:
        site.tokens.answer = bound()
        assert [200, 200] == [(await site.ask("GET"))[0] for _ in range(2)]
    assert 3 == len(proofs) == len({opened(proof)[1]["jti"] for proof in proofs})


async def test_a_key_that_is_none(tmp_path: Path) -> None:
    """Nothing is sent, and the caller is told what helps."""

    served = Upstream()
    async with upstream(served) as server, proxied(server.url, tmp_path) as site:
        site.tokens.answer = bound(key=Secret("{}"))
        assert (502, "bad_key") == await site.error()
    assert [] == served.requests


async def test_plain_tokens_are_sent_as_ever(tmp_path: Path) -> None:
    """Whatever an upstream says about nonces, and whatever proof the client sends."""

    served = Upstream()
    async with upstream(served) as server, proxied(server.url, tmp_path) as site:
        await site.ask("GET", headers={"DPoP": "x.y.z"})
        assert site.proxy._forwarder._made_proofs is None
    assert {"Bearer"} == {each["scheme"] for each in served.requests}
    assert all("htu" not in each for each in served.requests)
    assert 1 in site.tokens.rejections


@pytest.mark.parametrize("nonces", [True, False])
async def test_a_bound_login_with_the_engine(tmp_path: Path, nonces: bool) -> None:
    """From the keyring: refreshed with proofs, used with proofs, rejected and refreshed again, and kept with its key."""

    with OAuthServer(dpop=True, dpop_nonces=nonces) as server, EchoWorkload(server) as workload:
        keystore = await keystore_with(("one", login_of(server, proof_key=KEY)))
        policy = with_policy(rejected_spacing=0.0)
        async with proxied_engine(server, workload.url, tmp_path, policy, keystore=keystore) as site:
            await site.world.green()
            for _ in range(2):
                status, body, _ = await site.ask(CALL, **JSON)
                assert (200, {}) == (status, json.loads(body)["result"])
            workload.reject()
            status, _, _ = await site.ask(CALL, **JSON)
            assert 200 == status
            assert 0 == site.world.w().strikes
            held = await site.world.stored()
            assert held is not None
            assert KEY == held.proof_key
            assert held.generation >= 3


async def test_an_outage_of_a_server_that_binds(tmp_path: Path) -> None:
    """Amber and back; the nonces of before are no reason to lose anything."""

    with OAuthServer(dpop=True) as server, EchoWorkload(server) as workload:
        server.access_token_lifetime = 0.4
        keystore = await keystore_with(("one", login_of(server, proof_key=KEY)))
        async with proxied_engine(server, workload.url, tmp_path, with_policy(), keystore=keystore) as site:
            await site.world.green()
            server.down()
            await site.world.becomes("auth_retrying")
            server.new_nonce()
            server.access_token_lifetime = 3600.0
            server.up()
            await site.world.green()
            status, _, _ = await site.ask(CALL, **JSON)
            assert 200 == status
            assert len(server.live_families()) == 1
