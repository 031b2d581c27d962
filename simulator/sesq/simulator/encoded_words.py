"""Decodes encoded words (RFC 2047), `=?utf-8?q?Gr=C3=BC=C3=9Fe?=`, in Subject and in file names."""

from __future__ import annotations

import re
from email.errors import MessageError
from email.header import decode_header

# Python's decoder gets single words only: a long header of words that do not end takes it hours.
_WORD = re.compile(r"=\?[^?\s]{1,80}\?[bq]\?[^?]*\?=", re.IGNORECASE)
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")


def readable(value: str) -> str:
    """Decodes the encoded words of a value. A word that is broken stays as it is."""
    return _WORD.sub(_decoded, _BETWEEN_WORDS.sub("", value)) if "=?" in value else value


def _decoded(word: re.Match[str]) -> str:
    try:
        return "".join(_text(*piece) for piece in decode_header(word[0]))
    except (ValueError, MessageError):
        return word[0]


def _text(piece: str | bytes, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    try:
        return piece.decode(charset or "latin-1", "replace")
    except LookupError:
        return piece.decode("latin-1")
