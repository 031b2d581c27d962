"""Reads CSV as programs write it: finds the recipient's column, and yields each row.

A heading names the columns; a line `sep=;` may stand before it. Empty rows and columns without a name are left out. If
several columns that nobody uses have the same name, all but the first are left out.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sesq.config.errors import InvalidRows
from sesq.queue.addresses import shown

RECIPIENT = "email"
"""The column, and the variable, of the recipient's address."""
MAX_CELL = 1024 * 1024
"""Characters. A longer cell means that the file is broken."""
DELIMITERS = ",;\t"
MOST_NAMED = 20
"""An error names at most so many columns."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the columns must have.

    `email_column`: the heading of the recipient's column, if it is not one of the usual ones. `needed`: columns that
    must be there. `used`: columns that may not be there twice. `bare`: the file may also have one address on each line,
    and no heading. `zone_column`: the heading of the column that names time zones.
    """

    email_column: str | None = None
    needed: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    bare: bool = False
    zone_column: str | None = None

    def is_recipient(self, name: str) -> bool:
        """Whether a heading, or a name in JSON, is that of the recipient's column."""
        if self.email_column is not None:
            return name == self.email_column.strip()
        return name.lower().translate(_LETTERS_ALONE) in ("email", "emailaddress")


_LETTERS_ALONE = str.maketrans("", "", " -_")


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row: the line on which it begins, its columns, and what is wrong with it ("" for nothing)."""

    line: int
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


def read_csv(lines: Iterator[str], wanted: Wanted) -> Iterator[SourceRow]:
    """Yields the rows of a file that is given line by line. Raises InvalidRows, which names the line."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL))
    first, heading, delimiters = _first_line(lines)
    names, delimiter = _best_split(heading, delimiters, wanted) if heading else ([], ",")
    if wanted.bare and not any(map(wanted.is_recipient, names)) and "@" in heading:
        yield from _bare(first, itertools.chain([heading], lines))
        return
    if not heading:
        what = "give one address a line, or" if wanted.bare else "give"
        raise InvalidRows(f"line 1: the file is empty; {what} CSV with a heading, such as `{RECIPIENT}`")
    reader = _Reader(itertools.chain([heading], lines), delimiter, first)
    columns = _columns(reader.next() or [], first, wanted)
    while (cells := reader.next()) is not None:
        row = _row(reader.line, columns, cells)
        if row is not None:
            yield row


def _first_line(lines: Iterator[str]) -> tuple[int, str, str]:
    """Finds the heading. Returns the number of its line, the line, and the characters that may separate columns."""
    delimiters = DELIMITERS
    for number, line in enumerate(lines, 1):
        told = line.strip("\r\n ").strip('"')
        if told.lower().startswith("sep=") and len(told) == 5:  # a line for Excel
            delimiters = told[-1]
        elif line.strip():
            return number, line, delimiters
    return 1, "", delimiters


def _best_split(heading: str, delimiters: str, wanted: Wanted) -> tuple[list[str], str]:
    """Splits the heading so that one name is the recipient's, or else so that there are most names.

    Returns the names and the delimiter.
    """

    def split(delimiter: str) -> tuple[bool, int, list[str], str]:
        # if the heading goes on in the next line, its first line is enough here
        names = [name.strip() for name in next(csv.reader([heading], delimiter=delimiter), [])]
        return any(map(wanted.is_recipient, names)), len(names), names, delimiter

    try:
        found = max((split(each) for each in delimiters), key=lambda each: each[:2])
    except csv.Error as error:
        raise InvalidRows(f"line 1: {error}") from error
    return found[2], found[3]


class _Reader:
    """Reads the cells of one row after the other; `line` is the one on which the last row began."""

    def __init__(self, lines: Iterator[str], delimiter: str, first: int) -> None:
        self._reader = csv.reader(lines, delimiter=delimiter, strict=True)
        self._before = first - 1
        self.line = first

    def next(self) -> list[str] | None:
        self.line = self._before + self._reader.line_num + 1
        try:
            return next(self._reader, None)
        except csv.Error as error:
            raise InvalidRows(f"line {self.line}: {error}: look for a quote that is not closed") from error


def _columns(given: list[str], line: int, wanted: Wanted) -> list[str]:
    """Returns the name of each column; empty for one that is left out. Raises InvalidRows."""
    names = [name.strip() for name in given]
    there = _listed([name for name in names if name])
    recipients = [at for at, name in enumerate(names) if wanted.is_recipient(name)]
    exact = (
        [at for at in recipients if names[at].lower() == RECIPIENT] if not wanted.email_column else recipients
    )
    if not recipients:
        raise InvalidRows(f"line {line}: {_no_recipient(wanted)}; there are: {there}")
    if len(exact or recipients) > 1:
        twice = names[(exact or recipients)[1]]
        cure = "" if wanted.email_column else "; name the right one with email_column="
        raise InvalidRows(
            f"line {line}: the column of the recipient is there twice, as {shown(twice)} too{cure}"
        )
    names = ["" if name == RECIPIENT else name for name in names]
    names[(exact or recipients)[0]] = RECIPIENT
    if wanted.zone_column and wanted.zone_column not in names:
        zone = shown(wanted.zone_column)
        raise InvalidRows(
            f"line {line}: there is no column {zone}, which zone_column= names; there are: {there}"
        )
    missing = sorted(wanted.needed - set(names))
    if missing:
        raise InvalidRows(
            f"line {line}: the template uses {', '.join(missing)}, and there is no such column; there are: {there}"
        )
    for at, name in enumerate(names):
        if name and name in names[:at]:
            if name in wanted.used | wanted.needed or name == wanted.zone_column:
                raise InvalidRows(f"line {line}: the column {shown(name)}, which is used, is there twice")
            names[at] = ""
    return names


def _no_recipient(wanted: Wanted) -> str:
    if wanted.email_column is not None:
        return f"there is no column {shown(wanted.email_column)}, which email_column= names"
    address = "no address, and " if wanted.bare else ""
    return f"there is {address}no column `{RECIPIENT}`; say which one it is with email_column="


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(map(shown, names[:MOST_NAMED])) + (f" and {more:,} more" if more > 0 else "")


def _row(line: int, columns: list[str], cells: list[str]) -> SourceRow | None:
    """Makes a row; None if all its cells are empty.

    At the end, empty cells need no column, and columns without a name need no cell.
    """
    if not any(cell.strip() for cell in cells):
        return None
    named = len(columns)
    while named and not columns[named - 1]:
        named -= 1
    if len(cells) < named or any(cell.strip() for cell in cells[len(columns) :]):
        return SourceRow(line, problem=f"has {len(cells)} columns, and the heading has {len(columns)}")
    return SourceRow(line, {name: cell for name, cell in zip(columns, cells, strict=False) if name})


def _bare(first: int, lines: Iterable[str]) -> Iterator[SourceRow]:
    for number, line in enumerate(lines, first):
        if line.strip():
            yield SourceRow(number, {RECIPIENT: line.strip()})
