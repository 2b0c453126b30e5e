"""The launch agent, with a launchd that remembers wishes as the real one does and knows no other command."""

from __future__ import annotations

import plistlib
import sys
from pathlib import Path

import pytest

from trayapp.autostart import AutostartError, Kind
from trayapp.autostart.macos import LABEL, LaunchAgent, launchctl

ME = (sys.executable, "-m", "trayapp", "run")


class Launchd:
    """Answers as launchctl prints; every other command fails the test."""

    def __init__(self, words: tuple[str, str] = ("enabled", "disabled")) -> None:
        self.words = words
        self.wishes: dict[str, bool] = {"com.example.other": False}
        self.broken = False
        self.asked: list[str] = []

    def __call__(self, *arguments: str) -> tuple[int, str]:
        self.asked.append(arguments[0])
        if self.broken:
            return 125, "Could not find domain for user gui: 501\n"
        match arguments:
            case ("enable", target):
                assert f"gui/501/{LABEL}" == target
                self.wishes[LABEL] = True
                return 0, ""
            case ("print-disabled", "gui/501"):
                rows = "".join(f'\t\t"{label}" => {self.words[not on]}\n' for label, on in self.wishes.items())
                return 0, f"disabled services = {{\n{rows}\t}}\n"
        raise AssertionError(arguments)


@pytest.fixture
def launchd() -> Launchd:
    return Launchd()


@pytest.fixture
def agent(tmp_path: Path, launchd: Launchd) -> LaunchAgent:
    return LaunchAgent(tmp_path, 501, launchd)


def test_on_and_off(agent: LaunchAgent, launchd: Launchd) -> None:
    """The list says what launchd needs; nothing is started or ended now."""

    assert Kind.OFF is agent.status().kind
    assert agent.on(ME).on
    written = plistlib.loads(agent.file.read_bytes())
    assert (LABEL, list(ME), True) == (written["Label"], written["ProgramArguments"], written["RunAtLoad"])
    assert 0o644 == agent.file.stat().st_mode & 0o777
    assert Kind.OFF is agent.off().kind
    assert Kind.OFF is agent.off().kind
    assert [] == list(agent.file.parent.iterdir())
    assert {"enable", "print-disabled"} == set(launchd.asked)


@pytest.mark.parametrize("words", [("enabled", "disabled"), ("false", "true")], ids=["macOS 13", "macOS 12"])
def test_a_wish_against_it_is_told(tmp_path: Path, words: tuple[str, str]) -> None:
    """What was switched off in the system's settings is off, though the list is there; `on` takes the wish back."""

    launchd = Launchd(words)
    agent = LaunchAgent(tmp_path, 501, launchd)
    agent.on(ME)
    launchd.wishes[LABEL] = False
    assert Kind.DISABLED is agent.status().kind
    assert "Login Items" in agent.status().text
    assert agent.on(ME).on


def test_another_agents_wish_is_not_ours(agent: LaunchAgent, launchd: Launchd) -> None:
    """A label that begins like ours does not count."""

    agent.on(ME)
    launchd.wishes[LABEL + ".other"] = False
    assert agent.status().on


def test_without_a_session_of_launchd(agent: LaunchAgent, launchd: Launchd) -> None:
    """As over ssh: the list is there, and the next login at the screen reads it."""

    launchd.broken = True
    assert agent.on(ME).on


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"no list", Kind.BROKEN, "no property list"),
        (b"", Kind.BROKEN, "no property list"),
        (plistlib.dumps(["a"]), Kind.BROKEN, "no launch agent"),
        (plistlib.dumps({"Label": LABEL, "RunAtLoad": True}), Kind.BROKEN, "names no command"),
        (
            plistlib.dumps({"RunAtLoad": True, "ProgramArguments": ["/gone/amberlight"]}),
            Kind.BROKEN,
            "/gone/amberlight",
        ),
        (plistlib.dumps({"RunAtLoad": False, "ProgramArguments": [sys.executable]}), Kind.DISABLED, "RunAtLoad"),
        (plistlib.dumps({"Disabled": True, "ProgramArguments": [sys.executable]}), Kind.DISABLED, "disabled"),
    ],
)
def test_what_stands_in_the_list(agent: LaunchAgent, content: bytes, kind: Kind, words: str) -> None:
    """Each way of starting nothing has its words."""

    agent.file.parent.mkdir(parents=True)
    agent.file.write_bytes(content)
    assert kind is agent.status().kind
    assert words in agent.status().text


def test_a_home_that_cannot_be_written(tmp_path: Path, launchd: Launchd) -> None:
    """One sentence with the path."""

    (tmp_path / "home").write_text("")
    with pytest.raises(AutostartError, match=r"\.plist cannot be written"):
        LaunchAgent(tmp_path / "home", 501, launchd).on(ME)


@pytest.mark.skipif(sys.platform == "darwin", reason="here it is")
def test_no_launchctl() -> None:
    """It never raises."""

    code, said = launchctl("print-disabled", "gui/501")
    assert 0 != code
    assert "launchctl" in said
