"""A window of real headless Chromium on the dashboard: light or dark, wide or narrow, with or without motion."""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.real.browser import FLAGS

POLL = 0.05  # s
LIMIT = 8.0  # s; a page that takes longer than this to change has not changed


class Window:
    """Use it with `with`. `see` finds elements, `until` waits for what a person would wait for."""

    def __init__(self) -> None:
        self._profile = tempfile.mkdtemp(prefix="dashboard-")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
        for flag in (*FLAGS, f"--user-data-dir={self._profile}", "--force-device-scale-factor=1", "--hide-scrollbars"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service(shutil.which("chromedriver") or "/usr/bin/chromedriver", log_output=os.devnull)
        self.driver = webdriver.Chrome(options=options, service=service)
        self._look: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.quit()
        shutil.rmtree(self._profile, ignore_errors=True)

    # --- what the person has on the desk ------------------------------------------------------------------------------

    def look(self, *, dark: bool = False, width: int = 1100, height: int = 800, still: bool = True) -> None:
        """Set the colour scheme and size; `still` means that the person prefers no motion."""
        self._look = {"dark": dark, "width": width, "height": height, "still": still}
        self.cdp(
            "Emulation.setEmulatedMedia",
            features=[
                {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"},
            ],
        )
        self.cdp("Emulation.setFocusEmulationEnabled", enabled=True)  # a tab that somebody sits before
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def cdp(self, command: str, **parameters: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.driver.execute_cdp_cmd(command, parameters)
        return found

    def open(self, address: str) -> None:
        """Load the page in the current tab."""
        self.driver.get("about:blank")
        self.driver.get(address)

    def forget(self) -> None:
        """Replace the tab by a new one without any storage."""
        old = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        new = self.driver.current_window_handle
        self.driver.switch_to.window(old)
        self.driver.close()
        self.driver.switch_to.window(new)
        self.look(**self._look)
        self.errors()  # those of the old tab are nobody's any more

    # --- what the person sees and does --------------------------------------------------------------------------------

    def js(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def find(self, selector: str) -> list[WebElement]:
        """All matching elements that are visible."""
        found: list[WebElement] = self.js(
            "return [...document.querySelectorAll(arguments[0])].filter((e) => e.checkVisibility({visibilityProperty: true}))",
            selector,
        )
        return found

    def see(self, selector: str) -> WebElement:
        """The first of them; waits for it."""
        found: list[WebElement] = self.until(lambda: self.find(selector), f"no {selector}")
        return found[0]

    def text(self, selector: str = "body") -> str:
        return self.see(selector).text

    def row(self, name: str) -> WebElement:
        return self.see(f"#workload-{name}")

    def choose(self, name: str, item: str) -> None:
        """Take this item of the menu behind a workload's ⋯."""
        self.see(f"#workload-{name} .more").click()
        self.see(f"#menu [data-item={item}]").click()

    def go(self, section: str) -> None:
        """Go to a section by its address, as a click on its tab does."""
        self.js("location.hash = arguments[0]", f"#{section}")
        self.see(f"#view-{section.partition('/')[0]} h1")

    def order(self) -> list[str]:
        """The names of the workloads from top to bottom."""
        ids: list[str] = self.js(
            "return [...document.querySelectorAll('#list > .row:not([hidden])')].map((row) => row.id)"
        )
        return [each.removeprefix("workload-") for each in ids]

    def said(self) -> str:
        """What a screen reader was told last."""
        text: str = self.js("return document.getElementById('says').textContent")
        return text

    def press(self, *keys: str) -> None:
        """Send keys to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def focused_in(self, selector: str) -> bool:
        """Whether the focus is within this element."""
        return bool(self.js("return document.querySelector(arguments[0]).contains(document.activeElement)", selector))

    def allow_clipboard(self, origin: str) -> None:
        """Grant access to the clipboard, as in a window that has the focus."""
        permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
        self.cdp("Browser.grantPermissions", origin=origin.rstrip("/"), permissions=permissions)

    def tab(self) -> WebElement:
        """Press Tab; returns what has the focus then."""
        self.press(Keys.TAB)
        return self.driver.switch_to.active_element

    def until(self, wanted: Callable[[], Any], what: str, limit: float = LIMIT) -> Any:
        """Poll until the result is truthy, and return it."""
        end = time.monotonic() + limit
        while True:
            try:
                if found := wanted():
                    return found
            except StaleElementReferenceException:
                pass
            assert time.monotonic() < end, f"{what}; the page says: {self.driver.title!r} {self.errors()}"
            time.sleep(POLL)

    def errors(self) -> list[str]:
        """The console's errors."""
        log: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [each["message"] for each in log if each["level"] == "SEVERE"]

    def shot(self) -> bytes:
        """A screenshot as PNG."""
        return base64.b64decode(self.cdp("Page.captureScreenshot", format="png")["data"])

    def axe(self, script: str) -> list[str]:
        """axe-core's violations in the current page, one line each."""
        if not self.js("return 'axe' in window"):
            self.cdp("Runtime.evaluate", expression=script)
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa',"
            " 'wcag22aa', 'best-practice']}).then(({violations}) => done(violations), (error) => done(String(error)))"
        )
        assert isinstance(found, list), found
        return [
            f"{each['id']}: {node['target']}: {json.dumps(node['any'] or node['all'] or node['none'])[:400]}"
            for each in found
            for node in each["nodes"]
        ]
