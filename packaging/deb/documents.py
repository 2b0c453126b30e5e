"""The documents of the Debian package: changelog, manual page, copyright, and lintian overrides with their reasons.

Everything derives from existing texts: CHANGELOG.md, the help of the commands, the licences of the libraries. Nothing
here starts a process or reads the clock.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MAINTAINER = "The Amberlight developers <amberlight@localhost>"
LICENCES = "licences"  # where the PyInstaller spec collects them

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Amberlight
Comment: /opt/amberlight also holds Python and the libraries that
 packaging/constraints.txt names, each under its own free licence: their words
 are in /usr/share/doc/amberlight/licences.

Files: *
Copyright: 2026 The Amberlight developers
License: Apache-2.0
 On Debian systems the licence is in /usr/share/common-licenses/Apache-2.0.
"""

# Tags that a program in /opt with its own Python cannot avoid, and the reasons.
OVERRULED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("It is no part of Debian: built from its source by whoever installs it, under /opt as add-ons are.",
     ("dir-or-file-in-opt", "bogus-mail-host", "bogus-mail-host-in-debian-changelog")),
    ("Python and its libraries are brought along as they were compiled elsewhere: how they were linked and"
     " hardened is decided there.",
     ("embedded-library", "library-not-linked-against-libc", "exit-in-shared-library",
      "shared-library-lacks-prerequisites", "missing-dependency-on-libstdc++", "binary-has-unneeded-section",
      "hardening-no-bindnow", "hardening-no-fortify-functions", "hardening-no-pie",
      "spelling-error-in-binary")),
    ("Names and licences of libraries belong to their metadata; the one page is the dashboard.",
     ("extra-license-file", "package-contains-documentation-outside-usr-share-doc", "duplicate-files")),
)  # fmt: skip


def overrides() -> str:
    """The text of usr/share/lintian/overrides/amberlight."""
    return "".join(
        "".join(f"# {line}\n" for line in textwrap.wrap(reason, 76)) + "".join(f"amberlight: {tag}\n" for tag in tags)
        for reason, tags in OVERRULED
    )


def changelog(epoch: int) -> str:
    """CHANGELOG.md in Debian's form (deb-changelog(5)); `epoch` is the time of all entries, s."""
    stamp = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(epoch))
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entries = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        body = re.sub(r"^### .*$", "", body, flags=re.MULTILINE)  # Debian's form has no groups
        items = [" ".join(item.split()) for item in re.split(r"^- ", body, flags=re.MULTILINE)[1:]]
        lines = [textwrap.fill(item, 78, initial_indent="  * ", subsequent_indent="    ") for item in items]
        head = f"amberlight ({title.split()[0]}) unstable; urgency=medium"
        entries.append("\n\n".join([head, "\n".join(lines), f" -- {MAINTAINER}  {stamp}\n"]))
    return "\n".join(entries)


def manual(version: str) -> str:
    """The manual page amberlight(1): the help of every command, as shown on a terminal of 80 columns."""
    sys.path.insert(0, str(ROOT))
    from trayapp.cli.grammar import parser

    top = parser()
    subs = next(action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    words = " ".join((top.description or "").split("\n")[:1])
    parts = [
        f'.TH AMBERLIGHT 1 "" "amberlight {version}" "User Commands"',
        ".SH NAME\namberlight \\- keeps OAuth logins alive from the tray",
        f".SH DESCRIPTION\n{_roff(words)}",
        _block("COMMANDS", top.format_help()),
        *(_block(f"amberlight {name}", command.format_help()) for name, command in subs.choices.items()),
    ]
    return "\n".join(parts) + "\n"


def _block(title: str, text: str) -> str:
    """A section of preformatted lines."""
    return f'.SH "{_roff(title)}"\n.nf\n{_roff(text.rstrip())}\n.fi'


def _roff(text: str) -> str:
    """Text that roff prints literally (groff_char(7)): real hyphens, and no line that is a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("~", "\\(ti").replace("^", "\\(ha")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)
