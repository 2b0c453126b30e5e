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
from trayapp.api.controls import ClientNeeded, Rejected
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
        ("linear", "reauthorize", ("reauthorize", "linear", True, False)),
        ("github", "retry", ("post", "retry", "github")),
        ("github", "reauthorize", ("reauthorize", "github", True, False)),
    ],
)
def test_buttons(window: Window, show: Open, name: str, verb: str, call: tuple[object, ...]) -> None:
    """Each button asks the app for what stands on it, once, and says which workload it is about."""

    stage = show(*in_trouble())
    button = window.see(f"#workload-{name} [data-do={verb}]")

    assert f"{button.text}: {name}" == button.accessible_name
    button.click()

    heard(window, stage, *call)
    assert 1 == stage.control.calls.count(call)


def test_retry_now_is_second(window: Window, show: Open) -> None:
    """After Reauthorize, wherever both are."""

    show(*in_trouble())

    for name in ("github", "linear"):
        shown = window.find(f"#workload-{name} .trouble [data-do]")
        assert ["Reauthorize", "Retry now"] == [each.text for each in shown]


@pytest.mark.parametrize(
    ("name", "item", "call"),
    [
        ("notion", "retry", ("post", "retry", "notion")),
        ("notion", "reauthorize", ("reauthorize", "notion", True, False)),
        ("notion", "pause", ("post", "pause", "notion")),
        ("resting", "resume", ("post", "resume", "resting")),
    ],
)
def test_menu(window: Window, show: Open, name: str, item: str, call: tuple[object, ...]) -> None:
    """What is rarely needed is in the menu of each row; the focus returns to its button."""

    stage = show(*in_trouble(), workload_view("resting", Status.STOPPED, Detail.PAUSED, "Paused."))
    window.choose(name, item)

    heard(window, stage, *call)
    assert not window.find("#menu")
    assert f"More: {name}" == window.driver.switch_to.active_element.accessible_name


def test_the_menu_by_keyboard(window: Window, show: Open) -> None:
    """Enter opens it on its first item, arrows go round, Escape closes it, and letters find an item."""

    stage = show(workload_view("notion"))
    window.js("document.querySelector('#workload-notion .more').focus()")
    window.press(Keys.ENTER)
    window.until(lambda: window.driver.switch_to.active_element.text == "Details", "not open")
    window.press(Keys.ARROW_UP)
    assert "Remove…" == window.driver.switch_to.active_element.text
    window.press("p")  # nothing below it begins so
    window.press(Keys.HOME)
    window.press("p")
    assert "Pause" == window.driver.switch_to.active_element.text
    window.press(Keys.ESCAPE)
    assert not window.find("#menu")
    assert "More: notion" == window.driver.switch_to.active_element.accessible_name
    assert [] == stage.control.calls


def test_all_at_once(window: Window, show: Open) -> None:
    """Reconnect all retries all; it is there while something is reconnecting."""

    stage = show(*in_trouble())
    window.see("#retry-all").click()
    heard(window, stage, "post", "retry_all", "")

    stage.put(workload_view("linear", ago=0))
    window.until(lambda: not window.find("#retry-all"), "still there")


@pytest.mark.parametrize("kind", ["different_account", "different_server", "scope_lost"])
def test_another_account_is_asked_about(window: Window, show: Open, kind: str) -> None:
    """A sign-in that waits for consent can be agreed to, whatever it is that differs; one that failed says why."""

    away = Problem(kind, "You signed in with another account than before.")
    stage = show(workload_view("github", Status.UNAUTHENTICATED, Detail.REFUSED, "…", sign_in_error=away))

    assert "another account" in window.text("#workload-github .signing")
    window.see("#workload-github [data-do=accept]").click()

    heard(window, stage, "reauthorize", "github", True, True)


def test_what_could_not_be_checked_is_said_in_the_row(window: Window, show: Open) -> None:
    """Quietly, beside a login that works; not to whoever has to sign in anyway, and gone when it is."""

    doubt = Problem("id_token", "Signed in, but whose account it is could not be checked: no key of the server fits.")
    stage = show(workload_view("github", sign_in_warning=doubt))

    def said() -> bool:
        return f"Last sign-in: {doubt.summary}" in window.row("github").text

    assert said()
    assert "Connected" == window.text("#workload-github .pill")
    stage.put(workload_view("github", Status.UNAUTHENTICATED, Detail.REFUSED, "…", sign_in_warning=doubt))
    window.until(lambda: not said(), "still there")
    stage.put(workload_view("github", sign_in_warning=doubt))
    window.until(said, "not there again")
    stage.put(workload_view("github"))
    window.until(lambda: not said(), "it stays")


def test_a_refusal_is_said_in_the_row(window: Window, show: Open) -> None:
    """What the app answers is shown where the button is, and spoken; also below a row that was a single line."""

    stage = show(scenes.github(), workload_view("notion"))
    stage.control.page = Problem("not_now", "The keyring is locked: unlock it first.")

    window.see("#workload-github [data-do=reauthorize]").click()
    window.until(lambda: "unlock it first" in window.text("#workload-github .note"), "not shown")
    assert "unlock it first" in window.said()

    window.choose("notion", "reauthorize")
    window.until(lambda: "unlock it first" in window.text("#workload-notion .note"), "not shown")


def test_adding(window: Window, show: Open) -> None:
    """By keyboard alone to another row; its sign-in page opens, and the row has the focus."""

    stage = show(workload_view("one"))
    window.js("document.getElementById('add').focus()")
    window.press(Keys.ENTER)
    window.until(lambda: window.driver.switch_to.active_element.get_attribute("id") == "add-search", "no focus")
    window.press(Keys.TAB, "https://mcp.github.example/mcp", Keys.TAB, "github", Keys.ENTER)

    window.row("github")
    heard(window, stage, "add", "github", {"url": "https://mcp.github.example/mcp"})
    heard(window, stage, "reauthorize", "github", True, False)
    assert not window.find("#add-dialog")
    window.until(lambda: window.focused_in("#workload-github"), "the row has no focus")


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
    ("address", "name", "wanted"),
    [
        ("mcp.notion.com/mcp", "Notion", ("notion", "https://mcp.notion.com/mcp")),
        ("  mcp.linear.app/sse ", "", ("linear", "https://mcp.linear.app/sse")),
        ("https://api.githubcopilot.com/mcp/", "My GitHub", ("my-github", "https://api.githubcopilot.com/mcp/")),
        ("http://localhost:8080/mcp", "", ("localhost", "http://localhost:8080/mcp")),
    ],
)
def test_what_is_meant_is_written(window: Window, show: Open, address: str, name: str, wanted: tuple[str, str]) -> None:
    """https:// is added, capitals and spaces in a name become what a name may have, and the address suggests one."""

    stage = show()
    window.see("#add").click()
    window.see("#add-url").send_keys(address)
    if name:
        window.see("#add-name").send_keys(name)
    window.see("#add-dialog .primary").click()

    heard(window, stage, "add", wanted[0], {"url": wanted[1]})


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"url": "https://a.example", "name": "?"}, "name", "lowercase letters"),
        ({"url": "", "name": "a"}, "url", "https://"),
        ({"url": "ftp://a.example", "name": "a"}, "url", "https://"),
        ({"url": "https://a.example", "name": "github"}, "name", "already a workload github"),
        ({"url": "https://a.example", "name": "a", "issuer": "ftp://x"}, "issuer", "https address"),
    ],
)
def test_mistakes_stand_at_their_field(
    window: Window, show: Open, given: dict[str, str], field: str, words: str
) -> None:
    """The sentence is beside the field, said once, the field is marked and has the focus, and typing takes it away."""

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
    assert 1 == len(window.find("#add-dialog .wrong:not(:empty)"))
    box.send_keys("x")
    assert not window.find(f"#error-{field}")


def test_a_server_without_registration_asks_for_a_client(window: Window, show: Open) -> None:
    """The form stays open with what was typed, shows the redirect address to register, and asks for client id and secret."""

    stage = show(workload_view("one"))
    wanted = "mcp.slack.com doesn't register clients. Create one and enter its client ID."
    client = ClientNeeded("http://127.0.0.1:8766/callback", 8766, "required", "at https://api.slack.com/apps")
    stage.control.rejected = Rejected(409, "client_id_needed", wanted, {"client_id": wanted}, client)
    window.allow_clipboard(stage.address)
    window.see("#add").click()
    window.see("#add-url").send_keys("mcp.slack.com/mcp", Keys.ENTER)

    window.until(lambda: wanted == window.text("#error-client_id"), "not said")
    assert 1 == len(window.find("#add-dialog .wrong:not(:empty)"))
    assert "slack" == window.see("#add-name").get_attribute("value")
    assert client.redirect_uri == window.see("#add-redirect-uri").get_attribute("value")
    window.see("#add-redirect-copy").click()
    window.until(lambda: "Copied" in window.text("#add-redirect-done"), "not copied")
    assert client.redirect_uri == window.js("return navigator.clipboard.readText()")


def test_removing_asks_first(window: Window, show: Open) -> None:
    """Nothing is removed by one slip, and keeping is as near."""

    stage = show(*in_trouble())
    window.choose("github", "remove")
    assert "Remove github?" == window.text("#confirm-title")
    window.press(Keys.ESCAPE)
    assert not [call for call in stage.control.calls if call[0] == "remove"]

    window.choose("github", "remove")
    window.see("#confirm-yes").click()
    heard(window, stage, "remove", "github")
    window.until(lambda: not window.find("#confirm-dialog"), "still open")
    assert "The sign-in to github was cancelled." == window.text("#told p")


def test_everything_by_keyboard(window: Window, show: Open) -> None:
    """Tab reaches every control in the order in which it is read, each with a name and a visible focus."""

    show(scenes.github(), workload_view("notion"))
    window.js("document.body.focus()")
    reached: list[str] = []
    for _ in range(30):
        element = window.tab()
        if element.tag_name in ("body", "html"):
            break
        where = window.js("return arguments[0].closest('.row')?.id ?? ''", element)
        reached.append(f"{where} {element.accessible_name}".strip())
        assert element.accessible_name, element.get_attribute("outerHTML")
        outline = window.js("const s = getComputedStyle(arguments[0]); return s.outlineStyle + s.outlineWidth", element)
        assert outline == "solid2px", (reached[-1], outline)
    assert [
        "Skip to content",
        "Amberlight",
        "Workloads",
        "Clients",
        "Activity",
        "Settings",
        "Diagnostics",
        "Set up…",
        "Add workload…",
        "workload-github github",
        "workload-github More: github",
        "workload-github Reauthorize: github",
        "workload-github Retry now: github",
        "workload-notion notion",
        "workload-notion More: notion",
    ] == reached


def test_keys_of_the_list(window: Window, show: Open) -> None:
    """/ goes to the search from anywhere, arrows go along the rows, and Enter opens the page of one."""

    show(*scenes.many(12))
    window.press("/")
    assert window.focused_in("#find")
    window.press("workload-01", Keys.ARROW_DOWN)
    window.until(lambda: window.driver.switch_to.active_element.text == "workload-010", "not in the list")
    window.press(Keys.ARROW_DOWN)
    assert "workload-011" == window.driver.switch_to.active_element.text
    window.press(Keys.TAB, Keys.ARROW_UP)
    assert "More: workload-010" == window.driver.switch_to.active_element.accessible_name
    window.js("document.querySelector('#workload-workload-011 a').focus()")
    window.press(Keys.ENTER)
    window.until(lambda: window.text("#detail-name") == "workload-011", "not opened")
    window.until(lambda: window.focused_in("#detail"), "the heading has no focus")
    window.press("/")
    window.until(lambda: window.focused_in("#find"), "not from another section")


def test_focus_is_not_lost_when_it_recovers(window: Window, show: Open) -> None:
    """Whoever pressed a button that is not needed any more is still on the same row."""

    stage = show(workload_view("alpha"), scenes.linear())
    window.js("document.querySelector('#workload-linear [data-do=retry]').focus()")
    window.press(Keys.ENTER)

    stage.put(workload_view("linear", ago=0, last_refreshed_at=time.time()))

    window.until(lambda: "Connected" in window.row("linear").text, "not well")
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
    window.until(lambda: "Connected" in window.row("github").text, "the newest page does not hear")

    for handle in set(window.driver.window_handles) - {first}:
        window.driver.switch_to.window(handle)
        window.driver.close()
    window.driver.switch_to.window(first)
    window.until(lambda: "Connected" in window.row("github").text, "the first page does not go on")
