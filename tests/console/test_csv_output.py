"""CSV that people open in a spreadsheet: no cell of it is a formula, also where `;` or a tab divides the cells."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sesq.console
from sesq.console.csv_output import csv_line, harmless, plain

HOSTILE = st.text("""=+-@'";,\t\r\n a1＝""")  # noqa: RUF001


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-1", "'-1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("\r=1", "'\r'=1"),
        (" =1", "' =1"),
        ("＝1", "'＝1"),  # noqa: RUF001
        ("a;=1", "a;'=1"),
        ('a;"=1', "a;'\"=1"),
        ("a,=1", "a,'=1"),
        ("a\t@x", "a\t'@x"),
        ("a\n=1", "a\n'=1"),
        ("a; b", "a; b"),
        ("1-1=0", "1-1=0"),
        ("ada@example.org", "ada@example.org"),
        (None, ""),
        (7, "7"),
    ],
)
def test_a_formula_becomes_text(cell: object, written: str) -> None:
    assert harmless(cell) == written


@given(st.lists(HOSTILE, min_size=1, max_size=4))
def test_whatever_divides_the_cells_none_is_a_formula(cells: list[str]) -> None:
    line = csv_line(cells)
    for divider in ",;\t":
        for cell in re.split(rf"[{divider}\r\n]", line):
            assert not cell.strip(""" "'""").startswith(tuple("=+-@＝")) or cell.strip(' "').startswith("'")  # noqa: RUF001


@given(HOSTILE)
def test_what_was_written_can_be_read_again(text: str) -> None:
    assert plain(harmless(text)) == text


def test_there_is_one_writer_of_csv() -> None:
    sources = Path(str(sesq.console.__file__)).parents[3].glob("*/sesq/**/*.py")
    writers = [path.name for path in sources if re.search(r"csv\.(writer|DictWriter)", path.read_text())]
    assert writers == ["csv_output.py"]


def test_a_line_ends_as_lines_do_here() -> None:
    assert csv_line(("a", "b")) == "a,b\n"
