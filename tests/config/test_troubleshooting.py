"""The page that people search with the text of a message: the program says each of these texts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sesq.config.connection import CODES, MEANINGS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "troubleshoot.md").read_text("utf-8")
MESSAGES = [row for row in re.findall(r"^\| ([^|]+?) \| ", PAGE, re.MULTILINE) if row != "message"]
FLOORS = ("config", "queue", "producer", "worker", "console")


def _texts() -> Iterator[str]:
    for floor in FLOORS:
        for path in (ROOT / floor).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


TEXTS = "\n".join(_texts())


@pytest.mark.parametrize("message", MESSAGES)
def test_the_program_says_each_message_of_the_page(message: str) -> None:
    assert message in TEXTS


def test_the_page_has_what_each_error_of_redis_means() -> None:
    told = {*(text for _, text, _ in MEANINGS), *(text for text, _ in CODES.values())}
    assert [text for text in told if not text.startswith(tuple(MESSAGES))] == []
