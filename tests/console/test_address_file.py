"""Files of addresses, good and bad, as `suppression import` and `identities check` take them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from sesq.queue.suppression import SuppressionList

Run = Callable[..., Any]

ADA, BOB = "ada@example.org", "bob@example.org"


@pytest.mark.parametrize(
    "content",
    [
        f"{ADA}\n\n  Bob <{BOB}> \n".encode(),
        f"email,name\n{ADA},Ada\n\n{BOB},\n".encode(),
        f'\ufeff"Email";"name"\r\n"{ADA}";"one\r\ntwo"\r\n{BOB};\u2028\r\n;\r\n'.encode(),
        f"name\temail\rAda\t{ADA}\rBob\t{BOB}".encode(),
        f"\n\nemail\n{ADA}\n{BOB}\n".encode("utf-16"),
        f"email,handle\n{ADA},@ada\n{BOB},\x85\n".encode(),
    ],
    ids=["plain", "csv", "quoted", "tabs", "utf-16", "odd"],
)
@pytest.mark.parametrize("file", ["list.csv", "-"])
def test_files_as_programs_write_them(
    run: Run, here: Path, redis: Redis, ses_says: Run, content: bytes, file: str
) -> None:
    (here / "list.csv").write_bytes(content)
    ses_says(identities={"example.org": 1})
    stdin = content if file == "-" else None
    assert "2 checked, 0 would" in run("identities", "check", file, stdin=stdin).stderr
    assert "2 added, 2 read" in run("suppression", "import", file, stdin=stdin).stdout
    assert {each.address for each in SuppressionList(redis)} == {ADA, BOB}


BAD: dict[str, tuple[bytes, list[str]]] = {
    "an open quote": (f'email,name\n{ADA},Ada\n"{BOB},Bob\n'.encode(), ["line 3: ", "quote"]),
    "a quote in a cell": (f'email,name\n"{ADA}"x,Ada\n'.encode(), ["line 2: ", "quote"]),
    "too few cells": (f'email,name\n{ADA},"one\ntwo"\n{BOB}\n'.encode(), ["line 4: has 1", "heading has 2"]),
    "too many cells": (f"email,name\n{ADA},Ada,x\n".encode(), ["line 2: has 3"]),
    "a huge cell": (f"email,name\n{ADA},{'x' * 2_000_000}\n".encode(), ["line 2: ", "longer"]),
    "a huge line": (b"x" * 2_000_000, ["line 1: ", "longer"]),
    "latin-1": (f"{ADA}\n\nb\xf6b@example.org\n".encode("latin-1"), ["line 3: ", "utf-8", "--encoding"]),
    "utf-16 without a mark": (f"email\n{ADA}\n".encode("utf-16-le"), ["line 1: ", "NUL"]),
    "NUL": (f"email\n{ADA}\n{BOB}\0\n".encode(), ["line 3: ", "NUL"]),
    "half of utf-16": (f"email\n{ADA}\n".encode("utf-16")[:-1], ["line 2: ", "utf-16"]),
    "nothing": (b"", ["line 1: ", "empty"]),
    "blank": (b" \n\n", ["line 1: ", "empty"]),
    "no email": (
        f"address,reason\n{ADA},x\n".encode(),
        ["line 1: ", "column `email`", "'address', 'reason'"],
    ),
    "email twice": (f"email,EMAIL\n{ADA},{BOB}\n".encode(), ["line 1: ", "is there twice", "--email-column"]),
    "a picture": (b"\x89PNG\r\n\x1a\n", ["line 1: ", "utf-8"]),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("command", [("suppression", "import"), ("identities", "check")])
def test_what_cannot_be_read_is_named_with_its_line_and_changes_nothing(
    run: Run, here: Path, redis: Redis, ses_says: Run, command: tuple[str, str], name: str
) -> None:
    content, said = BAD[name]
    (here / "list.csv").write_bytes(content)
    ses_says(identities={"example.org": 1})
    for file, shown, stdin in (("list.csv", "list.csv: ", None), ("-", "stdin: ", content)):
        ran = run(*command, file, stdin=stdin)
        assert (ran.exit_code, ran.stdout) == (2, ""), ran.output
        assert len(ran.stderr) < 400
        for part in (shown, *said):
            assert part in ran.stderr
    assert len(SuppressionList(redis)) == 0


def test_the_column_and_the_encoding_can_be_named(run: Run, here: Path, redis: Redis, ses_says: Run) -> None:
    # Given a list as a newsletter service exports it, and one with a heading of one's own
    exported = f'"Email Address","First Name",TAGS\r\n{ADA},J\xf6rg,"""news"",""vip"""\r\n'
    (here / "exported.csv").write_bytes(exported.encode("cp1252"))
    (here / "own.csv").write_text(f"email;Kunde\nold@example.org;{BOB}\n")
    ses_says(identities={"example.org": 1})
    for file, options in (
        ("exported.csv", ["--encoding", "cp1252"]),
        ("own.csv", ["--email-column", "Kunde"]),
    ):
        assert "1 checked, 0 would" in run("identities", "check", file, *options).stderr
        assert "1 added, 1 read" in run("suppression", "import", file, *options).stdout
    assert {each.address for each in SuppressionList(redis)} == {ADA, BOB}


def test_what_is_no_file_is_told(run: Run, here: Path, ses_says: Run) -> None:
    ses_says(identities={"example.org": 1})
    for command in (("suppression", "import"), ("identities", "check")):
        for file in ("gone.csv", "."):
            ran = run(*command, file)
            assert (ran.exit_code, f"{file}: cannot be read" in ran.stderr) == (2, True), ran.output
