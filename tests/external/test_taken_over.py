"""The record of workloads that were taken over."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.clients.files import FileError
from trayapp.external import taken_over
from trayapp.external.taken_over import Entry, Patch, Records, TakenOver

ENTRY = Entry("cursor", "/home/a/.cursor/mcp.json", "github", {"url": "http://127.0.0.1:21000/mcp"})
RECORD = TakenOver(
    "toolhive", "GitHub.1", "https://github.example/mcp", "http://127.0.0.1:21000/mcp", True, True, (ENTRY,)
)


@given(st.text(), st.text(), st.text(), st.text())
def test_a_patch_leads_back(head: str, old: str, new: str, tail: str) -> None:
    """From our text to the one before, and from no other."""

    before, after = head + old + tail, head + new + tail
    patch = Patch.between(before, after)
    assert before == patch.undone(after)
    assert patch.undone(after + "x") is None
    assert len(patch.text) <= len(old)


def test_a_patch_holds_no_more_than_what_was_replaced() -> None:
    """Neither what we wrote, nor the rest of the file."""

    patch = Patch.between('{"k": "CANARY", "url": "theirs"}', '{"k": "CANARY", "url": "ours KEY"}')
    assert "theirs" == patch.text.strip('"}')[:6]
    assert "CANARY" not in patch.text
    assert "KEY" not in patch.text


def test_kept_renamed_and_forgotten(tmp_path: Path) -> None:
    records = Records(tmp_path)
    assert records.get("github") is None
    moved = TakenOver(
        **{name: getattr(RECORD, name) for name in ("owner", "theirs", "url", "client_url", "added", "ran")},
        entries=(Entry(ENTRY.client, ENTRY.file, ENTRY.name, ENTRY.before, True, Patch("d", 1, 2, "t")),),
    )
    records.keep("github", RECORD)
    records.keep("other", moved)
    assert {"github": RECORD, "other": moved} == Records(tmp_path).all()
    records.rename("github", "hub")
    records.rename("nobody", "x")
    assert {"hub": RECORD, "other": moved} == records.all()
    records.keep("hub", None)
    records.keep("hub", None)
    assert {"other": moved} == records.all()
    if sys.platform != "win32":
        assert 0o600 == stat.S_IMODE((tmp_path / "take-overs.json").stat().st_mode)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"github": {}}', '{"github": {"owner": "toolhive"}}', "null", '"x"'])
def test_a_damaged_file_is_none(tmp_path: Path, text: str) -> None:
    """And is moved aside for the next record."""

    (tmp_path / "take-overs.json").write_text(text)
    records = Records(tmp_path)
    assert {} == records.all()
    records.keep("github", RECORD)
    assert RECORD == records.get("github")
    assert text == (tmp_path / "take-overs.json.damaged").read_text()


def test_what_a_later_version_adds_is_ignored(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.keep("github", RECORD)
    file = tmp_path / "take-overs.json"
    data = json.loads(file.read_text())
    data["github"]["more"] = data["github"]["entries"][0]["more"] = 1
    file.write_text(json.dumps(data))
    assert RECORD == records.get("github")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names it."""

    (tmp_path / "take-overs.json").mkdir()
    with pytest.raises(FileError, match=r"take-overs\.json"):
        Records(tmp_path).keep("github", RECORD)


def test_a_file_that_cannot_be_read_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ways back in it are still good; nothing is taken over meanwhile."""

    records = Records(tmp_path)
    records.keep("mine", RECORD)
    with monkeypatch.context() as patch:
        patch.setattr(taken_over, "SIZE_MAX", 8)
        with pytest.raises(FileError, match="larger than"):
            records.keep("other", RECORD)
    assert {"mine": RECORD} == records.all()
