"""Adding and removing workloads in the user's configuration file."""

from __future__ import annotations

import os
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.hanging import hanging_mount
from tests.requirements import require_links
from trayapp.config import editor
from trayapp.config.loader import Config, ConfigError, Paths, load
from trayapp.system.plain_files import within

KEYS: dict[str, Any] = {
    "url": "https://x.example/mcp",
    "issuer": "https://login.example",
    "client_id": "c",
    "scopes": ("a", "b"),
}
FILE = """# my own file
[settings]   # quiet
muted = true

[workloads.old]  # keep this one
url = "https://old.example"   # here
issuer = "https://login.example"
client_id = "c"
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.under(tmp_path)


def given_file(paths: Paths, text: str = FILE) -> None:
    paths.config_file.parent.mkdir(parents=True, exist_ok=True)
    paths.config_file.write_text(text, encoding="utf-8")


def test_adds_to_no_file(paths: Paths) -> None:
    """The first workload makes the file, private, without an empty [workloads] line."""

    editor.add(paths, "x", KEYS)

    assert paths.config_file.read_text() == (
        '[workloads.x]\nurl = "https://x.example/mcp"\nissuer = "https://login.example"\nclient_id = "c"\nscopes = ["a", "b"]\n'
    )
    if sys.platform != "win32":
        assert 0o600 == stat.S_IMODE(paths.config_file.stat().st_mode)


def test_keeps_every_comment(paths: Paths) -> None:
    """Adding leaves each line that was there as it was; removing again leaves the same file."""

    given_file(paths)
    editor.add(paths, "x", KEYS)
    text = paths.config_file.read_text()

    assert text.startswith(FILE)
    assert {"old", "x"} == set(load(paths, {}).workloads)

    assert editor.remove(paths, "x")
    assert FILE.strip() == paths.config_file.read_text().strip()


def test_removes_only_what_is_named(paths: Paths) -> None:
    """Removing takes out one entry and nothing else; a second time there is nothing to remove."""

    given_file(paths)

    assert editor.remove(paths, "old")
    assert not editor.remove(paths, "old")
    assert "# my own file\n[settings]   # quiet\nmuted = true\n" in paths.config_file.read_text()
    assert {} == dict(load(paths, {}).workloads)


def test_removes_from_no_file(tmp_path: Path) -> None:
    """Without a file there is nothing to remove, and none is made."""

    paths = Paths.under(tmp_path)

    assert not editor.remove(paths, "x")
    assert not paths.config_file.exists()


def test_does_not_add_twice(paths: Paths) -> None:
    """A name that is taken is refused, with a sentence on how to free it."""

    given_file(paths)

    with pytest.raises(editor.EditError, match="amberlight edit old"):
        editor.add(paths, "old", KEYS)
    assert FILE == paths.config_file.read_text()


def test_a_bad_entry_is_never_written(paths: Paths) -> None:
    """An entry that the configuration would refuse is refused before the file is touched."""

    given_file(paths)

    with pytest.raises(ConfigError) as caught:
        editor.add(paths, "x", KEYS | {"url": "http://x.example"})
    assert "workloads.x.url: must start with https://" in str(caught.value)
    assert FILE == paths.config_file.read_text()


def test_a_damaged_file_is_not_touched(paths: Paths) -> None:
    """A file that cannot be read as TOML is neither added to nor removed from, and its line is named."""

    given_file(paths, "[settings\n")

    for change in (lambda: editor.add(paths, "x", KEYS), lambda: editor.remove(paths, "x")):
        with pytest.raises(ConfigError, match=r"config\.toml:1: isn't valid TOML"):
            change()
    assert "[settings\n" == paths.config_file.read_text()


def test_a_link_stays_a_link(paths: Paths, tmp_path: Path) -> None:
    """People keep such files elsewhere and link to them; the link's target is what changes."""

    require_links(tmp_path)
    real = tmp_path / "dotfiles" / "amberlight.toml"
    real.parent.mkdir()
    real.write_text(FILE)
    paths.config_file.parent.mkdir(parents=True)
    paths.config_file.symlink_to(real)

    editor.add(paths, "x", KEYS)

    assert paths.config_file.is_symlink()
    assert "[workloads.x]" in real.read_text()


def test_two_writers_lose_nothing(paths: Paths) -> None:
    """Programs that add at the same time wait for each other."""

    given_file(paths)
    threads = [threading.Thread(target=editor.add, args=(paths, f"w{n}", KEYS)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {"old", "w0", "w1", "w2", "w3"} == set(load(paths, {}).workloads)


def test_a_stuck_writer_is_named(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the lock is held for too long, the error names the lock file."""

    from filelock import FileLock

    monkeypatch.setattr(editor, "LOCK_LIMIT", 0.05)
    paths.state_dir.mkdir(parents=True)
    with FileLock(paths.config_lock_file), pytest.raises(editor.EditError, match=r"config\.lock"):
        editor.add(paths, "x", KEYS)


def test_knows_the_site_file(paths: Paths) -> None:
    """A workload of the site-wide file is recognised: this user cannot remove it."""

    assert frozenset() == editor.in_site_file(paths)

    paths.site_config_file.parent.mkdir(parents=True)
    paths.site_config_file.write_text(FILE)

    assert {"old"} == editor.in_site_file(paths)


def test_a_failed_write_leaves_nothing_behind(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the file cannot be replaced, it stays as it was and no half file stays beside it."""

    given_file(paths)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        editor.add(paths, "x", KEYS)

    assert ["config.toml"] == [file.name for file in paths.config_file.parent.iterdir()]
    assert FILE == paths.config_file.read_text()


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["", "mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_line_endings_and_a_mark_stay(paths: Paths, mark: bytes, end: bytes) -> None:
    """Adding and removing keep how the file was saved, down to the last byte of what was there."""

    paths.config_file.parent.mkdir(parents=True)
    given = mark + FILE.encode().replace(b"\n", end)
    paths.config_file.write_bytes(given)

    editor.add(paths, "x", KEYS)
    added = paths.config_file.read_bytes()
    assert added.startswith(given)
    assert end + b"[workloads.x]" + end + b'url = "https://x.example/mcp"' + end in added
    assert added.count(b"\n") == added.count(end)
    assert {"old", "x"} == set(load(paths, {}).workloads)

    assert editor.remove(paths, "x")
    left = paths.config_file.read_bytes()
    assert given.strip() == left.strip()
    assert left.count(b"\n") == left.count(end)


@pytest.mark.parametrize(
    "text",
    ["[settings]\nmuted = true", "workloads.a.url = 'https://a.example'\n", "[workloads]\n", "# nothing yet", ""],
)
def test_adds_to_any_layout(paths: Paths, text: str) -> None:
    """Without a line end at the end, with dotted keys, with an empty table, with a comment alone, without anything."""

    given_file(paths, text)
    editor.add(paths, "x", KEYS)
    assert paths.config_file.read_text().startswith(text)
    assert KEYS["scopes"] == load(paths, {}).workloads["x"].scopes


def test_an_inline_table_is_left_to_its_author(paths: Paths) -> None:
    """Nothing can be appended to one; the sentence says what to do."""

    text = "workloads = { a = { url = 'https://a.example' } }\n"
    given_file(paths, text)
    with pytest.raises(editor.EditError, match="Edit it by hand"):
        editor.add(paths, "x", KEYS)
    assert text == paths.config_file.read_text()


def test_any_valid_value_is_written_as_it_is(paths: Paths) -> None:
    """Quotes and backslashes in a client id; numbers and booleans."""

    keys = KEYS | {"client_id": 'a"b\\c d', "redirect_port": 8400, "require_key": sys.platform == "win32"}
    editor.add(paths, "x", keys)
    spec = load(paths, {}).workloads["x"]
    assert (keys["client_id"], 8400, keys["require_key"]) == (spec.client_id, spec.redirect_port, spec.require_key)


def test_the_last_one_removed_leaves_a_text(paths: Paths) -> None:
    """An empty file would look like one whose writing was interrupted; adding to it works."""

    editor.add(paths, "x", KEYS)
    assert editor.remove(paths, "x")
    assert "[workloads]\n" == paths.config_file.read_text()
    editor.add(paths, "y", KEYS)
    assert {"y"} == set(load(paths, {}).workloads)


@pytest.mark.alone
def test_all_or_none_are_added_in_one_write(paths: Paths) -> None:
    """Thousands take no more than a second or two; a bad one among them changes nothing, and too many are refused."""

    began = time.monotonic()
    many = {f"w{n}": {"url": f"https://{n}.example/mcp"} for n in range(3000)}
    editor.add_all(paths, many)
    assert time.monotonic() - began < 3
    assert set(many) == set(load(paths, {}).workloads)
    before = paths.config_file.read_bytes()

    with pytest.raises(ConfigError, match=r"workloads\.bad\.url"):
        editor.add_all(paths, {"good": KEYS, "bad": KEYS | {"url": "http://x.example"}})
    with pytest.raises(ConfigError, match="is larger than"):
        editor.add_all(paths, {f"v{n}": KEYS for n in range(10_000)})
    assert before == paths.config_file.read_bytes()


def test_what_an_editor_saved_meanwhile_is_not_lost(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is written."""

    given_file(paths)
    check = editor.limited_load

    def saved_meanwhile(paths: Paths, text: str | None = None) -> Config:
        if text is not None:
            given_file(paths, FILE + "# saved\n")
        return check(paths, text)

    monkeypatch.setattr(editor, "limited_load", saved_meanwhile)
    with pytest.raises(editor.EditError, match="changed by another program"):
        editor.add(paths, "x", KEYS)
    assert FILE + "# saved\n" == paths.config_file.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")
def test_a_pipe_or_a_share_that_is_gone_ends_the_edit(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sentence that names the file, and within the limit."""

    paths.config_file.parent.mkdir(parents=True)
    os.mkfifo(paths.config_file)
    edits = (
        lambda: editor.add(paths, "x", KEYS),
        lambda: editor.remove(paths, "x"),
        lambda: editor.check_editable(paths),
    )
    for edit in edits:
        with pytest.raises(ConfigError, match=r"config\.toml: can't be read: it's a named pipe"):
            edit()
    paths.config_file.unlink()
    share = paths.config_file.parent / "share"
    monkeypatch.setattr(within, "__defaults__", (0.1,))
    with hanging_mount(share):
        paths.config_file.symlink_to(share / "config.toml")
        for edit in edits:
            with pytest.raises(OSError, match="isn't responding") as caught:
                edit()
            assert str(paths.config_file) == caught.value.filename
