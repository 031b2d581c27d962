"""Keeps mail on disk while Redis is away, in a private folder that is written like a maildir.

A mail's file gets its name before Redis is asked for the first time, and its messages have idempotency keys made from
that name. So each mail is queued once, even if Redis took it and its reply was lost, or if several processes deliver.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sesq.config.errors import InvalidMessage, SettingsError
from sesq.producer.message import Message

if TYPE_CHECKING:
    from sesq.producer.outbox import Outbox

FOLDERS = ("tmp", "new", "refused")


def new_name() -> str:
    """Makes a name that no other mail has. Names sort by time."""
    return f"{time.time_ns()}.{os.getpid()}.{secrets.token_hex(4)}.{socket.gethostname().replace('/', '_')}"


def with_keys(messages: list[Message], name: str) -> list[Message]:
    """Gives messages without an idempotency key one that is made from the name of their file."""
    return [
        message if message.idempotency_key else replace(message, idempotency_key=f"spool {name} {number}")
        for number, message in enumerate(messages)
    ]


class Spool:
    """The spool of one user below `folder`. Raises SettingsError if others could read it, and any OSError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / f"spool-{os.geteuid()}"

    def __len__(self) -> int:
        """Counts the mails that wait."""
        with suppress(FileNotFoundError):
            return sum(entry.is_file(follow_symlinks=False) for entry in os.scandir(self.folder / "new"))
        return 0

    def names(self) -> list[str]:
        """Lists the names of the mails that wait, oldest first."""
        try:
            return sorted(path.name for path in (self.folder / "new").iterdir())
        except FileNotFoundError:
            return []

    def keep(self, name: str, messages: list[Message]) -> None:
        """Writes one mail; it is safely on disk when this returns."""
        self._prepare()
        partly, whole = self.folder / "tmp" / name, self.folder / "new" / name
        descriptor = os.open(partly, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write("\n".join(message.to_json() for message in messages).encode())
            file.flush()
            os.fsync(file.fileno())
        partly.rename(whole)
        _sync_folder(whole.parent)

    def deliver(self, outbox: Outbox, most: int | None = None) -> list[str]:
        """Queues what waits, at most so many mails. Returns, in words, why some could not be queued.

        Raises QueueUnavailable. Does nothing while another process delivers the spool.
        """
        names = self.names()
        if not names:
            return []
        with self._alone() as alone:
            return list(self._deliver(outbox, names, most)) if alone else []

    def _deliver(self, outbox: Outbox, names: list[str], most: int | None) -> Iterator[str]:
        left = len(names) if most is None else most
        for name in names:
            if not left:
                return
            try:
                text = _read(self.folder / "new" / name)
            except FileNotFoundError:  # delivered meanwhile
                continue
            except OSError as error:
                yield f"{name} of the spool is passed over: {error.strerror}"
                continue
            left -= 1
            if not self._queue(outbox, name, text):
                yield f"{name} of the spool was refused, and is put aside"

    def _queue(self, outbox: Outbox, name: str, text: bytes) -> bool:
        path = self.folder / "new" / name
        try:
            outbox.send_many([Message.from_json(line) for line in text.split(b"\n")])
        except InvalidMessage:
            path.rename(self.folder / "refused" / name)
            return False
        path.unlink(missing_ok=True)
        return True

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        self._prepare()
        descriptor = os.open(self.folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(descriptor)

    def _prepare(self) -> None:
        """Makes the folders. It checks whose the spool is before it makes anything in it."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            self.folder.mkdir(mode=0o700)
        seen = self.folder.lstat()
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
            raise SettingsError(f"{self.folder}: must be a folder that only its user can read (chmod 700)")
        for name in FOLDERS:
            with suppress(FileExistsError):
                (self.folder / name).mkdir(mode=0o700)


def _read(path: Path) -> bytes:
    """Reads a file. Raises OSError for anything else: it follows no link, and does not wait for a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
