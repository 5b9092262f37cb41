"""A disk under the real SQLite that loses power, fills up and fails: a SQLite VFS in Python.

`install()` puts it under every database that this process opens from then on. What SQLite writes
stays in this process until SQLite syncs that file; only then does it reach the real file, and is
synced there. So a SIGKILL, after which a page cache would still hold everything, does here what a
power cut does: whatever was not synced at that moment is gone. Nothing is assumed of the store's
settings: without its syncs, acknowledged transactions would be lost, and a test shows that.

A file `NAME.fault` beside a database, holding one word of `FAULTS`, breaks the disk from then on,
for that database and its log. Locks do nothing here: the store has one of its own.
"""

import _sqlite3
import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pbft.core.errors import PbftError

FAULTS = ("sync", "full", "short")
"""A sync fails; a write finds no room; a write stops half-way."""

OK, IOERR, NOTFOUND, FULL, CANTOPEN = 0, 10, 12, 13, 14
IOERR_SHORT_READ, IOERR_WRITE, IOERR_FSYNC, IOERR_DELETE_NOENT = (
    IOERR | detail << 8 for detail in (2, 3, 4, 23)
)
OPEN_CREATE, OPEN_DELETE_ON_CLOSE = 0x4, 0x8
SECTOR_BYTES = 4096
POWERSAFE_OVERWRITE = 0x1000
"""What SQLite assumes of a disk where it is not told otherwise."""

_P, _I, _L, _S = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_char_p
_FILE_METHODS: dict[str, tuple[Any, ...]] = {
    "xClose": (),
    "xRead": (_P, _I, _L),
    "xWrite": (_P, _I, _L),
    "xTruncate": (_L,),
    "xSync": (_I,),
    "xFileSize": (ctypes.POINTER(_L),),
    "xLock": (_I,),
    "xUnlock": (_I,),
    "xCheckReservedLock": (ctypes.POINTER(_I),),
    "xFileControl": (_I, _P),
    "xSectorSize": (),
    "xDeviceCharacteristics": (),
}
_VFS_METHODS: dict[str, tuple[Any, ...]] = {
    "xOpen": (_S, _P, _I, ctypes.POINTER(_I)),
    "xDelete": (_S, _I),
    "xAccess": (_S, _I, ctypes.POINTER(_I)),
}
_INHERITED = (
    *("xFullPathname", "xDlOpen", "xDlError", "xDlSym", "xDlClose", "xRandomness"),
    *("xSleep", "xCurrentTime", "xGetLastError", "xCurrentTimeInt64"),
)


def _type(arguments: tuple[Any, ...]) -> Any:
    return ctypes.CFUNCTYPE(_I, _P, *arguments)


class _IoMethods(ctypes.Structure):
    _fields_ = [
        ("iVersion", _I),
        *((name, _type(arguments)) for name, arguments in _FILE_METHODS.items()),
    ]


class _OpenFile(ctypes.Structure):
    """What SQLite holds of an open file: our methods, and our number for it."""

    _fields_ = [("pMethods", ctypes.POINTER(_IoMethods)), ("number", _L)]


class _Vfs(ctypes.Structure):
    _fields_ = [
        *(("iVersion", _I), ("szOsFile", _I), ("mxPathname", _I)),
        *(("pNext", _P), ("zName", _S), ("pAppData", _P)),
        *((name, _type(arguments)) for name, arguments in _VFS_METHODS.items()),
        *((name, _P) for name in _INHERITED),
    ]


class _File:
    """One open file: how SQLite sees it, and what of that has not reached the real one."""

    def __init__(self, path: Path | None, flags: int) -> None:
        self._path = path
        self._flags = flags
        self._unsynced: list[tuple[int, bytes | None]] = []
        """Writes (offset, bytes) and truncations (size, None), oldest first."""
        self.seen = bytearray()
        self._real = -1
        if path is not None:
            creating = os.O_CREAT if flags & OPEN_CREATE else 0
            self._real = os.open(path, os.O_RDWR | creating, 0o600)
            self.seen += path.read_bytes()

    def close(self) -> int:
        if self._path is not None:
            os.close(self._real)
            if self._flags & OPEN_DELETE_ON_CLOSE:
                self._path.unlink()
        return OK

    def read(self, into: int, size: int, offset: int) -> int:
        found = bytes(self.seen[offset : offset + size])
        ctypes.memmove(into, found.ljust(size, b"\0"), size)
        return OK if len(found) == size else IOERR_SHORT_READ

    def write(self, data: bytes, offset: int) -> int:
        fault = self._fault()
        if fault == "full":
            return FULL
        if fault == "short":
            self._write(data[: len(data) // 2], offset)
            return IOERR_WRITE
        self._write(data, offset)
        return OK

    def truncate(self, size: int) -> int:
        del self.seen[size:]
        self._unsynced.append((size, None))
        return OK

    def sync(self) -> int:
        if self._fault() == "sync":
            return IOERR_FSYNC
        unsynced, self._unsynced = self._unsynced, []
        if self._path is not None:
            for offset, data in unsynced:
                if data is None:
                    os.ftruncate(self._real, offset)
                else:
                    os.pwrite(self._real, data, offset)
            os.fsync(self._real)
        return OK

    def _write(self, data: bytes, offset: int) -> None:
        self.seen.extend(bytes(max(0, offset - len(self.seen))))
        self.seen[offset : offset + len(data)] = data
        self._unsynced.append((offset, data))

    def _fault(self) -> str:
        if self._path is None:
            return ""
        told = fault_file(self._path.with_name(self._path.name.removesuffix("-wal")))
        return told.read_text().strip() if told.exists() else ""


class _Disk:
    """The functions that SQLite calls; what they return are SQLite's result codes."""

    def __init__(self, methods: _IoMethods) -> None:
        self._methods = methods
        self._files: dict[int, _File] = {}
        self._number = 0

    def open(self, _: int, name: bytes | None, file: int, flags: int, told: Any) -> int:
        handle = _OpenFile.from_address(file)
        handle.pMethods = None
        try:
            opened = _File(Path(os.fsdecode(name)) if name else None, flags)
        except OSError:
            return CANTOPEN
        self._number += 1
        self._files[self._number] = opened
        handle.number = self._number
        handle.pMethods = ctypes.pointer(self._methods)
        if told:
            told[0] = flags
        return OK

    def delete(self, _: int, name: bytes, sync_directory: int) -> int:
        path = Path(os.fsdecode(name))
        try:
            path.unlink()
        except FileNotFoundError:
            return IOERR_DELETE_NOENT
        return OK

    def access(self, _: int, name: bytes, flags: int, found: Any) -> int:
        found[0] = Path(os.fsdecode(name)).exists()
        return OK

    def file(self, file: int) -> _File:
        return self._files[_OpenFile.from_address(file).number]

    def close(self, file: int) -> int:
        return self._files.pop(_OpenFile.from_address(file).number).close()

    def size(self, file: int, found: Any) -> int:
        found[0] = len(self.file(file).seen)
        return OK

    def unlocked(self, file: int, found: Any) -> int:
        found[0] = 0
        return OK


_kept: list[object] = []
"""What SQLite points at must not be collected."""


def install() -> None:
    """Be the disk of every database opened from now on. Raises `PbftError` where this Python has
    a SQLite of its own inside it, that nobody else can call."""
    if _kept:
        return
    library = ctypes.CDLL(_sqlite3.__file__)
    try:
        find, register = library.sqlite3_vfs_find, library.sqlite3_vfs_register
    except AttributeError:
        raise PbftError("the SQLite of this Python takes no disk: use one that shares it") from None
    find.restype = ctypes.POINTER(_Vfs)
    methods = _IoMethods(iVersion=1)
    disk = _Disk(methods)
    own: dict[str, Callable[..., int]] = _file_functions(disk)
    for name, arguments in _FILE_METHODS.items():
        setattr(methods, name, _type(arguments)(_guarded(own[name])))
    vfs = _Vfs.from_buffer_copy(find(None).contents)
    vfs.iVersion, vfs.szOsFile, vfs.zName = 2, ctypes.sizeof(_OpenFile), b"pbft-testing"
    own = {"xOpen": disk.open, "xDelete": disk.delete, "xAccess": disk.access}
    for name, arguments in _VFS_METHODS.items():
        setattr(vfs, name, _type(arguments)(_guarded(own[name])))
    _kept.extend((methods, disk, vfs))
    if register(ctypes.byref(vfs), 1) != OK:
        raise PbftError("SQLite does not take the disk")


def fault_file(database: Path) -> Path:
    """Where a word of `FAULTS` breaks the disk under `database`."""
    return database.with_name(database.name + ".fault")


def _file_functions(disk: _Disk) -> dict[str, Callable[..., int]]:
    return {
        "xClose": disk.close,
        "xRead": lambda f, into, size, at: disk.file(f).read(into, size, at),
        "xWrite": lambda f, data, size, at: disk.file(f).write(ctypes.string_at(data, size), at),
        "xTruncate": lambda f, size: disk.file(f).truncate(size),
        "xSync": lambda f, flags: disk.file(f).sync(),
        "xFileSize": disk.size,
        "xLock": lambda f, level: OK,
        "xUnlock": lambda f, level: OK,
        "xCheckReservedLock": disk.unlocked,
        "xFileControl": lambda f, operation, argument: NOTFOUND,
        "xSectorSize": lambda f: SECTOR_BYTES,
        "xDeviceCharacteristics": lambda f: POWERSAFE_OVERWRITE,
    }


def _guarded(function: Callable[..., int]) -> Callable[..., int]:
    """An exception of ours is an error of the disk: ctypes would make it a success."""

    def guarded(*arguments: Any) -> int:
        try:
            return function(*arguments)
        except Exception:
            return IOERR

    return guarded
