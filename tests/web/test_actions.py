"""What a person can do on the dashboard, in real Chromium, by mouse and by keyboard, and what the app is then asked."""

from __future__ import annotations

import time

import pytest
from selenium.webdriver.common.keys import Keys

from tests.web import scenes
from tests.web.conftest import Open
from tests.web.scenes import in_trouble
from tests.web.stage import Stage, workload_view
from tests.web.window import Window
from trayapp.core.model import Problem
from trayapp.core.snapshot import Detail, Status

pytestmark = pytest.mark.real


def heard(window: Window, stage: Stage, *call: object) -> None:
    """The app was asked for this."""
    window.until(lambda: call in stage.control.calls, f"{call} is not among {stage.control.calls}")


@pytest.mark.parametrize(
    ("name", "verb", "call"),
    [
        ("linear", "retry", ("post", "retry", "linear")),
        ("linear", "pause", ("post", "pause", "linear")),
        ("github", "reauthorize", ("reauthorize", "github", True, False)),
        ("resting", "resume", ("post", "resume", "resting")),
    ],
)
def test_buttons(window: Window, show: Open, name: str, verb: str, call: tuple[object, ...]) -> None:
    """Each button asks the app for what stands on it, once, and says which workload it is about."""

    stage = show(*in_trouble(), workload_view("resting", Status.STOPPED, Detail.PAUSED, "Paused."))
    button = window.see(f"#workload-{name} [data-do={verb}]")

    assert f"{button.text}: {name}" == button.accessible_name
    button.click()

    heard(window, stage, *call)
    assert 1 == stage.control.calls.count(call)


def test_all_at_once(window: Window, show: Open) -> None:
    """Retry all now retries all."""

    stage = show(*in_trouble())

    window.see("#retry-all").click()

    heard(window, stage, "post", "retry_all", "")


def test_a_sign_in_from_the_page(window: Window, show: Open) -> None:
    """The card then says what goes on, links the page, takes a pasted address, and can give it up."""

    stage = show(scenes.github())
    window.see("#workload-github [data-do=reauthorize]").click()
    link = window.see("#workload-github .signing a")
    assert stage.control.page == link.get_attribute("href")

    stage.put(workload_view("github", Status.UNAUTHENTICATED, Detail.REFUSED, "Finish it.", signing_in=True))
    window.until(lambda: "Reopen sign-in page" in window.card("github").text, "it does not say so")
    window.see("#workload-github .signing .fold").click()
    window.see("#workload-github .signing input").send_keys("http://127.0.0.1:1/callback?code=canary", Keys.ENTER)
    heard(window, stage, "paste", "github", "http://127.0.0.1:1/callback?code=canary")
    assert "" == window.see("#workload-github .signing input").get_attribute("value")

    window.see("#workload-github [data-do=cancel]").click()
    heard(window, stage, "cancel_sign_in", "github")
    stage.put(scenes.github())
    window.until(lambda: not window.find("#workload-github .signing"), "it does not end")


@pytest.mark.parametrize("kind", ["different_account", "different_server", "scope_lost"])
def test_another_account_is_asked_about(window: Window, show: Open, kind: str) -> None:
    """A sign-in that waits for consent can be agreed to, whatever it is that differs; one that failed says why."""

    away = Problem(kind, "You signed in with another account than before.")
    stage = show(workload_view("github", Status.UNAUTHENTICATED, Detail.REFUSED, "…", sign_in_error=away))

    assert "another account" in window.text("#workload-github .signing")
    window.see("#workload-github [data-do=accept]").click()

    heard(window, stage, "reauthorize", "github", True, True)


def test_what_could_not_be_checked_is_said_on_the_card(window: Window, show: Open) -> None:
    """Quietly, beside a login that works; not to whoever has to sign in anyway, and gone when it is."""

    doubt = Problem("id_token", "Signed in, but whose account it is could not be checked: no key of the server fits.")
    stage = show(workload_view("github", sign_in_warning=doubt))

    def row() -> list[str]:
        return [found.text for found in window.find("#workload-github [data-ref=signedInRow]")]

    assert [f"Last sign-in\n{doubt.summary}"] == row()
    assert "Signed in" == window.text("#workload-github .badge")
    stage.put(workload_view("github", Status.UNAUTHENTICATED, Detail.REFUSED, "…", sign_in_warning=doubt))
    window.until(lambda: not row(), "still there")
    stage.put(workload_view("github", sign_in_warning=doubt))
    window.until(row, "not there again")
    stage.put(workload_view("github"))
    window.until(lambda: not row(), "it stays")


def test_a_refusal_is_said_on_the_card(window: Window, show: Open) -> None:
    """What the app answers is shown where the button is, and spoken."""

    stage = show(scenes.github())
    stage.control.page = Problem("not_now", "The keyring is locked: unlock it first.")

    window.see("#workload-github [data-do=reauthorize]").click()

    window.until(lambda: "unlock it first" in window.text("#workload-github .note"), "not shown")
    assert "unlock it first" in window.said()


def test_adding(window: Window, show: Open) -> None:
    """From the welcome to the first card by keyboard alone; its sign-in page opens, and the card has the focus."""

    stage = show()
    assert "Add your first workload" in window.text("#welcome")
    window.js("document.getElementById('first').focus()")
    window.press(Keys.ENTER)
    window.until(lambda: window.driver.switch_to.active_element.get_attribute("id") == "add-search", "no focus")
    window.press(Keys.TAB, "github", Keys.TAB)
    window.press("https://mcp.github.example/mcp", Keys.ENTER)

    window.card("github")
    heard(window, stage, "add", "github", {"url": "https://mcp.github.example/mcp"})
    heard(window, stage, "reauthorize", "github", True, False)
    assert not window.find("#welcome, #add-dialog")
    window.until(lambda: window.focused_in("#workload-github"), "the card has no focus")


def test_adding_with_more(window: Window, show: Open) -> None:
    """What the provider told goes along, scopes as a list."""

    stage = show()
    window.see("#add").click()
    window.see("#add-more summary").click()
    window.see("#add-name").send_keys("one")
    window.see("#add-url").send_keys("https://one.example")
    window.see("#add-issuer").send_keys("https://issuer.example")
    window.see("#add-client").send_keys("client-1")
    window.see("#add-scopes").send_keys("read, write  admin", Keys.ENTER)

    keys = {
        "url": "https://one.example",
        "issuer": "https://issuer.example",
        "client_id": "client-1",
        "scopes": ["read", "write", "admin"],
    }
    heard(window, stage, "add", "one", keys)


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"name": "", "url": "https://a.example"}, "name", "Enter a name"),
        ({"name": "Big Name", "url": "https://a.example"}, "name", "lowercase letters"),
        ({"name": "a", "url": "mcp.example"}, "url", "https://"),
        ({"name": "github", "url": "https://a.example"}, "name", "already a workload github"),
        ({"name": "a", "url": "https://a.example", "issuer": "ftp://x"}, "issuer", "https address"),
    ],
)
def test_mistakes_stand_at_their_field(
    window: Window, show: Open, given: dict[str, str], field: str, words: str
) -> None:
    """The sentence is beside the field, the field is marked and has the focus, and typing takes the sentence away."""

    show(scenes.github())
    window.see("#add").click()
    window.js("document.getElementById('add-more').open = true")
    for name, value in given.items():
        window.see(f"#add-dialog [name={name}]").send_keys(value)
    window.js("document.getElementById('add-more').open = false")
    window.see("#add-dialog .primary").click()

    window.until(lambda: words in window.text(f"#error-{field}"), "not said")
    box = window.see(f"#add-dialog [name={field}]")
    assert "true" == box.get_attribute("aria-invalid")
    assert box == window.driver.switch_to.active_element
    assert f"error-{field}" in str(box.get_attribute("aria-describedby"))
    box.send_keys("x")
    assert not window.find(f"#error-{field}")


def test_removing_asks_first(window: Window, show: Open) -> None:
    """Nothing is removed by one slip, and keeping is as near."""

    stage = show(*in_trouble())
    window.see("#workload-github .story .fold").click()
    window.see("#workload-github [data-do=remove]").click()
    assert "Remove github?" == window.text("#remove-title")
    window.press(Keys.ESCAPE)
    assert not [call for call in stage.control.calls if call[0] == "remove"]

    window.see("#workload-github [data-do=remove]").click()
    window.see("#remove-yes").click()
    heard(window, stage, "remove", "github")


def test_everything_by_keyboard(window: Window, show: Open) -> None:
    """Tab reaches every control in the order in which it is read, each with a name and a visible focus."""

    show(scenes.github(), workload_view("notion"))
    window.js("document.body.focus()")
    reached: list[str] = []
    for _ in range(30):
        element = window.tab()
        if element.tag_name in ("body", "html"):
            break
        where = window.js("return arguments[0].closest('.card')?.id ?? ''", element)
        reached.append(f"{where} {element.accessible_name}".strip())
        assert element.accessible_name, element.get_attribute("outerHTML")
        outline = window.js("const s = getComputedStyle(arguments[0]); return s.outlineStyle + s.outlineWidth", element)
        assert outline == "solid3px", (reached[-1], outline)
    assert [
        "Skip to the workloads",
        "Retry all now",
        "Connect clients…",
        "Add workload…",
        "workload-github Reauthorize: github",
        "workload-github Retry now: github",
        "workload-github Pause: github",
        "workload-github Connect a client…: github",
        "workload-github Last 24 hours of github",
        "workload-github What happened, and more: github",
        "workload-notion Pause: notion",
        "workload-notion Connect a client…: notion",
        "workload-notion Last 24 hours of notion",
        "workload-notion What happened, and more: notion",
        "Health of Amberlight itself",
    ] == reached


def test_focus_is_not_lost_when_it_heals(window: Window, show: Open) -> None:
    """Whoever pressed a button that is not needed any more is still on the same card."""

    stage = show(workload_view("alpha"), scenes.linear())
    window.js("document.querySelector('#workload-linear [data-do=retry]').focus()")
    window.press(Keys.ENTER)

    stage.put(workload_view("linear", ago=0, last_refreshed_at=time.time()))

    window.until(lambda: "Signed in" in window.card("linear").text, "not well")
    assert window.focused_in("#workload-linear")


def test_more_pages_than_a_browser_has_connections(window: Window, show: Open) -> None:
    """Each left click opens one more; those that nobody looks at let go of the app, and go on when they are looked at."""

    stage = show(*in_trouble())
    window.cdp("Emulation.setFocusEmulationEnabled", enabled=False)
    first = window.driver.current_window_handle
    for _ in range(8):
        window.driver.switch_to.new_window("tab")
        window.driver.get(stage.link())
        window.see("#workload-github")
    stage.put(workload_view("github", Status.RUNNING, Detail.OK))
    window.until(lambda: "Signed in" in window.card("github").text, "the newest page does not hear")

    for handle in set(window.driver.window_handles) - {first}:
        window.driver.switch_to.window(handle)
        window.driver.close()
    window.driver.switch_to.window(first)
    window.until(lambda: "Signed in" in window.card("github").text, "the first page does not go on")
