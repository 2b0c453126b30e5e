"""Who gets into the dashboard, in real Chromium: links, and what a page of another port gets, which is nothing."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.api.scripted_control import view
from tests.web.stage import Stage
from tests.web.window import Window
from trayapp.app import dashboard

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("chromedriver") is None, reason="needs Chromium and chromedriver"),
]

ROW = "#workload-github"


@pytest.fixture(scope="module")
def window() -> Iterator[Window]:
    with Window() as window:
        yield window


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "run", view("github")) as stage:
        yield stage


def key_of(window: Window) -> str:
    found: str = window.js("return sessionStorage.getItem('amberlight.key')")
    return found


def test_a_link_opens_the_page_and_leaves_no_trace(stage: Stage, window: Window) -> None:
    """The page shows what there is; the address is bare, there is no cookie, and a reload asks for nothing new."""

    window.open(stage.link())
    window.see(ROW)
    assert stage.address == window.driver.current_url
    assert [] == window.driver.get_cookies()
    window.driver.refresh()
    window.see(ROW)
    assert [] == window.errors()


def test_a_private_file_opens_the_page(
    stage: Stage, window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way that is taken where other users can see command lines: a browser calls it cross-site."""

    monkeypatch.setattr(dashboard, "visible_to_other_users", lambda: True)
    opened: list[str] = []

    def browse(url: str) -> bool:
        opened.append(url)
        return True

    assert dashboard.open_link(stage.link(), tmp_path / "run", browse)
    window.forget()
    window.open(opened[0])
    window.see(ROW)
    assert stage.address == window.driver.current_url


def test_a_used_link_opens_nothing(stage: Stage, window: Window) -> None:
    """A new tab with it shows none of the workloads."""

    link = stage.link()
    window.open(link)
    window.see(ROW)
    window.forget()
    window.open(link)
    window.until(lambda: window.text(), "the page")
    assert not window.find(ROW)
    assert not key_of(window)


EVIL = """
const [own, token, key] = arguments, done = arguments[3], told = {};
const to = (path, more = {}) => fetch(own + path, more);
const attempt = async (name, work) => {
  try { told[name] = await work(); } catch (error) { told[name] = "refused: " + error.name; }
};
const shown = { headers: { Authorization: "Bearer " + key } };
const once = { method: "POST", body: JSON.stringify({ once: token }) };
(async () => {
  await attempt("read", async () => (await to("api/v1beta/workloads", shown)).status);
  await attempt("read blindly", async () => (await to("api/v1beta/workloads", { ...shown, mode: "no-cors" })).type);
  await attempt("trade", async () => (await to("api/v1beta/session", { ...once, headers: { "Content-Type": "application/json" } })).status);
  await attempt("trade blindly", async () => (await to("api/v1beta/session", { ...once, mode: "no-cors" })).type);
  await attempt("page", async () => (await to("")).status);
  await attempt("script", () => new Promise((yes) => {
    const script = document.createElement("script");
    script.onload = () => yes("loaded");
    script.onerror = () => yes("refused");
    script.src = own + "web/app.js";
    document.body.append(script);
  }));
  await attempt("frame", () => new Promise((yes) => {
    const frame = document.createElement("iframe");
    frame.onload = () => { try { yes(frame.contentDocument ? "empty" : "other"); } catch { yes("other"); } };
    frame.src = own;
    document.body.append(frame);
  }));
  await attempt("form", () => new Promise((yes) => {
    const frame = document.createElement("iframe"), form = document.createElement("form");
    frame.name = "answer";
    frame.onload = () => yes("sent");
    Object.assign(form, { action: own + "api/v1beta/session", method: "POST", enctype: "text/plain", target: "answer" });
    const field = document.createElement("input");
    field.name = '{"once": "' + token + '", "x": "';
    field.value = '"}';
    form.append(field);
    document.body.append(frame, form);
    form.submit();
  }));
  done(told);
})();
"""


@contextmanager
def another_port(host: str) -> Iterator[str]:
    """A plain page of somebody else on this machine."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>other</title><body>")

        def log_message(self, *arguments: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_of_another_port_gets_nothing(stage: Stage, window: Window, host: str) -> None:
    """Though it knows a good link and the key of an open page: it reads nothing, and spends nothing."""

    window.open(stage.link())
    window.see(ROW)
    key, link = key_of(window), stage.link()
    token = link.partition("#once=")[2]
    with another_port(host) as address:
        window.driver.get(address)
        window.driver.set_script_timeout(20)
        told = window.driver.execute_async_script(EVIL, stage.address, token, key)
        window.errors()  # the browser complains of each of them
        assert {
            "read": "refused: TypeError",
            "read blindly": "refused: TypeError",  # not even the fact that something answered (CORP)
            "trade": "refused: TypeError",
            "trade blindly": "refused: TypeError",
            "page": "refused: TypeError",
            "script": "refused",
            "frame": "other",
            "form": "sent",
        } == told
    assert [] == stage.control.calls
    window.forget()
    window.open(link)  # it was not spent
    window.see(ROW)
