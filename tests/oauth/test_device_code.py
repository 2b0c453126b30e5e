"""Device authorization responses: which values are shown, and which never are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oauth.devices import CODES, ENDPOINTS, GRANT, PENDING, TOKENS, UNREACHABLE, World, answer, error, page
from trayapp.core.model import DeviceCode, Problem
from trayapp.core.outcomes import Answer, Reply
from trayapp.engine.ports import NewLogin
from trayapp.oauth import device
from trayapp.oauth.device import read_authorization
from trayapp.oauth.wire import url_problem


async def test_the_code_is_shown_and_a_login_comes() -> None:
    """Code, address and expiry are shown immediately; the person agrees before the third poll."""

    world = World(PENDING, PENDING, TOKENS)
    new = await world.run()

    assert isinstance(new, NewLogin)
    assert ("rt-canary", "c", "https://as.test") == (
        new.login.refresh_token.reveal(),
        new.login.client_id,
        new.login.issuer,
    )
    complete = "https://as.test/device?user_code=ABCD-EFGH"
    assert [DeviceCode("ABCD-EFGH", "https://as.test/device", complete, 1_800_001_600.0)] == world.codes
    assert [5.0, 5.0, 5.0] == world.waits


async def test_a_server_without_a_device_endpoint() -> None:
    """The sentence says what else there is; nothing was sent."""

    world = World(TOKENS)
    problem = await world.run(grant=replace(GRANT, endpoint=""))

    assert "no_device_flow" == problem.kind
    assert "amberlight reauthorize mail --no-browser" in problem.summary
    assert [] == world.codes


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (UNREACHABLE, "no route"),
        (answer(b"<html>", 404), "no device authorization endpoint"),
        (answer(b"", 410), "no device authorization endpoint"),
        (page(b"<html>portal</html>"), "Wi-Fi"),
        (answer({}), "contains no device code"),
        (answer([1]), "contains no device code"),
        (error("unauthorized_client"), "doesn't let this client sign in with a device code"),
        (error("invalid_client", 401), "doesn't know this client"),
        (error("invalid_scope"), "check scopes"),
        (error("invalid_target"), "check resource"),
        (error("surprise"), "surprise"),
        (answer(b"{", 200), "damaged"),
        (answer({"access_token": "x", "device_code": 7}), "contains no device code"),
        (answer(b"\xff\xfe", 500), "a problem of its own"),
        (answer(CODES | {"device_code": "a\nb"}), "invalid characters"),
        (answer(CODES | {"user_code": None}), "letters and digits"),
        (answer(CODES | {"verification_uri": None}), "is missing"),
    ],
)
async def test_errors_of_the_device_authorization_endpoint(first: Reply, words: str) -> None:
    """One clear sentence, and nobody is shown anything."""

    world = World(TOKENS, first=first)
    problem = await world.run()

    assert isinstance(problem, Problem)
    assert words in problem.summary
    assert len(problem.summary) <= 200
    assert [] == world.codes
    assert [] == world.asked_at


HOSTILE_URIS = [
    "javascript:alert(1)",
    "file:///etc/passwd",
    "data:text/html,x",
    "http://as.test/device",
    "//as.test/device",
    "https://",
    "https://user:pass@as.test/device",
    "https://as.test/device#here",
    "https://as.test/$(reboot)`id`|sh",
    "https://as.test/\x1b]52;c;ZXZpbA==\x07",
    "https://as.test/\u202eecived",
    "https://as.test/a b",
    'https://as.test/"&start calc',
    "https://as.test/\nother",
    "https://127.0.0.1/device",
    "http://localhost:1/device",
    "https://192.168.0.1/device",
    "https://169.254.169.254/latest",
    "https://as.test/" + "a" * 3000,
    "ms-settings:network",
    "-incognito",
]


@pytest.mark.parametrize("uri", HOSTILE_URIS)
async def test_a_hostile_address_is_never_shown_or_opened(uri: str) -> None:
    """Other schemes, shell and terminal tricks, this machine and private networks: refused; as the complete one: left out."""

    world = World(TOKENS, first=answer(CODES | {"verification_uri": uri}))
    problem = await world.run()
    assert isinstance(problem, Problem)
    assert problem.summary.isprintable()
    assert [] == world.codes

    world = World(TOKENS, first=answer(CODES | {"verification_uri_complete": uri}))
    assert isinstance(await world.run(), NewLogin)
    assert "" == world.codes[0].verification_uri_complete


@pytest.mark.parametrize("uri", ["https://evil.test/device?user_code=ABCD-EFGH", "https://as.test.evil.test/", 7, None])
async def test_what_is_opened_is_where_the_shown_address_is(uri: object) -> None:
    """A complete address of another host is not used: the person sees one host and would be sent to another."""

    world = World(TOKENS, first=answer(CODES | {"verification_uri_complete": uri}))
    await world.run()

    assert "" == world.codes[0].verification_uri_complete


@pytest.mark.parametrize(
    "code",
    ["\x1b[31mABCD", "AB\x07CD", "AB\nCD", "ABCD\u202e", "<b>AB</b>", "A" * 41, "", " ", "-", "$(id)", "АВСД", "%s", 7],
)
async def test_a_user_code_with_control_characters_is_refused(code: object) -> None:
    """Escape sequences, markup, look-alikes: refused with a sentence that does not repeat them."""

    world = World(TOKENS, first=answer(CODES | {"user_code": code}))
    problem = await world.run()

    assert "letters and digits" in problem.summary
    assert problem.summary.isascii()
    assert [] == world.codes


async def test_verification_url_is_accepted() -> None:
    """Google says `verification_url`."""

    fields = {name: value for name, value in CODES.items() if not name.startswith("verification")}
    world = World(TOKENS, first=answer(fields | {"verification_url": "https://www.as.test/device"}))
    await world.run()

    assert ("https://www.as.test/device", "") == (
        world.codes[0].verification_uri,
        world.codes[0].verification_uri_complete,
    )


@given(
    st.dictionaries(st.sampled_from(sorted(CODES)), st.none() | st.text() | st.integers() | st.floats() | st.booleans())
)
def test_only_checked_values_are_shown(changes: dict[str, object]) -> None:
    """A plain sentence, or a code of plain characters, addresses that may be opened, and times within bounds."""

    authorization = read_authorization(answer(CODES | changes), ENDPOINTS)

    if isinstance(authorization, Problem):
        assert authorization.summary.isprintable()
        return
    assert device.USER_CODE.fullmatch(authorization.user_code)
    assert "" == url_problem(authorization.verification_uri)
    assert authorization.verification_uri_complete == "" or "" == url_problem(authorization.verification_uri_complete)
    assert 0 < authorization.lifetime <= device.CODE_LIFETIME_MAX
    assert authorization.interval >= device.INTERVAL_MIN


@given(st.binary(max_size=200), st.integers(100, 599))
def test_no_body_makes_reading_raise(body: bytes, status: int) -> None:
    """Nothing that a server can send raises."""

    authorization = read_authorization(Answer(status, {}, body), ENDPOINTS)

    assert isinstance(authorization, Problem)
    assert authorization.summary.isprintable()
