"""Signs in without a browser, for tests in which the browser doesn't matter.

Submits oidc-provider's two forms over plain HTTP in a tenth of a second and follows the redirect to the loopback
callback, as Chromium would. Only addresses of this machine are followed.
"""

from __future__ import annotations

import html
import re
from urllib.parse import urljoin, urlsplit

import httpx2

STEPS = 20  # requests; two forms and their redirects are eight


def sign_in_by_forms(url: str, *, login: str = "alice", to_the_end: bool = True) -> str:
    """Sign in, consent, and return the text of the callback's page. Raises `AssertionError`.

    Unless `to_the_end`, return the callback's URL unvisited, as a person copies it from a browser on another machine.
    """
    form = None
    with httpx2.Client(trust_env=False, timeout=10) as client:
        for _ in range(STEPS):
            parts = urlsplit(url)
            if parts.path.startswith("/callback") and not to_the_end:
                return url
            assert parts.hostname in ("127.0.0.1", "localhost"), "the sign-in leads away from this machine"
            answer = client.post(url, data=form) if form else client.get(url)
            form = None
            if answer.is_redirect:
                url = urljoin(url, answer.headers["location"])
                continue
            if parts.path.startswith("/callback"):
                return answer.text
            assert answer.status_code == 200, f"{parts.path.split('/')[1]} answered {answer.status_code}"
            action = re.search(r'<form[^>]* action="([^"]+)"', answer.text)
            assert action, "a page without a form"
            url = urljoin(url, html.unescape(action[1]))
            prompt = "consent" if 'value="consent"' in answer.text else "login"
            form = {"prompt": prompt} | ({"login": login, "password": "any"} if prompt == "login" else {})
    raise AssertionError(f"no callback after {STEPS} requests")
