"""Where the app's directories are: moved by links, another runtime directory, cleaned away, full or read-only disks."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.app.test_runtime_process import CONFIG, Process
from tests.small_disk import small_disk
from trayapp.cli.client import ApiClient
from trayapp.oauthtest import OAuthServer

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="links and runtime directories are POSIX"),
    pytest.mark.oauth_server(check=False),
]
NOBODY = 65534


class Moved(Process):
    """A process that is asked over the address in this directory below its root."""

    place = Path("run/amberlight")

    @property
    def client(self) -> ApiClient:
        return ApiClient.find(self.root / self.place)


@pytest.fixture
def process(tmp_path: Path, server: OAuthServer) -> Moved:
    """Configured, not started."""
    process = Moved(tmp_path)
    process.config.write_text(CONFIG.format(server=server))
    return process


def listed(process: Process) -> tuple[int, bool]:
    """The exit code of `list`, and whether it names the workload."""
    done = process.run("list", "--all")
    return done.returncode, "one" in done.stdout


# --- links -----------------------------------------------------------------------------------------------------------


def test_every_directory_may_be_a_link(process: Moved) -> None:
    """Data, state, runtime and configuration on another disk: commands, history and a second start work as ever."""

    for place in ("data", "state", "run"):
        (process.root / "disk" / place).mkdir(parents=True, mode=0o755)
        (process.root / place).mkdir(exist_ok=True)
        (process.root / place / "amberlight").symlink_to(process.root / "disk" / place)
    shutil.move(process.config.parent, process.root / "disk" / "config")
    process.config.parent.symlink_to("../disk/config")
    with process:
        assert (0, True) == listed(process)
        assert "ok" == next(check.state for check in process.client.doctor().checks if check.name == "state")
        assert "already running" in process.run("run", "--no-tray").stderr
        assert 0 == process.end()
    assert {"install-id"} == {path.name for path in (process.root / "disk/data").iterdir()}
    assert (process.root / "disk/state/state.db").exists()
    assert "Traceback" not in process.output.read_text()


@pytest.mark.parametrize("place", ["data", "state", "config"])
def test_a_link_that_leads_nowhere_ends_the_start_with_a_sentence(process: Moved, place: str) -> None:
    """A disk that is not mounted yet: an empty state in its place would look like lost logins."""

    if place == "config":
        shutil.rmtree(process.config.parent)
    (process.root / place).mkdir(exist_ok=True)
    link = process.root / place / "amberlight"
    link.symlink_to("/nonexistent/disk")
    done = process.run("run", "--no-tray")
    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr == (
        f"Amberlight can't start. {link} is a symbolic link to /nonexistent/disk, which doesn't exist. "
        "Create that directory, or remove the link.\n"
    )


@pytest.mark.parametrize("what", ["data", "state", "run"])
def test_a_link_to_another_users_directory(process: Moved, what: str) -> None:
    """Refused in a sentence; in the place of the runtime directory, which nobody needs to find again, gone without."""

    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    (process.root / "theirs").mkdir()
    (process.root / what).mkdir(exist_ok=True)
    (process.root / what / "amberlight").symlink_to(process.root / "theirs")
    os.chown(process.root / "theirs", NOBODY, NOBODY)
    if what == "run":
        process.place = Path("state/amberlight/run")
        with process:
            assert (0, True) == listed(process)
            assert 0 == process.end()
        log = (process.root / "state/amberlight/log/amberlight.log").read_text()
        assert "The runtime directory can't be used" in log
    else:
        done = process.run("run", "--no-tray")
        assert (1, True) == (done.returncode, "which belongs to another user. Remove the link.\n" in done.stderr)
    assert [] == list((process.root / "theirs").iterdir())


@pytest.mark.parametrize("name", ["log/amberlight.log", "amberlight.lock"])
def test_no_file_is_written_through_a_link(process: Moved, name: str) -> None:
    """One sentence names it, and its target stays as it is."""

    link = process.root / "state/amberlight" / name
    link.parent.mkdir(parents=True)
    (process.root / "precious").write_text("precious")
    link.symlink_to(process.root / "precious")
    done = process.run("run", "--no-tray")
    assert (1, "") == (done.returncode, done.stdout)
    assert done.stderr == (
        f"Amberlight can't start. {link} is a symbolic link. Remove it: Amberlight doesn't write through links.\n"
    )
    assert (process.root / "precious").read_text() == "precious"


# --- the runtime directory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["missing", "unset", "stale"])
def test_a_command_with_another_runtime_directory_finds_the_app(process: Moved, other: str) -> None:
    """cron, `su`, ssh and another login have another one, or none; a crashed run may have left its address there."""

    with process:
        if other == "unset":
            del process.environment["XDG_RUNTIME_DIR"]
        else:
            process.environment["XDG_RUNTIME_DIR"] = str(process.root / "other")
        if other == "stale":
            assert process.process is not None
            (process.root / "other/amberlight").mkdir(parents=True, mode=0o700)
            stale = process.root / "other/amberlight/server.json"
            shutil.copy(process.root / "run/amberlight/server.json", stale)
            stale.write_text(stale.read_text().replace(f'"pid": {process.process.pid}', '"pid": 4194305'))
            stale.chmod(0o600)
        assert (0, True) == listed(process)
        assert "already running" in process.run("run", "--no-tray").stderr
        assert 0 == process.end()
    assert 3 == process.run("list").returncode


@pytest.mark.parametrize("runtime", ["missing", "theirs"])
def test_an_app_without_a_usable_runtime_directory_runs(process: Moved, runtime: str) -> None:
    """After `su` it is another user's, after a logout it is gone: commands from anywhere still find the app."""

    process.place = Path("state/amberlight/run")
    if runtime == "missing":
        process.environment["XDG_RUNTIME_DIR"] = "/proc/nonexistent"
    else:
        if os.getuid() != 0:
            pytest.skip("only root can give files away")
        (process.root / "run/amberlight").mkdir(mode=0o700)
        os.chown(process.root / "run/amberlight", NOBODY, NOBODY)
    with process:
        assert (0, True) == listed(process)
        process.environment["XDG_RUNTIME_DIR"] = str(process.root / "other")
        assert (0, True) == listed(process)
        assert 0 == process.end()
    assert not (process.root / process.place / "server.json").exists()
    assert "Traceback" not in process.output.read_text()


def test_a_running_app_is_never_called_not_running(process: Moved) -> None:
    """Its address was cleaned away, and it can't write it again at the moment: the lock still knows it."""

    with process:
        assert process.process is not None
        process.process.send_signal(signal.SIGSTOP)
        (process.root / "run/amberlight/server.json").unlink()
        done = process.run("list")
        assert (1, "") == (done.returncode, done.stdout)
        assert f"Amberlight is running (process {process.process.pid}), but can't be reached" in done.stderr
        assert "server.json is missing" in done.stderr
        process.process.send_signal(signal.SIGCONT)


def test_a_removed_runtime_directory_is_replaced(process: Moved) -> None:
    """A logout removes it for good: the address moves to the state directory, and commands follow."""

    with process:
        assert process.process is not None
        process.process.send_signal(signal.SIGSTOP)  # it would be faster than this test
        shutil.rmtree(process.root / "run")
        (process.root / "run").write_text("nobody may make one here")
        process.process.send_signal(signal.SIGCONT)
        process.place = Path("state/amberlight/run")
        process.until(process._up, "the new address")
        assert (0, True) == listed(process)
        assert 0 == process.end()
    assert 3 == process.run("list").returncode


@pytest.mark.parametrize("gone", ["state/amberlight/amberlight.lock", "state"])
def test_one_whose_lock_was_removed_is_still_the_only_one(process: Moved, gone: str) -> None:
    """Two would spend each other's refresh tokens: whoever empties the state directory often starts the app again."""

    with process:
        found = process.root / gone
        if found.is_dir():
            shutil.rmtree(found)
        else:
            found.unlink()
        for _ in range(2):
            second = process.run("run", "--no-tray")
            assert (1, True) == (second.returncode, "already running" in second.stderr)
            assert (0, True) == listed(process)
        assert -signal.SIGKILL == process.end(signal.SIGKILL)
    with process:
        assert 0 == process.end()


# --- full and read-only disks ----------------------------------------------------------------------------------------


def test_a_first_start_on_a_full_disk_names_the_file(process: Moved) -> None:
    """Without an installation id no login would be found again, so there is no start; with space there is."""

    with small_disk(process.root / "data") as disk:
        disk.fill()
        done = process.run("run", "--no-tray")
        assert (1, "") == (done.returncode, done.stdout)
        file = process.root / "data/amberlight/install-id"
        assert done.stderr == f"Amberlight can't start. {file}: No space left on device.\n"
        disk.free()
        with process:
            assert 0 == process.end()


def test_a_start_with_a_full_state_directory_serves_commands(process: Moved) -> None:
    """Only history and notes are missing; nothing that goes wrong with them ends the program."""

    with small_disk(process.root / "state") as disk:
        disk.fill()
        with process:
            assert (0, True) == listed(process)
            assert 0 == process.end()
    assert "Traceback" not in process.output.read_text()


@pytest.mark.parametrize("place", ["config", "state", "data"])
def test_a_start_on_a_read_only_disk(process: Moved, place: str) -> None:
    """A configuration that nobody may write is enough; without state there is a sentence that names the file."""

    shutil.copytree(process.config.parent, process.root / "kept")
    with small_disk(process.root / place / "amberlight", exist_ok=place == "config") as disk:
        if place == "config":
            shutil.copy(process.root / "kept/config.toml", process.config)
        disk.read_only()
        if place == "config":
            with process:
                assert (0, True) == listed(process)
                assert 0 == process.end()
        else:
            done = process.run("run", "--no-tray")
            assert (1, "") == (done.returncode, done.stdout)
            assert f"{disk.path}/" in done.stderr
            assert "Read-only file system" in done.stderr
            assert 1 == done.stderr.count("\n")


@pytest.mark.parametrize("how", ["full", "read-only"])
@pytest.mark.parametrize("place", ["config", "state"])
def test_adding_names_the_file_that_cannot_be_written(process: Moved, how: str, place: str) -> None:
    """Not only that there is no space, or that something is read-only."""

    shutil.rmtree(process.config.parent)
    with small_disk(process.root / place / "amberlight") as disk:
        process.config.parent.mkdir(parents=True, exist_ok=True)
        if how == "full":
            disk.fill()
        else:
            disk.read_only()
        done = process.run("add", "two", "https://mcp.example.com/mcp", "--no-sign-in")
        if (how, place) == ("full", "state"):
            assert 0 == done.returncode  # the lock needs no space
            return
        assert (1, "") == (done.returncode, done.stdout)
        file = process.config if place == "config" else process.root / "state/amberlight/config.lock"
        reason = "No space left on device" if how == "full" else "Read-only file system"
        assert str(file) in done.stderr
        assert reason in done.stderr
        assert [] == [path.name for path in process.config.parent.iterdir() if path.name != "filler"]
