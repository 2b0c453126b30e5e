"""The setting `require_key`, which can't be switched off where every user of the computer can connect."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trayapp.config import checks, editor
from trayapp.config.loader import ConfigError, Paths, load

WORKLOAD = '[workloads.notes]\nurl = "https://notes.example/mcp"\nrequire_key = {}\n'
SAID = "can't be false on Windows, where every user of this computer can connect to Amberlight"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.under(tmp_path)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "ANYBODY_CONNECTS", True)


def test_this_system() -> None:
    """Windows doesn't say whose a connection is."""

    assert checks.ANYBODY_CONNECTS == (sys.platform == "win32")


@pytest.mark.usefixtures("windows")
def test_keys_cant_be_switched_off_on_windows(paths: Paths) -> None:
    """The sentence names the line; nothing of such a file is used."""

    with pytest.raises(ConfigError) as caught:
        load(paths, {}, text=WORKLOAD.format("false"))
    (mistake,) = caught.value.mistakes
    assert (3, "workloads.notes.require_key", SAID) == (mistake.line, mistake.key, mistake.sentence)


@pytest.mark.usefixtures("windows")
def test_nor_by_a_command_or_the_dashboard(paths: Paths) -> None:
    """Both edit through the same module; the file stays as it was."""

    paths.make()
    editor.add(paths, "notes", {"url": "https://notes.example/mcp"})
    before = paths.config_file.read_bytes()
    with pytest.raises(ConfigError, match=SAID):
        editor.change(paths, ("workloads", "notes"), {"require_key": False})
    assert before == paths.config_file.read_bytes()


@pytest.mark.usefixtures("windows")
def test_what_they_are_anyway_may_be_said(paths: Paths) -> None:
    """`true` is the default."""

    assert load(paths, {}, text=WORKLOAD.format("true")).workloads["notes"].require_key


@pytest.mark.skipif(sys.platform == "win32", reason="there they can't")
def test_elsewhere_they_can(paths: Paths) -> None:
    """Linux says whose a connection is, and another user's never gets that far."""

    assert not load(paths, {}, text=WORKLOAD.format("false")).workloads["notes"].require_key


@pytest.mark.parametrize("value", ["'no'", "0", "[]"])
@pytest.mark.parametrize("anybody", [False, True])
def test_it_is_a_boolean(paths: Paths, monkeypatch: pytest.MonkeyPatch, value: str, anybody: bool) -> None:
    """Everywhere."""

    monkeypatch.setattr(checks, "ANYBODY_CONNECTS", anybody)
    with pytest.raises(ConfigError, match="true or false, without quotes"):
        load(paths, {}, text=WORKLOAD.format(value))
