"""Changing settings and workloads in the user's file, and renaming workloads."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.small_disk import small_disk
from trayapp.config import described, editor
from trayapp.config.described import SETTINGS, read_files, revision, workload_table
from trayapp.config.loader import ConfigError, Paths, load

OLD = workload_table("old")
FILE = """# my own file
[settings]   # quiet
muted = true

[workloads.old]  # keep this one
url = "https://old.example"   # here

[workloads.other]
url = "https://other.example"
"""
Change = Callable[[Paths], object]
CHANGES: list[Change] = [
    lambda paths: editor.change(paths, SETTINGS, {"port": 9000}),
    lambda paths: editor.change(paths, OLD, {"mcp": "on"}),
    lambda paths: editor.rename(paths, "old", "new"),
    lambda paths: editor.remove(paths, "old"),
    lambda paths: editor.replace_workload(paths, "old", {"url": "https://x.example"}),
    lambda paths: editor.replace_text(paths, FILE, FILE + "# more\n"),
]
WORDS = ["settings", "workload", "rename", "remove", "replace", "text"]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths.under(tmp_path)
    paths.config_file.parent.mkdir()
    paths.config_file.write_text(FILE, newline="\n")
    return paths


def test_a_setting_is_changed_and_reset(paths: Paths) -> None:
    """The rest of the file stays; what is so already changes nothing."""

    assert editor.change(paths, SETTINGS, {"port": 9000, "muted": None})
    assert (9000, False) == (load(paths, {}).settings.port, load(paths, {}).settings.muted)
    assert "# my own file\n[settings]   # quiet\nport = 9000\n" in paths.config_file.read_text()
    assert not editor.change(paths, SETTINGS, {"port": 9000})


def test_an_invalid_change_is_never_written(paths: Paths) -> None:
    """The mistake names its key."""

    with pytest.raises(ConfigError, match=r"settings\.port"):
        editor.change(paths, SETTINGS, {"port": 99999})
    with pytest.raises(ConfigError, match=r"workloads\.old: url is missing"):
        editor.change(paths, OLD, {"url": None})
    assert FILE == paths.config_file.read_text()


def test_a_change_can_fix_a_file_with_a_mistake(paths: Paths) -> None:
    """What counts is the file afterwards."""

    paths.config_file.write_text(FILE.replace("true", '"yes"'))

    assert editor.change(paths, SETTINGS, {"muted": False})
    assert not load(paths, {}).settings.muted


def test_a_workload_is_renamed(paths: Paths) -> None:
    """Its lines stay; a name that is taken or invalid is refused."""

    editor.rename(paths, "old", "new")
    assert FILE.replace("[workloads.old]", "[workloads.new]") == paths.config_file.read_text()
    with pytest.raises(editor.NameTakenError):
        editor.rename(paths, "new", "other")
    with pytest.raises(editor.EditError):
        editor.rename(paths, "new", "No Name")
    with pytest.raises(editor.EditError, match="wasn't found"):
        editor.rename(paths, "nobody", "somebody")


def test_a_site_workload_is_changed_by_the_users_own_keys(paths: Paths) -> None:
    """The site's file is nobody's to edit here."""

    paths.site_config_file.parent.mkdir()
    paths.site_config_file.write_text('[workloads.site]\nurl = "https://site.example"\n')

    editor.change(paths, workload_table("site"), {"mcp": "on"})
    assert paths.config_file.read_text().endswith('\n[workloads.site]\nmcp = "on"\n')
    assert ("https://site.example", "on") == (
        load(paths, {}).workloads["site"].url,
        load(paths, {}).workloads["site"].mcp,
    )


def test_an_edit_of_what_somebody_else_has_changed_is_refused(paths: Paths) -> None:
    """Of this table only: other tables and comments are nobody's conflict."""

    expected = revision(read_files(paths), SETTINGS)
    paths.config_file.write_text(FILE.replace("# my own", "# our own").replace("https://other", "https://another"))
    assert editor.change(paths, SETTINGS, {"port": 9000}, expected)
    with pytest.raises(editor.ChangedError):
        editor.change(paths, SETTINGS, {"port": 9001}, expected)
    assert 9000 == load(paths, {}).settings.port


def test_lines_are_replaced_as_a_whole(paths: Paths) -> None:
    """Only if they are what the person saw."""

    block = editor.workload_block(paths, "old")
    assert block == '[workloads.old]  # keep this one\nurl = "https://old.example"   # here\n'
    new = block.replace("# here", "# there")
    assert "" == editor.block_problem(paths, "old", block, new)
    assert editor.replace_block(paths, "old", block, new)
    assert FILE.replace("# here", "# there") == paths.config_file.read_text()
    with pytest.raises(editor.ChangedError):
        editor.replace_block(paths, "old", block, new)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("[workloads.old]\nurl = 'ftp://x'\n", "config.toml:6: workloads.old.url"),
        ("[workloads.old\n", "isn't valid TOML"),
        ("[workloads.new]\nurl = 'https://x.example'\n", "amberlight rename old NEW"),
        ("", "Change only"),
        ("[workloads.old]\nurl = 'https://x.example'\n[workloads.more]\nurl = 'https://y.example'\n", "Change only"),
    ],
)
def test_lines_that_are_no_entry_are_refused(paths: Paths, new: str, words: str) -> None:
    """With the line in the file, so that an editor's draft can be fixed."""

    block = editor.workload_block(paths, "old")
    assert block is not None
    assert words in editor.block_problem(paths, "old", block, new).replace("[workloads.old] here", "here")


def test_the_whole_file_is_replaced(paths: Paths) -> None:
    """Only by a valid one, and only if it is what the person saw; an emptied one is no lost one."""

    assert "settings.port" in editor.text_problem(paths, "[settings]\nport = -1\n")
    assert editor.replace_text(paths, FILE, "# nothing\n")
    with pytest.raises(editor.ChangedError):
        editor.replace_text(paths, FILE, FILE)
    assert editor.replace_text(paths, "# nothing\n", "")
    assert "[workloads]\n" == paths.config_file.read_text()


@pytest.mark.parametrize("change", CHANGES, ids=WORDS)
def test_a_read_only_file_stays_as_it_is(paths: Paths, change: Change) -> None:
    """Although it could be replaced: whoever made it read-only meant it."""

    paths.config_file.chmod(0o444)

    with pytest.raises(editor.EditError, match=r"is read-only\. To allow changes: (chmod u\+w|attrib -r) "):
        change(paths)
    assert FILE == paths.config_file.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX links")
@pytest.mark.parametrize("change", CHANGES, ids=WORDS)
def test_a_link_stays_one(paths: Paths, tmp_path: Path, change: Change) -> None:
    """People keep the file in a repository of their own."""

    real = paths.config_file.rename(tmp_path / "dotfiles.toml")
    paths.config_file.symlink_to(real)
    change(paths)

    assert paths.config_file.is_symlink()
    assert FILE != real.read_text()


@pytest.mark.parametrize("change", CHANGES[:5], ids=WORDS[:5])
def test_a_broken_file_is_not_touched(paths: Paths, change: Change) -> None:
    """Its line is named."""

    paths.config_file.write_text(FILE + "[oops\n")

    with pytest.raises(ConfigError, match=r"config\.toml:10: isn't valid TOML"):
        change(paths)
    assert FILE + "[oops\n" == paths.config_file.read_text()


@pytest.mark.parametrize("change", CHANGES, ids=WORDS)
def test_a_full_disk_loses_nothing(tmp_path: Path, change: Change) -> None:
    """The old file is still there, whole."""

    with small_disk(tmp_path / "disk") as disk:
        paths = Paths.under(tmp_path)
        paths.config_file.parent.symlink_to(disk.path)
        paths.config_file.write_text(FILE)
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            change(paths)
        assert FILE == paths.config_file.read_text()


def test_edits_at_once_are_all_kept(paths: Paths) -> None:
    """One after another, whoever makes them."""

    def edit(number: int) -> None:
        editor.change(paths, SETTINGS, {"strikes": number} if number == 1 else {})
        editor.change(paths, workload_table(f"w{number}"), {"url": f"https://w{number}.example"})

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = load(paths, {})

    assert {"old", "other", *(f"w{number}" for number in range(8))} == set(found.workloads)
    assert 1 == found.settings.policy.strikes


def test_the_mode_is_private(paths: Paths) -> None:
    """What is written is 0600."""

    editor.change(paths, SETTINGS, {"port": 1})
    if os.name == "posix":
        assert 0o600 == stat.S_IMODE(paths.config_file.stat().st_mode)


def test_rows_say_where_a_value_is_from(paths: Paths) -> None:
    """The user's file, the site's, the app's settings, the environment or the default."""

    paths.site_config_file.parent.mkdir()
    paths.site_config_file.write_text('[settings]\nport = 1\nceiling = "2h"\n')
    editor.change(paths, SETTINGS, {"port": 2, "max_tries": 9})
    files = read_files(paths)
    environ = {"TOOLHIVE_TOKEN_REFRESH_MAX_TRIES": "7", "TOOLHIVE_TOKEN_AUTH_RETRYING_TICK_INTERVAL": "nonsense"}
    rows = {row.name: row for row in described.settings_rows(files, environ)}
    own = {row.name: row for row in described.workload_rows(files, environ, "old")}

    assert (2, 1, True, "file") == (rows["port"].value, rows["port"].default, rows["port"].changed, rows["port"].source)
    assert ("2h", "site", False) == (rows["ceiling"].value, rows["ceiling"].source, rows["ceiling"].changed)
    assert (9, 7, "file") == (rows["max_tries"].value, rows["max_tries"].default, rows["max_tries"].source)
    assert ("10m", "default") == (rows["tick_interval"].value, rows["tick_interval"].source)
    assert (9, False, "settings") == (own["max_tries"].value, own["max_tries"].changed, own["max_tries"].source)
    assert ("https://old.example", True, "url") == (own["url"].value, own["url"].changed, own["url"].kind.name)
    assert (None, "default") == (own["issuer"].value, own["issuer"].source)
