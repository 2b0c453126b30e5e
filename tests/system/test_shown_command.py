"""Commands that people copy work in the shells of their system."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from trayapp.system.shown_command import allow_changes, quoted, shown


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("notes", "notes"),
        (r"C:\Users\zoe\.config", r"C:\Users\zoe\.config"),
        (r"C:\Users\Zoë Ångström\x", r'"C:\Users\Zoë Ångström\x"'),
        ("", '""'),
        ("a&b", '"a&b"'),
        ("it's (1)", '"it\'s (1)"'),
        ('say "x"', r'"say \"x\""'),
    ],
)
def test_on_windows_double_quotation_marks_hold_a_word_together(word: str, said: str) -> None:
    """The command processor knows no others; backslashes stay as they are."""

    assert said == quoted(word, "nt")


def test_elsewhere_a_word_is_quoted_for_posix_shells() -> None:
    """With spaces, quotes or nothing in it."""

    for word in ("notes", "a b", "it's", "", "$HOME"):
        assert [word] == shlex.split(quoted(word, "posix"))
    assert "amberlight connect claude-code --project '/a b'" == shown(
        ["amberlight", "connect", "claude-code", "--project", "/a b"], "posix"
    )


def test_the_way_to_allow_changes_is_the_systems() -> None:
    """`chmod` is nothing to Windows."""

    assert "chmod u+w '/home/zoe/my config.toml'" == allow_changes("/home/zoe/my config.toml", "posix")
    assert r'attrib -r "C:\Users\Zoë Ångström\config.toml"' == allow_changes(r"C:\Users\Zoë Ångström\config.toml", "nt")


@pytest.mark.skipif(sys.platform != "win32", reason="the command processor is Windows'")
def test_the_command_processor_reads_what_is_shown() -> None:
    """Word for word."""

    words = ["a b", "c&d", "Zoë", r"x\y", "(1)"]
    program = "import sys; sys.stdout.buffer.write('|'.join(sys.argv[1:]).encode())"
    command = shown([sys.executable, "-c", program, *words])
    done = subprocess.run(f'cmd /d /s /c "{command}"', capture_output=True, check=True)
    assert "|".join(words) == done.stdout.decode()
