"""How a dashboard page gets into the API, over real sockets: one link, valid once, and a key of its own."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.page_site import BASE, Clock, Site
from trayapp.api import pagekeys
from trayapp.api.pagekeys import KEY_LIFE, LINK_LIFE, LINKS_MAX, PAGES_MAX, PageKeys
from trayapp.core.client_settings import ClientAccess
from trayapp.core.model import AccessToken, Secret
from trayapp.server.peers import Owner

posix = pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
linux = pytest.mark.linux("only Linux tells whose a connection is")


# --- the link --------------------------------------------------------------------------------------------------------


async def test_a_link_is_good_once(site: Site) -> None:
    """It is traded for a key that opens the API; the second time it is worth nothing."""

    token = await site.link()
    status, body = await site.trade(token)
    assert (200, ["key"]) == (status, list(body))
    assert 200 == await site.listing(body["key"])
    status, again = await site.trade(token)
    assert (403, "link_used") == (status, again["error"])
    assert 43 == len(token) == len(body["key"])


async def test_a_link_is_good_for_a_minute(site: Site) -> None:
    """To the last moment, and not a moment longer."""

    one, two = await site.link(), await site.link()
    site.clock.now += LINK_LIFE - 0.01
    assert 200 == (await site.trade(one))[0]
    site.clock.now += 0.01
    assert 403 == (await site.trade(two))[0]


async def test_links_are_not_kept_without_end(site: Site) -> None:
    """The latest few are good; who asks in a loop fills nothing."""

    tokens = [await site.link() for _ in range(LINKS_MAX + 3)]

    assert [403] * 3 + [200] * LINKS_MAX == [(await site.trade(token))[0] for token in tokens]


@pytest.mark.parametrize("guess", ["x", "A" * 43, "é", "\udcff", "0" * 1000, "once", " "])
async def test_a_guess_gives_nothing_and_costs_nothing(site: Site, guess: str) -> None:
    """The link is good all the same afterwards; the guess is never repeated in the answer."""

    token = await site.link()
    for _ in range(20):
        status, body = await site.trade(guess)
        assert (403, "link_used") == (status, body["error"])
        assert len(guess) < 5 or guess not in str(body)
    assert 200 == (await site.trade(token))[0]


async def test_a_link_must_match_exactly(site: Site) -> None:
    """One character more, less or other is another text."""

    token = await site.link()
    other = "A" if token[-1] != "A" else "B"
    for guess in (token[:-1], token + "A", token[:-1] + other, token.swapcase(), f" {token}"):
        assert 403 == (await site.trade(guess))[0]
    assert 200 == (await site.trade(token))[0]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://localhost:{port}"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_another_origin_gets_nothing(site: Site, headers: dict[str, str]) -> None:
    """Another port is another origin, also where it is the same site; the link is not spent by it."""

    token = await site.link()
    shown = {name: value.format(port=site.server.port) for name, value in headers.items()}
    answer = await site.ask("POST", f"{BASE}/session", json={"once": token}, headers=site.own | shown)
    assert (403, "forbidden") == (answer[0], answer[1]["error"])
    assert 200 == (await site.trade(token))[0]


async def test_requests_without_origin_get_no_page_key(site: Site) -> None:
    """A request without an Origin is not our page's; a form cannot send what we read."""

    token = await site.link()
    assert 403 == (await site.ask("POST", f"{BASE}/session", json={"once": token}))[0]
    form = site.own | {"Content-Type": "text/plain"}
    assert 415 == (await site.ask("POST", f"{BASE}/session", data=f'{{"once": "{token}"}}', headers=form))[0]
    for body in ({}, {"once": 1}, {"once": ""}, {"once": None}, {"once": [token]}, {"twice": token}):
        assert 400 == (await site.ask("POST", f"{BASE}/session", json=body, headers=site.own))[0]
    assert 200 == (await site.trade(token))[0]


async def test_localhost_is_an_origin_of_its_own(site: Site) -> None:
    """A page that was opened as localhost speaks to localhost: its key is good there."""

    name = f"localhost:{site.server.port}"
    token = await site.link()
    own = {"Host": name, "Origin": f"http://{name}", "Sec-Fetch-Site": "same-origin"}
    status, body, _ = await site.ask("POST", f"{BASE}/session", json={"once": token}, headers=own)
    assert status == 200
    assert 200 == await site.listing(body["key"], **own)


async def test_no_link_without_a_key(site: Site) -> None:
    """Neither without one nor with a guess; with the key of a page it is given."""

    for shown in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer "}):
        assert 403 == (await site.ask("POST", f"{BASE}/dashboard", headers=shown))[0]
    assert await site.link(await site.key())


# --- the key of a page -----------------------------------------------------------------------------------------------


async def test_what_a_page_may_do(site: Site) -> None:
    """All but tokens; client settings too, which a program with a browser's headers does not get."""

    site.control.token_answer = AccessToken(1, Secret("canary-token"), 0.0, None)
    site.control.access = ClientAccess("github", "http://127.0.0.1:1/w/github", Secret("local"))
    shown = {"Authorization": f"Bearer {await site.key()}", "Sec-Fetch-Site": "same-origin"}
    one = f"{BASE}/workloads/github"
    assert 200 == (await site.ask("GET", f"{one}/client", headers=shown))[0]
    assert 202 == (await site.ask("POST", f"{one}/retry", headers=shown | site.own))[0]
    assert 200 == (await site.ask("GET", f"{BASE}/status", headers=shown))[0]
    for headers in (shown, shown | site.own, {"Authorization": shown["Authorization"]}):
        status, body, _ = await site.ask("GET", f"{one}/token", headers=headers)
        assert (403, "forbidden") == (status, body["error"])
    program = {"Authorization": f"Bearer {site.server.api_key.reveal()}"}
    assert 200 == (await site.ask("GET", f"{one}/token", headers=program))[0]
    assert 403 == (await site.ask("GET", f"{one}/client", headers=program | site.own))[0]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "nonsense"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
    ],
)
async def test_a_page_key_is_worth_nothing_elsewhere(site: Site, headers: dict[str, str]) -> None:
    """Another port that got hold of it, by whatever way, is refused."""

    key = await site.key()
    shown = {"Authorization": f"Bearer {key}"} | headers
    assert 403 == (await site.ask("GET", f"{BASE}/workloads", headers=shown))[0]
    going = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert 403 == (await site.ask("GET", f"{BASE}/workloads", headers=shown | going))[0]


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
async def test_only_as_a_bearer(site: Site, scheme: str) -> None:
    """Neither another scheme nor a query nor a cookie carries it."""

    key = await site.key()
    assert 403 == (await site.ask("GET", f"{BASE}/workloads", headers={"Authorization": f"{scheme} {key}"}))[0]
    assert 403 == (await site.ask("GET", f"{BASE}/workloads?key={key}", headers={"Cookie": f"key={key}"}))[0]


async def test_a_page_outlives_a_restart(site: Site) -> None:
    """Its key is good with the next run too, without a new link; a link is not."""

    key, token = await site.key(), await site.link()
    await site.restart()

    assert 200 == await site.listing(key)
    assert 403 == (await site.trade(token))[0]
    assert 403 == await site.listing(key[:-1] + ("A" if key[-1] != "A" else "B"))


async def test_a_page_that_nobody_uses_ends(site: Site) -> None:
    """Use prolongs its life; without it, it ends, after a restart too."""

    used, idle = await site.key(), await site.key()
    site.clock.wall += KEY_LIFE * 0.75
    assert 200 == await site.listing(used)
    site.clock.wall += KEY_LIFE * 0.75
    assert [200, 403] == [await site.listing(used), await site.listing(idle)]
    await site.restart()
    site.clock.wall += KEY_LIFE
    assert [403, 403] == [await site.listing(used), await site.listing(idle)]


async def test_a_clock_that_is_set_back_gives_no_longer_life(site: Site) -> None:
    """What ends in the far future ends after one life at most."""

    key = await site.key()
    site.clock.wall -= 10 * KEY_LIFE
    assert 200 == await site.listing(key)
    site.clock.wall += KEY_LIFE + 1
    assert 403 == await site.listing(key)


async def test_not_more_pages_than_there_should_be(site: Site) -> None:
    """The one that was used least recently ends for a new one."""

    keys = []
    for _ in range(PAGES_MAX):
        keys.append(await site.key())
        site.clock.wall += 1
    site.clock.wall += pagekeys.RENEW_AFTER + 1
    assert 200 == await site.listing(keys[0])
    keys.append(await site.key())

    assert [200, 403, *[200] * (PAGES_MAX - 1)] == [await site.listing(key) for key in keys]


@posix
async def test_only_digests_are_on_the_disk(site: Site, tmp_path: Path) -> None:
    """Private, without any key; and nothing is written for a link."""

    file = tmp_path / "run" / "pages.json"
    await site.link()
    assert not file.exists()
    key = await site.key()
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    assert key not in file.read_text()
    write_page = file.stat().st_mtime_ns
    assert 200 == await site.listing(key)
    assert write_page == file.stat().st_mtime_ns


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 2, "pages": {}}',
        b'{"version": 1, "pages": {"x": 1e12}}',
        b'{"version": 1, "pages": {"' + b"a" * 64 + b'": NaN}}',
        b'{"version": 1, "pages": {"' + b"a" * 64 + b'": true}}',
        b"\xff\xfe" * 100_000,
    ],
)
def test_a_file_that_makes_no_sense(tmp_path: Path, text: bytes) -> None:
    """Nobody is let in by it, and new pages are kept all the same."""

    file = tmp_path / "run" / "pages.json"
    file.parent.mkdir(mode=0o700)
    file.write_bytes(text)
    file.chmod(0o600)
    keys = Clock().keys(file)
    assert not keys.admits("x")
    key = keys.trade(keys.link().reveal())
    assert key is not None
    assert Clock().keys(file).admits(key.reveal())


def test_keys_without_a_writable_file_last_for_this_run(tmp_path: Path) -> None:
    """The pages are good for this run."""

    (tmp_path / "run").write_text("a file where the directory should be")
    keys = Clock().keys(tmp_path / "run" / "pages.json")
    key = keys.trade(keys.link().reveal())

    assert key is not None
    assert keys.admits(key.reveal())


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_no_text_is_a_key(one: str, two: str) -> None:
    """Whatever is shown, odd characters and all, is answered by no."""

    keys = PageKeys()
    keys.link()

    assert keys.trade(one) is None
    assert not keys.admits(two)


# --- other users of the machine --------------------------------------------------------------------------------------


ASK = """
import encodings.idna, http.client, os, sys
os.setuid(65534)
asked = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
origin = f"http://127.0.0.1:{sys.argv[1]}"
headers = {"Origin": origin, "Content-Type": "application/json"}
asked.request("POST", "/api/v1beta/session", '{"once": "%s"}' % sys.argv[2], headers)
print(asked.getresponse().status)
"""


@linux
@pytest.mark.parametrize("allowed", [(), (65534,)])
@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root becomes another user")
async def test_a_real_other_user(site: Site, allowed: tuple[int, ...]) -> None:
    """Whoever read the link from a command line is refused, `allowed_users` or not, and the link is still good."""

    site.allowed_users.extend(allowed)
    token = await site.link()
    command = [sys.executable, "-I", "-c", ASK, str(site.server.port), token]
    asked = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    said, _ = await asked.communicate()
    assert b"403" == said.strip()
    assert 200 == (await site.trade(token))[0]


@linux
async def test_an_unknown_user_gets_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is refused where the kernel does not know whose the connection is, and is still good."""

    token = await site.link()
    with monkeypatch.context() as patched:
        patched.setattr("trayapp.api.pages.owner_of", lambda request: Owner.UNKNOWN)
        assert 403 == (await site.trade(token))[0]
    assert 200 == (await site.trade(token))[0]
