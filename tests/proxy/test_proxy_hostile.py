"""Hostile requests to the proxy: each is refused before a token is looked up or anything is sent upstream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web

from tests.oauth.token_requests import full_port
from tests.proxy.fuzz_proxy import Fuzz
from tests.proxy.proxying import NAME, TOKEN, Site, Upstream, proxied, upstream
from tests.server.test_server import talk
from trayapp.core.model import Spec
from trayapp.oauth.wire import Wire
from trayapp.proxy.mapping import ANNOUNCED_MAX, SseEndpoints, parse, split_upstream
from trayapp.proxy.upstream import ProxyUnusable, Upstreams
from trayapp.server import peers
from trayapp.server.peers import Owner


async def fine(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=request.raw_path)


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with upstream(fine) as found:
        yield found


@pytest.fixture
async def site(up: Upstream, tmp_path: Path) -> AsyncIterator[Site]:
    async with proxied(f"{up.url}/mcp", tmp_path) as found:
        yield found


def request(
    site: Site, *lines: str, target: str = f"/w/{NAME}", method: str = "GET", host: str = "", key: str | None = ""
) -> str:
    """In its bytes; key: None for none, "" for the right one."""
    head = [f"{method} {target} HTTP/1.1", f"Host: {host or f'127.0.0.1:{site.server.port}'}", *lines]
    if key is not None:
        head.append(f"Authorization: Bearer {key or site.key}")
    return "\r\n".join([*head, "", ""])


async def refused(site: Site, up: Upstream, sent: str | bytes, *statuses: int) -> bytes:
    """Nobody was asked for a token, and nothing was sent; the body of the answer."""
    status, headers, body = await talk(site.server, sent)
    assert status in statuses, (status, sent)
    assert (0, []) == (site.tokens.token_requests, up.requests)
    assert not [name for name in headers if name in ("www-authenticate", "access-control-allow-origin")]
    return body


async def test_the_unchanged_request_is_accepted(site: Site, up: Upstream) -> None:
    """The request that the hostile ones are derived from succeeds."""

    assert 200 == (await talk(site.server, request(site)))[0]
    assert 1 == len(up.requests)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.2:{port}",
        "localhost.evil.example:{port}",
    ],
)
async def test_foreign_and_rebinding_hosts(site: Site, up: Upstream, host: str) -> None:
    """A page whose name was rebound to 127.0.0.1 sends its own name."""

    await refused(site, up, request(site, host=host.format(port=site.server.port)), 403)


@pytest.mark.parametrize(
    "line",
    [
        "Origin: https://evil.example",
        "Origin: null",
        "Origin: http://localhost:1",
        "Origin: ",
        "Origin: https://app.example\r\nOrigin: https://evil.example",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
    ],
)
async def test_foreign_origins(site: Site, up: Upstream, line: str) -> None:
    """Pages of other origins are refused, with or without the key; `null` is one of them."""

    await refused(site, up, request(site, *line.split("\r\n")), 403)
    await refused(site, up, request(site, *line.split("\r\n"), key=None), 403)


async def test_no_preflight_is_answered(site: Site, up: Upstream) -> None:
    """A browser that asks first hears no."""

    lines = ("Origin: https://evil.example", "Access-Control-Request-Method: POST")
    await refused(site, up, request(site, *lines, method="OPTIONS", key=None), 403)


async def test_an_allowed_origin_is_this_workloads(up: Upstream, tmp_path: Path) -> None:
    """It may use the workload that names it, with the key; no other one; and the upstream does not hear of it."""

    async with proxied(up.url, tmp_path, allowed_origins=("vscode-webview://app",)) as site:
        site.tokens.specs["two"] = Spec("two", up.url)
        lines = ("Origin: vscode-webview://app", "Sec-Fetch-Site: cross-site")
        key = site.keys.key("two").reveal()
        await refused(site, up, request(site, *lines, key=None), 403)
        await refused(site, up, request(site, *lines, target="/w/two", key=key), 403)
        await refused(site, up, request(site, *lines, target="/w/three"), 403)
        status, headers, _ = await talk(site.server, request(site, *lines))

    assert 200 == status
    assert "Origin" not in up.last.headers
    assert "access-control-allow-origin" not in headers


async def test_a_wrong_key_tells_nothing(site: Site, up: Upstream) -> None:
    """Missing, wrong or another workload's key, and a workload that there is not: one and the same 403."""

    site.tokens.specs["two"] = Spec("two", up.url)
    site.tokens.specs["nokey"] = Spec("nokey", up.url)
    other = site.keys.key("two").reveal()
    cases = [
        request(site, key=None),
        request(site, key="wrong"),
        request(site, key=other),
        request(site, key=f"{site.key}x"),
        request(site, key=None, target="/w/nobody"),
        request(site, target="/w/nobody"),
        request(site, target="/w/nokey"),
        request(site, target="/w/"),
        request(site, target="/w/%6fne"),
        request(site, target="/w/ONE"),
        request(site, target=f"/k/wrong/w/{NAME}"),
        request(site, target=f"/k//w/{NAME}"),
        request(site, target=f"/k/{other}/w/{NAME}"),
        request(site, target=f"/k/{site.key}/w/nobody"),
        request(site, target=f"/k/{site.key}/x/{NAME}"),
        request(site, f"Authorization: Bearer {site.key}", key="wrong"),
        request(site, "Authorization: Basic x", key=None),
        request(site, f"Cookie: key={site.key}", key=None),
        request(site, key=None, target=f"/w/{NAME}?key={site.key}"),
        request(site, key=None).replace("\r\n\r\n", "\r\nAuthorization: Bearer \xff\xfe\r\n\r\n"),
    ]
    bodies = {await refused(site, up, case, 403) for case in cases}

    assert 1 == len(bodies)
    assert "forbidden" == json.loads(bodies.pop())["error"]
    assert not (site.keys.find("nokey"))


async def test_no_key_where_none_is_wanted(up: Upstream, tmp_path: Path) -> None:
    """`require_key = false` opens one workload to programs, still not to web pages."""

    async with proxied(up.url, tmp_path, require_key=False) as site:
        await refused(site, up, request(site, "Origin: https://evil.example", key=None), 403)

        assert 200 == (await talk(site.server, request(site, key=None)))[0]
        assert 200 == (await talk(site.server, request(site, key="wrong")))[0]


@pytest.mark.parametrize(("owner", "status"), [(Owner.ALLOWED, 200), (Owner.UNKNOWN, 403)])
async def test_a_workload_without_a_key_is_closed_to_containers(
    up: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Owner, status: int
) -> None:
    """`require_key = false` trusts users; whose program is behind another network namespace nobody knows."""

    monkeypatch.setattr(peers.Peers, "owner", lambda self, peer, own: (owner, None))
    async with proxied(up.url, tmp_path, require_key=False) as site:
        assert status == (await talk(site.server, request(site, key=None)))[0]
        assert 200 == (await talk(site.server, request(site)))[0]


async def test_it_is_no_forward_proxy(site: Site, up: Upstream) -> None:
    """Absolute form and CONNECT are refused, also for our own address."""

    own = f"127.0.0.1:{site.server.port}"
    for target in (
        f"http://evil.example/w/{NAME}",
        f"http://{own}/w/{NAME}",
        f"https://{own}/w/{NAME}",
        "*",
        f"//{own}/w/{NAME}",
    ):
        await refused(site, up, request(site, target=target), 400, 403)
    for target in ("evil.example:443", own, f"/w/{NAME}"):
        await refused(site, up, request(site, target=target, method="CONNECT"), 400, 403)


@pytest.mark.parametrize(
    "rest",
    [
        "/..",
        "/../admin",
        "/a/../../admin",
        "/./a",
        "/..;/admin",
        "/.;x=1/a",
        "/%2e%2e/admin",
        "/%2E./admin",
        "/.%2e/admin",
        "/a%2fb",
        "/a%2Fb",
        "/..%2fadmin",
        "/a%5cb",
        "/..%5cadmin",
        "/a\\b",
        "/..\\admin",
        "/%252e%252e/admin",
        "/%25252e%25252e/admin",
        "/a%252fb",
        "/a%00b",
        "/a%0d%0aX: 1",
        "/a%0D%0AHost:evil",
        "/a%7f",
        "/a%",
        "/a%2",
        "/a%zz",
        "/%c0%af",
        "/%c0%ae%c0%ae/",
        "/a#b",
        "/a?x=1#b",
        "/caf\u00e9",
        "/a\x7f",
        '/a"b',
        "/a<b>",
        "/a{b}",
        "/a|b",
        "/a^b",
        "/a`b",
    ],
)
async def test_path_tricks(site: Site, up: Upstream, rest: str) -> None:
    """Whatever two programs might read differently is refused, with the key in the header and in the path."""

    for ours in (f"/w/{NAME}", f"/k/{site.key}/w/{NAME}"):
        await refused(site, up, request(site, target=ours + rest), 400, 403)


@pytest.mark.parametrize(
    "target", ["/x/../w/one", "/w/../w/one", "/./w/one", "//w/one", "/%77/one", "/w%2fone", "/W/one", "/w//one"]
)
async def test_roundabout_paths(site: Site, up: Upstream, target: str) -> None:
    """Only the one spelling leads to a workload."""

    await refused(site, up, request(site, target=target), 400, 403, 404)


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5, 5"],
        ["Content-Length: +5"],
        ["Content-Length: -5"],
        ["Content-Length: 0x5"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding:\tchunked", "Content-Length: 3"],
        ["X: 1\r\n Transfer-Encoding: chunked"],
        ["X: 1\n\nGET /smuggled HTTP/1.1"],
        ["X: \x00"],
        ["Host: evil.example"],
    ],
)
async def test_smuggling_pairs(site: Site, up: Upstream, lines: list[str]) -> None:
    """Two framings in any order, odd lengths and codings, folded and broken headers: never passed on."""

    sent = request(site, *lines, method="POST") + "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    await refused(site, up, sent, 400, 403)


async def test_heads_that_are_too_large(site: Site, up: Upstream) -> None:
    """A header of a megabyte and a thousand headers are 400."""

    for lines in ([f"X-Long: {'x' * 1_000_000}"], [f"X-{number}: 1" for number in range(1000)]):
        reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
        writer.write(request(site, *lines).encode())
        async with asyncio.timeout(5):
            assert b" 400 " in await reader.readline()
        writer.close()
        with contextlib.suppress(ConnectionError):  # it hung up before it had read all of it
            await writer.wait_closed()

    assert (0, []) == (site.tokens.token_requests, up.requests)


async def test_a_slow_head_is_not_waited_for(site: Site, up: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that trickles in holds nobody else up, sends nothing, and its connection ends when its time is over."""

    assert site.server._connections is not None
    monkeypatch.setattr(site.server._connections, "_headers_limit", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    text, began = request(site).encode(), time.monotonic()
    ended = asyncio.create_task(reader.read())
    for byte in text[:-2]:
        if ended.done():
            break
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)
        if byte == text[5]:
            assert 200 == (await talk(site.server, request(site)))[0]
    async with asyncio.timeout(5):
        await ended
    writer.close()

    assert time.monotonic() - began < 5
    assert 1 >= len({r.raw_path for r in up.requests})


async def test_an_odd_header_is_400(site: Site, up: Upstream) -> None:
    """Bytes that are not UTF-8 cannot be passed on as they came."""

    status, _, _ = await talk(site.server, request(site, "X-Odd: \xff\xfe"))

    assert (400, []) == (status, up.requests)


async def test_tls_is_checked(tmp_path: Path) -> None:
    """A certificate that nobody here trusts is 502, and the token stays here; a trusted one works."""

    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    got: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    def trusting() -> ssl.SSLContext:
        trusted = ssl.create_default_context()
        authority.configure_trust(trusted)
        return trusted

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    async with proxied(url, tmp_path / "a", certificates=Wire("0", ssl.create_default_context)) as site:
        assert (502, "upstream_tls") == await site.error()
        assert not got
    async with proxied(url, tmp_path / "b", certificates=Wire("0", trusting)) as site:
        assert (200, b"ok") == (await site.ask("GET"))[:2]
    server.close()

    assert TOKEN.encode() in got[0]


async def test_the_http_proxy_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What leaves the machine goes through it, by CONNECT and without the token; this machine and NO_PROXY do not."""

    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
    monkeypatch.setenv("HTTP_PROXY", f"http://{address}")
    monkeypatch.setenv("NO_PROXY", "direct.invalid")
    async with proxied("https://mcp.invalid/mcp", tmp_path / "a") as site:
        assert (502, "proxy_refused") == await site.error()
    async with proxied("https://direct.invalid/mcp", tmp_path / "b") as site:
        assert (502, "upstream_unreachable") == await site.error()
    async with upstream(fine) as up, proxied(up.url, tmp_path / "c") as site:
        assert 200 == (await site.ask("GET"))[0]
    server.close()
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1")
    async with proxied("https://mcp.invalid/mcp", tmp_path / "d") as site:
        assert (502, "proxy_unusable") == await site.error()

    assert 1 == len(asked)
    assert asked[0].startswith(b"CONNECT mcp.invalid:443 HTTP/1.1\r\n")
    assert TOKEN.encode() not in asked[0]


async def test_connecting_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upstream that does not take the connection is 504."""

    monkeypatch.setattr("trayapp.proxy.exchange.TIMEOUT", aiohttp.ClientTimeout(connect=0.2))
    with full_port() as port:
        async with proxied(f"http://127.0.0.1:{port}", tmp_path) as site:
            assert (504, "upstream_timeout") == await site.error()


def test_announced_paths_are_bounded() -> None:
    """A server that announces endlessly doesn't fill the memory; recently used paths are kept longest."""

    endpoints, upstream_url, target = SseEndpoints(), split_upstream("https://mcp.example/sse"), parse("/w/one")
    assert target is not None
    for number in range(ANNOUNCED_MAX + 10):
        assert endpoints.local_path(target, upstream_url, "https://mcp.example/sse", f"/m/{number}")
        first = parse("/w/one/-/m/0")
        assert first is not None
        assert "https://mcp.example/m/0" == endpoints.upstream_url(first, upstream_url)
    second = parse("/w/one/-/m/1")
    assert second is not None

    assert "https://mcp.example/sse/-/m/1" == endpoints.upstream_url(second, upstream_url)


def test_a_target_never_shows_its_key() -> None:
    """The key in a path is not in the repr of what was read from it."""

    assert "canary" not in repr(parse("/k/canary/w/one/x?y=1"))


async def test_a_proxy_that_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence does not repeat it: it may hold a password."""

    monkeypatch.setenv("HTTPS_PROXY", "http://user:canary@[::1")
    from trayapp.proxy.upstream import _proxy_for

    with pytest.raises(ProxyUnusable) as caught:
        await _proxy_for(split_upstream("https://mcp.invalid/"))
    assert "canary" not in str(caught.value)


async def test_closing_twice() -> None:
    """Closing what was never used, or was closed, does nothing; what is in use is closed once, and given back later."""

    upstreams = Upstreams(Wire("0").tls)
    await upstreams.renew()
    await upstreams.close()
    pool = upstreams.take()
    await upstreams.renew()
    assert not pool.connector.closed
    await upstreams.close()
    await upstreams.close()
    assert pool.connector.closed
    upstreams.give_back(pool)
    assert (0, True) == (pool.users, pool.retired)


async def test_a_short_fuzz(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Hundreds of mutated requests: nothing reaches the upstream that the rules do not allow."""

    reached, refused = zip(
        *await asyncio.gather(*(fuzzed(tmp_path_factory.mktemp("fuzz"), seed) for seed in range(4))), strict=True
    )

    assert sum(reached) > 50
    assert sum(refused) > 200


async def fuzzed(directory: Path, seed: int) -> tuple[int, int]:
    """How many of a quarter of the requests reached the upstream, and how many did not; most of the time is waiting."""
    async with Fuzz(directory, seed=seed) as fuzz:
        for _ in range(150):
            await fuzz.one()
        return fuzz.reached, fuzz.refused
