"""The options of sendmail that callers use. What only a mail server could do is read, and has no effect."""

from __future__ import annotations

import getopt
from collections.abc import Sequence
from dataclasses import dataclass

from sesq.config.errors import InputError

FLAGS = "GIimnTtUvq"
WITH_A_VALUE = "ABCDFLNORVXbdefhopr"
MODES = {"m": "takes a mail, which is the default", "p": "lists the spool"}


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller wants. `recipients` are as given: each argument may hold several addresses."""

    recipients: tuple[str, ...] = ()
    from_headers: bool = False
    dot_ends: bool = True
    sender: str | None = None
    name: str | None = None
    deliver_spool: bool = False
    list_spool: bool = False


def parse(arguments: Sequence[str]) -> Request:
    """The command line without the program's name. Raises InputError for what sendmail does not know either."""
    try:
        pairs, recipients = getopt.gnu_getopt(
            list(arguments), FLAGS + "".join(f"{letter}:" for letter in WITH_A_VALUE)
        )
    except getopt.GetoptError as error:
        raise InputError(str(error)) from error
    given = {option[1]: value for option, value in pairs}
    mode = given.get("b", "m")
    if mode not in MODES:
        known = ", ".join(f"-b{letter} {what}" for letter, what in MODES.items())
        raise InputError(f"-b{mode} is not done here; {known}")
    return Request(
        recipients=tuple(recipients),
        from_headers="t" in given,
        dot_ends="i" not in given and ("-o", "i") not in pairs,
        sender=given.get("f", given.get("r")),
        name=given.get("F"),
        deliver_spool="q" in given,
        list_spool=mode == "p",
    )
