"""Fixtures for the command line: this user's paths, and a fake app."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fake_app import FakeApp, running
from trayapp.config.loader import Paths


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """All of this user's paths, in a temporary directory."""
    for name in ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "SITE"))
    (tmp_path / "RUNTIME_DIR").mkdir(mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # clients' files
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    return Paths.default()


@pytest.fixture
def app(paths: Paths) -> Iterator[FakeApp]:
    """A running fake app."""
    with running(paths.runtime_dir) as fake:
        yield fake


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
