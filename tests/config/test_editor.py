"""Adding and removing workloads in the user's configuration file."""

from __future__ import annotations

import stat
import sys
import threading
from pathlib import Path

import pytest

from trayapp.config import editor
from trayapp.config.loader import ConfigError, Paths, load

KEYS = {"url": "https://x.example/mcp", "issuer": "https://login.example", "client_id": "c", "scopes": ("a", "b")}
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

    with pytest.raises(editor.EditError, match="amberlight remove old"):
        editor.add(paths, "old", KEYS)
    assert FILE == paths.config_file.read_text()


def test_a_bad_entry_is_never_written(paths: Paths) -> None:
    """An entry that the configuration would refuse is refused before the file is touched."""

    given_file(paths)

    with pytest.raises(ConfigError) as caught:
        editor.add(paths, "x", KEYS | {"url": "http://x.example"})
    assert "workloads.x.url: must begin with https://" in str(caught.value)
    assert FILE == paths.config_file.read_text()


def test_a_damaged_file_is_not_touched(paths: Paths) -> None:
    """A file that cannot be read as TOML is neither added to nor removed from, and its line is named."""

    given_file(paths, "[settings\n")

    for change in (lambda: editor.add(paths, "x", KEYS), lambda: editor.remove(paths, "x")):
        with pytest.raises(ConfigError, match=r"config\.toml:1: is not TOML"):
            change()
    assert "[settings\n" == paths.config_file.read_text()


def test_a_link_stays_a_link(paths: Paths, tmp_path: Path) -> None:
    """People keep such files elsewhere and link to them; the link's target is what changes."""

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

    assert not editor.in_site_file(paths, "old")

    paths.site_config_file.parent.mkdir(parents=True)
    paths.site_config_file.write_text(FILE)

    assert editor.in_site_file(paths, "old")
    assert not editor.in_site_file(paths, "x")


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
