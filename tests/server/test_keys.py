"""The local keys and their file: made once, kept, moved aside when damaged, never readable by others."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest

from tests.requirements import require_links
from trayapp.server.keys import Keys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "keys.json"


def test_a_key_is_made_once(path: Path) -> None:
    """A key stays the same, in this run and in the next; every workload has its own; nothing else can read them."""

    keys = Keys(path)
    assert not path.exists()
    one, two = keys.key("one"), keys.key("two")

    assert one == keys.key("one") == Keys(path).key("one")
    assert one != two
    assert len(one.reveal()) >= 43  # 32 random bytes
    if sys.platform != "win32":  # where an access list says it: tests/system/test_windows_private.py
        assert 0o600 == path.stat().st_mode & 0o777
    assert one.reveal() not in repr(keys.__dict__)


def test_a_forgotten_key_is_gone(path: Path) -> None:
    """After a removal the old key is never valid again, also if the name comes back; the others stay."""

    keys = Keys(path)
    old, other = keys.key("one"), keys.key("two")
    keys.forget("one")
    keys.forget("nobody")

    assert old.reveal() not in path.read_text()
    assert old != keys.key("one")
    assert other == Keys(path).key("two")


def test_a_renamed_workload_keeps_its_key(path: Path) -> None:
    """Clients have only an address to change; the old name opens nothing. Twice is once."""

    keys = Keys(path)
    old = keys.key("one")
    for _ in range(2):
        keys.rename("one", "two")

    assert old == Keys(path).find("two")
    assert Keys(path).find("one") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[" * 100_000,
        '{"version": 2, "keys": {}}',
        '{"version": 1, "keys": {"one": ""}}',
        '{"version": 1, "keys": {"one": "short"}}',
        '{"version": 1, "keys": {"one": 7}}',
        '{"version": 1, "keys": {"one": "with space and\\r\\nmore-than-22-characters"}}',
    ],
)
def test_a_damaged_file_is_moved_aside(path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """New keys are made and kept, what was there is not thrown away, and the log says what to do."""

    path.parent.mkdir(mode=0o700)
    path.write_text(text)
    path.chmod(0o600)
    made = Keys(path).key("one")

    assert made == Keys(path).key("one")
    assert text == path.with_name("keys.json.damaged").read_text()
    assert "amberlight client-config NAME" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_a_wider_mode_is_corrected(path: Path) -> None:
    """Others lose their access to it."""

    made = Keys(path).key("one")
    path.chmod(0o644)

    assert made == Keys(path).key("one")
    assert 0o600 == path.stat().st_mode & 0o777


def test_a_link_is_neither_read_nor_written(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Keys are good for this run, and what the link points to stays as it is."""

    require_links(path.parent.parent)
    path.parent.mkdir(mode=0o700)
    other = path.with_name("other.json")
    text = json.dumps({"version": 1, "keys": {"one": "a" * 43}})
    other.write_text(text)
    path.symlink_to(other)
    keys = Keys(path)

    assert keys.key("one").reveal() != "a" * 43
    assert keys.key("one") == keys.key("one")
    assert text == other.read_text()
    assert "symbolic link" in caplog.text


def test_a_place_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Clients are served for this run; no key is in the log."""

    (tmp_path / "file").write_text("in the way")
    keys = Keys(tmp_path / "file" / "keys.json")
    with caplog.at_level(logging.DEBUG):
        made = keys.key("one")

    assert made == keys.key("one")
    assert "this run only" in caplog.text
    assert made.reveal() not in caplog.text
