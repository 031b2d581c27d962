"""The pictures of README are there and small, load nothing, and show what sesq says today."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

from sesq.console.demo.compare import SesRecord, compare
from sesq.console.demo.view import View

ROOT = Path(__file__).parents[1]
LARGEST = 100_000
"""Bytes."""
SHOWN = re.compile(r"!\[([^\]]+)\]\(([^)]+)\)")


def pictures() -> dict[str, str]:
    """Path -> what is said where the picture cannot be seen, for each that README shows."""
    return {path: words for words, path in SHOWN.findall((ROOT / "README.md").read_text("utf-8"))}


def test_readme_shows_the_demo_and_says_what_it_shows() -> None:
    assert len(pictures().get("docs/pictures/demo.svg", "").split()) > 5


def test_the_pictures_are_small_and_name_no_other_host() -> None:
    for path in pictures():
        picture = (ROOT / path).read_text("utf-8")
        assert len(picture.encode()) <= LARGEST
        assert set(re.findall(r"//([\w.-]+)", picture)) == {"www.w3.org"}  # the name of SVG's own language


def test_the_picture_of_the_demo_has_the_rows_of_the_demo() -> None:
    # If this fails, `make pictures` draws it anew
    texts = ElementTree.parse(ROOT / "docs/pictures/demo.svg").getroot().itertext()
    drawn = "".join(texts).replace("\xa0", " ")
    usage: Any = SimpleNamespace(last_24h=0, throttles=0)
    report: Any = defaultdict(int, refused={})
    rows = compare(View({}, usage), SesRecord(report, [], raised_at=0.0))
    assert [row.fact for row in rows if row.fact not in drawn] == []
