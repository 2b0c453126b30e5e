"""Faults at every keyring call, and a kill at every step: the newest confirmed login is always found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.vault.keyrings import Fake, FakeVault, FileVault, MacFake, WindowsFake, login
from tests.vault.kills import killed_at_every_step
from trayapp.core.model import Login
from trayapp.engine.ports import StoredLogin
from trayapp.vault.login_store import LoginStore
from trayapp.vault.slots import WINDOWS_LIMIT, RefusalError

NAME = "gh"


class Killed(BaseException):
    """The process died here: no `except Exception` sees it."""


FAULT = st.sampled_from(
    ["none", "raise before", "raise after", "stale", "killed before", "killed after", "killed inside"]
)
AT = st.integers(0, 14)
SIZE = st.sampled_from([0, 1500, 4000])


class TwoSlots(RuleBasedStateMachine):
    """Stores, candidates and acceptances with one fault each; every crash is followed by a fresh start."""

    fake: Fake
    limit: int | None

    def __init__(self) -> None:
        super().__init__()
        self.vault = FakeVault(self.fake_type()(), limit=self.limit)
        self.cabinet = LoginStore("inst")
        self.generation = 0
        self.confirmed: Login | None = None
        self.later: list[Login] = []  # stores of which nobody knows how they ended
        self.candidate: Login | None = None  # stored and confirmed, not yet accepted

    @classmethod
    def fake_type(cls) -> type[Fake]:
        raise NotImplementedError

    def next(self, size: int, lineage: str) -> Login:
        self.generation += 1
        return login(self.generation, size=size, lineage=lineage)

    def attempt(self, fault: str, at: int, work: Callable[[], None]) -> bool:
        """Whether `work` came to its end, with `fault` at its call number `at`."""
        calls = {"count": 0, "inside": 0}
        history: dict[str, list[str | None]] = {}

        def before(what: str, service: str) -> None:
            if calls["count"] == at and fault == "raise before":
                raise OSError("before")
            if calls["count"] == at and fault == "killed before":
                raise Killed
            history.setdefault(service, []).append(self.vault.backend.get_password(service, NAME))

        def after(what: str, service: str) -> None:
            calls["count"] += 1
            if calls["count"] == at + 1 and fault == "raise after":
                raise OSError("after")
            if calls["count"] == at + 1 and fault == "killed after":
                raise Killed

        def reading(service: str, value: str | None) -> str | None:
            return history[service][0] if calls["count"] == at and fault == "stale" else value

        def inside(what: str) -> None:
            if fault == "killed inside" and calls["inside"] == at % 4:
                raise Killed
            calls["inside"] += 1

        self.vault.before, self.vault.after, self.vault.reading = before, after, reading
        self.vault.backend.step = inside
        try:
            work()
        except OSError:
            return False
        except Killed:
            self.cabinet = LoginStore("inst")
            return False
        except RefusalError:
            return False
        finally:
            quiet = FakeVault(self.vault.backend)
            self.vault.before, self.vault.after, self.vault.reading = quiet.before, quiet.after, quiet.reading
            self.vault.backend.step = lambda what: None
        return True

    @rule(fault=FAULT, at=AT, size=SIZE)
    def rotate(self, fault: str, at: int, size: int) -> None:
        """A refresh brought a new token."""
        new = self.next(size, "line")
        if self.attempt(fault, at, lambda: self.cabinet.write(self.vault, NAME, new, candidate=False)):
            self.confirmed, self.later = new, []
        else:
            self.later.append(new)
        self.candidate = None  # its slot may have been taken

    @precondition(lambda self: self.later)
    @rule()
    def repeat(self) -> None:
        """The engine tries the newest unconfirmed store again, and it works."""
        newest = self.later[-1]
        assert self.attempt("none", 0, lambda: self.cabinet.write(self.vault, NAME, newest, candidate=False))
        self.confirmed, self.later, self.candidate = newest, [], None

    @rule(fault=FAULT, at=AT, size=SIZE)
    def sign_in(self, fault: str, at: int, size: int) -> None:
        """A candidate is stored."""
        new = self.next(size, "new")
        stored = self.attempt(fault, at, lambda: self.cabinet.write(self.vault, NAME, new, candidate=True))
        self.candidate = new if stored else None

    @precondition(lambda self: self.candidate)
    @rule(bump=st.booleans(), fault=FAULT, at=AT)
    def accept(self, fault: str, at: int, bump: bool) -> None:
        """The candidate becomes the login, under its own generation or a later one."""
        assert self.candidate is not None
        new = self.candidate
        if bump:
            self.generation += 1
            new = replace(new, generation=self.generation)
        if self.attempt(fault, at, lambda: self.cabinet.write(self.vault, NAME, new, candidate=False)):
            self.confirmed, self.later = new, []
        else:
            self.later.append(new)
        self.candidate = None

    @rule()
    def restart(self) -> None:
        """A new run knows nothing of the one before."""
        self.cabinet = LoginStore("inst")

    @invariant()
    def the_newest_confirmed_login_is_there(self) -> None:
        """Or a newer one that was being written; never an older one, never nothing."""
        for cabinet in (LoginStore("inst"), self.cabinet):
            found = cabinet.load(self.vault, NAME)
            allowed = [self.confirmed, *self.later]
            assert found.login in allowed, (found, allowed)
            if self.candidate is not None:
                assert self.candidate == found.candidate
            else:
                assert found.candidate is None or found.candidate.lineage == "new"


class OnWindows(TwoSlots):
    """Parts, and a set that writes the old value aside first."""

    limit = WINDOWS_LIMIT

    @classmethod
    def fake_type(cls) -> type[Fake]:
        return WindowsFake


class OnMac(TwoSlots):
    """One entry, and a set that deletes first."""

    limit = None

    @classmethod
    def fake_type(cls) -> type[Fake]:
        return MacFake


STATEFUL = settings(max_examples=60, stateful_step_count=12, deadline=None)
TestOnWindows = OnWindows.TestCase
TestOnWindows.settings = STATEFUL
TestOnMac = OnMac.TestCase
TestOnMac.settings = STATEFUL

# --- SIGKILL ---------------------------------------------------------------------------------------------------------


def _prepare(directory: Path, limit: int | None, what: str) -> None:
    directory.mkdir()
    vault, cabinet = FileVault(directory, limit), LoginStore("inst")
    cabinet.write(vault, NAME, login(1, size=2500), candidate=False)
    cabinet.write(vault, NAME, login(2, size=2500), candidate=False)
    if what == "accept":
        cabinet.write(vault, NAME, login(3, size=2500, lineage=what), candidate=True)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@pytest.mark.parametrize("what", ["rotation", "candidate", "accept"])
@pytest.mark.parametrize("limit", [None, WINDOWS_LIMIT], ids=["one entry", "parts"])
def test_a_kill_at_any_step_leaves_a_valid_login(tmp_path: Path, limit: int | None, what: str) -> None:
    """SIGKILL before and after every call of a store: what is loaded is the old login or the new one, whole."""

    _prepare(tmp_path / "before", limit, what)
    act = f'store.write(vault, "{NAME}", login(3, size=2500, lineage="{what}"), candidate={what == "candidate"})'
    times = killed_at_every_step(tmp_path, limit, act)
    found = [LoginStore("inst").load(FileVault(tmp_path / str(at), limit), NAME) for at in range(times)]
    old, new = login(2, size=2500), login(3, size=2500, lineage=what)

    assert times > (10 if limit else 5)
    assert all(each.login in (old, new) for each in found)
    assert (StoredLogin(old, new) if what == "accept" else StoredLogin(old)) == found[0]
    assert (StoredLogin(old, new) if what == "candidate" else StoredLogin(new)) == found[-1]
