"""The one writer of CSV: nothing that it writes is a formula in a spreadsheet, whatever divides that one's cells."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

_cell_begins = r"(?:^|(?<=[;,\t\r\n]))"
"""Where a spreadsheet may begin a cell. Where `;` divides cells, Excel takes our quotes for part of the text."""
_formula = r"""(?=[\s"']*[=+\-@\t\r＝＋－＠])"""  # noqa: RUF001  (Excel takes the wide ones for a formula too)
_dangerous = re.compile(_cell_begins + _formula)
_escaped = re.compile(_cell_begins + "'" + _formula)


def csv_line(cells: Iterable[object]) -> str:
    """A line of CSV; None is an empty cell."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow([harmless(cell) for cell in cells])
    return line.getvalue()


def harmless(cell: object) -> str:
    """The cell's text, with a `'` before whatever a spreadsheet would take for a formula."""
    return _dangerous.sub("'", "" if cell is None else str(cell))


def plain(text: str) -> str:
    """What `harmless` was given."""
    return _escaped.sub("", text)
