"""ToolHive's thv as the benchmarks' optional peer: how it is found, and what is said if it can't be used."""

from __future__ import annotations

import importlib
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from trayapp.oauthtest import OAuthServer

BENCH = ROOT / "packaging/bench"

SERVES = """
import http.server, json, os, sys, urllib.parse, urllib.request

option = {name: value for name, value in zip(sys.argv, sys.argv[1:]) if name.startswith("--")}
page, back = option["--remote-auth-authorize-url"], f"http://localhost:{option['--remote-auth-callback-port']}/callback"
asked = {"response_type": "code", "client_id": option["--remote-auth-client-id"], "redirect_uri": back,
         "state": "s" * 43, "code_challenge": "c" * 43, "code_challenge_method": "S256"}
print("Please open this URL in your browser:", f"{page}?{urllib.parse.urlencode(asked)}", flush=True)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_POST = do_GET

def listen(port):
    return http.server.HTTPServer(("127.0.0.1", int(port)), Handler)

assert os.environ["HOME"] == os.environ["XDG_RUNTIME_DIR"] == os.path.dirname(os.environ["TOOLHIVE_DOCKER_SOCKET"])
listen(option["--remote-auth-callback-port"]).handle_request()
form = urllib.parse.urlencode({"grant_type": "authorization_code", "code": "bench"}).encode()
assert json.load(urllib.request.urlopen(option["--remote-auth-token-url"], form))["token_type"] == "Bearer"
listen(option["--proxy-port"]).serve_forever()
"""


@pytest.fixture
def thv(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCH)
    monkeypatch.delenv("AMBERLIGHT_BENCH_THV", raising=False)
    return importlib.import_module("thv")


def script(where: Path, text: str) -> Path:
    """An executable that runs this Python code in thv's place."""
    where.write_text(f"#!{sys.executable}\n{textwrap.dedent(text)}")
    where.chmod(0o755)
    return where


def started(thv: Any, program: Path, root: Path, limit: float) -> Any:
    """The workload, ended again."""
    with OAuthServer(check=False) as server, thv.Thv(program, root, server, limit) as peer:
        return peer.workload("bench", "http://127.0.0.1:9/mcp")


def test_nobody_who_named_none_measures_it(thv: Any) -> None:
    """Neither the option nor the variable: the benchmark runs without it."""

    assert thv.program(None) is None


def test_the_option_wins_over_the_variable(thv: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both name a program."""

    here, there = script(tmp_path / "here", ""), script(tmp_path / "there", "")
    monkeypatch.setenv("AMBERLIGHT_BENCH_THV", str(there))

    assert there == thv.program(None)
    assert here == thv.program(str(here))


@pytest.mark.parametrize("kind", ["missing", "directory", "not executable"])
def test_a_program_that_cannot_be_run_is_named(
    thv: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """The sentence says where the name came from, and what is wrong with it."""

    named = tmp_path / "thv"
    if kind == "directory":
        named.mkdir()
    elif kind == "not executable":
        named.write_text("#!/bin/sh\n")
        named.chmod(0o644)
    wrong = "doesn't exist" if kind == "missing" else "isn't an executable file"

    monkeypatch.setenv("AMBERLIGHT_BENCH_THV", str(named))
    with pytest.raises(thv.PeerMissingError, match=f"AMBERLIGHT_BENCH_THV names {named}, which {wrong}"):
        thv.program(None)
    with pytest.raises(thv.PeerMissingError, match=f"--thv names {named}, which {wrong}"):
        thv.program(str(named))


@pytest.mark.parametrize("bench", ["proxy.py", "memory.py"])
def test_a_benchmark_ends_with_the_sentence(tmp_path: Path, bench: str) -> None:
    """Before anything is measured: one line and no traceback."""

    command = [sys.executable, str(BENCH / bench), "--thv", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (1, "") == (done.returncode, done.stdout)
    assert f"--thv names {tmp_path}/nowhere, which doesn't exist. README.md says how to build thv.\n" == done.stderr


def test_another_checkout_has_to_be_one(tmp_path: Path) -> None:
    """`--against` a directory without the package."""

    command = [sys.executable, str(BENCH / "proxy.py"), "--against", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert 2 == done.returncode
    assert f"{tmp_path} isn't a checkout of Amberlight" in done.stderr


def test_a_silent_start_ends_after_the_limit(thv: Any, tmp_path: Path) -> None:
    """Nothing is printed: the sentence says so, and the process is gone."""

    program = script(tmp_path / "thv", "import time; time.sleep(60)")
    with pytest.raises(
        thv.PeerMissingError, match=r"didn't print a sign-in address within 0.3 seconds. It printed nothing."
    ):
        started(thv, program, tmp_path / "root", 0.3)


def test_a_start_that_fails_is_quoted(thv: Any, tmp_path: Path) -> None:
    """The exit code and the end of the output."""

    program = script(tmp_path / "thv", "raise SystemExit('container runtime not found')")
    with pytest.raises(thv.PeerMissingError, match=r"ended with 1 before it served. .*: container runtime not found"):
        started(thv, program, tmp_path / "root", 10.0)


def test_what_is_no_program_cannot_be_started(thv: Any, tmp_path: Path) -> None:
    """Executable by its mode only."""

    program = tmp_path / "thv"
    program.write_bytes(b"\x00not a program")
    program.chmod(0o755)
    with pytest.raises(thv.PeerMissingError, match=r"can't be started: "):
        started(thv, program, tmp_path / "root", 10.0)


def test_a_sign_in_that_leads_nowhere_ends_after_the_limit(thv: Any, tmp_path: Path) -> None:
    """It signs in, and then serves nobody."""

    never = SERVES.replace('listen(option["--proxy-port"]).serve_forever()', "import time; time.sleep(60)")
    assert never != SERVES
    with pytest.raises(thv.PeerMissingError, match=r"didn't serve within 4 seconds. Its output ends with: "):
        started(thv, script(tmp_path / "thv", never), tmp_path / "root", 4.0)


def test_a_sign_in_that_nobody_answers_ends_after_the_limit(thv: Any, tmp_path: Path) -> None:
    """The address is printed, and nobody listens at its redirect."""

    deaf = SERVES.replace(
        'listen(option["--remote-auth-callback-port"]).handle_request()', "import time; time.sleep(60)"
    )
    assert deaf != SERVES
    with pytest.raises(
        thv.PeerMissingError, match=r"didn't take the answer of its sign-in within 4 seconds. Its output"
    ):
        started(thv, script(tmp_path / "thv", deaf), tmp_path / "root", 4.0)


def test_a_workload_is_signed_in_and_ended(thv: Any, tmp_path: Path) -> None:
    """The sign-in page is opened once, the workload serves, and its process ends with the block."""

    program = script(tmp_path / "thv", SERVES)
    with OAuthServer(check=False) as server, thv.Thv(program, tmp_path / "root", server, 20.0) as peer:
        workload = peer.workload("bench", "http://127.0.0.1:9/mcp", cpu=0)
        assert workload.serves()
        assert workload.process.poll() is None
    assert workload.process.poll() is not None
