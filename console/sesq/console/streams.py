"""Standard output and arguments, whatever the locale and however full the disk is."""

from __future__ import annotations

import errno
import io
import os
import sys

ENDED_BY_PIPE = 141
"""The exit status that a shell gives for SIGPIPE: the program that read the output has ended."""
DISK_TROUBLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def write_every_character() -> None:
    """Writes what the locale's encoding does not have as `\\xe4`, so that one character ends no list."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def writes_utf8() -> bool:
    """Whether standard output takes every character as it is."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"


def typed(text: str) -> str:
    """An argument as text: bytes that the locale does not read as characters are UTF-8, or else Latin-1."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        raw = os.fsencode(text)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def is_full_disk(error: OSError) -> bool:
    """Whether it is standard output that could not be written. Errors of files name the file."""
    return error.errno in DISK_TROUBLE and error.filename is None


def give_up_stdout(error: OSError) -> str:
    """What to report; the rest of the output is dropped, so that Python does not write it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return f"sesq: standard output cannot be written: {error.strerror}"
