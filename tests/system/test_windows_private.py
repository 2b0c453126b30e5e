"""The rules for privacy on Windows, over a made-up file system with owners and access lists."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from trayapp.system.not_private import NotPrivateError
from trayapp.system.windows_acl import DELETE, EVERYONE, FULL, SYSTEM, WRITE_DAC, Descriptor
from trayapp.system.windows_private import WindowsPrivacy

USER, OTHER, COLLEAGUES = "S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1002", "S-1-5-21-1-2-3-2000"
ADMINISTRATORS, USERS, AUTHENTICATED = "S-1-5-32-544", "S-1-5-32-545", "S-1-5-11"
MODIFY, READ = 0x1301BF, 0x1200A9
MINE = Descriptor(USER, {USER: FULL, SYSTEM: FULL, ADMINISTRATORS: FULL})
OURS = Descriptor(USER, {USER: FULL}, protected=True)


class Disk:
    """A `Security` of what it was told; anything else is a failure. `keeps` says whether lists can be set."""

    def __init__(self, found: dict[Path, Descriptor], *, keeps: bool = True) -> None:
        self.found = found
        self.links: dict[Path, Descriptor] = {}
        self.keeps = keeps
        self.protected: list[tuple[Path, bool]] = []

    def user(self) -> str:
        return USER

    def read(self, path: Path, *, follow: bool = True) -> Descriptor:
        return self.found[path] if follow else self.links.get(path, self.found[path])

    def read_descriptor(self, descriptor: int) -> Descriptor:
        return self.found[Path(str(descriptor))]

    def protect(self, path: Path, *, directory: bool) -> None:
        self.protected.append((path, directory))
        if self.keeps:
            self.found[path] = Descriptor(self.found[path].owner, {USER: FULL}, protected=True)

    def copy(self, source: Path, target: Path) -> None:
        raise AssertionError("nothing is copied here")

    def make_directory(self, path: Path) -> None:
        path.mkdir()
        self.found[path] = OURS

    def make_file(self, path: Path) -> None:
        path.touch(exist_ok=False)
        self.found[path] = OURS


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def test_a_directory_is_taken_from_administrators_silently(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a profile looks like is no news for anybody; afterwards it is left alone."""

    disk = Disk({home: MINE})
    WindowsPrivacy(disk).make_directory(home)
    WindowsPrivacy(disk).make_directory(home)
    assert [(home, True)] == disk.protected
    assert [] == caplog.records


def test_a_directory_that_others_could_read_is_logged(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody may have read it, so the log says who could."""

    disk = Disk({home: Descriptor(USER, {USER: FULL, USERS: READ, OTHER: MODIFY})})
    with caplog.at_level(logging.WARNING):
        WindowsPrivacy(disk).make_directory(home)
    assert [f"{home} was accessible to others ({OTHER}, {USERS}); now it admits its user only."] == caplog.messages


def test_missing_directories_are_made_private_from_the_top(tmp_path: Path) -> None:
    """So that nobody can move away the one above ours."""

    disk = Disk({tmp_path: MINE})
    WindowsPrivacy(disk).make_directory(tmp_path / "a" / "b" / "c")
    assert {tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"} == disk.found.keys() - {tmp_path}
    assert [] == disk.protected


def test_a_directory_needs_the_protection_a_file_doesnt(home: Path) -> None:
    """An unprotected directory gets more entries when the one above it changes; a file in a protected one doesn't."""

    (file := home / "keys.json").touch()
    disk = Disk({home: Descriptor(USER, {USER: FULL}), file: Descriptor(USER, {USER: FULL})})
    privacy = WindowsPrivacy(disk)
    privacy.make_directory(home)
    privacy.restrict_file(file)
    assert [(home, True)] == disk.protected


@pytest.mark.parametrize("owner", [OTHER, COLLEAGUES, EVERYONE])
def test_what_another_user_owns_is_refused(home: Path, owner: str) -> None:
    """An owner can give themselves every right again."""

    theirs = Descriptor(owner, {USER: FULL}, protected=True)
    (file := home / "state.db").touch()
    privacy = WindowsPrivacy(disk := Disk({home: theirs, home.parent: MINE, file: theirs}))
    with pytest.raises(NotPrivateError, match=r"state belongs to another user\. Choose a directory of your own\."):
        privacy.check_directory(home)
    with pytest.raises(NotPrivateError, match=r"state\.db belongs to another user\. Remove it"):
        privacy.restrict_file(file)
    assert [] == disk.protected


def test_what_an_administrator_made_for_us_is_not_refused(home: Path) -> None:
    """A program that runs elevated makes files that belong to Administrators."""

    WindowsPrivacy(Disk({home: Descriptor(ADMINISTRATORS, {USER: FULL}), home.parent: MINE})).check_directory(home)


def test_a_link_of_another_user_is_refused(home: Path) -> None:
    """A junction needs no rights, and they decide where it leads."""

    disk = Disk({home: MINE, home.parent: MINE})
    disk.links[home] = Descriptor(OTHER, {USER: FULL})
    with pytest.raises(NotPrivateError, match=r"is a link that belongs to another user\. Remove it\."):
        WindowsPrivacy(disk).check_directory(home)


@pytest.mark.parametrize("rights", [FULL, MODIFY, DELETE, WRITE_DAC, 0x40])
@pytest.mark.parametrize("group", [EVERYONE, USERS, AUTHENTICATED, "S-1-5-21-1-2-3-513"])
def test_a_place_that_everybody_can_take_away_is_refused(home: Path, group: str, rights: int) -> None:
    """Whoever may rename or empty the directory above can put their own in the place of ours, there or not."""

    privacy = WindowsPrivacy(Disk({home: OURS, home.parent: Descriptor(USER, {USER: FULL, group: rights})}))
    for directory in (home, home.parent / "missing"):
        with pytest.raises(NotPrivateError) as caught:
            privacy.check_directory(directory)
        assert str(caught.value) == (
            f"{home.parent} can be changed by every user of this computer. Choose a directory of your own."
        )


@pytest.mark.parametrize("other", [{USERS: READ}, {AUTHENTICATED: 0x6}, {COLLEAGUES: FULL}, {ADMINISTRATORS: FULL}])
def test_a_place_where_others_may_only_add_is_fine(home: Path, other: dict[str, int]) -> None:
    """As C:\\ is; and whom an administrator has named has their reasons."""

    above = Descriptor(USER, {USER: FULL, **other})
    WindowsPrivacy(Disk({home: OURS, home.parent: above})).check_directory(home)


def test_everybody_may_delete_a_drive_but_nobody_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second drive gives DELETE to everybody; what is in its root is safe all the same."""

    root = Path(Path.cwd().anchor)
    missing = root / "no such directory of ours"
    WindowsPrivacy(Disk({root: Descriptor(ADMINISTRATORS, {AUTHENTICATED: MODIFY})})).check_directory(missing)


def test_a_drive_without_permissions_is_refused(home: Path) -> None:
    """FAT takes an access list and forgets it; only reading it back shows that."""

    disk = Disk({home: Descriptor(EVERYONE, {EVERYONE: FULL})}, keeps=False)
    with pytest.raises(
        NotPrivateError, match=r"its drive keeps no permissions\. Choose a directory on another drive\."
    ):
        WindowsPrivacy(disk).make_directory(home)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (MINE, ""),
        (Descriptor(ADMINISTRATORS, {ADMINISTRATORS: FULL, USERS: READ}), ""),
        (Descriptor(OTHER, {USERS: READ}), "belongs to another user"),
        (Descriptor(ADMINISTRATORS, {USERS: MODIFY}), "can be changed by other users"),
        (Descriptor(USER, {USER: FULL, COLLEAGUES: READ, OTHER: READ | 0x4}), "can be changed by other users"),
    ],
)
def test_whether_others_decide_what_is_in_a_file(home: Path, found: Descriptor, said: str) -> None:
    """Reading is no harm to a configuration; writing is."""

    assert said == WindowsPrivacy(Disk({home: found})).changed_by_others(home)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (OURS, ""),
        (MINE, ""),
        (Descriptor(OTHER, {USER: FULL}), "belongs to another user"),
        (Descriptor(USER, {USER: FULL, USERS: READ}), "can be read by others"),
        (Descriptor(USER, {EVERYONE: FULL}), "can be read by others"),
    ],
)
def test_whether_an_open_file_is_to_be_trusted(found: Descriptor, said: str) -> None:
    """As `server.json` is, before its key is sent anywhere."""

    disk = Disk({Path("7"): found})
    assert said == WindowsPrivacy(disk).problem(7)
