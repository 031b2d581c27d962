"""Handles standard output and arguments in any locale, and on a full disk."""

from __future__ import annotations

import errno
import io
import os
import sys

ENDED_BY_PIPE = 141
"""The exit status that a shell gives for SIGPIPE: the program that read the output has ended."""
INTERRUPTED = 130
"""The exit status that a shell gives for SIGINT."""
DISK_TROUBLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def write_every_character() -> None:
    """Lets characters that the locale's encoding does not have be written as `\\xe4`, instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def writes_utf8() -> bool:
    """Whether standard output takes every character as it is."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"


def typed(text: str) -> str:
    """Returns an argument as text. Bytes that the locale does not read as characters are UTF-8, or else Latin-1."""
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
    """Whether the disk of standard output is full. An error of another file names the file."""
    return error.errno in DISK_TROUBLE and error.filename is None


def give_up_stdout(error: OSError) -> str:
    """Drops the rest of the output, so that Python does not write it at its end. Returns what to report."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return f"sesq: standard output cannot be written: {error.strerror}"
