"""Files of addresses: CSV with the column `email`, or one address a line; an error names its line."""

from __future__ import annotations

import codecs
import csv
import io
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sesq.config.addresses import shown
from sesq.config.errors import InputError

COLUMN = "email"
DELIMITERS = ",;\t"
UTF16_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Line:
    """`place` is the file and the line, for error texts. `cells`: column -> text; only `email` without a heading."""

    place: str
    cells: Mapping[str, str]

    @property
    def email(self) -> str:
        """As it stands there: nobody has looked at it yet."""
        return self.cells[COLUMN]


def file_name(file: str) -> str:
    """What people call it."""
    return "stdin" if file == "-" else file


def read_address_file(file: str) -> list[Line]:
    """All its lines but the blank ones; `-` is stdin. Raises InputError, which names the line."""
    name = file_name(file)
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error
    try:
        return [Line(f"{name}, line {number}", cells) for number, cells in _lines(_decoded(content))]
    except _Broken as error:
        raise InputError(f"{name}, line {error.line}: {error}") from error


class _Broken(Exception):
    """The file makes no sense from that line on."""

    def __init__(self, line: int, problem: object) -> None:
        super().__init__(problem)
        self.line = line


def _decoded(content: bytes) -> str:
    """UTF-8, or UTF-16 where a byte order mark says so. A file with NUL in it is no text."""
    codec, encoding = ("utf-16", "UTF-16") if content.startswith(UTF16_BOMS) else ("utf-8-sig", "UTF-8")
    try:
        text = content.decode(codec)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(codec, "ignore")
        raise _Broken(_line_after(before), f"is not {encoding}; save the file as UTF-8") from error
    if "\0" in text:
        before = text.partition("\0")[0]
        raise _Broken(_line_after(before), "holds a NUL, as no text does; save the file as UTF-8")
    return text


def _line_after(text: str) -> int:
    return len(io.StringIO(f"{text}.", newline="").readlines())


def _lines(text: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    lines = io.StringIO(text, newline="")
    first, number = next(((line, n) for n, line in enumerate(lines, 1) if line.strip()), ("", 1))
    if not first:
        raise _Broken(1, "the file is empty; give one address a line, or CSV with the column `email`")
    delimiter = max(DELIMITERS, key=first.count)
    try:
        columns = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter))]
    except csv.Error as error:
        raise _Broken(number, error) from error
    if COLUMN in columns:
        yield from _rows(lines, columns, delimiter, number)
    elif "@" in first:
        yield number, {COLUMN: first.strip()}
        yield from ((n, {COLUMN: line.strip()}) for n, line in enumerate(lines, number + 1) if line.strip())
    else:
        there = ", ".join(map(shown, columns))
        raise _Broken(number, f"there is no address, and no column `{COLUMN}`; there are: {there}")


def _rows(
    lines: io.StringIO, columns: list[str], delimiter: str, heading: int
) -> Iterator[tuple[int, Mapping[str, str]]]:
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise _Broken(heading, f"the column `{twice}` is there twice")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number = heading + 1
    while True:
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise _Broken(number, f"{error}: look for a quote that is not closed") from error
        if any(cells) and len(cells) != len(columns):
            raise _Broken(number, f"has {len(cells)} cells, and the heading has {len(columns)}")
        if any(cells):
            yield number, dict(zip(columns, cells, strict=True))
        number = heading + reader.line_num + 1
