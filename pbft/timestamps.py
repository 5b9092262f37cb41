"""The timestamps that a client has used, remembered across its restarts.

Replicas execute each timestamp of a client once: a client that came back and used one again would
be told the answer to another operation, or none. The clock alone does not prevent that, since it
may be set back. So a file beside the key holds a mark that lies above every timestamp ever used.
It is moved ahead by a block, durably, before any timestamp of that block is used.
"""

import os
from pathlib import Path

from pbft.core.errors import ConfigurationError

BLOCK = 1 << 20
"""Timestamps reserved at a time."""
MAX_TIMESTAMP = 2**62
MAX_FILE_BYTES = 32


class TimestampMark:
    """The mark in the file `path`. `first` is the first timestamp that this life may use: `now`
    (microseconds since the epoch), or the mark where that is ahead of the clock.

    Raises `ConfigurationError` where the file cannot be read or written."""

    def __init__(self, path: Path, now: int) -> None:
        self._path = path
        self.first = max(now, self._read())
        self._reserve(self.first + BLOCK)

    def keep_ahead(self, following: int) -> None:
        """Before `following`, the next timestamp, comes near the end of the block: take another.
        Raises `ConfigurationError`."""
        if following > self._reserved - BLOCK // 2:
            self._reserve(following + BLOCK)

    def _read(self) -> int:
        try:
            with self._path.open("rb") as file:
                text = file.read(MAX_FILE_BYTES)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be read: {error.strerror}") from None
        if not text.strip().isdigit() or int(text) > MAX_TIMESTAMP:
            raise ConfigurationError(
                f"{self._path} does not hold a timestamp: if this machine's clock has not been set"
                " back since this client was last used, remove the file"
            )
        return int(text)

    def _reserve(self, mark: int) -> None:
        """Under another name, synced, then in place, then the folder synced: a crash leaves the
        old mark or the new one."""
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            with fresh.open("wb") as file:
                file.write(b"%d\n" % mark)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise ConfigurationError(
                f"{self._path} cannot be written ({error.strerror}): a client notes there which"
                " timestamps it has used, so that it never uses one again; let it write there"
            ) from None
        self._reserved = mark
