"""The launch agent, over a fake launchd that keeps overrides as the real one does and accepts no other command."""

from __future__ import annotations

import plistlib
import sys
from pathlib import Path

import pytest

from trayapp.autostart import AutostartError, Kind
from trayapp.autostart.macos import LABEL, LaunchAgent, launchctl

ME = (sys.executable, "-m", "trayapp", "run")


class Launchd:
    """A fake launchctl with the output of the real one; an unexpected command fails the test."""

    def __init__(self, words: tuple[str, str] = ("enabled", "disabled")) -> None:
        self.words = words
        self.enabled: dict[str, bool] = {"com.example.other": False}
        self.broken = False
        self.asked: list[str] = []

    def __call__(self, *arguments: str) -> tuple[int, str]:
        self.asked.append(arguments[0])
        if self.broken:
            return 125, "Could not find domain for user gui: 501\n"
        match arguments:
            case ("enable", target):
                assert f"gui/501/{LABEL}" == target
                self.enabled[LABEL] = True
                return 0, ""
            case ("print-disabled", "gui/501"):
                rows = "".join(f'\t\t"{label}" => {self.words[not on]}\n' for label, on in self.enabled.items())
                return 0, f"disabled services = {{\n{rows}\t}}\n"
        raise AssertionError(arguments)


@pytest.fixture
def launchd() -> Launchd:
    return Launchd()


@pytest.fixture
def agent(tmp_path: Path, launchd: Launchd) -> LaunchAgent:
    return LaunchAgent(tmp_path, 501, launchd)


def test_on_and_off(agent: LaunchAgent, launchd: Launchd) -> None:
    """The property list holds what launchd needs; nothing is started or ended now."""

    assert Kind.OFF is agent.status().kind
    assert agent.on(ME).on
    written = plistlib.loads(agent.file.read_bytes())
    assert (LABEL, list(ME), True) == (written["Label"], written["ProgramArguments"], written["RunAtLoad"])
    if sys.platform != "win32":
        assert 0o644 == agent.file.stat().st_mode & 0o777
    assert Kind.OFF is agent.off().kind
    assert Kind.OFF is agent.off().kind
    assert [] == list(agent.file.parent.iterdir())
    assert {"enable", "print-disabled"} == set(launchd.asked)


@pytest.mark.parametrize("words", [("enabled", "disabled"), ("false", "true")], ids=["macOS 13", "macOS 12"])
def test_an_override_of_launchd_is_reported(tmp_path: Path, words: tuple[str, str]) -> None:
    """Switched off in System Settings means off although the list exists; `on` clears the override."""

    launchd = Launchd(words)
    agent = LaunchAgent(tmp_path, 501, launchd)
    agent.on(ME)
    launchd.enabled[LABEL] = False
    assert Kind.DISABLED is agent.status().kind
    assert "Login Items" in agent.status().text
    assert agent.on(ME).on


def test_an_override_of_another_agent_is_ignored(agent: LaunchAgent, launchd: Launchd) -> None:
    """Even if its label begins with ours."""

    agent.on(ME)
    launchd.enabled[LABEL + ".other"] = False
    assert agent.status().on


def test_on_without_a_graphical_session(agent: LaunchAgent, launchd: Launchd) -> None:
    """As over ssh: the list is written, and the next graphical login reads it."""

    launchd.broken = True
    assert agent.on(ME).on


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"no list", Kind.BROKEN, "isn't a property list"),
        (b"", Kind.BROKEN, "isn't a property list"),
        (plistlib.dumps(["a"]), Kind.BROKEN, "isn't a launch agent"),
        (plistlib.dumps({"Label": LABEL, "RunAtLoad": True}), Kind.BROKEN, "contains no command"),
        (
            plistlib.dumps({"RunAtLoad": True, "ProgramArguments": ["/gone/amberlight"]}),
            Kind.BROKEN,
            "/gone/amberlight",
        ),
        (plistlib.dumps({"RunAtLoad": False, "ProgramArguments": [sys.executable]}), Kind.DISABLED, "RunAtLoad"),
        (plistlib.dumps({"Disabled": True, "ProgramArguments": [sys.executable]}), Kind.DISABLED, "disabled"),
    ],
)
def test_lists_that_start_nothing(agent: LaunchAgent, content: bytes, kind: Kind, words: str) -> None:
    """Each has a state and a reason of its own."""

    agent.file.parent.mkdir(parents=True)
    agent.file.write_bytes(content)
    assert kind is agent.status().kind
    assert words in agent.status().text


def test_a_home_that_cannot_be_written(tmp_path: Path, launchd: Launchd) -> None:
    """The error is one sentence with the path."""

    (tmp_path / "home").write_text("")
    with pytest.raises(AutostartError, match=r"\.plist can't be written"):
        LaunchAgent(tmp_path / "home", 501, launchd).on(ME)


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="here it is, or an error of Windows names no program")
def test_a_missing_launchctl_is_a_failure_code() -> None:
    """`launchctl` never raises."""

    code, output = launchctl("print-disabled", "gui/501")
    assert 0 != code
    assert "launchctl" in output
