"""Each command that a page of the documentation, or a help text, shows is one that sesq takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

import pytest
import typer

from sesq.console import app as main
from sesq.console.app import SUMMARIES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(?:sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEREDOC = re.compile(r"<<'?(\w+)'?(.*?\n)(?:.*?\n)?\1$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`(sesq [^`…]+)`")
BEFORE = re.compile(r"\w+=.*|docker|compose|exec|run|worker|--rm|-i")
"""What may stand before `sesq` in a command: variables, and what runs it in a container."""
OPERATORS = ";|&()"
COMMAND = typer.main.get_command(main.app)


def commands_in(script: str) -> Iterator[list[str]]:
    """The words of each command of sesq in a script of the shell."""
    script = HEREDOC.sub(r"\2", script.replace("\\\n", " "))
    for line in script.splitlines():
        words = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=OPERATORS + "<>")
        words.commenters, words.whitespace_split = "#", True
        for is_operator, each in groupby(words, lambda word: set(word) <= set(OPERATORS)):
            command = list(_without_files(each))
            before = takewhile(lambda word: word != "sesq", command)
            if not is_operator and "sesq" in command and all(map(BEFORE.fullmatch, before)):
                yield command[command.index("sesq") + 1 :]


def _without_files(words: Iterator[str]) -> Iterator[str]:
    """Leaves out what is read from a file or written to one, and the dots that stand for more options."""
    last = ""
    for word in words:
        if set(word) <= {"<", ">"}:
            next(words)
        elif word != "…" or last.startswith("--"):
            yield word
        last = word


def parse(command: Any, words: list[str], parent: Any = None) -> None:
    """Reads the words as the command line does, and calls nothing. Raises click's errors."""
    context = command.make_context(command.name, list(words), parent=parent)
    rest = [*context._protected_args, *context.args]
    if rest and hasattr(command, "commands"):
        _, inner, rest = command.resolve_command(context, rest)
        parse(inner, rest, context)


def problem(words: list[str]) -> str | None:
    """Says why sesq does not take a command; None if it does."""
    try:
        parse(COMMAND, words)
    except typer.Exit:  # --version and --help end it
        return None
    except Exception as error:  # noqa: BLE001  (the names of these errors are private in typer)
        return f"sesq {' '.join(words)}: {error}"
    return None


def texts_of(command: str) -> list[str]:
    """The examples of a command's help, as lines of a script."""
    module = import_module(f"sesq.console.commands.{command.replace('-', '_')}")
    texts = [text for text in vars(module).values() if isinstance(text, str) and "\n  sesq " in text]
    return [line.strip() for text in texts for line in text.splitlines() if line.startswith("  sesq ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_on_a_page_are_those_that_sesq_takes(page: Path) -> None:
    scripts = BLOCK.findall(page.read_text("utf-8"))
    found = [problem(words) for script in scripts for words in commands_in(script)]
    assert [each for each in found if each] == []


def test_the_examples_of_the_help_texts_are_commands_that_sesq_takes() -> None:
    lines = [line.strip() for line in main.EXAMPLES.splitlines() if "sesq" in line]
    lines += [line for command in SUMMARIES for line in texts_of(command)]
    found = [words for line in lines for words in commands_in(line)]
    assert len(found) > len(SUMMARIES)
    assert [each for each in map(problem, found) if each] == []


def unknown_in(span: str) -> list[str]:
    """The commands and options that there are not in a command, which may lack what it needs."""
    command: Any = COMMAND
    unknown = []
    for word in shlex.split(span)[1:]:
        if word.startswith("-"):
            known = {name for each in command.params for name in each.opts} | {"-h", "--help"}
            unknown += [] if word.partition("=")[0] in known else [word]
        elif hasattr(command, "commands") and not word.isupper():
            _, command, _ = command.resolve_command(typer.Context(command), [word])
    return unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_command_within_a_sentence_names_what_there_is(page: Path) -> None:
    found = {span: unknown_in(span) for span in SPAN.findall(page.read_text("utf-8"))}
    assert {span: unknown for span, unknown in found.items() if unknown} == {}
