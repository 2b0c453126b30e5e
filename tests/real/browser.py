"""The person at the browser: real headless Chromium signs in and consents.

As a program it is what BROWSER names (`browser_command`). It recognises two kinds of page by their forms,
oidc-provider's sign-in and consent, and a page with one button `id="allow"`; it is done when the page of a loopback
callback says that somebody is signed in. Its log has the pages' titles: never a URL, a code or a token.

Exit codes: 0 signed in, 1 a page said otherwise or did not come in time.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

PAGE_LIMIT = 40.0  # s for the whole visit; it takes about 3 on an idle machine
POLL = 0.05  # s
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the tests may run as root in a container; only pages of this machine are visited
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    # oidc-provider's pages ask for a font from elsewhere: nothing may leave this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


def browser_command(log: Path | None = None, *, login: str = "alice", background: bool = True) -> str:
    """The value for BROWSER; with `background` the caller needn't wait for the end of the visit.

    `webbrowser` splits BROWSER at the path separator, so no path in it may contain one.
    """
    words = [sys.executable, str(Path(__file__).resolve()), "--login", login]
    words += ["--log", str(log)] if log else []
    if any(os.pathsep in word for word in words):
        raise ValueError(f"a path in BROWSER may not contain {os.pathsep!r}: {words}")
    return f"{shlex.join(words)} %s{' &' if background else ''}"


def missing() -> str:
    """What isn't installed, or ""."""
    programs = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return " and ".join(programs)


class Visit:
    """One visit in a fresh profile."""

    def __init__(self, driver: webdriver.Chrome, login: str, note: Callable[[str], None]) -> None:
        self.driver = driver
        self.login = login
        self.note = note
        self._done: set[str] = set()

    def run(self, url: str, limit: float = PAGE_LIMIT) -> bool:
        """Open the URL and act on each page; whether the last one says "signed in"."""
        end = time.monotonic() + limit
        self.driver.get(url)
        title = ""
        while time.monotonic() < end:
            try:
                if title != (title := self.title()):
                    self.note(title)
                verdict = self.look()
            except WebDriverException:  # the page went away while it was read: look again
                verdict = None
            if verdict is not None:
                return verdict
            time.sleep(POLL)
        self.note("(gave up waiting)")
        return False

    def title(self) -> str:
        """The page's title, and its heading where it says more (oidc-provider gives every page one title)."""
        headings = [self.driver.title, *(element.text for element in self.find("h1"))]
        return " / ".join(dict.fromkeys(filter(None, headings)))

    def look(self) -> bool | None:
        """Act on the current page; True or False when the visit is over."""
        if urlsplit(self.driver.current_url).path.startswith("/callback"):
            text = self.driver.find_element(By.TAG_NAME, "body").text.lower()
            return "signed in" in text if text else None
        if names := self.find("input[name=login]"):
            self.once("sign-in", lambda: self.fill(names[0]))
        elif self.find("input[name=prompt][value=consent]"):
            self.once("consent", lambda: self.find("button[type=submit]")[0].click())
        elif buttons := self.find("#allow"):
            self.once("allow", buttons[0].click)
        return None

    def find(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def fill(self, name: WebElement) -> None:
        name.clear()
        name.send_keys(self.login)
        password = self.find("input[name=password]")[0]
        password.send_keys("any password will do")
        password.submit()

    def once(self, step: str, act: Callable[[], object]) -> None:
        """Submit a form once per page; the same form on another page is another step."""
        key = f"{step} {self.driver.current_url}"
        if key not in self._done:
            self._done.add(key)
            act()


def visit(url: str, *, login: str, note: Callable[[str], None]) -> bool:
    """Start Chromium, sign in, end Chromium."""
    profile = tempfile.mkdtemp(prefix="visit-")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.page_load_strategy = "eager"
    # The driver is named, so that nothing is looked up or fetched for it.
    service = Service(shutil.which("chromedriver") or "/usr/bin/chromedriver", log_output=os.devnull)
    driver = None
    try:
        driver = webdriver.Chrome(options=options, service=service)
        return Visit(driver, login, note).run(url)
    finally:
        if driver is not None:
            driver.quit()
        shutil.rmtree(profile, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Sign in at the address, as a person would.")
    parser.add_argument("--login", default="alice")
    parser.add_argument("--log", type=Path, help="a file for the titles of the pages")
    parser.add_argument("url")
    given = parser.parse_args(arguments)

    def note(title: str) -> None:
        if given.log:
            with given.log.open("a", encoding="utf-8") as file:
                file.write(f"{title}\n")

    note("(visit)")
    try:
        done = visit(given.url, login=given.login, note=note)
    except WebDriverException as error:  # its text may hold the address
        note(f"(the browser failed: {type(error).__name__})")
        done = False
    note("(signed in)" if done else "(not signed in)")
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
