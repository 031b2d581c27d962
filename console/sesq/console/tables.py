"""Tables that fit the terminal: a row is one line, and a narrow terminal leaves out the least important columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

GAP = 2
"""Characters between two columns."""
LEAST_CUT = 12
"""The least characters of a text that is cut: fewer would say nothing."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list. `worth`: a narrow terminal drops the column with the least worth first; None: it always
    stays. `cut`: its texts may be shortened, to `least` characters.
    """

    name: str
    worth: int | None = None
    cut: bool = False
    least: int = LEAST_CUT


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and the short form of it that a narrow terminal shows."""

    whole: str
    short: str

    def __str__(self) -> str:
        return self.whole


def printable(text: str) -> str:
    """Removes control characters, which a terminal would obey: text from SES or from a message may have any."""
    return "".join(character if character.isprintable() else "�" for character in text)


class Rows:
    """A list that rich draws. It fits the terminal; with `wide`, or without a terminal, it shows everything."""

    def __init__(
        self, columns: Sequence[Column | str], rows: Iterable[Sequence[object]], *, wide: bool
    ) -> None:
        self._columns = [each if isinstance(each, Column) else Column(each) for each in columns]
        self._rows, self._wide = [list(row) for row in rows], wide

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        whole = self._texts(short=False)
        shown, texts = list(range(len(self._columns))), whole
        widths = [_width(column) for column in zip(*whole, strict=True)]
        if console.is_terminal and not self._wide and _total(widths) > options.max_width:
            texts = self._texts(short=True)
            widths = [_width(column) for column in zip(*texts, strict=True)]
            shown = self._kept([i for i in shown if self._says_something(i)], widths, options.max_width)
            widths = self._fitted(widths, shown, options.max_width)
        drawn = _drawn([self._columns[i].name for i in shown], ([row[i] for i in shown] for row in texts[1:]))
        for column, i in zip(drawn.columns, shown, strict=True):
            column.width, column.no_wrap, column.overflow = widths[i], True, "ellipsis"
        total = sum(widths[i] for i in shown) + GAP * len(shown)
        yield ""
        yield from console.render(drawn, options.update(width=max(total, 1), max_width=max(total, 1)))
        yield ""

    def _texts(self, *, short: bool) -> list[list[str]]:
        heading = [column.name for column in self._columns]
        return [heading, *([_text(cell, short=short) for cell in row] for row in self._rows)]

    def _says_something(self, number: int) -> bool:
        return self._columns[number].worth is None or any(
            _text(row[number], short=True) for row in self._rows
        )

    def _kept(self, numbers: Sequence[int], widths: Sequence[int], room: int) -> list[int]:
        """Returns the numbers of the columns that have room, each with its least width."""
        kept = list(numbers)
        while _total([self._least(i, widths[i]) for i in kept]) > room:
            droppable = [i for i in kept if self._columns[i].worth is not None]
            if not droppable:
                break
            kept.remove(min(droppable, key=lambda i: (self._columns[i].worth or 0, -i)))
        return kept

    def _fitted(self, widths: Sequence[int], kept: Sequence[int], room: int) -> list[int]:
        """Returns widths that fit: columns that may be cut share the rest of the room, the widest column last."""
        fitted = [self._least(i, width) if i in kept else width for i, width in enumerate(widths)]
        left = room - _total([fitted[i] for i in kept])
        growing = sorted((i for i in kept if fitted[i] < widths[i]), key=lambda i: widths[i] - fitted[i])
        for done, i in enumerate(growing):
            more = min(widths[i] - fitted[i], max(0, left) // (len(growing) - done))
            fitted[i] += more
            left -= more
        return fitted

    def _least(self, number: int, width: int) -> int:
        column = self._columns[number]
        return min(width, max(column.least, len(column.name))) if column.cut else width


class Counts:
    """Numbers under their names, in one line; at a terminal too narrow for that, one line each."""

    def __init__(self, counted: Sequence[tuple[str, int]]) -> None:
        self._counted = [(name, f"{count:,}") for name, count in counted]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [max(len(name), len(count)) for name, count in self._counted]
        fits = not console.is_terminal or _total(widths) <= options.max_width
        yield (
            Rows([name for name, _ in self._counted], [[count for _, count in self._counted]], wide=True)
            if (fits)
            else wrapped(("", ""), self._counted)
        )


def table(columns: Sequence[Column | str], rows: Iterable[Sequence[object]], *, wide: bool = False) -> Any:
    """Makes a list of plain text, one line for each row. No text is read as markup."""
    return Rows(columns, rows, wide=wide)


def wrapped(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Any:
    """Makes a table that shows whole sentences, over several lines if necessary."""
    from rich import box

    drawn = _drawn(columns, ([_text(cell, short=False) for cell in row] for row in rows))
    drawn.box, drawn.show_edge = box.SIMPLE_HEAD, True
    drawn.columns[0].no_wrap = True
    return drawn


def _drawn(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(*names, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for row in rows:
        made.add_row(*map(Text, row))
    return made


def _text(cell: object, *, short: bool) -> str:
    if isinstance(cell, Cell):
        cell = cell.short if short else cell.whole
    return printable("" if cell is None else str(cell))


def _width(texts: Iterable[str]) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, texts))


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
