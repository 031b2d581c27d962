"""Each command on the pages of the documentation, typed: its options are there, and what ends by itself works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from redis import Redis

from busy_account import BusyAccount
from pages import DOCS
from sesq.console.app import app
from sesq.simulator import Simulator

ROOT = DOCS.parent


class Typed(NamedTuple):
    page: str
    words: tuple[str, ...]

    @property
    def told(self) -> str:
        return shlex.join(self.words)


def typed_on(file: Path) -> Iterator[Typed]:
    """The `sesq` commands in the page's blocks; `…` stands for options that the reader adds."""
    text = file.read_text("utf-8").replace("\\\n", " ")
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if re.match(r"(\$ )?([A-Z_]+=\S+ )*sesq ", line):
                yield from _commands(str(file.relative_to(ROOT)), line.removeprefix("$ "))


def _commands(page: str, line: str) -> Iterator[Typed]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";<>|&")
    lexer.whitespace_split, lexer.commenters = True, "#"
    for is_end, part in groupby(lexer, lambda word: word in (";", "|", "&")):
        words = [word for word in part if not re.match(r"[A-Z_]+=", word)]
        to_the_shell = next((at for at, word in enumerate(words) if word in ("<", ">")), len(words))
        words = words[:to_the_shell]
        if not is_end and words[:1] == ["sesq"]:
            yield Typed(page, tuple(words[1:-1] if words[-1] == "…" and words[-2][:2] != "--" else words[1:]))


COMMANDS = [typed for file in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))] for typed in typed_on(file)]


READ = [typed for typed in COMMANDS if typed.told != "--version"]  # that one answers while it is read


@pytest.mark.parametrize("typed", READ, ids=lambda typed: f"{typed.page} {typed.told[:60]}")
def test_its_words_are_known(typed: Typed) -> None:
    context = typer.main.get_command(app).make_context("sesq", list(typed.words), resilient_parsing=False)
    while hasattr(context.command, "resolve_command") and (
        words := [*context._protected_args, *context.args]
    ):
        name, command, rest = context.command.resolve_command(context, words)
        context = command.make_context(name, rest, parent=context)


# What ends by itself is run, page by page, on an account in which everything has happened, and an SES on this machine.

GOES_ON = re.compile(
    r"worker|demo|simulator|console( (--users|--intake).*)?$|submission( --host.*)?$|events( endpoint .*)?$"
    r"|webhooks (run|test|retry|forget)|events (setup --yes|forget)|smtp-password|quota request|doctor"
    r"|.*--(watch|wait|version)"
)
"""What serves, waits, looks at this machine, or needs more than this account has: tests of their own run these."""
FILES = {
    "body.txt": "Hello",
    "invoice.pdf": "%PDF-1.4",
    "mail.eml": "From: shop@example.com\r\nTo: ada@example.org\r\nSubject: Hi\r\n\r\nHello\r\n",
    "news.txt": "News",
    "customers.csv": "email,name\nada@example.org,Ada\n",
    "recipients.csv": "email,name\nada@example.org,Ada\n",
    "RECIPIENTS": "email,name\nada@example.org,Ada\n",
    "list.csv": "eve@example.org\n",
    "why.txt": "Receipts.",
    **{f"{name}/subject.txt": "News" for name in ("newsletter", "TEMPLATE", "news")},
    **{f"{name}/body.txt": "Hello {{ name }}" for name in ("newsletter", "TEMPLATE", "news")},
}


@pytest.fixture
def account(redis: Redis, here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BusyAccount]:
    for name, text in FILES.items():
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(text)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody's")
    monkeypatch.setattr("sesq.worker.account.CONTROL_SPACING_MS", 1)
    with Simulator(control_rate=None, production=True, verified=["example.com"]) as ses:
        for name in ("DEFAULT", "SHOP", "STAGING", "BILLING"):
            monkeypatch.setenv(f"SESQ_ACCOUNTS__{name}__ENDPOINT_URL", ses.endpoint_url)
            monkeypatch.setenv(f"SESQ_ACCOUNTS__{name}__REGION", "us-east-1")
        monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__WEBHOOKS__APP__URL", "https://app.example.com/hook")
        monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__WEBHOOKS__APP__SECRET", f"whsec_{'A' * 43}=")
        account = BusyAccount(redis)
        account.sync(rate=14.0, daily=100_000.0, production=1, identities={"example.com": True})
        yield account


def chosen(account: BusyAccount, words: tuple[str, ...]) -> list[str]:
    """The words, with an id in place of `ID`: one of the account's for which the command is meant."""
    of_message = {"cancel": "queued", "retry": "failed", "show": "sent"}.get(
        words[1] if words[1:] else "", "held"
    )
    id = account.ids["batch-running" if words[0] == "batch" else of_message]
    paused = account.ids["batch-paused"]
    meant = {"ID": id, "BATCH": paused, "ADDRESS": "news@example.com"}
    return [meant.get(word, word) for word in words]


@pytest.mark.parametrize("page", dict.fromkeys(typed.page for typed in COMMANDS))
def test_what_ends_by_itself_works(page: str, account: BusyAccount, run: Callable[..., Any]) -> None:
    problems = []
    for typed in COMMANDS:
        if typed.page == page and not GOES_ON.match(typed.told):
            words = chosen(account, typed.words)
            ran = run(*words, stdin="twelve chars\n")
            if "no terminal to ask at: add --yes" in ran.output:
                ran = run(*words, "--yes")
            if ran.exit_code:
                problems.append(f"{typed.told}: {ran.exit_code}: {ran.output}")
    assert "\n".join(problems) == ""
