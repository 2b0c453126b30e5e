"""ID token validation: a token that was made for somebody else ends the sign-in, and a bad one never costs the login."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Awaitable
from typing import Any

import pytest
from aiohttp import web
from joserfc.jwk import ECKey, KeySet, OctKey

from tests.oauth.idtokens import CLIENT, ISSUER, PUBLIC, WALL, signed, unsigned
from tests.oauth.tls import bare
from trayapp.core.model import AccessToken, Login, Moment, Secret
from trayapp.engine.ports import Checked, NewLogin
from trayapp.oauth import idtoken, jose
from trayapp.oauth.idtoken import IdTokens, ValidatorProcess
from trayapp.oauth.metadata import Endpoints
from trayapp.oauth.wire import Wire
from trayapp.oauthtest.background import Background

# --- the whole check -------------------------------------------------------------------------------------------------


class Site:
    """A server that has keys, or does something else at their address."""

    def __init__(self) -> None:
        self.body: bytes = json.dumps({"keys": PUBLIC}).encode()
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        self.server = Background(self._application, name="keys")

    def _application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@pytest.fixture
def site() -> Any:
    site = Site()
    site.server.start()
    yield site
    site.server.stop()


def login(token: str | None, secret: str | None = None) -> NewLogin:
    own = Secret(secret) if secret else None
    kept = Login(1, "l", Secret("rt"), WALL, f"{ISSUER}/token", CLIENT, client_secret=own, subject="alice")
    return NewLogin(kept, AccessToken(0, Secret("at"), 0.0, None), id_token=Secret(token) if token else None)


async def ask(order: str) -> str:
    """The child, with an order that is complete."""

    async def told() -> str:
        return order

    task = asyncio.ensure_future(told())
    try:
        return await idtoken.check_in_process(task)
    finally:
        task.cancel()


async def checked(
    site: Site, token: str, *, check_signature: Any = None, jwks: str = "/jwks", secret: str | None = None
) -> Checked:
    async def here(order: Awaitable[str]) -> str:
        return jose.check_signature(await order)

    endpoints = Endpoints("", f"{ISSUER}/token", issuer=ISSUER, jwks=f"{site.server.url}{jwks}" if jwks else "")
    new = IdTokens(Wire("0", bare), check_signature or here).with_check(
        login(token, secret), endpoints, Moment(0.0, 0.0, WALL)
    )
    assert new.check is not None
    return await new.check()


async def test_a_good_token_by_a_child_process(site: Site) -> None:
    """The default: the keys are fetched once, joserfc looks at them in another process, and this one never loads it."""

    began = time.monotonic()
    assert Checked() == await checked(site, signed(), check_signature=idtoken.check_in_process)
    assert ["/jwks"] == site.asked
    assert time.monotonic() - began < 5.0
    assert "signature" == await ask(json.dumps({"token": signed() + "A", "keys": PUBLIC, "secret": None}))


async def test_without_an_id_token_there_is_nothing_to_check(site: Site) -> None:
    """Plain OAuth."""

    new = IdTokens(Wire("0", bare)).with_check(login(None), Endpoints("", "", jwks=site.server.url), Moment(0, 0, 0))
    assert new.check is None


@pytest.mark.parametrize("changes", [{"iss": "https://evil.test"}, {"aud": "other"}, {"azp": "other"}])
async def test_a_token_for_somebody_else_is_refused(site: Site, changes: dict[str, Any]) -> None:
    """Well signed or not: this is not the sign-in that was begun. Nobody is asked for keys."""

    found = await checked(site, signed(**changes))
    assert found.refused
    assert found.problem is not None
    assert "another" in found.problem.summary
    assert ("another issuer (https://evil.test)" in found.problem.summary) == ("iss" in changes)
    assert len(found.problem.summary) <= 200
    assert [] == site.asked


@pytest.mark.parametrize("says", ["https://" + "a" * 90 + ".test", "\x1b[2J", "javascript:alert(1)", 7, None])
async def test_an_issuer_that_is_not_fit_to_be_shown(site: Site, says: object) -> None:
    """It is refused without being repeated."""

    found = await checked(site, signed(iss=says))
    assert found.refused
    assert found.problem is not None
    assert "for another issuer, so" in found.problem.summary


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (unsigned({"alg": "none"}), "none"),
        (signed(key=ECKey.generate_key("P-256", {"kid": "e"})), "signature"),
        (signed(key=ECKey.generate_key("P-256", {"kid": "zz"})), "no_key"),
        (signed("HS256", key=OctKey.import_key("s" * 40, {"kid": "x"})), "algorithm"),
        (signed(exp=WALL - 9999), "time"),
        ("garbage", "unreadable"),
        ("a.b.c", "unreadable"),
    ],
)
async def test_an_unverifiable_token_keeps_the_login(site: Site, token: str, code: str) -> None:
    """The sign-in stands; whose account it is, is not known, and a sentence says why."""

    found = await checked(site, token)
    assert not found.refused
    assert found.problem is not None
    assert code == found.problem.code
    assert found.problem.summary.startswith("Signed in, but couldn't verify the account: ")
    assert token not in found.problem.summary


async def test_hs256_is_checked_with_the_client_secret(site: Site) -> None:
    """HS256 with a client that has a secret; no key is fetched for it."""

    token = signed("HS256", key=OctKey.import_key("s" * 40, {"kid": "x"}))
    assert Checked() == await checked(site, token, secret="s" * 40)
    assert [] == site.asked


async def test_a_server_that_names_no_keys(site: Site) -> None:
    """TLS stands for the signature (item 6), but not for `none`."""

    assert Checked() == await checked(site, signed(), jwks="")
    assert (await checked(site, unsigned({"alg": "none"}), jwks="")).problem is not None


@pytest.mark.parametrize(
    "broken",
    [
        {"status": 404},
        {"status": 500},
        {"body": b"<html>"},
        {"body": b"[]"},
        {"body": b"{}"},
        {"body": b'{"keys": 7}'},
        {"body": b'{"keys": []}'},
        {"body": b'{"keys": ["' + b"a" * (300 * 1024) + b'"]}'},  # larger than any
        {"status": 302, "headers": {"Location": "http://127.0.0.1:1/keys"}},
    ],
)
async def test_unavailable_keys_keep_the_login(site: Site, broken: dict[str, Any]) -> None:
    """Missing, mad, huge or elsewhere: the login stays, unproved, and no redirect is followed."""

    for name, value in broken.items():
        setattr(site, name, value)
    found = await checked(site, signed())
    assert not found.refused
    assert found.problem is not None
    assert 1 == len(site.asked)


async def test_keys_are_asked_for_each_time(site: Site) -> None:
    """Nothing is remembered: a server may change its keys."""

    await checked(site, signed())
    site.body = b'{"keys": []}'
    assert (await checked(site, signed())).problem is not None
    assert 2 == len(site.asked)


async def test_a_validator_process_that_fails_keeps_the_login(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No interpreter, a crash, a hang: unproved, logged without the token."""

    token = signed()
    monkeypatch.setattr(idtoken, "interpreter", lambda: "/nonexistent/python")
    assert "child" == (await checked(site, token, check_signature=idtoken.check_in_process)).problem.code  # type: ignore[union-attr]
    monkeypatch.undo()
    monkeypatch.setattr(idtoken, "COMMAND", (__file__ + ".missing",))
    assert "child" == await ask("{}")
    monkeypatch.undo()
    monkeypatch.setattr(idtoken, "VALIDATION_LIMIT", 0.0)
    assert "child" == await ask(json.dumps({"token": token, "keys": PUBLIC, "secret": None}))
    monkeypatch.undo()
    monkeypatch.setattr(idtoken, "COMMAND", ("-m", "trayapp.oauth.jose"))  # as a frozen program has it
    assert "ok" == await ask(json.dumps({"token": token, "keys": PUBLIC, "secret": None}))
    assert token not in caplog.text


def test_a_key_set_as_servers_write_it() -> None:
    """What joserfc calls a key set is what we take keys from."""

    assert len(PUBLIC) == len(KeySet.import_key_set({"keys": PUBLIC}).keys)


def test_the_app_itself_never_loads_joserfc() -> None:
    """Nor cryptography: eleven megabytes for a check that is made once per sign-in."""

    program = (
        "import trayapp.oauth.signin, trayapp.oauth.device, sys; print(*({'joserfc', 'cryptography'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert "" == done.stdout.strip()


async def test_a_prepared_validator_is_used_and_closed(site: Site) -> None:
    """It starts when the sign-in does, and ends with the check, or without one."""

    makers = IdTokens(Wire("0", bare))
    assert makers.start_validator(("mcp",)) is None  # no ID token is to come
    child = makers.start_validator(("openid", "mcp"))
    assert child is not None
    endpoints = Endpoints("", f"{ISSUER}/token", issuer=ISSUER, jwks=f"{site.server.url}/jwks")
    new = makers.with_check(login(signed()), endpoints, Moment(0.0, 0.0, WALL), child)
    assert new.check is not None
    assert Checked() == await new.check()
    process = await child._starting
    assert process is not None
    assert process.returncode == 0
    await child.close()  # a second end does nothing

    idle = makers.start_validator(("openid",))
    assert idle is not None
    await idle.close()
    process = await idle._starting
    assert process is not None
    assert process.returncode is not None

    refused = makers.start_validator(("openid",))
    new = makers.with_check(login(signed(aud="other")), endpoints, Moment(0.0, 0.0, WALL), refused)
    assert new.check is not None
    assert refused is not None
    assert (await new.check()).refused
    process = await refused._starting
    assert process is not None
    assert process.returncode is not None


async def test_the_process_of_a_check_that_nobody_runs_ends_with_the_program() -> None:
    """The sign-in was given up after the server's answer, before its login was stored."""

    makers = IdTokens(Wire("0", bare))
    child = makers.start_validator(("openid",))
    assert child is not None
    makers.with_check(login(signed()), Endpoints("", f"{ISSUER}/token", issuer=ISSUER), Moment(0.0, 0.0, WALL), child)
    await makers.close()
    process = await child._starting
    assert process is not None
    assert process.returncode is not None


async def test_a_system_without_processes_keeps_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system raises, closing the validator succeeds and validating reports the failure."""

    async def none(*_: object, **__: object) -> None:
        raise NotImplementedError

    async def order() -> str:
        return "{}"

    monkeypatch.setattr(asyncio, "create_subprocess_exec", none)
    await idtoken.ValidatorProcess().close()
    waiting = order()
    assert "child" == await idtoken.ValidatorProcess().validate(waiting)
    waiting.close()


async def test_a_check_that_is_given_up_while_it_ends_leaves_nothing_open() -> None:
    """The program quits while it waits for the process to end: pipes and process are still closed."""

    child = ValidatorProcess()
    process = await child._starting
    assert process is not None
    closing = asyncio.create_task(child.close())
    await asyncio.sleep(0)
    closing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await closing

    assert process._transport.is_closing()  # type: ignore[attr-defined]
    assert 0 != await process.wait()
