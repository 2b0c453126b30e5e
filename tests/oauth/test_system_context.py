"""The TLS context of OAuth requests, and what making it loads."""

from __future__ import annotations

import subprocess
import sys

MADE = """
import ssl, sys
from trayapp.oauth.system_context import system_context

context = system_context()
print(context.verify_mode == ssl.CERT_REQUIRED, context.check_hostname)
print(*(name for name in sys.modules if name.startswith("httpcore2._sync.")))
import httpx2
try:
    httpx2.get("http://127.0.0.1:9/", trust_env=False)
except httpx2.ConnectError:
    print("tried")
"""


def test_the_half_of_httpcore_that_blocks_is_loaded_by_its_first_use() -> None:
    """The app doesn't use it; who does, gets it."""

    done = subprocess.run([sys.executable, "-c", MADE], capture_output=True, text=True, check=True)

    assert ["True True", "", "tried"] == done.stdout.splitlines()
