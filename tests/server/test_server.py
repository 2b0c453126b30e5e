"""The loopback server over real sockets: which requests are admitted, and what it leaves on disk."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import stat
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from trayapp.core.model import Secret
from trayapp.core.outages import Cause
from trayapp.server import serverfile
from trayapp.server.server import LoopbackServer, PortTaken, own_hosts
from trayapp.server.serverfile import ServerFileError, ServerInfo


async def _hello(request: web.Request) -> web.Response:
    return web.json_response({"hello": True})


async def _boom(request: web.Request) -> web.Response:
    raise RuntimeError("what broke")


async def _boom_or_hello(request: web.Request) -> web.Response:
    return await (_boom if "boom" in request.raw_path else _hello)(request)


class Stream:
    """A route that never ends by itself; `closed` tells that it was ended."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.closed = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        self.opened.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.closed.set()
        return response


def make(directory: Path, port: int = 0, stream: Stream | None = None) -> LoopbackServer:
    stream = stream or Stream()
    guarded = [web.get("/secret", _hello), web.post("/secret", _hello), web.get("/boom", _boom)]
    return LoopbackServer(
        port=port,
        runtime_dir=directory,
        version="1.2.3",
        routes=guarded,
        open_routes=[web.get("/open", _hello), web.get("/stream", stream.__call__)],
        direct={"/d/": _boom_or_hello},
        wall=lambda: 1_800_000_000.0,
    )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LoopbackServer]:
    one = make(tmp_path / "run")
    await one.start()
    one.publish()
    yield one
    await one.close()


async def talk(server: LoopbackServer, request: str | bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes as they are; status, headers (lower case) and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(request if isinstance(request, bytes) else request.encode("latin-1"))
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {key.lower(): text.strip() for key, _, text in (line.partition(":") for line in lines if line)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        return int(first.split(" ")[1]), headers, body
    finally:
        writer.close()
        await writer.wait_closed()


def get(server: LoopbackServer, path: str = "/secret", *extra: str, host: str | None = None, key: bool = True) -> str:
    """A request in its bytes."""
    lines = [f"GET {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{server.port}'}", *extra]
    if key:
        lines.append(f"Authorization: Bearer {server.api_key.reveal()}")
    return "\r\n".join([*lines, "", ""])


async def test_the_right_key_is_admitted(server: LoopbackServer) -> None:
    """With Host and key in order the route answers, with the headers of our own replies and no CORS."""

    status, headers, body = await talk(server, get(server))

    assert (status, json.loads(body)) == (200, {"hello": True})
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert not [name for name in headers if name.startswith("access-control-")]


async def test_it_listens_on_loopback_alone(server: LoopbackServer) -> None:
    """The socket is bound to 127.0.0.1, not to every address."""

    for address in ("127.0.0.2", "::1"):
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address, server.port)
    assert server.url == f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}"])
async def test_own_hosts_are_let_in(server: LoopbackServer, host: str) -> None:
    """The three loopback literals with our port are the server's names."""

    assert (await talk(server, get(server, host=host.format(port=server.port))))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:1",
        "127.0.0.1:{port}.evil.example",
        "localhost.evil.example:{port}",
        "127.0.0.2:{port}",
        "0.0.0.0:{port}",
        "127.1:{port}",
        "2130706433:{port}",
        "user@127.0.0.1:{port}",
        "127.0.0.1:{port}/",
        "[::ffff:127.0.0.1]:{port}",
        "localhost.:{port}",
    ],
)
async def test_any_other_host_is_refused(server: LoopbackServer, host: str) -> None:
    """DNS rebinding ends at the Host header: 403 though the key is right, on open routes too."""

    for path in ("/secret", "/open"):
        assert (await talk(server, get(server, path, host=host.format(port=server.port))))[0] in (400, 403)


async def test_two_hosts_or_none(server: LoopbackServer) -> None:
    """A request with two Host headers, or without any, gets nothing."""

    own = f"Host: 127.0.0.1:{server.port}"

    assert (await talk(server, get(server, "/open", own)))[0] in (400, 403)
    assert (await talk(server, get(server, "/open", "Host: evil.example")))[0] in (400, 403)
    assert (await talk(server, "GET /open HTTP/1.0\r\n\r\n"))[0] in (400, 403)


def test_port_80_may_be_left_out() -> None:
    """For port 80 clients leave the port away, so both forms are ours; for others only the full one."""

    assert "localhost" in own_hosts(80)
    assert own_hosts(8765) == ("127.0.0.1:8765", "localhost:8765", "[::1]:8765")


@pytest.mark.parametrize(
    "header",
    [
        "Origin: https://evil.example",
        "Origin: null",
        "Origin: ",
        "Origin: http://localhost:{port}",
        "Origin: http://127.0.0.1:1",
        "Origin: http://127.0.0.1:{port}/",
        "Origin: https://127.0.0.1:{port}",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site",
    ],
)
async def test_web_pages_are_refused(server: LoopbackServer, header: str) -> None:
    """A foreign or null Origin, and what a browser calls cross-site, is 403 on every route; no CORS header comes back."""

    for path in ("/secret", "/open"):
        status, headers, _ = await talk(server, get(server, path, header.format(port=server.port)))
        assert status in (400, 403)
        assert not [name for name in headers if name.startswith("access-control-")]


async def test_no_preflight_is_answered(server: LoopbackServer) -> None:
    """A browser that asks for leave is refused."""

    ask = get(server, "/open", "Origin: https://evil.example", "Access-Control-Request-Method: POST", key=False)

    assert (await talk(server, ask.replace("GET", "OPTIONS", 1)))[0] == 403


@pytest.mark.parametrize("header", ["Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: same-origin"])
async def test_our_own_page_is_let_in(server: LoopbackServer, header: str) -> None:
    """The exact origin that the page came from may ask."""

    assert (await talk(server, get(server, "/secret", header.format(port=server.port))))[0] == 200


@pytest.mark.parametrize(
    "header",
    [
        "X-None: 1",
        "Authorization: Bearer wrong",
        "Authorization: Bearer",
        "Authorization: Basic {key}",
        "Authorization: {key}",
        "Authorization: Bearer {key}x",
        "Authorization: Bearer \xff\xfe",
        "Authorization: Bearer wrong\r\nAuthorization: Bearer {key}",
    ],
)
async def test_no_key_is_a_constant_403(server: LoopbackServer, header: str) -> None:
    """Missing, wrong, half or doubled: the same answer, and never a 401, which would start an OAuth flow."""

    plain = await talk(server, get(server, key=False))
    status, headers, body = await talk(
        server, get(server, "/secret", header.format(key=server.api_key.reveal()), key=False)
    )

    assert status in (400, 403)
    assert "www-authenticate" not in headers
    if status == 403:
        assert plain[2] == body
    assert (plain[0], json.loads(plain[2])["error"]) == (403, "forbidden")


async def test_the_scheme_is_read_in_any_case(server: LoopbackServer) -> None:
    """Scheme names have no case (RFC 9110 section 11.1)."""

    header = f"Authorization: bearer {server.api_key.reveal()}"

    assert (await talk(server, get(server, "/secret", header, key=False)))[0] == 200


@pytest.mark.parametrize("path", ["/%73ecret", "//secret", "/x/../secret", "/open/../secret", "/nothing", "/open/"])
async def test_odd_paths_need_the_key(server: LoopbackServer, path: str) -> None:
    """No spelling of a path gets past the key, and without it nobody learns what is there."""

    assert (await talk(server, get(server, path, key=False)))[0] == 403


async def test_open_routes_need_no_key(server: LoopbackServer) -> None:
    """An open route looks after itself."""

    assert (await talk(server, get(server, "/open", key=False)))[0] == 200


async def test_direct_paths_need_no_key_and_are_guarded_like_any_other(server: LoopbackServer) -> None:
    """They pass the router by, and nothing else: Host, Origin and failures are treated as everywhere."""

    status, headers, _ = await talk(server, get(server, "/d/x?y", key=False))
    assert (status, headers["x-content-type-options"]) == (200, "nosniff")
    assert (await talk(server, get(server, "/d/", host="evil.example")))[0] == 403
    assert (await talk(server, get(server, "/d/", "Origin: https://evil.example")))[0] == 403
    assert (await talk(server, get(server, "/d/", "Sec-Fetch-Site: same-site")))[0] == 403
    assert (await talk(server, get(server, "/d/boom")))[0] == 500
    for path in ("/d", "/D/", "/%64/", "//d/", "/x/../d/"):
        assert (await talk(server, get(server, path, key=False)))[0] == 403


async def test_it_is_no_forward_proxy(server: LoopbackServer) -> None:
    """The absolute form and CONNECT are refused, even for our own address."""

    for target in ("http://evil.example/secret", f"http://127.0.0.1:{server.port}/secret", "*"):
        assert (await talk(server, get(server, target)))[0] in (400, 403)
    for target in ("evil.example:443", f"127.0.0.1:{server.port}"):
        assert (await talk(server, get(server, target).replace("GET", "CONNECT", 1)))[0] in (400, 403)


async def test_limits_of_a_head(server: LoopbackServer, caplog: pytest.LogCaptureFixture) -> None:
    """Too long a line, too long a header, too many headers: 400, and the log does not repeat a byte of them."""

    canary = "canary" + "x" * 20_000
    crowd = [f"X-{number}: 1" for number in range(200)]
    requests = [get(server, f"/{canary}"), get(server, "/secret", f"X-Long: {canary}"), get(server, "/open", *crowd)]
    with caplog.at_level(logging.DEBUG):
        for request in requests:
            assert (await talk(server, request))[0] == 400

    assert "canary" not in caplog.text
    assert "malformed request" in caplog.text


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Transfer-Encoding: gzip, xchunked",
        "X-Fold: a\r\n b",
        "X Space: a",
    ],
)
async def test_smuggling_is_refused(server: LoopbackServer, head: str) -> None:
    """Two framings, odd codings and folded headers are 400."""

    request = get(server, "/secret", *head.split("\r\n")).replace("GET", "POST", 1) + "hello"

    assert (await talk(server, request))[0] in (400, 403)


async def test_a_broken_route_tells_nothing(server: LoopbackServer, caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected exception is logged with its traceback and answered by a constant 500."""

    status, _, body = await talk(server, get(server, "/boom"))

    assert (status, json.loads(body)["error"]) == (500, "internal")
    assert b"what broke" not in body
    assert "what broke" in caplog.text


async def test_a_taken_port_is_named(server: LoopbackServer, tmp_path: Path) -> None:
    """A second server on the port fails with a sentence, and leaves the file of the first alone."""

    with pytest.raises(PortTaken, match=f"can't listen on port {server.port} of 127.0.0.1: Address") as caught:
        await make(tmp_path / "run", server.port).start()

    assert (caught.value.port, caught.value.cause) == (server.port, Cause.IN_USE)
    assert server.accepts
    found = serverfile.read(tmp_path / "run")
    assert found is not None
    assert found.api_key == server.api_key


async def test_a_port_can_be_reused_immediately(tmp_path: Path) -> None:
    """Connections that are only just over do not keep the port from a restart."""

    first = make(tmp_path / "run")
    await first.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", first.port)
    await first.close()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    second = make(tmp_path / "run", first.port)

    assert await second.start() == first.url
    await second.close()


async def test_it_closes_though_a_stream_is_open(tmp_path: Path) -> None:
    """An endless stream is ended, its handler too, within 2 s."""

    stream = Stream()
    server = make(tmp_path / "run", stream=stream)
    await server.start()
    port = server.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(get(server, "/stream").encode())
    await asyncio.wait_for(stream.opened.wait(), 5)
    async with asyncio.timeout(2):
        await server.close()

    await asyncio.wait_for(stream.closed.wait(), 1)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")  # what there was, and then the end
    writer.close()
    await writer.wait_closed()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_disconnect_cancels_the_handler(tmp_path: Path) -> None:
    """A client that goes away is noticed at once, so that nothing upstream stays open for nobody."""

    stream = Stream()
    server = make(tmp_path / "run", stream=stream)
    await server.start()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(get(server, "/stream").encode())
    await asyncio.wait_for(stream.opened.wait(), 5)
    writer.close()
    await writer.wait_closed()

    await asyncio.wait_for(stream.closed.wait(), 2)
    assert 200 == (await talk(server, get(server)))[0]  # the server itself goes on
    await server.close()


# --- server.json -----------------------------------------------------------------------------------------------------

INFO = ServerInfo("http://127.0.0.1:8765", 4242, Secret("canary-key"), "2027-01-15T08:00:00.000Z", "1.2.3")
posix = pytest.mark.skipif(sys.platform == "win32", reason="modes and links of POSIX")


async def test_the_file_says_where_to_find_it(server: LoopbackServer, tmp_path: Path) -> None:
    """`server.json` holds address, process, key, start and version, and nothing else."""

    data = json.loads((tmp_path / "run" / "server.json").read_text())

    assert data == {
        "url": server.url,
        "pid": os.getpid(),
        "api_key": server.api_key.reveal(),
        "started_at": "2027-01-15T08:00:00.000Z",
        "version": "1.2.3",
    }


async def test_every_start_has_its_own_key(server: LoopbackServer, tmp_path: Path) -> None:
    """Keys are long, random, and not shown by accident."""

    other = make(tmp_path / "other")

    assert other.api_key != server.api_key
    assert len(server.api_key.reveal()) >= 43
    assert server.api_key.reveal() not in repr(server._file)


@posix
async def test_nobody_else_can_read_it(server: LoopbackServer, tmp_path: Path) -> None:
    """The file is 0600 in a 0700 directory, and no temporary file is left beside it."""

    directory = tmp_path / "run"

    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [(p.name, stat.S_IMODE(p.stat().st_mode)) for p in directory.iterdir()] == [("server.json", 0o600)]


async def test_it_is_removed_on_close(tmp_path: Path) -> None:
    """A closed server leaves no file; closing twice does no harm."""

    server = make(tmp_path / "run")
    await server.start()
    server.publish()
    await server.close()
    await server.close()

    assert list((tmp_path / "run").iterdir()) == []


async def test_a_file_of_another_process_stays(tmp_path: Path) -> None:
    """What somebody else wrote meanwhile is not ours to remove."""

    server = make(tmp_path / "run")
    await server.start()
    server.publish()
    serverfile.publish(tmp_path / "run", INFO)
    await server.close()

    assert serverfile.read(tmp_path / "run") == INFO


@pytest.mark.parametrize("what", ["file", "directory", "mode", "damaged"])
async def test_it_is_written_again_when_it_is_gone(tmp_path: Path, what: str) -> None:
    """Cleaned away, alone or with its directory, made readable for others, or overwritten with something else."""

    server = make(tmp_path / "run")
    await server.start()
    server.publish()
    file = tmp_path / "run" / "server.json"
    written = file.stat().st_ino
    server.publish()
    assert written == file.stat().st_ino
    match what:
        case "file":
            file.unlink()
        case "directory":
            shutil.rmtree(tmp_path / "run")
        case "mode":
            file.chmod(0o644)
        case _:
            file.write_text("{}")
    server.publish()
    found = serverfile.read(tmp_path / "run")
    assert found is not None
    assert found.api_key == server.api_key
    await server.close()
    assert not file.exists()


async def test_a_running_process_keeps_the_file_that_it_wrote_later(tmp_path: Path) -> None:
    """Two installations with one runtime directory do not take turns; the file of a process that has ended goes."""

    server = make(tmp_path / "run")
    await server.start()
    server.publish()
    serverfile.publish(tmp_path / "run", replace(INFO, pid=os.getppid()))
    server.publish()
    assert serverfile.read(tmp_path / "run") == replace(INFO, pid=os.getppid())
    serverfile.publish(tmp_path / "run", replace(INFO, pid=2**22 + 1))
    server.publish()
    found = serverfile.read(tmp_path / "run")
    assert found is not None
    assert found.pid == os.getpid()
    await server.close()


async def test_where_it_cannot_be_written_the_next_place_is_taken(tmp_path: Path) -> None:
    """If none can be, there is a sentence about the first, and the server still serves."""

    (tmp_path / "run").write_text("in the way")
    server = make(tmp_path / "run")
    await server.start()
    with pytest.raises(ServerFileError, match="run isn't a directory"):
        server.publish()
    (tmp_path / "other").write_text("in the way")
    with pytest.raises(ServerFileError, match="run isn't a directory"):
        server.publish(tmp_path / "run", tmp_path / "other")
    assert 200 == (await talk(server, get(server)))[0]
    (tmp_path / "other").unlink()
    assert tmp_path / "other" == server.publish(tmp_path / "run", tmp_path / "other")
    (tmp_path / "run").unlink()
    assert tmp_path / "other" == server.publish(tmp_path / "run", tmp_path / "other")
    await server.close()
    assert not (tmp_path / "other" / "server.json").exists()


@posix
def test_a_directory_may_be_a_link_of_the_user(tmp_path: Path) -> None:
    """State and runtime files on another disk."""

    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to("disk")
    serverfile.publish(tmp_path / "run", INFO)
    assert serverfile.read(tmp_path / "run") == INFO == serverfile.read(tmp_path / "disk")


def test_reading_back(tmp_path: Path) -> None:
    """What was published is read; without a file there is nothing to say."""

    assert serverfile.read(tmp_path) is None
    serverfile.publish(tmp_path / "deep" / "run", INFO)
    assert serverfile.read(tmp_path / "deep" / "run") == INFO


@posix
def test_links_are_refused(tmp_path: Path) -> None:
    """A link in the place of the file is neither written through nor read."""

    (tmp_path / "target").write_text("precious")
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run" / "server.json").symlink_to(tmp_path / "target")
    with pytest.raises(ServerFileError, match="regular file"):
        serverfile.publish(tmp_path / "run", INFO)
    with pytest.raises(ServerFileError, match="symbolic link"):
        serverfile.read(tmp_path / "run")
    assert (tmp_path / "target").read_text() == "precious"


@posix
def test_a_directory_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """Somebody could have put something there; a directory that is merely readable is made private."""

    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o777)
    with pytest.raises(ServerFileError, match="0700"):
        serverfile.publish(tmp_path / "run", INFO)
    (tmp_path / "run").chmod(0o755)
    serverfile.publish(tmp_path / "run", INFO)

    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


@posix
def test_a_file_that_others_may_read_is_not_trusted(tmp_path: Path) -> None:
    """Its key is known to others, or it is not from us."""

    serverfile.publish(tmp_path, INFO)
    (tmp_path / "server.json").chmod(0o644)

    with pytest.raises(ServerFileError, match="0600"):
        serverfile.read(tmp_path)


@posix
@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), Path.mkdir])
def test_a_fifo_does_not_hang_the_reader(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Something that is no file is said to be none, at once."""

    make(tmp_path / "server.json")

    with pytest.raises(ServerFileError, match="regular file"):
        serverfile.read(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://evil.example:80"},
        {"url": "http://127.0.0.1:80@evil.example"},
        {"url": "https://127.0.0.1:80"},
        {"pid": "1"},
        {"api_key": ""},
        {"api_key": 5},
        {"version": None},
    ],
)
def test_damaged_files(tmp_path: Path, change: dict[str, object]) -> None:
    """Whatever is wrong with it, the sentence names the file, and nothing that is in it."""

    serverfile.publish(tmp_path, INFO)
    path = tmp_path / "server.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    with pytest.raises(ServerFileError, match=r"server\.json is damaged\.") as caught:
        serverfile.read(tmp_path)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "\x00\x01", "[" * 70_000, " " * 70_000, '{"url": "http://127.0.0.1:1"}']
)
def test_files_that_are_something_else(tmp_path: Path, text: str) -> None:
    """Half a file, another file, an endless file: damaged."""

    serverfile.publish(tmp_path, INFO)
    (tmp_path / "server.json").write_text(text)

    with pytest.raises(ServerFileError, match="damaged"):
        serverfile.read(tmp_path)
