"""Reads the options of sendmail that callers use. Options that only a mail server could obey have no effect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sesq.config.errors import InputError
from sesq.queue.addresses import shown

FLAGS = "cGIimnsTtUvx"
WITH_A_VALUE = "ABCDFLMNOQRVXbdefhopr"
ATTACHED = "Eaq"
"""Options whose value, if there is one, follows without a space: `-q15m`."""
MODES = {
    "m": "takes a mail, which is the default",
    "s": "speaks SMTP on standard input and output",
    "p": "lists the spool",
    "v": "checks addresses",
    "i": "does nothing, since there are no aliases",
}

_control = re.compile(r"[\x00-\x1f\x7f]").search


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller wants. `recipients` are as given: each argument may hold several addresses."""

    recipients: tuple[str, ...] = ()
    from_headers: bool = False
    dot_ends: bool = True
    sender: str | None = None
    name: str | None = None
    deliver_spool: bool = False
    help: bool = False
    mode: str = "m"


def parse(arguments: Sequence[str]) -> Request:
    """Reads the command line without the program's name. Raises InputError for options that sendmail does not have."""
    pairs, recipients = _split(arguments)
    given = dict(pairs)
    mode = "i" if "I" in given else given.get("b", "m")
    if mode not in MODES:
        known = ", ".join(f"-b{letter} {what}" for letter, what in MODES.items())
        raise InputError(f"-b{mode} is not supported; {known}. `sesq submission` is a mail server")
    sender, name = given.get("f", given.get("r")), given.get("F")
    for text in (*recipients, sender or "", name or ""):
        if _control(text):
            raise InputError(f"{shown(text)} contains a line break or a control character: remove it")
    return Request(
        recipients=tuple(recipients),
        from_headers="t" in given,
        dot_ends="i" not in given and ("o", "i") not in pairs,
        sender=sender,
        name=name,
        deliver_spool="q" in given,
        help="help" in given,
        mode=mode,
    )


def _split(arguments: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Splits the words into options with their values, and recipients. Python's getopt has no optional values."""
    pairs: list[tuple[str, str]] = []
    recipients: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            recipients += words
        elif word == "--help":
            pairs.append(("help", ""))
        elif word.startswith("-") and word != "-":
            pairs += _options(word[1:], words)
        else:
            recipients.append(word)
    return pairs, recipients


def _options(letters: str, words: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Yields the options of one word, with their values; a value may be the next word."""
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in FLAGS:
            yield letter, ""
        elif letter in ATTACHED or letter in WITH_A_VALUE:
            value = letters if letters or letter in ATTACHED else next(words, None)
            if value is None:
                raise InputError(f"-{letter} needs a value")
            yield letter, value
            return
        else:
            raise InputError(f"-{letter} is unknown; `sesq-sendmail --help` lists the options")
