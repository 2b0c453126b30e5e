"""Security descriptors of Windows, read and made as bytes: who owns a file, and whom its access list admits.

The formats are SECURITY_DESCRIPTOR_RELATIVE, ACL, ACE and SID of <winnt.h> ([MS-DTYP] 2.4). Nothing here calls Windows.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

FULL = 0x1F01FF  # FILE_ALL_ACCESS
DELETE, WRITE_DAC, WRITE_OWNER = 0x10000, 0x40000, 0x80000
DELETE_CHILD = 0x40
GENERIC_ALL = 0x10000000

SYSTEM = "S-1-5-18"
ADMINISTRATORS = "S-1-5-32-544"
OWNER_RIGHTS = "S-1-3-4"  # stands for the owner, whom `Descriptor.owner` names
INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"  # TrustedInstaller, which owns C:\
TRUSTED = frozenset({SYSTEM, ADMINISTRATORS, OWNER_RIGHTS, INSTALLER})  # they may do everything anyway
EVERYONE = "S-1-1-0"
# Groups that nearly every account of the machine or the domain is in.
CROWDS = frozenset({EVERYONE, "S-1-5-2", "S-1-5-4", "S-1-5-7", "S-1-5-11", "S-1-5-32-545", "S-1-5-32-546"})
_DOMAIN_CROWDS = ("513", "514")  # Domain Users and Domain Guests: S-1-5-21-…-513

_HEADER = struct.Struct("<BBHIIII")  # revision, unused, control, and where owner, group, audit and access list begin
_LIST = struct.Struct("<BBHHH")  # revision, unused, size, entries, unused
_ENTRY = struct.Struct("<BBHI")  # kind, flags, size, rights
_HAS_LIST, _PROTECTED, _RELATIVE = 0x4, 0x1000, 0x8000  # SE_DACL_PRESENT, SE_DACL_PROTECTED, SE_SELF_RELATIVE
_DAMAGED = "this isn't a security descriptor"
_ALLOWED = (0, 9)  # ACCESS_ALLOWED_ACE_TYPE, and the one with a condition
_FOR_CHILDREN = 0x3  # OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE
_CHILDREN_ONLY = 0x8  # INHERIT_ONLY_ACE


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Who owns it and who has which rights. `protected`: the directory above adds none."""

    owner: str
    rights: dict[str, int]
    protected: bool = False

    def others(self, user: str) -> dict[str, int]:
        """The rights of everybody but the user and those who may do everything anyway."""
        return {sid: rights for sid, rights in self.rights.items() if rights and sid not in {user, *TRUSTED}}

    def is_private(self, user: str) -> bool:
        """Whether it is for this user alone, who can do everything with it, and at most for the system."""
        mine = self.rights.get(user, 0)
        return bool(mine & FULL == FULL or mine & GENERIC_ALL) and set(self.rights) <= {user, SYSTEM}


def is_crowd(sid: str) -> bool:
    """Whether nearly everybody belongs to it."""
    return sid in CROWDS or (sid.startswith("S-1-5-21-") and sid.rpartition("-")[2] in _DOMAIN_CROWDS)


def parse(data: bytes) -> Descriptor:
    """A self-relative descriptor with owner and access list. Raises `ValueError` for anything else."""
    try:
        list_at, control, owner_at = _header(data)
        owner = sid_text(data, owner_at)
        if not list_at:
            return Descriptor(owner, {EVERYONE: FULL})  # no list at all admits everybody
        _, _, _, count, _ = _LIST.unpack_from(data, list_at)
        rights: dict[str, int] = {}
        at = list_at + _LIST.size
        for _ in range(count):
            kind, flags, size, mask = _ENTRY.unpack_from(data, at)
            if kind in _ALLOWED and not flags & _CHILDREN_ONLY:
                sid = sid_text(data, at + _ENTRY.size)
                rights[sid] = rights.get(sid, 0) | mask
            at += size
    except struct.error:
        raise ValueError(_DAMAGED) from None
    return Descriptor(owner, rights, bool(control & _PROTECTED))


def _header(data: bytes) -> tuple[int, int, int]:
    """Where the access list begins (0: there is none), the control bits, and where the owner begins."""
    _, _, control, owner_at, _, _, list_at = _HEADER.unpack_from(data)
    return list_at if control & _HAS_LIST else 0, control, owner_at


def list_of(data: bytes) -> bytes | None:
    """The access list of a self-relative descriptor, as it is; None if it has none."""
    try:
        list_at, _, _ = _header(data)
        if not list_at:
            return None
        _, _, size, _, _ = _LIST.unpack_from(data, list_at)
    except struct.error:
        raise ValueError(_DAMAGED) from None
    return data[list_at : list_at + size]


def sid_text(data: bytes, at: int = 0) -> str:
    """A SID as S-1-…; the one that begins at `at`."""
    revision, count = struct.unpack_from("<BB", data, at)
    authority = int.from_bytes(data[at + 2 : at + 8], "big")
    return "-".join(map(str, (f"S-{revision}", authority, *struct.unpack_from(f"<{count}I", data, at + 8))))


def sid_bytes(text: str) -> bytes:
    """The reverse of `sid_text`."""
    revision, authority, *parts = map(int, text.split("-")[1:])
    return (
        struct.pack("<BB", revision, len(parts)) + authority.to_bytes(6, "big") + struct.pack(f"<{len(parts)}I", *parts)
    )


def own_list(user: str, *, directory: bool) -> bytes:
    """An access list that admits this user alone; files in such a directory get the same."""
    sid = sid_bytes(user)
    entry = _ENTRY.pack(0, _FOR_CHILDREN if directory else 0, _ENTRY.size + len(sid), FULL) + sid
    return _LIST.pack(2, 0, _LIST.size + len(entry), 1, 0) + entry


def own_descriptor(user: str, *, directory: bool) -> bytes:
    """A descriptor for a new file or directory of this user alone, to which the directory above adds nobody."""
    sid, entries = sid_bytes(user), own_list(user, directory=directory)
    control = _HAS_LIST | _PROTECTED | _RELATIVE
    return _HEADER.pack(1, 0, control, _HEADER.size, 0, 0, _HEADER.size + len(sid)) + sid + entries
