"""The Run key, over a fake registry that holds only the user's hive and allows writing only to the Run key."""

from __future__ import annotations

import sys

import pytest

from trayapp.autostart import AutostartError, Kind
from trayapp.autostart.windows import APPROVED, NAME, RUN, RunKey, command_quoted, command_words, switched_off

ME = (sys.executable, "-m", "trayapp", "run")
ON, OFF = bytes([2]) + bytes(11), bytes([3, 0, 0, 0]) + bytes(range(8))


class Registry:
    """A fake registry: strings in Run, and the Task Manager's values in StartupApproved, which we may not write."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str | bytes] = {(RUN, "Other"): "other.exe"}
        self.refuses = False

    def _check(self, key: str) -> None:
        assert key in (RUN, APPROVED)
        if self.refuses:
            raise PermissionError(13, "Access is denied")

    def read(self, key: str, name: str) -> str | bytes | None:
        self._check(key)
        return self.values.get((key, name))

    def write(self, key: str, name: str, text: str) -> None:
        self._check(key)
        assert RUN == key
        self.values[key, name] = text

    def delete(self, key: str, name: str) -> None:
        self._check(key)
        assert RUN == key
        self.values.pop((key, name), None)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def run_key(registry: Registry) -> RunKey:
    return RunKey(registry)


def test_on_and_off(run_key: RunKey, registry: Registry) -> None:
    """One value is ours; the others stay."""

    assert Kind.OFF is run_key.status().kind
    assert run_key.on(ME).on
    assert f'"{sys.executable}" "-m" "trayapp" "run"' == registry.values[RUN, NAME]
    assert Kind.OFF is run_key.off().kind
    assert Kind.OFF is run_key.off().kind
    assert {(RUN, "Other"): "other.exe"} == registry.values


def test_the_task_managers_switch_overrides_the_value(run_key: RunKey, registry: Registry) -> None:
    """It is reported with where to change it, and left alone by on and off."""

    registry.values[APPROVED, NAME] = OFF
    state = run_key.on(ME)
    assert Kind.DISABLED is state.kind
    assert "Task Manager" in state.text
    assert "Task Manager" in state.help
    run_key.off()
    assert OFF == registry.values[APPROVED, NAME]
    registry.values[APPROVED, NAME] = ON
    assert run_key.on(ME).on


@pytest.mark.parametrize(
    ("value", "off"),
    [
        (None, False),
        (b"", False),
        ("text", False),
        (ON, False),
        (OFF, True),
        (b"\x06" + bytes(11), False),
        (b"\x07", True),
    ],
)
def test_reading_the_task_managers_switch(value: str | bytes | None, off: bool) -> None:
    """The lowest bit of the first byte."""

    assert off is switched_off(value)


def test_a_program_that_is_gone(run_key: RunKey, registry: Registry) -> None:
    """The state is BROKEN."""

    registry.values[RUN, NAME] = r'"C:\Program Files\gone\amberlight.exe" run'
    state = run_key.status()
    assert Kind.BROKEN is state.kind
    assert r"C:\Program Files\gone\amberlight.exe no longer exists" in state.text


@pytest.mark.parametrize("value", ["", "   ", '""'])
def test_an_empty_value(run_key: RunKey, registry: Registry, value: str) -> None:
    """The value exists but names no command: BROKEN."""

    registry.values[RUN, NAME] = value
    assert Kind.BROKEN is run_key.status().kind


def test_a_command_that_windows_would_ignore(run_key: RunKey, registry: Registry) -> None:
    """Longer than 260 characters: refused with a sentence, and nothing is written."""

    with pytest.raises(AutostartError, match="longer than the 260 characters"):
        run_key.on(("C:\\" + "x" * 260, "run"))
    assert (RUN, NAME) not in registry.values


def test_a_registry_that_refuses(run_key: RunKey, registry: Registry) -> None:
    """As by policy: `on` and `off` raise a sentence, and the state says so."""

    registry.refuses = True
    assert "can't be read: access is denied" in run_key.status().text
    with pytest.raises(AutostartError, match="can't be written: access is denied"):
        run_key.on(ME)
    with pytest.raises(AutostartError, match="can't be written: access is denied"):
        run_key.off()


@pytest.mark.parametrize("words", [("a",), ("C:\\Program Files\\x y\\p.exe", "-m", "trayapp"), ("", "b")])
def test_quoted_words_are_read_back(words: tuple[str, ...]) -> None:
    """Spaces and empty words included."""

    assert words == command_words(" ".join(command_quoted(word) for word in words))


def test_a_path_that_ends_in_a_backslash_does_not_swallow_its_quote() -> None:
    """As CommandLineToArgvW reads it: two backslashes before a quote are one."""

    assert '"C:\\\\"' == command_quoted("C:\\")
