"""Writes all CSV of sesq, so that a spreadsheet reads none of it as a formula, whatever character divides its cells."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

_cell_begins = r"(?:^|(?<=[;,\t\r\n]))"
"""Where a spreadsheet may begin a cell. If `;` divides cells, Excel reads our quotes as a part of the text."""
_formula = r"""(?=[\s"']*[=+\-@\t\r＝＋－＠])"""  # noqa: RUF001  (Excel takes the wide ones for a formula too)
_dangerous = re.compile(_cell_begins + _formula)
_escaped = re.compile(_cell_begins + "'" + _formula)


def csv_line(cells: Iterable[object]) -> str:
    """Returns a line of CSV; None is an empty cell."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([harmless(cell) for cell in cells])
    return line.getvalue()


def harmless(cell: object) -> str:
    """Returns the cell's text, with a `'` before each part that a spreadsheet would read as a formula."""
    return _dangerous.sub("'", "" if cell is None else str(cell))


def plain(text: str) -> str:
    """Returns the text that `harmless` got."""
    return _escaped.sub("", text)
