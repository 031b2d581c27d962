"""Reads files of addresses: CSV with a column for them, or one address on each line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sesq.config.errors import InputError
from sesq.console.batch_files import rows_file
from sesq.producer.batch.csv_rows import RECIPIENT, Wanted
from sesq.producer.batch.rows import read_rows


@dataclass(frozen=True, slots=True)
class Line:
    """`place` is the file and the line, for error texts. `cells`: column -> text; only `email` without a heading."""

    place: str
    cells: Mapping[str, str]

    @property
    def email(self) -> str:
        """The address as it is in the file, before any check."""
        return self.cells[RECIPIENT]


def file_name(file: str) -> str:
    """Returns the name of a file for people."""
    return "stdin" if file == "-" else file


def read_address_file(file: str, email_column: str | None = None, encoding: str | None = None) -> list[Line]:
    """Reads all lines except blank ones; `-` is stdin. Raises InputError, which names the line."""
    with rows_file(file) as rows:
        return list(_lines(file_name(file), rows.path, Wanted(email_column, bare=True), encoding))


def _lines(name: str, path: Path, wanted: Wanted, encoding: str | None) -> Iterator[Line]:
    for row in read_rows(path, jsonl=False, encoding=encoding, wanted=wanted, name=name):
        if row.problem:
            raise InputError(f"{name}: line {row.line}: {row.problem}")
        cells = {column.lower(): cell.strip() for column, cell in row.values.items()}
        yield Line(f"{name}, line {row.line}", cells)
