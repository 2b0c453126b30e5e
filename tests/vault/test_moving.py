"""A login moves to another name: a kill at any step leaves one whole login, and repeating the move ends it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.vault.keyrings import Fake, FakeVault, FileVault, MacFake, WindowsFake, login
from tests.vault.kills import killed_at_every_step
from trayapp.core.model import Secret
from trayapp.engine.ports import StoredLogin
from trayapp.vault.client_entry import move_entry, read_entry, write_entry
from trayapp.vault.login_store import LoginStore
from trayapp.vault.slots import WINDOWS_LIMIT

LIMITS = pytest.mark.parametrize("limit", [None, WINDOWS_LIMIT], ids=["one entry", "parts"])
EMPTY = StoredLogin(None)


def filled(vault: FileVault | FakeVault, *generations: int, name: str = "old", candidate: bool = False) -> LoginStore:
    store = LoginStore("inst")
    for generation in generations:
        store.write(vault, name, login(generation, size=2500), candidate=False)
    if candidate:
        store.write(vault, name, login(generations[-1] + 1, size=2500, lineage="other"), candidate=True)
    return store


@LIMITS
@pytest.mark.parametrize("candidate", [False, True])
@pytest.mark.parametrize("generations", [(1,), (1, 2), (1, 2, 3)])
def test_a_login_moves(tmp_path: Path, limit: int | None, generations: tuple[int, ...], candidate: bool) -> None:
    """With its candidate; nothing is left under the old name, and the next rotation is stored under the new one."""

    vault = FileVault(tmp_path, limit)
    store = filled(vault, *generations, candidate=candidate)
    store.move(vault, "old", "new")
    newest = login(generations[-1], size=2500)
    waiting = login(generations[-1] + 1, size=2500, lineage="other") if candidate else None

    for each in (store, LoginStore("inst")):
        assert (EMPTY, StoredLogin(newest, waiting)) == (each.load(vault, "old"), each.load(vault, "new"))
    store.write(vault, "new", login(9), candidate=False)
    assert login(9) == LoginStore("inst").load(vault, "new").login
    assert not [name for name in os.listdir(tmp_path) if "old" in name]


@pytest.mark.parametrize("fake", [MacFake, WindowsFake])
def test_a_login_moves_in_every_kind_of_keyring(fake: type[Fake]) -> None:
    """Also in one that rewrites the neighbours of an entry."""

    vault = FakeVault(fake(), limit=WINDOWS_LIMIT if fake is WindowsFake else None)
    store = filled(vault, 1, 2)
    store.move(vault, "old", "new")

    assert (EMPTY, StoredLogin(login(2, size=2500))) == (store.load(vault, "old"), store.load(vault, "new"))


def test_moving_nothing_is_nothing(tmp_path: Path) -> None:
    """And moving twice is moving once."""

    vault = FileVault(tmp_path, None)
    store = LoginStore("inst")
    store.move(vault, "old", "new")
    assert EMPTY == store.load(vault, "new")
    filled(vault, 1)
    for _ in range(2):
        store.move(vault, "old", "new")
    assert StoredLogin(login(1, size=2500)) == store.load(vault, "new")


def test_a_move_and_back(tmp_path: Path) -> None:
    """The same run may do both."""

    vault = FileVault(tmp_path, None)
    store = filled(vault, 1, 2)
    store.move(vault, "old", "new")
    store.write(vault, "new", login(3), candidate=False)
    store.move(vault, "new", "old")

    assert (StoredLogin(login(3)), EMPTY) == (store.load(vault, "old"), store.load(vault, "new"))


def test_a_newer_login_under_the_new_name_stays(tmp_path: Path) -> None:
    """Somebody has signed in there before the keyring was unlocked: its generation is lower, and it is newer."""

    vault = FileVault(tmp_path, None)
    store = filled(vault, 7, 8)
    signed_in = login(1000, lineage="later")
    store.write(vault, "new", signed_in, candidate=False)
    store.move(vault, "old", "new")

    assert (EMPTY, StoredLogin(signed_in)) == (store.load(vault, "old"), store.load(vault, "new"))


def test_a_client_record_moves(tmp_path: Path) -> None:
    """It is at one of both places at any time."""

    vault = FileVault(tmp_path, WINDOWS_LIMIT)
    text = Secret("client" * 600)
    write_entry(vault, "s/old/client", "old", text)
    for _ in range(2):
        move_entry(vault, "s/old/client", "old", "s/new/client", "new")

    assert (None, text) == (read_entry(vault, "s/old/client", "old"), read_entry(vault, "s/new/client", "new"))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@LIMITS
@pytest.mark.parametrize("back", [False, True], ids=["on", "back"])
def test_a_kill_at_any_step_loses_nothing(tmp_path: Path, limit: int | None, back: bool) -> None:
    """SIGKILL before and after every call of a move: the newest login is there, and the move completed, or taken back,
    makes one of the names its only owner."""

    (tmp_path / "before").mkdir()
    filled(FileVault(tmp_path / "before", limit), 1, 2, candidate=True)
    times = killed_at_every_step(tmp_path, limit, 'store.move(vault, "old", "new")')
    newest, waiting = login(2, size=2500), login(3, size=2500, lineage="other")

    assert times > (40 if limit else 20)
    for at in range(times):
        vault = FileVault(tmp_path / str(at), limit)
        left = [LoginStore("inst").load(vault, name).login for name in ("old", "new")]
        assert newest in left, f"killed at step {at}"
        names = ("new", "old") if back else ("old", "new")
        LoginStore("inst").move(vault, *names)
        owner, other = LoginStore("inst").load(vault, names[1]), LoginStore("inst").load(vault, names[0])
        assert (newest, EMPTY) == (owner.login, other), f"killed at step {at}"
        assert owner.candidate in (None, waiting)
