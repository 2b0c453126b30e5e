"""A workload that was taken over is given back on its page, in real Chromium."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.stage import Stage, other_view, workload_view
from tests.web.window import Window
from trayapp.api.controls import GivenBack, Rejected

pytestmark = pytest.mark.real

DIALOG = "#take-over-dialog"
BUSY = "ToolHive is restarting github. Try again once it has finished."


@dataclass
class Giving:
    """A stage with one that was taken over, whose page is open, and one that wasn't."""

    window: Window
    stage: Stage

    @property
    def asked(self) -> list[tuple[object, ...]]:
        return [call for call in self.stage.control.calls if call[0] == "give_back"]

    def button(self) -> WebElement:
        return self.window.see("#detail [data-menu=giveBack]")

    def begin(self) -> WebElement:
        """Open the dialog; its button."""
        self.button().click()
        return self.window.see(f"{DIALOG} [type=submit]")


@pytest.fixture
def giving(window: Window, show: Open) -> Giving:
    stage = show(workload_view("github"), workload_view("notion"), other_view("github", "stopped"))
    stage.control.owners["github"] = "ToolHive"
    window.go("workload/github")
    return Giving(window, stage)


def leaves(stage: Stage, monkeypatch: pytest.MonkeyPatch, *, stays: bool = False) -> None:
    """Giving it back also takes it away here, unless it was here before."""
    scripted = stage.control.give_back

    async def give_back(name: str) -> GivenBack | Rejected:
        answer = await scripted(name)
        if isinstance(answer, GivenBack):
            del stage.control.owners[name]
            if not stays:
                stage._publish({key: view for key, view in stage._everything.items() if key != name})
        return answer

    monkeypatch.setattr(stage.control, "give_back", give_back)


def test_only_what_was_taken_over_can_be_given_back(giving: Giving) -> None:
    """The action names the workload and whose it was; the page of another has none, in whichever order they're opened."""

    assert "Give back to ToolHive…: github" == giving.button().accessible_name
    for name in ("notion", "toolhive/github"):
        giving.window.go(f"workload/{name}")
        giving.window.until(lambda: giving.window.text("#detail-name") == name.rpartition("/")[2], name)  # noqa: B023
        assert not giving.window.find("[data-menu=giveBack]")
    giving.window.go("workload/github")
    giving.button()


def test_what_happens_is_said_first(giving: Giving) -> None:
    """Nothing is asked of the app before the button is pressed."""

    yes = giving.begin()

    assert "Give back" == yes.text
    assert "Give github back to ToolHive?" == giving.window.see(DIALOG).accessible_name
    text = giving.window.text(DIALOG)
    for wanted in ("Client entries are restored", "github is removed here", "ToolHive runs its own workload again"):
        assert wanted in text
    giving.window.press(Keys.ESCAPE)
    assert not giving.window.find(DIALOG)
    assert giving.window.focused_in("#detail-give-back")
    assert not giving.asked


def test_it_is_given_back(giving: Giving, monkeypatch: pytest.MonkeyPatch) -> None:
    """By keyboard alone: what was done and what wasn't stays in sight above the list, whose heading has the focus."""

    leaves(giving.stage, monkeypatch)
    giving.window.js("arguments[0].focus()", giving.button())
    giving.window.press(Keys.ENTER)
    giving.window.see(DIALOG)
    giving.window.until(lambda: giving.window.driver.switch_to.active_element.text == "Cancel", "not on Cancel")
    giving.window.tab()
    giving.window.press(Keys.ENTER)

    giving.window.until(lambda: giving.window.driver.current_url.endswith("#workloads"), "not on the list")
    giving.window.until(lambda: not giving.window.find(DIALOG), "not closed")
    assert "Gave github back to ToolHive. Zed is locked." in giving.window.text("#told")
    assert [("give_back", "github")] == giving.asked
    giving.window.until(lambda: giving.window.focused_in("#view-workloads h1"), "the focus is lost")


def test_one_that_was_here_before_stays(giving: Giving, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its page stays open, without the action."""

    leaves(giving.stage, monkeypatch, stays=True)
    giving.begin().click()

    giving.window.until(lambda: not giving.window.find("#detail-give-back"), "still there")
    assert giving.window.driver.current_url.endswith("#workload/github")
    assert "Gave github back" in giving.window.text("#told")
    giving.window.until(lambda: giving.window.focused_in("#view-workload h1"), "the focus is lost")


def test_a_refusal_says_why(giving: Giving, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the dialog, which stays open, and the button can be pressed again; a new question doesn't repeat it."""

    giving.stage.control.rejected = Rejected(409, "busy", BUSY)
    giving.begin().click()
    giving.window.until(lambda: giving.window.text(f"{DIALOG} .wrong") == BUSY, "not said")
    giving.window.see(f"{DIALOG} [data-close]").click()
    yes = giving.begin()
    assert "" == giving.window.text(f"{DIALOG} .wrong")

    leaves(giving.stage, monkeypatch)
    giving.stage.control.rejected = None
    yes.click()
    giving.window.until(lambda: "Gave github back" in giving.window.text("#told"), "not done")
    assert 2 == len(giving.asked)


def test_taking_over_after_a_question_about_giving_back(giving: Giving) -> None:
    """Both ask in one dialog, each with words of its own."""

    giving.begin()
    giving.window.press(Keys.ESCAPE)
    giving.stage.control.take_over_plan = scenes.PLAN
    giving.stage.put(other_view("github", "unauthenticated"))
    giving.window.js("location.hash = '#take-over=toolhive/github'")
    yes = giving.window.see(f"{DIALOG} [type=submit]")
    assert ("Take over", "primary") == (yes.text, yes.get_attribute("class"))
    giving.window.until(lambda: "What changes" in giving.window.text(DIALOG), "no plan")
    assert "Client entries are restored" not in giving.window.text(DIALOG)
    assert "Take over github from ToolHive?" == giving.window.see(DIALOG).accessible_name


@pytest.mark.parametrize("width", [320, 360, 700])
def test_nothing_is_wider_than_the_window(window: Window, show: Open, width: int) -> None:
    """Whatever the workload and its program are called."""

    stage = show(workload_view("n" * 63))
    stage.control.owners["n" * 63] = "ToolHive"
    stage.control.rejected = Rejected(409, "busy", f"{'x' * 120} is busy.")
    window.look(width=width, height=8000)
    giving = Giving(window, stage)
    window.go(f"workload/{'n' * 63}")
    giving.begin().click()
    window.until(lambda: window.text(f"{DIALOG} .wrong"), "not said")
    for place in ("html", DIALOG):
        assert window.js("const e = document.querySelector(arguments[0]); return e.scrollWidth <= e.clientWidth", place)
