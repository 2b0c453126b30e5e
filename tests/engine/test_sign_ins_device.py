"""Sign-ins by device code with the engine: the code is shown everywhere, and it is an overlay like any sign-in."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.engines import World, keystore_with, running
from tests.engine.test_sign_ins import alices, ended, spec_with
from trayapp.core.menu import tray_view
from trayapp.core.model import DeviceCode, Problem, Spec
from trayapp.core.presentation import Verb
from trayapp.core.public import auth_json
from trayapp.engine import sign_ins
from trayapp.oauth import device
from trayapp.oauthtest import Mode, OAuthServer, browse
from trayapp.oauthtest.device import GRANT_TYPE

RESOURCE = "http://127.0.0.1:9/mcp"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll the test's server ten times a second."""
    monkeypatch.setattr(device, "INTERVAL_MIN", 0.02)
    monkeypatch.setattr(device, "BACKOFF_MAX", 0.3)


def offering(**more: Any) -> OAuthServer:
    usual: dict[str, Any] = {"subject": "alice", "device": True, "device_interval": 0.15, "resource": RESOURCE}
    return OAuthServer(**(usual | more))


def by_device(server: OAuthServer, **more: Any) -> Spec:
    return spec_with(server, **{"resource": RESOURCE, "flow": "device"} | more)


async def shown_code(world: World) -> DeviceCode:
    await world.until(lambda: world.view().auth.device is not None, "a code")
    found = world.view().auth.device
    assert found is not None
    return found


async def test_a_code_is_shown_until_a_person_has_typed_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the API, the status and the menu; the resource was named (the server looks), and then all is green."""

    with offering() as server:
        async with running([by_device(server)], tmp_path) as world:
            await world.becomes("unauthenticated never_signed_in")
            url = await world.engine.sign_ins.begin("one", browser=False, accept=False)
            shown = await shown_code(world)
            assert (shown.user_code,) == server.user_codes()
            assert url == shown.verification_uri_complete == f"{server.url}/device?user_code={shown.user_code}"
            assert abs(shown.expires_wall - time.time() - 600) < 10
            told = auth_json(world.view().auth)["device"]
            assert isinstance(told, dict)
            assert shown.user_code == told["user_code"]
            assert shown.user_code in world.view().status_context
            lines = [item for item in tray_view(world.engine.snapshot(), str).menu if item.key == "device:one"]
            assert [f"one: Enter code {shown.user_code} at {server.url.partition('//')[2]}/device…"] == [
                item.text for item in lines
            ]
            assert [] == world.opened
            await world.until(lambda: server.count("token", outcome="authorization_pending"))
            server.approve(shown.user_code)
            await world.green()
            assert world.view().auth.device is None
            held = await world.stored()
            assert held is not None
            assert ("alice", RESOURCE) == (held.subject, held.resource)
            assert shown.user_code not in caplog.text
        assert 1 == server.count("jwks")


async def test_one_click_opens_the_page_with_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workload that is set to `device`: *Reauthorize* opens the page with the code in it; a later click again."""

    with offering(consent="page") as server:
        login = alices(server, resource=RESOURCE)
        async with running(
            [by_device(server)], tmp_path, keystore=await keystore_with(("one", login)), person=False
        ) as world:
            await world.green()
            world.do(Verb.REAUTHORIZE)
            shown = await shown_code(world)
            await world.until(lambda: world.opened)
            monkeypatch.setattr(sign_ins, "CLICK_SPACING", 0.0)
            world.do(Verb.REAUTHORIZE)
            await world.until(lambda: len(world.opened) == 2)
            assert [shown.verification_uri_complete] * 2 == world.opened
            assert "running" == world.view().status
            server.consent = "auto"
            await asyncio.to_thread(browse, world.opened[0])
            await world.until(lambda: not world.w().signing_in)
            assert await ended(world) is None
        assert 1 == server.count("device")


async def test_a_second_caller_gets_the_same_code(tmp_path: Path) -> None:
    """Command and tray share one flow; a pasted URL is refused, as this flow waits for none."""

    with offering() as server:
        async with running([by_device(server)], tmp_path) as world:
            begin = world.engine.sign_ins.begin
            first = await begin("one", browser=False, accept=False)
            assert first == await begin("one", browser=False, accept=False, flow="device")
            answer = world.engine.sign_ins.paste("one", "http://127.0.0.1:1/callback?code=1&state=2")
            assert answer is not None
            assert "is waiting for its code" in answer.summary
            assert 1 == len(server.user_codes())


async def test_another_flow_ends_the_one_under_way(tmp_path: Path) -> None:
    """A browser waits, and somebody asks for a code over SSH; and the other way round."""

    with offering() as server:
        async with running([spec_with(server, resource=RESOURCE)], tmp_path, person=False) as world:
            begin = world.engine.sign_ins.begin
            page = await begin("one", browser=False, accept=False)
            assert "/authorize?" in str(page)
            assert world.view().auth.device is None
            assert "/device?" in str(await begin("one", browser=False, accept=False, flow="device"))
            await shown_code(world)
            assert "/authorize?" in str(await begin("one", browser=False, accept=False, flow="browser"))
            assert world.view().auth.signing_in
            assert world.view().auth.device is None
            await asyncio.to_thread(browse, str(await begin("one", browser=False, accept=False)))
            await world.green()


async def test_cancelled_denied_expired(tmp_path: Path) -> None:
    """Each leaves the login as it was, says why, and the next try is a new code."""

    with offering() as server:
        login = alices(server, resource=RESOURCE)
        async with running([by_device(server)], tmp_path, keystore=await keystore_with(("one", login))) as world:
            await world.green()
            before = await world.stored()
            codes = set()
            for ending, kind in (("cancel", "cancelled"), ("deny", "denied"), ("expire", "timed_out")):
                server.device_lifetime = 0.4 if ending == "expire" else 600.0
                await world.engine.sign_ins.begin("one", browser=False, accept=False)
                shown = await shown_code(world)
                codes.add(shown.user_code)
                if ending == "cancel":
                    world.engine.sign_ins.cancel("one")
                elif ending == "deny":
                    server.deny(shown.user_code)
                problem = await ended(world)
                assert problem is not None
                assert kind == problem.kind
                assert world.view().auth.device is None
                assert "running ok" == world.status()
                assert before == await world.stored()
            assert 3 == len(codes)


async def test_a_server_without_device_codes(tmp_path: Path) -> None:
    """The sign-in fails immediately, with a sentence."""

    with OAuthServer() as server:
        async with running([by_device(server)], tmp_path) as world:
            answer = await world.engine.sign_ins.begin("one", browser=False, accept=False)
            assert isinstance(answer, Problem)
            assert "doesn't offer sign-in with a device code" in answer.summary
            assert not world.view().auth.signing_in


async def test_the_device_endpoint_may_be_configured(tmp_path: Path) -> None:
    """Without any metadata; a client with a secret proves itself to both endpoints."""

    with offering(metadata_changes={"device_authorization_endpoint": ...}) as server:
        spec = by_device(server, device_authorization_endpoint=server.device_authorization_endpoint)
        async with running([spec], tmp_path) as world:
            await world.engine.sign_ins.begin("one", browser=False, accept=False)
            server.approve((await shown_code(world)).user_code)
            await world.green()
        assert 0 == server.count("metadata")


async def test_a_bad_network_while_it_waits(tmp_path: Path) -> None:
    """Firewall, gateway, reset, a server that is gone for a while: the code is still good when it is back."""

    with offering() as server:
        async with running([by_device(server)], tmp_path) as world:
            await world.engine.sign_ins.begin("one", browser=False, accept=False)
            shown = await shown_code(world)
            server.script(Mode.FIREWALL, Mode.BAD_GATEWAY, Mode.RESET, Mode.CAPTIVE_HTML)
            await world.until(lambda: not server.script_rest)
            server.down()
            await world.quiet(0.4)
            server.up()
            assert world.view().auth.device == shown
            server.approve(shown.user_code)
            await world.green()


async def test_a_quit_ends_the_polling(tmp_path: Path) -> None:
    """Immediately, and nothing is sent after it."""

    with offering() as server:
        async with running([by_device(server)], tmp_path) as world:
            await world.engine.sign_ins.begin("one", browser=False, accept=False)
            await shown_code(world)
            began = time.monotonic()
            await world.engine.close()
            assert time.monotonic() - began < 2.0
        asked = server.count("token")
        await asyncio.sleep(0.3)
        assert asked == server.count("token")


async def test_secrets_of_the_flow_are_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Device code, tokens and the user code: nowhere, whatever the level."""

    caplog.set_level("DEBUG")
    with offering(canary="canary77") as server:
        async with running([by_device(server)], tmp_path) as world:
            await world.engine.sign_ins.begin("one", browser=False, accept=False)
            shown = await shown_code(world)
            server.script(Mode.SERVER_ERROR)
            server.approve(shown.user_code)
            await world.green()
            assert "canary77" in str((world.w().login or alices(server)).refresh_token.reveal())
        for secret in ("canary77", shown.user_code):
            assert secret not in caplog.text
            assert secret.encode() not in (tmp_path / "state.db").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"user_code": "\x1b[2J\x1b]52;c;cGF5bG9hZA==\x07"},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "file:///etc/passwd"},
        {"verification_uri": "https://as.test/$(reboot)\x1b[0m"},
    ],
)
async def test_a_hostile_device_answer(
    changes: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """None of it is shown, opened or logged; the workload stays as it was."""

    with offering(device_changes=changes) as server:
        login = alices(server, resource=RESOURCE)
        async with running([by_device(server)], tmp_path, keystore=await keystore_with(("one", login))) as world:
            await world.green()
            answer = await world.engine.sign_ins.begin("one", browser=True, accept=False)
            assert isinstance(answer, Problem)
            assert answer.summary.isprintable()
            assert world.view().auth.device is None
            assert "running ok" == world.status()
            assert [] == world.opened
        assert "\x1b" not in caplog.text
        assert "alert" not in caplog.text
        assert 0 == server.count("token", grant=GRANT_TYPE)
