"""A login whose tokens are bound to a key (RFC 9449), in the whole program: served by the proxy, refused to commands."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from trayapp.cli import main
from trayapp.config.paths import Paths
from trayapp.core.snapshot import Status
from trayapp.oauth.dpop import new_key
from trayapp.oauthtest import EchoWorkload, OAuthServer
from trayapp.server.keys import Keys

Capture = pytest.CaptureFixture[str]
CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()


def test_a_bound_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    """`token` and `exec` say why they give none, and how to connect; over a restart, too, with the key from the keyring."""

    with OAuthServer(dpop=True) as server, EchoWorkload(server) as workload:
        program = Program(tmp_path)
        config = CONFIG.format(port=0, server=server)
        program.write(
            "\n".join(f'url = "{workload.url}"' if line.startswith("url") else line for line in config.splitlines())
        )
        monkeypatch.setattr(Paths, "default", classmethod(lambda cls: program.paths))
        program.keystore._logins["one"] = login_of(server, proof_key=new_key())
        for _ in range(2):
            program.snapshots.clear()
            with program:
                program.until(lambda: program.last.workloads["one"].status is Status.RUNNING, "a token")
                for command in (["token", "one"], ["token", "one", "--header"], ["exec", "one", "--", "true"]):
                    assert 1 == main(command)
                    shown = capfd.readouterr()
                    assert "" == shown.out
                    assert "work only with a key that Amberlight keeps" in shown.err
                    assert "amberlight client-config one" in shown.err
                key = Keys(program.paths.keys_file).key("one").reveal()
                head = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
                request = urllib.request.Request(
                    f"http://127.0.0.1:{program.client.port}/w/one", CALL, {**head, "Accept": "application/json"}
                )
                with urllib.request.urlopen(request, timeout=5) as answer:
                    assert {} == json.load(answer)["result"]
