"""Fixtures for the command line: this user's paths, and a fake app."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fake_app import FakeApp, running
from tests.own_places import own_places
from trayapp.config.loader import Paths


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """All of this user's paths, in a temporary directory."""
    for name, value in own_places(tmp_path).items():
        monkeypatch.setenv(name, value)
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
    if sys.platform == "win32":
        if time.localtime().tm_gmtoff:
            pytest.skip("a process can't change its time zone on Windows, and here it isn't UTC")
        yield
        return
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
