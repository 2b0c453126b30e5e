"""The fake browser that BROWSER names on a desk: it follows the URL and its redirects, and logs each visit.

The server of these tests consents automatically, so there is no page to fill in. The log holds no URL, as it contains a
secret.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from trayapp.oauthtest import browse


def command(log: Path) -> str:
    """The value for BROWSER. `webbrowser` splits it at the path separator, so no path in it may hold one."""
    words = [sys.executable, "-m", "tests.desktop.fake_browser", str(log)]
    assert not any(os.pathsep in word for word in words), words
    return f"{shlex.join(words)} %s &"


def visits(log: Path) -> list[str]:
    """The visits so far, two lines each: "came" and the HTTP status of the last page."""
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def main(log: Path, url: str) -> None:
    with log.open("a", encoding="utf-8") as lines:
        lines.write("came\n")
        lines.flush()
        lines.write(f"{browse(url)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
