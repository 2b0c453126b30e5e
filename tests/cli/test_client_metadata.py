"""`amberlight client-metadata` prints the document to host; it needs no running app."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trayapp.cli import main
from trayapp.config.loader import Paths

Capture = pytest.CaptureFixture[str]
URL = "https://ada.example/client.json"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AMBERLIGHT_HOME", str(tmp_path))
    file = Paths.default().config_file
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def test_the_document_for_all(config: Path, capsys: Capture) -> None:
    """With the redirect addresses of all workloads that use it."""

    config.write_text(
        f'[settings]\nclient_metadata_url = "{URL}"\n[workloads.a]\nurl = "https://a.test/mcp"\n'
        '[workloads.b]\nurl = "https://b.test/mcp"\nredirect_port = 9001\n'
        '[workloads.c]\nurl = "https://c.test/mcp"\nredirect_port = 9002\n'
        'client_metadata_url = "https://ada.example/c.json"\n'
    )
    assert 0 == main(["client-metadata"])
    printed = json.loads(capsys.readouterr().out)
    assert URL == printed["client_id"]
    assert ["http://127.0.0.1/callback", "http://127.0.0.1:9001/callback"] == printed["redirect_uris"]

    assert 0 == main(["client-metadata", "c"])
    printed = json.loads(capsys.readouterr().out)
    assert "https://ada.example/c.json" == printed["client_id"]
    assert ["http://127.0.0.1:9002/callback"] == printed["redirect_uris"]


def test_before_there_is_a_workload(config: Path, capsys: Capture) -> None:
    """It can be hosted first."""

    config.write_text(f'[settings]\nclient_metadata_url = "{URL}"\n')
    assert 0 == main(["client-metadata"])
    assert ["http://127.0.0.1/callback"] == json.loads(capsys.readouterr().out)["redirect_uris"]


def test_without_an_address(config: Path, capsys: Capture) -> None:
    """The command that sets it is named, with the workload if one was asked for."""

    config.write_text('[workloads.a]\nurl = "https://a.test/mcp"\n')
    assert 1 == main(["client-metadata"])
    assert "amberlight set client_metadata_url https://" in capsys.readouterr().err
    assert 1 == main(["client-metadata", "a"])
    assert "amberlight set a client_metadata_url https://" in capsys.readouterr().err
    assert 1 == main(["client-metadata", "nowhere"])
    assert "no workload nowhere" in capsys.readouterr().err
