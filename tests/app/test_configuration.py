"""The configuration of the running program: what is changed is seen at once, and what is lost changes nothing."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.test_runtime import CONFIG, Program
from tests.engine.engines import login_of
from tests.hanging import hanging_mount
from trayapp.app import configuration
from trayapp.cli.client import ApiError
from trayapp.oauthtest import OAuthServer
from trayapp.system.worker import Worker

pytestmark = pytest.mark.linux("inotify and POSIX files")

AT_ONCE = 5.0  # s on a busy machine; without inotify it would be up to 30 s


@pytest.fixture
def program(tmp_path: Path, server: OAuthServer) -> Iterator[Program]:
    """Running, with one workload that is signed in."""
    program = Program(tmp_path)
    program.write(CONFIG.format(port=0, server=server))
    program.keystore._logins["one"] = login_of(server)
    with program:
        program.becomes("running ok")
        yield program


def names(program: Program) -> list[str]:
    return sorted(program.last.workloads)


def becomes_at_once(program: Program, wanted: list[str]) -> None:
    end = time.monotonic() + AT_ONCE
    while names(program) != wanted:
        assert time.monotonic() < end, f"{names(program)} instead of {wanted}: {program.last.warnings}"
        time.sleep(0.01)


def warned(program: Program, words: str) -> None:
    program.until(lambda: any(words in each for each in program.last.warnings), words)


def in_place(file: Path, text: str) -> None:
    """nano, and `echo >`."""
    file.write_text(text)


def slowly(file: Path, text: str) -> None:
    """A program that writes in steps, longer than anybody would wait; half a file is valid, too."""
    with file.open("w") as stream:
        stream.flush()
        time.sleep(1.5)
        stream.write(text)


def by_rename(file: Path, text: str) -> None:
    """VS Code's atomic save, GNOME Text Editor, sed -i."""
    draft = file.with_name(".draft")
    draft.write_text(text)
    draft.replace(file)


def like_vim(file: Path, text: str) -> None:
    """The old file becomes the backup, a new one is written, the backup goes."""
    backup = file.with_name(f"{file.name}~")
    file.rename(backup)
    file.write_text(text)
    backup.unlink()


def like_git(file: Path, text: str) -> None:
    """Removed, and made anew after a while."""
    file.unlink()
    time.sleep(0.3)
    file.write_text(text)


def by_another_directory(file: Path, text: str) -> None:
    """The whole directory is replaced."""
    new = file.parent.with_name("new")
    shutil.copytree(file.parent, new)
    (new / file.name).write_text(text)
    old = file.parent.with_name("old")
    file.parent.rename(old)
    new.rename(file.parent)
    shutil.rmtree(old)


def by_hard_link(file: Path, text: str) -> None:
    """A file that is not written but appears."""
    other = file.with_name("other")
    other.write_text(text)
    file.unlink()
    os.link(other, file)
    other.unlink()


WAYS = (in_place, slowly, by_rename, like_vim, like_git, by_another_directory, by_hard_link)


@pytest.mark.parametrize("change", WAYS, ids=[way.__name__ for way in WAYS])
def test_a_change_is_seen_at_once(program: Program, change: Callable[[Path, str], None]) -> None:
    """However the editor saves: no command, no pass of the engine is needed; the login of what is gone stays."""

    text = program.paths.config_file.read_text()
    change(program.paths.config_file, text.replace("[workloads.one]", "[workloads.two]"))
    becomes_at_once(program, ["two"])
    assert () == program.last.warnings
    change(program.paths.config_file, text)
    becomes_at_once(program, ["one"])
    assert "one" in program.keystore._logins


def test_a_file_behind_links_is_watched_where_it_is(program: Program, tmp_path: Path) -> None:
    """A dotfile manager's links, relative and of directories: the target written, a link re-pointed, also in between."""

    file = program.paths.config_file
    text = file.read_text()
    first, second = text.replace("workloads.one", "workloads.first"), text.replace("workloads.one", "workloads.second")
    for name, content in (("first", first), ("second", second)):
        (tmp_path / "store" / name).mkdir(parents=True)
        (tmp_path / "store" / name / "amberlight.toml").write_text(content)
    (tmp_path / "current").symlink_to("store/first")

    link = file.with_name(".link")
    link.symlink_to("../current/amberlight.toml")
    link.replace(file)
    becomes_at_once(program, ["first"])

    swap = tmp_path / ".swap"
    swap.symlink_to("store/second")
    swap.replace(tmp_path / "current")
    becomes_at_once(program, ["second"])

    (tmp_path / "store" / "second" / "amberlight.toml").write_text(text)
    becomes_at_once(program, ["one"])
    by_rename(tmp_path / "store" / "second" / "amberlight.toml", first)
    becomes_at_once(program, ["first"])


def test_the_site_file_is_seen_when_it_appears(program: Program) -> None:
    """Although its directory did not exist before."""

    site = program.paths.site_config_file
    site.parent.mkdir(parents=True)
    site.write_text("[workloads.company]\nurl = 'https://c.example'\nissuer = 'https://i.example'\n")
    becomes_at_once(program, ["company", "one"])


def rename_away(file: Path) -> Callable[[], object]:
    aside = file.with_name("aside")
    file.rename(aside)
    return lambda: aside.rename(file)


def directory_away(file: Path) -> Callable[[], object]:
    aside = file.parent.with_name("aside")
    file.parent.rename(aside)
    return lambda: aside.rename(file.parent)


def dangling_link(file: Path) -> Callable[[], object]:
    aside = file.with_name("aside")
    file.rename(aside)
    file.symlink_to("nowhere")

    def back() -> None:
        aside.replace(file)

    return back


def emptied(file: Path) -> Callable[[], object]:
    """As an editor leaves it that met a full disk."""
    text = file.read_text()
    file.write_text("")
    return lambda: file.write_text(text)


def pipe(file: Path) -> Callable[[], object]:
    aside = file.with_name("aside")
    file.rename(aside)
    os.mkfifo(file)
    return lambda: aside.replace(file)


def directory(file: Path) -> Callable[[], object]:
    aside = file.with_name("aside")
    file.rename(aside)
    file.mkdir()

    def back() -> None:
        file.rmdir()
        aside.rename(file)

    return back


LOSSES = {
    "renamed away": (rename_away, "is missing"),
    "directory away": (directory_away, "is missing"),
    "dangling link": (dangling_link, "is a link to nowhere, which doesn't exist"),
    "emptied": (emptied, "is empty"),
    "pipe": (pipe, "it's a named pipe"),
    "directory": (directory, "it's a directory"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_file_that_is_lost_for_a_moment_loses_nothing(program: Program, server: OAuthServer, loss: str) -> None:
    """The last good configuration stays in force, that is said, and it is over when the file is back."""

    lose, words = LOSSES[loss]
    back = lose(program.paths.config_file)
    warned(program, words)
    (warning,) = program.last.warnings
    assert str(program.paths.config_file) in warning
    assert "Amberlight keeps using the last valid configuration." in warning
    assert warning == program.last.outdated
    assert not program.client.reload()["ok"]
    assert ("running ok", "") == (program.status(), program.last.broken)
    assert program.client.token("one", 0)["access_token"]
    back()
    program.until(lambda: not program.last.warnings, "no warning")
    assert "" == program.last.outdated
    assert (["one"], "running ok") == (names(program), program.status())
    assert 1 == server.count("token")


def test_nothing_is_added_beside_a_file_that_is_missing(program: Program) -> None:
    """It would be made anew with that workload alone, and all others would be dropped."""

    back = rename_away(program.paths.config_file)
    with pytest.raises(ApiError, match="is missing"):
        program.client.request("POST", "/api/v1beta/workloads", {"name": "two", "url": "https://two.example/mcp"})
    assert not program.paths.config_file.exists()
    back()
    program.until(lambda: not program.last.warnings, "no warning")
    program.client.request("POST", "/api/v1beta/workloads", {"name": "two", "url": "https://two.example/mcp"})
    becomes_at_once(program, ["one", "two"])


def test_all_may_be_taken_out_by_hand(program: Program) -> None:
    """A file that says so in words is no mistake."""

    program.write("[workloads]\n")
    becomes_at_once(program, [])
    assert () == program.last.warnings


def test_a_share_that_is_gone_stops_nobody(
    tmp_path: Path, server: OAuthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program answers and ends; only one thread hangs, however often it looks; when the share is back all is well."""

    monkeypatch.setattr(configuration, "Worker", lambda name, _: Worker(name, 0.3))
    program = Program(tmp_path)
    text = CONFIG.format(port=0, server=server)
    program.write(text)
    program.keystore._logins["one"] = login_of(server)
    share = tmp_path / "share"
    share.mkdir()
    (share / "config.toml").write_text(text)
    program.paths.config_file.unlink()
    program.paths.config_file.symlink_to(share / "config.toml")
    with program:
        program.becomes("running ok")
        with hanging_mount(share):
            threads = threading.active_count()
            for _ in range(5):
                began = time.monotonic()
                answer = program.client.reload()
                assert "isn't responding" in answer["errors"][0]
                assert time.monotonic() - began < 2
                assert ["one"] == [row["name"] for row in program.client.workloads()]
            warned(program, "isn't responding")
            assert "running ok" == program.status()
            assert threading.active_count() <= threads + 1
        program.until(lambda: program.client.reload()["ok"], "the share to be back")
        program.until(lambda: not program.last.warnings, "no warning")
        mount = hanging_mount(share)
        mount.__enter__()
        began = time.monotonic()
    assert time.monotonic() - began < 10
    mount.__exit__(None, None, None)
    assert 0 == program.code
