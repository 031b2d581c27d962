"""Reads files of recipients line by line: CSV with a heading, or JSON lines.

A problem of the whole file raises InvalidRows, which names the line. A problem of one row stands in its SourceRow.
"""

from __future__ import annotations

import codecs
import io
import itertools
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from sesq.config.errors import InvalidRows
from sesq.producer.batch.csv_rows import RECIPIENT, SourceRow, Wanted, read_csv
from sesq.queue.addresses import shown

MAX_LINE = 1024 * 1024
"""Bytes. A longer line means that the file is broken."""

UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
ANY = Wanted()
MAX_DEPTH = 20
"""How deep lists and objects may be nested. A worker cannot unpack nesting without end."""


def is_deeper(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Whether lists and objects are nested deeper than `levels`."""
    if not isinstance(value, (dict, list, tuple)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_deeper(each, levels - 1) for each in inner)


def read_rows(
    path: Path,
    *,
    jsonl: bool | None = None,
    encoding: str | None = None,
    wanted: Wanted = ANY,
    name: str | None = None,
) -> Iterator[SourceRow]:
    """Yields the rows of a file. Raises InvalidRows.

    `jsonl`: if it is None, the ending of the file's name decides. `wanted`: what its columns must have. `name`: what
    errors call the file; None: its path.
    """
    if jsonl is None:
        jsonl = path.suffix.lower() in JSON_SUFFIXES
    try:
        with path.open("rb") as file, closing(_lines(file, encoding)) as lines:
            yield from _json_rows(lines, wanted) if jsonl else read_csv(lines, wanted)
    except OSError as error:
        raise InvalidRows(f"{name or path}: cannot be read: {error.strerror or error}") from error
    except InvalidRows as error:
        raise InvalidRows(f"{name or path}: {error}") from error


def _lines(file: BinaryIO, encoding: str | None) -> Generator[str, None, None]:
    """Yields lines as text. The encoding is UTF-8, unless `encoding` or a byte order mark says otherwise."""
    start = file.read(2)
    file.seek(0)
    encoding = encoding or ("utf-16" if start in UTF16_BOMS else "utf-8")
    if _ends_lines_as_ascii(encoding):
        raw = _raw_lines(file)
        yield from _numbered(lambda: next(raw, b""), encoding)
        return
    text = io.TextIOWrapper(file, encoding, newline="")
    try:
        yield from _numbered(lambda: text.readline(MAX_LINE + 1), encoding)
    finally:
        text.detach()


def _ends_lines_as_ascii(encoding: str) -> bool:
    """Whether lines can be split before they are decoded. Then an error of decoding can name its line."""
    try:
        return "\r\n".encode(encoding) == b"\r\n"
    except (LookupError, ValueError) as error:
        raise InvalidRows(
            f"the encoding {shown(encoding)} is not known; give another, such as cp1252"
        ) from error


def _raw_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yields lines that end in LF, CR LF or CR alone."""
    rest = b""
    while piece := file.readline(MAX_LINE + 1):
        if not rest and piece.endswith(b"\n") and b"\r" not in piece[:-2]:
            yield piece
            continue
        lines = (rest + piece).splitlines(keepends=True)
        # a CR at the end may be half of a CR LF
        rest = b"" if lines[-1].endswith(b"\n") or len(lines[-1]) > MAX_LINE else lines.pop()
        yield from lines
    if rest:
        yield rest


def _numbered(read: Callable[[], str | bytes], encoding: str) -> Iterator[str]:
    for number in itertools.count(1):
        try:
            line = read()
            text = line if isinstance(line, str) else line.decode(encoding)
        except ValueError as error:
            raise InvalidRows(
                f"line {number}: is not {encoding}; say which it is with encoding=, such as cp1252"
            ) from error
        if not line:
            return
        if len(line) > MAX_LINE:
            raise InvalidRows(f"line {number}: is longer than {MAX_LINE:,} characters")
        if "\0" in text:
            raise InvalidRows(f"line {number}: contains a NUL, which text never does; save the file as UTF-8")
        # a byte order mark is no part of the first column's name
        yield text.removeprefix("\ufeff") if number == 1 else text


def _no_json(name: str) -> Any:
    """Refuses NaN and Infinity, which Python reads but JSON does not have."""
    raise ValueError(f"it has no {name}")


def _json_rows(lines: Iterator[str], wanted: Wanted) -> Iterator[SourceRow]:
    empty = True
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        empty = False
        try:
            values = json.loads(line, parse_constant=_no_json)
        except (ValueError, RecursionError) as error:
            yield SourceRow(number, problem=f"is not JSON: {error}")
            continue
        if not isinstance(values, dict):
            yield SourceRow(number, problem="is not a JSON object")
        elif is_deeper(values, MAX_DEPTH + 1):
            yield SourceRow(
                number, problem=f"has more than {MAX_DEPTH} lists or objects within each other in a variable"
            )
        else:
            yield SourceRow(number, _with_recipient(values, wanted))
    if empty:
        raise InvalidRows("line 1: it is empty; write a JSON object on each line, with `email`")


def _with_recipient(values: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
    """Puts the recipient under `email`, whatever name the object has for it."""
    if RECIPIENT in values and wanted.email_column is None:
        return values
    named = next((name for name in values if wanted.is_recipient(name)), None)
    return values if named is None else {**values, RECIPIENT: values[named]}
