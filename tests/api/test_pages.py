"""The dashboard's files over real sockets: which are served, with which headers, and that nothing else is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.page_site import BASE, FILES, Site
from trayapp.api import pages
from trayapp.api.pages import Pages
from trayapp.server.server import LoopbackServer

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/", "index.html", "text/html; charset=utf-8"),
        ("/?add", "index.html", "text/html; charset=utf-8"),
        ("/web/index.html", "index.html", "text/html; charset=utf-8"),
        ("/web/app.js", "app.js", "text/javascript; charset=utf-8"),
        ("/web/style.css", "style.css", "text/css; charset=utf-8"),
        ("/web/icon.svg", "icon.svg", "image/svg+xml"),
    ],
)
async def test_the_files_are_served_to_everybody(site: Site, path: str, name: str, kind: str) -> None:
    """With their type, the whole policy, and no cookie; HEAD says the same without the content."""

    status, body, headers = await site.ask("GET", path)

    assert (200, FILES[name], kind) == (status, body, headers["Content-Type"])
    assert {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }.items() <= dict(headers).items()
    assert "Set-Cookie" not in headers
    assert not [name for name in headers if name.lower().startswith("access-control-")]
    status, body, again = await site.ask("HEAD", path)
    assert (200, b"") == (status, body)
    assert (headers["ETag"], headers["Content-Length"]) == (again["ETag"], again["Content-Length"])


async def test_what_is_known_is_not_sent_again(site: Site, web: Path) -> None:
    """304 for the tag of what is there; the whole file when it changed, at once."""

    _, _, headers = await site.ask("GET", "/web/app.js")
    known = {"If-None-Match": headers["ETag"]}
    status, body, again = await site.ask("GET", "/web/app.js", headers=known)
    assert (304, b"", headers["ETag"]) == (status, body, again["ETag"])
    assert POLICY == again["Content-Security-Policy"]
    (web / "app.js").write_bytes(b"let two = 2;")
    assert (200, b"let two = 2;") == (await site.ask("GET", "/web/app.js", headers=known))[:2]


@pytest.mark.parametrize(
    "path",
    [
        "/web/",
        "/web",
        "/web/nothing.js",
        "/web/../api.py",
        "/web/..%2fserver.json",
        "/web/%2e%2e/run/server.json",
        "/web/..%5cserver.json",
        "/web/%2e%2e%2frun%2fserver.json",
        "/web//app.js",
        "/web/app.js/",
        "/web/app.js%00.png",
        "/web/./app.js",
        "/web/.hidden.js",
        "/web/APP.JS",
        "/web/notes.txt",
        "/web/linked.js",
        "/web/dir.js",
        "//web/app.js",
        "/index.html",
    ],
)
async def test_nothing_else_is_served(tmp_path: Path, web: Path, path: str) -> None:
    """No other spelling, no hidden file, no other kind, no link, no directory; the answer is an error of ours."""

    secret = tmp_path / "secret.txt"
    secret.write_text("canary")
    (web / "notes.txt").write_text("canary")
    (web / ".hidden.js").write_text("canary")
    (web / "dir.js").mkdir()
    (web / "linked.js").symlink_to(secret)
    server = LoopbackServer(port=0, runtime_dir=tmp_path / "run", version="1", routes=[], pages=Pages(web).routes())
    await server.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    finally:
        await server.close()

    assert answer.split(b" ")[1] in (b"400", b"403", b"404")
    assert b"canary" not in answer
    assert b'"error"' in answer


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=40) | st.sampled_from(["..", "../app.js", "app.js\0", "./app.js", "web/app.js"]))
def test_no_name_leads_out(name: str) -> None:
    """Only the names that were found are found again, whatever is asked for."""

    found = Pages(pages.WEB)._files

    assert name not in found or (found[name].parent == pages.WEB and found[name].name == name)


def test_a_directory_that_is_not_there() -> None:
    """An installation without its files serves none."""

    assert {} == Pages(Path("/nonexistent"))._files


def test_the_files_of_the_package() -> None:
    """The page is part of the package, and all that it is made of is of a kind that is served."""

    assert "index.html" in Pages()._files
    assert {path.name for path in pages.WEB.iterdir()} == set(Pages()._files)


async def test_a_link_from_anywhere_leads_to_the_page(site: Site) -> None:
    """A browser that is sent here by a file or a site sees the page, and nothing else of ours."""

    for place in ("cross-site", "same-site", "none", "same-origin"):
        going = {"Sec-Fetch-Site": place, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert 200 == (await site.ask("GET", "/", headers=going))[0]
        assert (204 if place in ("none", "same-origin") else 403) == (await site.ask("GET", "/health", headers=going))[
            0
        ]


@pytest.mark.parametrize(
    "change",
    [
        {"Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Dest": ""},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Mode": "cors"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_no_page_makes_ours_a_part_of_itself(site: Site, change: dict[str, str]) -> None:
    """Neither in a frame nor as a script nor by a form: another site may only lead here."""

    going = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for path in ("/", "/web/app.js"):
        assert 403 == (await site.ask("GET", path, headers=going | change))[0]


@pytest.mark.parametrize("path", ["/", "/web/app.js", f"{BASE}/session"])
async def test_the_host_is_looked_at_here_too(site: Site, path: str) -> None:
    """A rebound name gets nothing, not even the files."""

    assert 403 == (await site.ask("GET", path, headers={"Host": f"evil.example:{site.server.port}"}))[0]
