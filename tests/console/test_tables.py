"""Tables in a terminal of 80 columns and in a pipe, the short ids that they show, and output that nobody reads."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rich.console import Console
from typer.testing import Result

from batch import write_rows, write_template
from batch_stage import BatchStage
from busy_account import BusyAccount
from sesq.config.embedded import EmbeddedRedis
from sesq.console.commands import batch as batch_commands
from sesq.console.tables import Counts
from sesq.producer import Message, Outbox
from sesq.queue.ids import following
from sesq.queue.messages import Messages
from sesq.queue.states import State
from terminal import at_terminal

Run = Callable[..., Result]
LONG = "A subject that is longer than any terminal has room for, and goes on and on"
LISTS = ("messages list", "batch list", "suppression list", "quota show", "status")


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("width", [80, 60])
def test_no_line_is_wider_than_the_terminal(redis: Redis, width: int) -> None:
    account = BusyAccount(redis)
    for id in Outbox(redis).send_many(_mail(to=f"{'a' * 50}{n}@example.org", subject=LONG) for n in range(3)):
        account.ids[id] = id
    for words in LISTS:
        lines = at_terminal(width, *words.split())
        assert max(map(len, lines)) <= width, (words, lines)


def _mail(**options: Any) -> Message:
    return Message(**{"sender": "shop@example.com", "to": "ada@example.org", "text": "x", **options})


@pytest.mark.usefixtures("run")
def test_a_message_is_one_line_and_columns_go_by_their_worth(redis: Redis) -> None:
    # Given messages with much to tell
    account = BusyAccount(redis)
    (long,) = Outbox(redis).send_many([_mail(subject=LONG)])
    # When they are listed at a terminal of 80 columns
    heading, *rows = at_terminal(80, "messages", "list")
    # Then each has a line, with a short id; MessageId and lane have made room, and what is too long is cut
    assert heading.split() == ["id", "state", "to", "subject", "since", "why"]
    assert len(rows) == len(account.messages.list())
    (cut,) = (row for row in rows if row.startswith(long[:13]))
    assert long not in cut
    assert ("A subject" in cut, "…" in cut, LONG in cut) == (True, True, False)
    # And with more room, and with --wide, everything is there
    assert at_terminal(250, "messages", "list")[0].split()[-3:] == ["why", "MessageId", "lane"]
    wide = at_terminal(80, "messages", "list", "--wide")
    assert len(wide) == len(rows) + 1
    assert any(long in row and LONG in row and "transactional" in row for row in wide)


def test_a_pipe_gets_whole_values_one_line_a_row(run: Run, redis: Redis) -> None:
    id = Outbox(redis).send(_mail(to=f"{'a' * 60}@example.org", subject=LONG * 3))
    (row,) = (line for line in run("messages", "list").stdout.splitlines() if id in line)
    assert LONG * 3 in row
    assert f"{'a' * 60}@example.org" in row


def test_reason_and_message_id_have_columns_of_their_own(run: Run, redis: Redis) -> None:
    account = BusyAccount(redis)
    heading, *rows = account.lines(run("messages", "list").stdout)
    assert heading == "id  state  to  subject  since  why  MessageId  lane"
    (bounced,) = (row for row in rows if row.startswith("<bounced>"))
    assert "Permanent bounce (General) of bounced@example.org  ses-bounced  transactional" in bounced
    (sent,) = (row for row in rows if row.startswith("<sent>"))
    assert sent.count("ses-sent") == 1


def test_the_subject_of_a_recipient_of_a_batch_is_rendered(run: Run, redis: Redis) -> None:
    account = BusyAccount(redis)
    running = account.ids["batch-running"]
    listed = {each["id"]: each["subject"] for each in json.loads(run("messages", "list", "--json").stdout)}
    assert listed[f"{running}-0-3"] == "News for P3"
    # Also of one that has no record of its own
    for row in (0, 3):
        shown = json.loads(run("messages", "show", f"{running}-0-{row}", "--json").stdout)
        assert shown["subject"] == f"News for P{row}"
    # Where the rows are gone, what the template says is shown
    redis.delete(account.keys.rows(f"{running}-0"))
    listed = {each["id"]: each["subject"] for each in json.loads(run("messages", "list", "--json").stdout)}
    assert listed[f"{running}-0-3"] == "News for {{ name }}"


# short ids


def test_ids_of_a_table_are_taken_by_every_command(run: Run, redis: Redis) -> None:
    # Given the short ids that a terminal shows
    account = BusyAccount(redis)
    short = {row.split()[0] for row in at_terminal(80, "messages", "list")[1:]}
    for name in ("queued", "failed", "held", "unknown", "batch-running"):
        id = account.ids[name]
        assert id not in short
    # Then each of them is the message
    for shown in short:
        told = json.loads(run("messages", "show", shown, "--json").stdout)
        assert told["id"].startswith(shown.split("-")[0])
    acts = [("cancel", "queued", ()), ("retry", "failed", ()), ("release", "held", ())]
    for verb, name, options in [*acts, ("resolve", "unknown", ("--as", "sent"))]:
        (given,) = (each for each in short if account.ids[name].startswith(each))
        ran = run("messages", verb, given, *options)
        assert (ran.exit_code, ran.stdout.split()[0]) == (0, account.ids[name])
    assert Messages(redis).get(account.ids["unknown"]).state is State.SENT


def test_batches_too(run: Run, redis: Redis) -> None:
    stage = BatchStage(redis)
    ids = {stage.take(2, key=str(n)).id for n in range(3)}
    short = [row.split()[0] for row in at_terminal(60, "batch", "list")[1:]]
    assert {next(id for id in ids if id.startswith(each)) for each in short} == ids
    given = short[0]
    (id,) = (each for each in ids if each.startswith(given))
    for verb, said in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert run("batch", verb, given).stdout == f"{id} {said}\n"
    assert json.loads(run("batch", "show", given, "--json").stdout)["id"] == id
    assert run("batch", "report", given).stdout.count(id) == 2
    assert run("messages", "show", f"{given}-0-1", "--json").stdout.count(f"{id}-0-1") == 1


def test_a_beginning_that_several_have_is_refused_and_names_them(run: Run, redis: Redis) -> None:
    # Given two ids that differ only at their end
    one, other = (following("01M8Q5VJZMEKDECGA6FT5GBX10", n) for n in range(2))
    Outbox(redis).send_many([_mail(id=one), _mail(id=other)])
    ran = run("messages", "show", one[:13])
    assert ran.exit_code == 2
    assert f"{one[:13]} is the beginning of several ids: {one}, {other}; give more of it" in ran.stderr
    # Then a table shows as much of them as it needs
    assert {row.split()[0] for row in at_terminal(60, "messages", "list")[1:]} == {one, other}
    # A pattern of Redis is none of ours, and three characters name nobody
    assert run("messages", "show", f"{one[:-1]}?").exit_code == 1
    assert run("messages", "show", one[:3]).exit_code == 1
    # One that cannot be found does not stop the others
    ran = run("messages", "cancel", one[:13], one)
    assert (ran.exit_code, ran.stdout) == (1, f"{one} cancelled\n")


@pytest.mark.parametrize(("number", "more"), [(5, ""), (6, ", …"), (7, ", …")])
def test_five_of_the_ids_with_a_beginning_are_named(run: Run, redis: Redis, number: int, more: str) -> None:
    # Given so many ids with the same beginning
    ids = [following("01M8Q5VJZMEKDECGA6FT5GBX10", n) for n in range(number)]
    Outbox(redis).send_many(_mail(id=id) for id in ids)
    # When a person gives it, Then five of them are named, and it is said whether there are more
    said = run("messages", "show", ids[0][:13]).stderr
    named = [id for id in ids if id in said]
    assert len(named) == 5
    assert f"{ids[0][:13]} is the beginning of several ids: {', '.join(named)}{more}; give more of it" in said


def test_four_characters_of_an_id_are_enough(run: Run, redis: Redis) -> None:
    # Given a message, a batch, and nothing else that begins as they do
    Outbox(redis).send(_mail(id="01M8Q5VJZMEKDECGA6FT5GBX10"))
    batch = BatchStage(redis).take(2).id
    # When four characters are given, Then they are found; three are too few
    assert json.loads(run("messages", "show", "01M8", "--json").stdout)["id"] == "01M8Q5VJZMEKDECGA6FT5GBX10"
    assert json.loads(run("batch", "show", batch[:4], "--json").stdout)["id"] == batch
    assert run("messages", "show", "01M").exit_code == 1
    assert run("batch", "show", batch[:3]).exit_code == 1


# output that nobody reads


@pytest.mark.parametrize(("count", "words"), [(1, ("list",)), (2000, ("list",)), (2000, ("list", "--json"))])
def test_a_reader_that_leaves_ends_the_command_without_a_word(
    redis: Redis, redis_server: EmbeddedRedis, tmp_path: Path, count: int, words: tuple[str, ...]
) -> None:
    # Given more, or less, than a pipe holds
    Outbox(redis).send_many(_mail(subject=LONG) for _ in range(count))
    env = {**os.environ, "SESQ_REDIS_URL": redis_server.url, "HOME": str(tmp_path)}
    # When its reader is gone
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        command = [sys.executable, "-m", "sesq.console", "messages", *words, "--limit", "2000"]
        ran = subprocess.run(command, env=env, stdout=pipe, stderr=subprocess.PIPE, check=False, cwd=tmp_path)
    # Then it ends as a program does that SIGPIPE ends
    assert (ran.returncode, ran.stderr) == (141, b"")


def test_a_bar_knows_how_many_rows_there_are(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch, ses_says: Callable[..., None]
) -> None:
    # Given a file of 7 rows
    ses_says(rate=10)
    template = write_template(here / "news", body__txt="Hello.")
    rows = write_rows(here / "rows.csv", [f"p{n}@example.com" for n in range(7)])
    bars: list[tuple[str, int]] = []
    shown = batch_commands.progress_of

    def noted(what: str, total: int) -> Any:
        bars.append((what, total))
        return shown(what, total)

    monkeypatch.setattr(batch_commands, "progress_of", noted)
    # When it is checked and queued, then each bar knows 7 from the beginning
    ran = run("batch", "send", str(template), str(rows), "--from", "news@example.com", "--yes")
    assert ran.exit_code == 0, ran.output
    assert bars == [("checking", 7), ("queueing", 7)]


def test_ctrl_c_ends_a_command_without_a_word(tmp_path: Path) -> None:
    # Given a command that waits for a Redis which does not answer
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        env = {**os.environ, "SESQ_REDIS_URL": url, "HOME": str(tmp_path)}
        command = [sys.executable, "-m", "sesq.console", "messages", "list"]
        running = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
        )
        asked, _ = silent.accept()
        with asked:
            assert asked.recv(1)
            # When somebody presses Ctrl-C
            running.send_signal(signal.SIGINT)
            said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, (b"", b""))


@pytest.mark.parametrize(
    ("is_terminal", "width", "together"), [(True, 80, True), (True, 10, False), (False, 80, True)]
)
def test_counts_stand_in_one_line_where_there_is_room(is_terminal: bool, width: int, together: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=width, color_system=None)
    console.print(Counts([("one", 1), ("another", 2000)]))
    shown = [line.strip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert any("one" in line and "another" in line for line in shown) is together
