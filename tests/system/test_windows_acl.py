"""Security descriptors as bytes: what Windows would make of them, on every system."""

from __future__ import annotations

import struct

import pytest

from trayapp.system.windows_acl import (
    EVERYONE,
    FULL,
    SYSTEM,
    Descriptor,
    is_crowd,
    list_of,
    own_descriptor,
    own_list,
    parse,
    sid_bytes,
    sid_text,
)

USER = "S-1-5-21-1004336348-1177238915-682003330-1001"
ADMINISTRATORS, USERS, AUTHENTICATED = "S-1-5-32-544", "S-1-5-32-545", "S-1-5-11"
MODIFY, READ = 0x1301BF, 0x1200A9


def descriptor(owner: str, *entries: tuple[int, int, int, str], control: int = 0x8004) -> bytes:
    """A self-relative descriptor; an entry is (kind, flags, rights, SID)."""
    aces = b"".join(
        struct.pack("<BBHI", kind, flags, 8 + len(sid_bytes(sid)), rights) + sid_bytes(sid)
        for kind, flags, rights, sid in entries
    )
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(aces), len(entries), 0) + aces
    return struct.pack("<BBHIIII", 1, 0, control, 20 + len(acl), 0, 0, 20) + acl + sid_bytes(owner)


def test_a_sid_as_text_and_back() -> None:
    """The authority is big-endian, everything else little-endian."""

    well_known = bytes.fromhex("01020000000000052000000020020000")  # of Microsoft's documentation
    assert "S-1-5-32-544" == sid_text(well_known)
    assert well_known == sid_bytes("S-1-5-32-544")
    for sid in (USER, EVERYONE, "S-1-16-12288", "S-1-15-3-4096"):
        assert sid == sid_text(b"xx" + sid_bytes(sid), 2)


def test_owner_rights_and_protection() -> None:
    """Who owns it, who may do what; several entries of one SID are added up."""

    data = descriptor(USER, (0, 3, READ, USERS), (0, 0, FULL, USER), (0, 0, 0x2, USERS), control=0x9004)
    assert Descriptor(USER, {USERS: READ | 0x2, USER: FULL}, protected=True) == parse(data)
    assert not parse(descriptor(USER, (0, 0, FULL, USER))).protected


def test_what_isnt_granted_here_doesnt_count() -> None:
    """A denial grants nothing, and an entry that only children inherit isn't for the directory."""

    data = descriptor(USER, (1, 0, FULL, EVERYONE), (0, 0x0B, MODIFY, AUTHENTICATED), (9, 0, READ, USERS))
    assert {USERS: READ} == parse(data).rights


@pytest.mark.parametrize("control", [0x8000, 0x8004])
def test_no_list_admits_everybody(control: int) -> None:
    """As on a drive without permissions; an empty list admits nobody."""

    data = struct.pack("<BBHIIII", 1, 0, control, 20, 0, 0, 0) + sid_bytes(USER)
    assert {EVERYONE: FULL} == parse(data).rights
    assert list_of(data) is None
    assert {} == parse(descriptor(USER)).rights


@pytest.mark.parametrize("length", [0, 4, 19, 24, 40])
def test_a_descriptor_that_is_cut_short(length: int) -> None:
    """Is an error of one kind."""

    data = descriptor(USER, (0, 0, FULL, USER))[:length]
    with pytest.raises(ValueError, match="security descriptor"):
        parse(data)


@pytest.mark.parametrize("directory", [False, True])
def test_our_own_descriptor_is_private(directory: bool) -> None:
    """It admits the user alone, is protected, and in a directory it is what files in there get, too."""

    data = own_descriptor(USER, directory=directory)
    assert Descriptor(USER, {USER: FULL}, protected=True) == parse(data)
    assert parse(data).is_private(USER)
    assert own_list(USER, directory=directory) == list_of(data)
    assert (3 if directory else 0) == data[-len(sid_bytes(USER)) - 7]


@pytest.mark.parametrize(
    ("rights", "private"),
    [
        ({USER: FULL}, True),
        ({USER: FULL, SYSTEM: FULL}, True),
        ({USER: 0x10000000}, True),  # GENERIC_ALL
        ({USER: MODIFY}, False),
        ({}, False),
        ({SYSTEM: FULL}, False),
        ({USER: FULL, ADMINISTRATORS: FULL}, False),
        ({USER: FULL, USERS: READ}, False),
        ({USER: FULL, EVERYONE: 0x20000}, False),
    ],
)
def test_private_means_the_user_and_at_most_the_system(rights: dict[str, int], private: bool) -> None:
    """Even a right to read the list is one too many."""

    assert private == Descriptor(USER, rights).is_private(USER)


def test_others_are_neither_the_user_nor_who_may_do_everything() -> None:
    """Administrators and the system can't be kept out, so nobody is warned of them."""

    found = Descriptor(USER, {USER: FULL, SYSTEM: FULL, ADMINISTRATORS: FULL, USERS: READ, EVERYONE: 0})
    assert {USERS: READ} == found.others(USER)


def test_crowds() -> None:
    """Groups of nearly everybody, here and in a domain; not a colleague, and not the domain's administrators."""

    domain = USER.rpartition("-")[0]
    assert all(map(is_crowd, (EVERYONE, USERS, AUTHENTICATED, f"{domain}-513", f"{domain}-514")))
    assert not any(map(is_crowd, (USER, ADMINISTRATORS, SYSTEM, f"{domain}-512", "S-1-5-32-513")))
