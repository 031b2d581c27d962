"""The page that people search with the text of a message. Each error names its cure itself, or this page does."""

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
TREES = {
    path.relative_to(ROOT): ast.parse(path.read_text("utf-8"))
    for floor in FLOORS
    for path in sorted((ROOT / floor).rglob("*.py"))
}
SCRIPTS = [path.read_text("utf-8") for path in sorted((ROOT / "queue").rglob("*.lua"))]

ANYTHING = "…"
"""What stands for a variable in a text, and in a message of the page."""

WITHIN = {
    "Forged": "events: a message was refused",
    "SnsAway": "SNS will try again",
    "NotAnEvent": "a message among the events is no event, and is set apart",
    "NotReached": "webhook … fails",
}
"""Errors that people only see behind these words, which the page has."""

INTERNAL = {"NoTokens", "_Refused", "TooLate"}
"""Errors that no one sees: sesq catches each of them, and acts on it."""

DO = re.compile(
    r"(?:^|[:;,.(] |\b(?:or|and|then|first) )"
    r"(?:add|answer|ask|associate|attach|check|choose|close|continue|copy|create|decode|drop|encode|end|enter|fill|filter|give|go|"
    r"import|install|keep|leave|let|link|load|log|look|make|connect|move|name|pause|percent-encode|put|queue|raise|release|remove|"
    r"rename|renew|repair|repeat|replace|resume|save|say|see|send|set|shorten|show|split|start|stop|switch|take|try|"
    r"turn|use|verify|wait|write)\b",
    re.IGNORECASE,
)
"""A clause that tells people to do something."""

RIGHT = re.compile(
    r"\b(?:allow(?:ed|s)|need(?:s|ed)?|must|at (?:most|least)|up to|only|such as|(?:longer|larger|more) than)\b|"
    r"\bfrom \S+ to\b|\d to \S+ characters|, not …|(?:known|known accounts|there (?:are|is)|the limits are):? …|[:;.] `"
)
"""Words that say what would be right, or which command helps."""


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _errors() -> set[str]:
    """Names of the classes under SesqError."""
    parents = {
        node.name: {_name(base) for base in node.bases}
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found, size = {"SesqError"}, 0
    while len(found) > size:
        size = len(found)
        found |= {name for name, bases in parents.items() if bases & found}
    return found


def _text(node: ast.expr) -> str | None:
    """A text of the code, with `…` for each variable."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else ANYTHING for part in node.values
        )
    return None


def _told() -> Iterator[tuple[str, str, str]]:
    """Where each error is made, its class, and its text: of our classes, what settings refuse, and SES's answers."""
    errors = _errors()
    for path, tree in TREES.items():
        ours = {*errors, "Outcome", *({"ValueError"} if path.parts[0] == "config" else ())}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (kind := _name(node.func)) in ours:
                texts = [text for text in map(_text, node.args) if text and " " in text]
                yield from ((f"{path}:{node.lineno}", kind, text) for text in texts)


def _replies() -> Iterator[tuple[str, str, str]]:
    """The answers of the submission port that refuse something."""
    for path, tree in TREES.items():
        for node in ast.walk(tree) if "submission" in path.parts else ():
            text = _text(node) if isinstance(node, (ast.Constant, ast.JoinedStr)) else None
            if text and re.match(r"[45]\d\d \d\.\d\.\d .", text):
                yield f"{path}:{node.lineno}", "reply", text[10:]


def _pattern(message: str) -> re.Pattern[str]:
    return re.compile(".+?".join(map(re.escape, message.strip(f"{ANYTHING} ").split(ANYTHING))))


ROWS = [_pattern(message) for message in MESSAGES]


def _has_own_words(text: str) -> bool:
    """Whether a text says something itself, and not only what another text or the system says."""
    return len(re.findall(r"[A-Za-z]{2,}", re.sub(r"\(the row of line …\)|line …", "", text))) > 1


def names_its_cure(text: str) -> bool:
    return bool(DO.search(text) or RIGHT.search(text))


def is_on_the_page(text: str) -> bool:
    return any(row.search(text) for row in ROWS)


def test_each_error_names_its_cure_or_has_it_on_the_page() -> None:
    errors = [*_told(), *_replies()]
    assert len(errors) > 400, "the errors of the code are not found any more"
    without = [
        f"{place}: {text}"
        for place, kind, text in errors
        if kind not in WITHIN and kind not in INTERNAL and _has_own_words(text)
        if not names_its_cure(text) and not is_on_the_page(text)
    ]
    assert without == [], "say in these texts what to do, or give each a row in docs/how-to/troubleshoot.md"


@pytest.mark.parametrize("text", WITHIN.values())
def test_the_page_has_the_words_that_stand_before_other_errors(text: str) -> None:
    assert is_on_the_page(text)


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("send_at: has no time zone: give one", True),
        ("the port is closed; `sesq doctor` tells more", True),
        ("lanes must be one or two", True),
        ("the settings of … are bad", False),
        ("the queue was not found", False),
    ],
)
def test_what_counts_as_a_cure(text: str, is_named: bool) -> None:
    assert names_its_cure(text) is is_named


def _texts() -> Iterator[str]:
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Constant, ast.JoinedStr)) and (text := _text(node)):
                yield text
    for script in SCRIPTS:
        yield from re.findall(r"'([^'\n]+)'", script)


TEXTS = "\n".join(_texts())


@pytest.mark.parametrize("message", MESSAGES)
def test_the_program_says_each_message_of_the_page(message: str) -> None:
    assert _pattern(message).search(TEXTS)


def test_the_page_has_what_each_error_of_redis_means() -> None:
    told = {*(text for _, text, _ in MEANINGS), *(text for text, _ in CODES.values())}
    assert [text for text in told if not text.startswith(tuple(MESSAGES))] == []
