"""Reads a file again when people have changed it while the console runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

from sesq.config.errors import SettingsError

log = logging.getLogger("sesq.console")
T = TypeVar("T")


class Reread(Generic[T]):
    """The content of a file now. If it can no longer be read, its last content counts, and the log says why, once."""

    def __init__(self, file: Path | None, read: Callable[[], T]) -> None:
        """Reads the file. Raises SettingsError. Without a file, the value never changes."""
        self._file = file
        self._read = read
        self._lock = Lock()
        self._seen = _signature(file)
        self._value = read()

    @property
    def now(self) -> T:
        """Looks at the file's date, reads the file if that has changed, and returns its content."""
        seen = _signature(self._file)
        if seen == self._seen:
            return self._value
        with self._lock:
            if seen != self._seen:
                self._seen = seen
                self._take()
            return self._value

    def _take(self) -> None:
        try:
            self._value = self._read()
        except SettingsError as error:
            log.error("%s; its last content still counts", error)
        else:
            log.info("%s has changed and was read again", self._file)


def _signature(file: Path | None) -> tuple[int, ...]:
    """Returns numbers that differ if the file has changed; none if there is no file."""
    try:
        told = file.stat() if file else None
    except OSError:
        return ()
    return (told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns) if told else ()
