"""advapi32 and kernel32 through ctypes: reading, setting and creating with an access list, without any judgement.

Signatures: <aclapi.h>, <securitybaseapi.h>, <fileapi.h>, <processthreadsapi.h>.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from trayapp.system import windows_acl
from trayapp.system.windows_acl import Descriptor

_OWNER_AND_LIST = 0x1 | 0x4  # OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION
_PROTECTED_LIST = 0x80000000 | 0x4  # PROTECTED_DACL_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION
_UNPROTECTED_LIST = 0x20000000 | 0x4
_FILE_OBJECT = 1  # SE_FILE_OBJECT
_READ_CONTROL, _GENERIC_WRITE = 0x20000, 0x40000000
_SHARE_ALL = 0x7  # FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE
_CREATE_NEW, _OPEN_EXISTING = 1, 3
_BACKUP_SEMANTICS, _OPEN_REPARSE_POINT = 0x2000000, 0x200000  # needed for a directory; the link, not its target
_TOKEN_QUERY, _TOKEN_USER = 8, 1
_SIZE = 0x10000  # bytes; an access list has 64 KB at most, and 100 as a rule


class Security(Protocol):
    """What `windows_private.py` calls. Everything raises `OSError`."""

    def user(self) -> str:
        """The SID of the user this process runs as."""
        ...

    def read(self, path: Path, *, follow: bool = True) -> Descriptor:
        """Owner and access list; without `follow`, those of a link itself."""
        ...

    def read_descriptor(self, descriptor: int) -> Descriptor:
        """The same of an open file, by its file descriptor."""
        ...

    def protect(self, path: Path, *, directory: bool) -> None:
        """Replace the access list by one for this user alone, whatever the directory above says."""
        ...

    def copy(self, source: Path, target: Path) -> None:
        """Give `target` the access list of `source`."""
        ...

    def make_directory(self, path: Path) -> None:
        """A new directory for this user alone, from its first moment."""
        ...

    def make_file(self, path: Path) -> None:
        """A new empty file for this user alone, from its first moment. Raises `FileExistsError` if there is one."""
        ...


@functools.cache
def load_security() -> Security:
    """The system's own calls. Raises `OSError` except on Windows."""
    if sys.platform != "win32":
        raise OSError("advapi32 and kernel32 are Microsoft's")
    search = 0x00000800  # LOAD_LIBRARY_SEARCH_SYSTEM32: not a library of that name beside a script
    return WindowsSecurity(
        ctypes.WinDLL("advapi32.dll", winmode=search, use_last_error=True),
        ctypes.WinDLL("kernel32.dll", winmode=search, use_last_error=True),
    )


class _Attributes(ctypes.Structure):
    """SECURITY_ATTRIBUTES."""

    _fields_ = (("length", ctypes.c_uint32), ("descriptor", ctypes.c_char_p), ("inherit", ctypes.c_int))


class WindowsSecurity:
    """`Security` over the two libraries. HANDLE and PSID are pointers, DWORD 32 bits, BOOL an int."""

    def __init__(self, advapi32: Any, kernel32: Any) -> None:
        pointer, dword, text, yes = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_wchar_p, ctypes.c_int
        numbers, pointers = ctypes.POINTER(dword), ctypes.POINTER(pointer)
        self._process = _typed(kernel32, "GetCurrentProcess", pointer)
        self._close = _typed(kernel32, "CloseHandle", yes, pointer)
        self._create_file = _typed(kernel32, "CreateFileW", pointer, text, dword, dword, pointer, dword, dword, pointer)
        self._create_directory = _typed(kernel32, "CreateDirectoryW", yes, text, pointer)
        self._open_token = _typed(advapi32, "OpenProcessToken", yes, pointer, dword, pointers)
        self._token = _typed(advapi32, "GetTokenInformation", yes, pointer, yes, pointer, dword, numbers)
        self._read = _typed(advapi32, "GetKernelObjectSecurity", yes, pointer, dword, pointer, dword, numbers)
        self._set = _typed(
            advapi32, "SetNamedSecurityInfoW", dword, text, yes, dword, pointer, pointer, pointer, pointer
        )
        self._set_alone = _typed(advapi32, "SetFileSecurityW", yes, text, dword, pointer)

    @functools.cached_property
    def _user(self) -> str:
        token, size = ctypes.c_void_p(), ctypes.c_uint32()
        if not self._open_token(self._process(), _TOKEN_QUERY, ctypes.byref(token)):
            raise _error()
        try:
            found = (ctypes.c_void_p * 64)()  # TOKEN_USER: a pointer to the SID, and the SID behind it
            if not self._token(token, _TOKEN_USER, found, ctypes.sizeof(found), ctypes.byref(size)):
                raise _error()
            return windows_acl.sid_text(ctypes.string_at(found[0] or 0, 68))  # SECURITY_MAX_SID_SIZE
        finally:
            self._close(token)

    def user(self) -> str:
        """See `Security`."""
        return self._user

    def read(self, path: Path, *, follow: bool = True) -> Descriptor:
        """See `Security`."""
        flags = _BACKUP_SEMANTICS | (0 if follow else _OPEN_REPARSE_POINT)
        with self._opened(path, _READ_CONTROL, _OPEN_EXISTING, flags) as handle:
            return windows_acl.parse(self._descriptor(handle, path))

    def read_descriptor(self, descriptor: int) -> Descriptor:
        """See `Security`."""
        if sys.platform != "win32":
            raise OSError("only Windows has handles")
        import msvcrt

        return windows_acl.parse(self._descriptor(msvcrt.get_osfhandle(descriptor), None))

    def protect(self, path: Path, *, directory: bool) -> None:
        """See `Security`. The first call tells what is in a directory, too; the second leaves nothing of the directory above,
        which Wine's first one does."""
        self._set_list(path, windows_acl.own_list(self._user, directory=directory), _PROTECTED_LIST)
        descriptor = windows_acl.own_descriptor(self._user, directory=directory)
        if not self._set_alone(str(path), _PROTECTED_LIST, descriptor):
            raise _error(path)

    def copy(self, source: Path, target: Path) -> None:
        """See `Security`."""
        with self._opened(source, _READ_CONTROL, _OPEN_EXISTING, _BACKUP_SEMANTICS) as handle:
            data = self._descriptor(handle, source)
        found = windows_acl.list_of(data)
        protected = windows_acl.parse(data).protected
        self._set_list(target, found, _PROTECTED_LIST if protected else _UNPROTECTED_LIST)

    def make_directory(self, path: Path) -> None:
        """See `Security`."""
        attributes = self._attributes(directory=True)
        if not self._create_directory(str(path), ctypes.byref(attributes)):
            raise _error(path)

    def make_file(self, path: Path) -> None:
        """See `Security`."""
        # A link that leads nowhere is something, too: without the flag its target would be made.
        attributes = self._attributes(directory=False)
        with self._opened(path, _GENERIC_WRITE, _CREATE_NEW, _OPEN_REPARSE_POINT, attributes):
            pass

    def _attributes(self, *, directory: bool) -> _Attributes:
        descriptor = windows_acl.own_descriptor(self._user, directory=directory)
        return _Attributes(ctypes.sizeof(_Attributes), descriptor, 0)

    def _set_list(self, path: Path, entries: bytes | None, what: int) -> None:
        if code := self._set(str(path), _FILE_OBJECT, what, None, None, entries, None):
            raise _error(path, code)

    def _descriptor(self, handle: int, path: Path | None) -> bytes:
        buffer, size = ctypes.create_string_buffer(_SIZE), ctypes.c_uint32()
        if not self._read(handle, _OWNER_AND_LIST, buffer, _SIZE, ctypes.byref(size)):
            raise _error(path)
        return buffer.raw[: size.value]

    @contextmanager
    def _opened(
        self, path: Path, rights: int, how: int, flags: int, attributes: _Attributes | None = None
    ) -> Iterator[int]:
        given = None if attributes is None else ctypes.byref(attributes)
        handle = self._create_file(str(path), rights, _SHARE_ALL, given, how, flags, None)
        if handle in (None, ctypes.c_void_p(-1).value):
            raise _error(path)
        try:
            yield handle
        finally:
            self._close(handle)


def _error(path: Path | None = None, code: int = 0) -> OSError:
    """The error of the last call, as Python's own functions raise it, with the path; its words end without a period."""
    if sys.platform != "win32":
        return OSError(code, "Windows refused a call", str(path or ""))
    code = code or ctypes.get_last_error()
    return OSError(None, ctypes.FormatError(code).strip(" .\r\n"), str(path) if path else None, code)


def _typed(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function
