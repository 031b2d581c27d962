"""Files of recipients: CSV with a heading, or JSON lines. Read as a stream, line by line.

What concerns the whole file is an InvalidRows with its line; what concerns one row is told by the row itself.
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
"""Bytes of a line: more is no recipient but a broken file."""

UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
ANY = Wanted()
MAX_DEPTH = 20
"""Lists and objects within each other: a worker cannot unpack what is nested without end."""


def is_deeper(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Whether there are more than so many lists and objects within each other."""
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
    """The rows of a file. `jsonl` None: by its name's ending. `wanted`: what is asked of its columns.

    `name` is what people call the file, where it is not its path. Raises InvalidRows.
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
    """Lines as text, however the file is encoded: UTF-8, unless `encoding` or a byte order mark says otherwise."""
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
    """Whether lines can be told apart before they are decoded, so that one that cannot be decoded has its number."""
    try:
        return "\r\n".encode(encoding) == b"\r\n"
    except (LookupError, ValueError) as error:
        raise InvalidRows(
            f"the encoding {shown(encoding)} is not known; give another, such as cp1252"
        ) from error


def _raw_lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines that end in LF, CR LF or CR alone."""
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
                f"line {number}: is not {encoding}; say which it is with --encoding, such as cp1252"
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
    """Python reads NaN and Infinity, which JSON has not."""
    raise ValueError(f"{name} is none of its values")


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
    """The same with the recipient under `email`, whatever the object calls it."""
    if RECIPIENT in values and wanted.email_column is None:
        return values
    named = next((name for name in values if wanted.is_recipient(name)), None)
    return values if named is None else {**values, RECIPIENT: values[named]}
