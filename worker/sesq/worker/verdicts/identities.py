"""Reads the identities that an answer names, and matches them with addresses."""

from __future__ import annotations

import re

from sesq.queue.identities import candidates

LISTED = re.compile(r"failed the check in region [\w-]+: *(.+)", re.IGNORECASE | re.DOTALL)
RESOURCE = re.compile(r":identity/([^\s'\"`,\]]+)")
COMMA_SEPARATED = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')
BRACKETED = re.compile(r"<([^<>]+)>")


def named_identities(text: str) -> tuple[str, ...]:
    """Returns the bare identities in SES's text, in its order, each once.

    SES lists identities that failed its check as they were given, with display names, and ends a list that it cuts
    with "...". IAM names the ARN of one identity.
    """
    listed = LISTED.search(text)
    found = map(_bare, COMMA_SEPARATED.findall(listed[1])) if listed else RESOURCE.findall(text)
    return tuple(dict.fromkeys(identity for identity in found if identity))


def _bare(entry: str) -> str:
    """Reads the address in `Ada <ada@x.org>` or ` ada@x.org...`; empty for a cut display name, or for "..."."""
    bracketed = BRACKETED.search(entry)
    address = (bracketed[1] if bracketed else entry).strip().rstrip(".")
    return address if "@" in address else ""


def means(identity: str, address: str) -> bool:
    """Whether an identity as SES names it is that address, its address without +label, its domain or a parent of it.

    The case of letters does not matter: this asks which address SES means, not whether SES would accept it.
    """
    return identity.casefold() in (name.casefold() for name in candidates(address))
