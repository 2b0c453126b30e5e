"""The person with a phone: real headless Chromium opens oidc-provider's device page, enters the code and signs in."""

from __future__ import annotations

import os
import shutil
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.real.browser import FLAGS, Visit


class DeviceVisit(Visit):
    """Knows the pages of a device sign-in too: the code's form, the confirmation, and the end."""

    def __init__(self, driver: webdriver.Chrome, login: str, code: str, *, agree: bool) -> None:
        self.titles: list[str] = []
        super().__init__(driver, login, self.titles.append)
        self.code = code
        self.agree = agree

    def look(self) -> bool | None:
        if any("Success" in heading.text for heading in self.find("h1")):
            return True
        aborted = not self.agree and any(step.startswith("confirm ") for step in self._done)
        if aborted and not self.find("input[name=confirm]"):
            return False  # the page after *Abort*
        if fields := self.find("input[type=text][name=user_code]"):

            def enter() -> None:
                fields[0].send_keys(self.code)
                self.find("button[type=submit]")[0].click()

            self.once("code", enter)
        elif self.find("input[name=confirm]"):
            button = "button[type=submit][autofocus]" if self.agree else "button[name=abort]"
            self.once("confirm", lambda: self.find(button)[0].click())
        else:
            return super().look()
        return None


def enter_code(url: str, code: str, *, login: str = "alice", agree: bool = True, limit: float = 40.0) -> list[str]:
    """Enter the code and sign in; the titles of the pages. Without `agree`, press *Abort* at the confirmation."""
    profile = tempfile.mkdtemp(prefix="visit-")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.page_load_strategy = "eager"
    service = Service(shutil.which("chromedriver") or "/usr/bin/chromedriver", log_output=os.devnull)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        visit = DeviceVisit(driver, login, code, agree=agree)
        assert visit.run(url, limit) == agree, visit.titles
        return visit.titles
    finally:
        driver.quit()
        shutil.rmtree(profile, ignore_errors=True)
