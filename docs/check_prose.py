"""Checks the prose of the project with proselint: its checks of English, our words, and sentences that are too long.

    python docs/check_prose.py [FILE…]     # without FILE: the pages, and the docstrings and comments of the code

Markdown is checked without its code, Python and Lua without all but docstrings and comments. `WORDS` has one term for
each thing, as the glossary in docs/architecture.md has them. `HARD` has phrases that many people have to read twice.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from proselint.checks import __register__ as of_english
from proselint.config import DEFAULT
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, CheckFlags, CheckResult
from proselint.registry.checks.types import PreferredFormsSimple
from proselint.tools import LintFile

ROOT = Path(__file__).parents[1]
PAGES = ("*.md", "docs/**/*.md", ".github/**/*.md")
CODE = ("config", "queue", "producer", "worker", "console", "simulator")
LONGEST_SENTENCE = 40
"""Words. Most sentences have fewer than 25."""

WORDS = {
    "e-mail": "mail",
    "e-mails": "mails",
    "addressee": "recipient",
    "addressees": "recipients",
    "blacklist": "suppression list",
    "block list": "suppression list",
    "blocklist": "suppression list",
    "whitelist": "allow list",
    "daily limit of SES": "daily quota",
    "daily limits of SES": "daily quotas",
    "high priority": "transactional lane",
    "low priority": "bulk lane",
    "job queue": "lane",
    "priority queue": "lane",
    "sandbox mode": "sandbox",
    "production mode": "production access",
    "rate limiter": "gate",
    "mailshot": "batch",
    "chronicle": "history",
    "courier": "sender",
    "foresight": "precheck",
    "sieve": "row validator",
    "sliding window": "rolling 24 hours",
    "quota bucket": "bucket",
}
"""A word, and the term that we use instead."""

HARD = {
    "albeit": "although",
    "be it": "whether it is",
    "by means of": "by, with",
    "for want of": "without",
    "forthwith": "at once",
    "hence": "so",
    "hereby": "(leave it out)",
    "herein": "in this",
    "in lieu of": "instead of",
    "inasmuch as": "because",
    "insofar as": "as far as",
    "lest": "so that … not",
    "all the same": "still",
    "as it were": "(leave it out)",
    "comes to nothing": "fails",
    "nary a": "no",
    "nobody can say": "it is not known",
    "that are none": "that are not",
    "that is none": "that is not one",
    "notwithstanding": "in spite of",
    "of late": "lately",
    "of whom": "(two sentences)",
    "save for": "except",
    "so as to": "to",
    "thereby": "so",
    "therefor": "for it",
    "therein": "in it",
    "thereof": "of it",
    "thereupon": "then",
    "thence": "from there",
    "to no avail": "without success",
    "unbeknownst": "not known",
    "utilise": "use",
    "utilize": "use",
    "whence": "from where",
    "whereby": "by which",
    "wherein": "in which",
    "whereupon": "and then",
    "whosoever": "who",
}
"""A phrase that is hard to read, and a plain one."""

OFF = (
    "lexical_illusions",
    "misc.phrasal_adjectives",
    "restricted",
    "typography",
    "uncomparables",
    "weasel_words",
)
"""Checks of proselint that we leave out. They take `most MOST_SHOWN` for a repetition and `Reply-To` for an adverb, are
for printed matter (curly quotes), or refuse words that are exact here."""


def too_long(text: str, check: Check) -> Iterator[CheckResult]:
    """Finds sentences of more than LONGEST_SENTENCE words. A blank line, an item, a cell and a column end one too."""
    for match in re.finditer(r"(?:(?!\n\s*(?:\n|[-*#|>├└│]|\d+\. )|(?<=\S)  )[^.!?:;|])+", text):
        words = len(re.findall(r"[\w'-]+", match.group()))
        if words > LONGEST_SENTENCE:
            start = match.start() + len(match.group()) - len(match.group().lstrip())
            message = f"This sentence has {words} words: make two of it."
            yield CheckResult(check.path, message, (start, match.end()), None)


def repeated(text: str, check: Check) -> Iterator[CheckResult]:
    """Finds a word that stands there twice."""
    for match in re.finditer(r"\b([a-z]+)(?:[ \t]+|[ \t]*\n[ \t]*)\1\b(?!-)", text):
        yield CheckResult(check.path, f"'{match.group(1)}' is there twice.", match.span(), None)


OURS = (
    Check(repeated, path="sesq.repeated"),
    Check(PreferredFormsSimple(WORDS), path="sesq.words", message="Say '{}' instead of '{}'."),
    Check(PreferredFormsSimple(HARD), path="sesq.hard", message="Say '{}' instead of '{}'."),
    Check(too_long, path="sesq.length", flags=CheckFlags(allow_quotes=True)),
)


def blank(match: re.Match[str]) -> str:
    """Spaces in place of a text, in the same lines."""
    return re.sub(r"[^\n]", " ", match.group())


def hide(match: re.Match[str]) -> str:
    """A piece of code, of which nothing can be read."""
    return f"`{'·' * (len(match.group()) - 2)}`"


def of_markdown(text: str) -> str:
    """The prose of a page, each word in its place."""
    text = re.sub(r"^([ >]*)(```|~~~)[^\n]*\n.*?^\1\2 *$", blank, text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->|<[^>\n]+>|(?<=\])\([^)\n]*\)|https?://\S+", blank, text, flags=re.DOTALL)
    return re.sub(r"`[^`\n]+`", hide, text)


def of_lines(text: str, comments: Iterator[tuple[int, int, str]]) -> str:
    """A file's text with all blank but what stands at these lines and columns."""
    lines = [""] * (text.count("\n") + 1)
    for number, column, comment in comments:
        lines[number] = lines[number].ljust(column) + comment
    return re.sub(r"`[^`\n]+`", hide, "\n".join(line or "." for line in lines))


def of_python(text: str) -> str:
    """The docstrings and comments of a module, each word in its place."""

    def parts() -> Iterator[tuple[int, int, str]]:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                for number, line in enumerate(text.splitlines()[node.lineno - 1 : node.end_lineno]):
                    yield node.lineno - 1 + number, 0, line.replace('"""', "   ")
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0] - 1, token.start[1] + 1, token.string[1:]

    return of_lines(text, parts())


def of_lua(text: str) -> str:
    """The comments of a script, each word in its place."""
    lines = enumerate(text.splitlines())
    found = ((number, re.search(r"(?:^|\s)--(?!\[)", line), line) for number, line in lines)
    return of_lines(text, ((number, hit.end(), line[hit.end() :]) for number, hit, line in found if hit))


READERS = {".md": of_markdown, ".py": of_python, ".lua": of_lua}


def files() -> Iterator[Path]:
    for pattern in PAGES:
        yield from sorted(ROOT.glob(pattern))
    for folder in CODE:
        yield from sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".lua"))


def findings(path: Path) -> Iterator[str]:
    """One line for each finding in a file."""
    off = (
        (*OFF, "sesq.length") if path.suffix == ".lua" else OFF
    )  # a script begins with tables, not sentences
    enabled = dict.fromkeys(off, False) | {
        name: True for name in (*DEFAULT["checks"], "sesq") if name not in off
    }
    prose = READERS[path.suffix](path.read_text("utf-8"))
    for found in (
        LintFile(str(path), prose).lint({"max_errors": 1000, "checks": enabled}) if prose.strip() else ()
    ):
        line, column = found.pos
        yield f"{path}:{line}:{column}: {found.check_result.check_path}: {found.check_result.message}"


def main(names: list[str]) -> int:
    CheckRegistry().register_many((*of_english, *OURS))
    told = [line for path in ([Path(name) for name in names] or files()) for line in findings(path)]
    sys.stdout.writelines(f"{line}\n" for line in told)
    return bool(told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
