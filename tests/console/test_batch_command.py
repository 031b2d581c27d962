"""`sesq batch`: what it says before, what it refuses, and that nothing is queued where it refuses."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import re
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq.suspension import suspend
from typer.testing import Result

from batch import write_rows, write_template
from sesq.queue.batch_upkeep import tend_batches
from sesq.queue.batches import Batches
from sesq.queue.gate import SYNC
from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.ramp import start_ramp
from sesq.queue.suppression import Suppressed, SuppressionList

Run = Callable[..., Result]
FROM = ("--from", "shop@example.com")


@pytest.fixture
def news(tmp_path: Path) -> Path:
    return write_template(tmp_path / "news")


def rows(tmp_path: Path, content: bytes, name: str = "rows.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def sync(redis: Redis, **told: Any) -> None:
    account = {"rate": 1.0, "daily": 200.0, "sent": 0.0, "production": 0, "sending": 1, "readable": 1}
    account |= {"paused_because": "", "enforcement": "", "identities": {"example.com": 1, "example.org": 1}}
    known = {name: value for name, value in {**account, **told}.items() if value is not None}
    SYNC.run(redis, "default", json.dumps(known))


def test_check_says_who_goes_and_when_it_ends(run: Run, redis: Redis, news: Path, tmp_path: Path) -> None:
    sync(redis)
    SuppressionList(redis).add([Suppressed("gone@example.org", "bounce", 0.0, "test")])
    good = "".join(f"p{i}@example.org,P{i}\n" for i in range(450))
    bad = "nobody,X\np7@example.org,X\nq@example.net,Q\nshort\ngone@example.org,G\n"
    path = rows(tmp_path, f"email,name\n{good}{bad}".encode())
    told = json.loads(run("batch", "check", str(news), str(path), *FROM, "--json").stdout)
    counts = {name: told[name] for name in ("rows", "ready", "held", "invalid", "duplicates", "suppressed")}
    assert counts == {"rows": 455, "ready": 450, "held": 1, "invalid": 2, "duplicates": 1, "suppressed": 1}
    assert [(each["line"], each["why"]) for each in told["problems"]] == [
        (452, "invalid"),
        (453, "duplicate"),
        (455, "invalid"),
        (456, "suppressed"),
    ]
    assert [day["recipients"] for day in told["days"]] == [200, 200, 50]
    assert told["ends_at"].endswith("Z")
    assert told["previews"][0]["subject"] == "News for P0"
    # and a person gets a table and the days
    text = run("batch", "check", str(news), str(path), *FROM).stdout
    assert "200 today, 200 tomorrow, 50" in text
    assert Batches(redis).all() == []


@pytest.mark.parametrize(("bad", "more"), [(20, []), (21, ["1"])])
def test_twenty_rows_that_are_left_out_are_named(
    run: Run, redis: Redis, news: Path, tmp_path: Path, bad: int, more: list[str]
) -> None:
    # Given a file with one good row and so many others
    sync(redis)
    path = rows(tmp_path, b"email,name\nada@example.org,Ada\n" + b"nobody,X\n" * bad)
    # When a person looks, Then twenty are named with their lines, and the others are counted
    text = run("batch", "check", str(news), str(path), *FROM).stdout
    assert re.findall(r"^ *(\d+) .*nobody", text, re.MULTILINE) == [str(line) for line in range(3, 23)]
    assert re.findall(r"and (\d+) more;", text) == more
    # and the same twenty when the batch is sent
    told = run("batch", "send", str(news), str(path), *FROM).stderr
    assert re.findall(r"^line (\d+): .*nobody", told, re.MULTILINE) == [str(line) for line in range(3, 23)]
    assert f"{bad} of {bad + 1} rows are left out" in told


@pytest.mark.parametrize(("days", "more"), [(31, []), (32, ["1"])])
def test_a_month_of_days_is_drawn(
    run: Run, redis: Redis, news: Path, tmp_path: Path, days: int, more: list[str]
) -> None:
    # Given so many recipients, and an account that sends to one a day
    sync(redis, daily=1.0)
    path = rows(tmp_path, ("email,name\n" + "".join(f"p{n}@example.org,P\n" for n in range(days))).encode())
    # When a person looks, Then a line is drawn for each day of a month, and the others are counted
    text = run("batch", "check", str(news), str(path), *FROM).stdout
    assert len(re.findall(r"^[A-Z][a-z]{2} \d\d [A-Z][a-z]{2} ", text, re.MULTILINE)) == 31
    assert re.findall(r"^… +(\d+) days more", text, re.MULTILINE) == more


def test_the_rate_of_a_batch_is_that_of_the_time_in_which_it_went(
    run: Run, redis: Redis, news: Path, tmp_path: Path
) -> None:
    # Given a batch of which 300 went in 100 seconds
    sync(redis)
    path = rows(tmp_path, b"email,name\nada@example.org,Ada\n")
    id = json.loads(run("batch", "send", str(news), str(path), *FROM, "--json").stdout)["id"]
    key, now = Keys("default").batch(id), redis.time()[0]
    went = {"created": now - 1000, "ended": now - 900, "state": "done", "n:waiting": 0, "n:taken": 200}
    redis.hset(key, mapping={**went, "n:arrived": 90, "n:bounced": 10})
    # When it is shown long after, Then that is its rate; of one that goes on, until now
    assert json.loads(run("batch", "show", id, "--json").stdout)["rate"] == 3.0
    assert "3/second so far" in run("batch", "show", id).stdout
    redis.hdel(key, "ended")
    redis.hset(key, "state", "running")
    assert json.loads(run("batch", "show", id, "--json").stdout)["rate"] == pytest.approx(0.3, rel=0.05)


def test_a_ramp_lets_more_of_it_go_each_day(run: Run, redis: Redis, news: Path, tmp_path: Path) -> None:
    """The ledger frees a minute after the ramp's next day has begun, so each day sends what its cap adds, and more."""
    noon = datetime.fromisoformat("2023-11-14T12:00").astimezone().timestamp()
    redis.set(CLOCK_OFFSET, f"={noon}")
    sync(redis, rate=100.0, daily=5000.0)
    start_ramp(redis, "default", 100, 400, 2 * 86_400, by="ada")
    path = write_rows(tmp_path / "rows.csv", (f"p{i}@example.org" for i in range(700)))
    told = json.loads(run("batch", "check", str(news), str(path), *FROM, "--json").stdout)
    assert [day["recipients"] for day in told["days"]] == [100, 200, 400]
    ends = datetime.fromisoformat(told["ends_at"].replace("Z", "+00:00")).timestamp()
    assert ends - noon == pytest.approx(2 * 86_400, abs=300)
    assert "100/day and more each day" in " ".join(
        run("batch", "check", str(news), str(path), *FROM).stdout.split()
    )


def test_without_a_known_account_it_says_so(run: Run, news: Path, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv", ["a@example.org"])
    result = run("batch", "check", str(news), str(path), *FROM)
    assert result.exit_code == 0
    assert "SES has not described the account yet" in result.stdout


def test_a_sender_that_is_not_verified_holds_all(run: Run, redis: Redis, news: Path, tmp_path: Path) -> None:
    sync(redis)
    path = write_rows(tmp_path / "rows.csv", ["a@example.org"])
    told = json.loads(run("batch", "check", str(news), str(path), "--from", "x@y.org", "--json").stdout)
    assert (told["ready"], told["held"], told["sender_problem"]) == (0, 1, "sender x@y.org is not verified")


def test_where_identities_may_not_be_listed_nobody_is_called_unverified(
    run_json: Run, redis: Redis, news: Path, tmp_path: Path
) -> None:
    sync(redis, identities=None)
    path = write_rows(tmp_path / "rows.csv", ["a@example.org"])
    told = run_json("batch", "check", str(news), str(path), "--from", "x@y.org")
    assert (told["ready"], told["held"], told["sender_problem"]) == (1, 0, None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "line 1: the file is empty"),
        (b"mail,name\na@x.org,b\n", "no column `email`"),
        (b"email,name\na@x.org,b\nc@x.org,\xe9\n", "line 3: is not utf-8"),
        (b'email,name\na@x.org,"b\n', "line 2: unexpected end of data"),
        (b"email,name\na@x.org,b\nb@x.org," + b"x" * 10_000_000, "line 3: is longer than"),
    ],
)
@pytest.mark.parametrize("action", ["check", "send"])
def test_bad_files_are_refused_with_their_line(
    run: Run, redis: Redis, news: Path, tmp_path: Path, content: bytes, told: str, action: str
) -> None:
    result = run("batch", action, str(news), str(rows(tmp_path, content)), *FROM)
    assert result.exit_code == 2
    assert told in result.stderr
    assert Batches(redis).all() == []
    assert redis.keys("rq:*") == []


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"body__txt": "{% for i in range(99) %}{% endfor %}"}, "body.txt, line 1: it calls a function"),
        ({"body__txt": "one\n{{ name"}, "body.txt, line 2"),
        (
            {
                "body__txt": "{% for a in name %}{% for b in name %}{% for c in name %}{% for d in name %}"
                "{% for e in name %}.{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}"
            },
            "rounds",
        ),
        ({"subject__txt": "{{ name }}\n{{ name }}"}, "line break"),
    ],
)
def test_bad_templates_queue_nothing(
    run: Run, redis: Redis, tmp_path: Path, files: dict[str, str], told: str
) -> None:
    news = write_template(tmp_path / "bad", **files)
    path = write_rows(tmp_path / "rows.csv", ["a@example.org"])
    result = run("batch", "send", str(news), str(path), *FROM)
    assert result.exit_code == 2
    assert told in result.stderr
    assert redis.keys("*") == []


def test_an_unknown_variable_is_told(run: Run, redis: Redis, tmp_path: Path) -> None:
    news = write_template(tmp_path / "news", body__txt="Hello {{ nmae }}")
    path = write_rows(tmp_path / "rows.csv", ["a@example.org"])
    result = run("batch", "send", str(news), str(path), *FROM)
    assert result.exit_code == 2
    assert "line 1: the template uses nmae, and there is no such column" in result.stderr
    # JSON lines have no heading, so there each line is looked at
    lines = rows(tmp_path, b'{"email": "a@example.org", "name": "A"}\n', "rows.jsonl")
    result = run("batch", "send", str(news), str(lines), *FROM)
    assert result.exit_code == 1
    assert "has no nmae" in result.stdout
    assert "none of 1 rows can be sent" in result.stderr
    assert redis.keys("rq:*") == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--from", "nonsense"), "--from:"),
        ((*FROM, "--tag", "sesq-id=x"), "--tag:"),
        ((*FROM, "--stop-bounces", "101"), "stop-bounces"),
        ((*FROM, "--encoding", "klingon"), "encoding 'klingon' is not known"),
        ((*FROM, "--account", "nowhere"), "nowhere"),
    ],
)
def test_bad_options(
    run: Run, redis: Redis, news: Path, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    path = write_rows(tmp_path / "rows.csv", ["a@example.org"])
    result = run("batch", "send", str(news), str(path), *options)
    assert result.exit_code == 2
    assert told in result.stderr
    assert Batches(redis).all() == []


@pytest.mark.parametrize("command", ["check", "send"])
@pytest.mark.parametrize("recipients", ["", "nobody,X\n"])
def test_where_nobody_is_left_both_say_so_and_fail(
    run: Run, redis: Redis, news: Path, tmp_path: Path, command: str, recipients: str
) -> None:
    path = rows(tmp_path, f"email,name\n{recipients}".encode())
    said = run("batch", command, str(news), str(path), *FROM)
    assert (said.exit_code, "rows can be sent" in said.stderr) == (1, True)
    assert Batches(redis).all() == []


def test_sent_shown_paused_resumed_cancelled_and_reported(
    run: Run, redis: Redis, news: Path, tmp_path: Path
) -> None:
    path = write_rows(tmp_path / "rows.csv", ["a@example.org", "nobody", "b@example.org"])
    sent = json.loads(
        run("batch", "send", str(news), str(path), *FROM, "--stop-bounces", "5", "--json").stdout
    )
    id = sent["id"]
    assert (sent["queued"], sent["invalid"]) == (2, 1)
    assert run("batch", "pause", id, "a look").stdout == f"{id} paused\n"
    shown = json.loads(run("batch", "show", id, "--json").stdout)
    assert (shown["state"], shown["left"], shown["invalid"], shown["stop_bounces"]) == ("paused", 2, 1, 5.0)
    assert shown["reason"].endswith(": a look")
    text = run("batch", "show", id).stdout
    assert "a look" in text
    assert re.search(r"left out +1 invalid", text)
    assert run("batch", "resume", id).exit_code == 0
    assert run("batch", "resume", id).exit_code == 1
    assert run("batch", "cancel", id).exit_code == 0
    assert [each["state"] for each in json.loads(run("batch", "list", "--json").stdout)] == ["cancelled"]
    assert id in run("batch", "list").stdout
    report = list(csv.DictReader(io.StringIO(run("batch", "report", id).stdout)))
    assert [(row["email"], row["state"]) for row in report] == [
        ("a@example.org", "cancelled"),
        ("b@example.org", "cancelled"),
    ]
    output = tmp_path / "report.jsonl"
    run("batch", "report", id, "--format", "jsonl", "--output", str(output))
    assert [json.loads(line)["id"] for line in output.read_text().splitlines()] == [f"{id}-0-0", f"{id}-0-1"]


def test_the_same_file_is_known_whatever_its_name(run: Run, news: Path, tmp_path: Path) -> None:
    first = write_rows(tmp_path / "one.csv", ["a@example.org"])
    id = run("batch", "send", str(news), str(first), *FROM).stdout.strip()
    second = run("batch", "send", str(news), "-", *FROM, stdin=first.read_bytes())
    assert second.exit_code == 1
    assert f"are batch {id}" in second.stderr
    again = run("batch", "send", str(news), str(first), *FROM, "--again").stdout.strip()
    assert again not in ("", id)
    lines = '{"email": "a@example.org", "name": "A"}\n'
    other = run("batch", "send", str(news), "-", *FROM, stdin=lines.encode()).stdout.strip()
    assert other not in ("", id, again)


def test_the_same_rows_are_known_however_they_are_read(run: Run, news: Path, tmp_path: Path) -> None:
    first = write_rows(tmp_path / "one.csv", ["a@example.org"])
    id = run("batch", "send", str(news), str(first), *FROM).stdout.strip()
    text = first.read_text()
    copy = shutil.copytree(news, tmp_path / "copy")
    (values,) = csv.DictReader(io.StringIO(text))
    for other in (
        run("batch", "send", str(news), str(first), *FROM, "--encoding", "utf-8"),
        run("batch", "send", str(news), str(rows(tmp_path, text.encode(), "one.txt")), *FROM),
        run("batch", "send", str(news), str(first), *FROM, "--format", "csv"),
        run("batch", "send", str(copy), str(first), *FROM),
        run("batch", "send", str(news), "-", *FROM, stdin=json.dumps(values)),
        run("batch", "send", str(news), "-", *FROM, stdin=text.replace(",", ";")),
    ):
        assert (other.exit_code, f"are batch {id}" in other.stderr) == (1, True)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_lines_are_known_by_their_beginning(run: Run, news: Path, encoding: str) -> None:
    lines = '{"email": "a@example.org", "name": "A"}\n'.encode(encoding)
    told = json.loads(run("batch", "check", str(news), "-", *FROM, "--json", stdin=lines).stdout)
    assert (told["ready"], told["invalid"]) == (1, 0)


def test_standard_input_is_called_so(run: Run, news: Path) -> None:
    result = run("batch", "check", str(news), "-", *FROM, stdin=b"")
    assert (result.exit_code, "standard input: line 1: the file is empty" in result.stderr) == (2, True)


def test_what_comes_through_a_named_pipe_is_read(run: Run, news: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as writer:
        writer.submit(pipe.write_bytes, b"email,name\na@example.org,A\n")
        told = json.loads(run("batch", "check", str(news), str(pipe), *FROM, "--json").stdout)
    assert told["ready"] == 1


@pytest.mark.parametrize(("answer", "queued"), [(b"n", 0), (b"y", 1)])
def test_at_a_terminal_it_asks_also_where_the_rows_come_through_a_pipe(
    run: Run, redis: Redis, news: Path, tmp_path: Path, answer: bytes, queued: int
) -> None:
    path = write_rows(tmp_path / "rows.csv", ["a@example.org"])
    command = f"{sys.executable} -m sesq.console batch send {news} - --from shop@example.com < {path}"
    # Given a terminal of its own
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("sh", ["sh", "-c", command])
    # When it asks, then nothing has been queued, and the answer counts
    written = b""
    while b"[y/N]" not in written:
        written += os.read(terminal, 4096)
    assert Batches(redis).all() == []
    os.write(terminal, answer + b"\n")
    with contextlib.suppress(OSError):  # the other end is closed
        while os.read(terminal, 4096):
            pass
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == (0 if queued else 1)
    assert len(Batches(redis).all()) == queued


def test_send_tells_who_is_left_out(run: Run, news: Path, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv", ["a@example.org", "nobody", "a@example.org"])
    result = run("batch", "send", str(news), str(path), *FROM)
    assert len(result.stdout.split()) == 1
    assert "line 3: 'nobody' has no domain" in result.stderr
    assert "2 of 3 rows are left out" in result.stderr


def test_a_report_does_nothing_in_a_spreadsheet(run: Run, news: Path, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv", ["+cmd@example.org"])
    id = run("batch", "send", str(news), str(path), *FROM).stdout.strip()
    (row,) = csv.DictReader(io.StringIO(run("batch", "report", id).stdout))
    assert row["email"] == "'+cmd@example.org"


def test_every_row_is_printed_before_anything_is_queued(run: Run, news: Path, tmp_path: Path) -> None:
    good = [{"email": f"p{i}@example.org", "name": f"P{i}"} for i in range(700)]
    good[650]["name"] = "two\nlines"
    lines = rows(tmp_path, "\n".join(map(json.dumps, good)).encode(), "rows.jsonl")
    told = json.loads(run("batch", "check", str(news), str(lines), *FROM, "--json").stdout)
    assert (told["ready"], told["invalid"]) == (699, 1)
    assert told["problems"][0]["line"] == 651
    assert "line break" in told["problems"][0]["reason"]
    sent = json.loads(run("batch", "send", str(news), str(lines), *FROM, "--json").stdout)
    assert (sent["queued"], sent["invalid"]) == (699, 1)


def test_nothing_to_send_is_json_for_scripts(run: Run, redis: Redis, news: Path, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv", ["nobody"])
    result = run("batch", "send", str(news), str(path), *FROM, "--json")
    assert (result.exit_code, json.loads(result.stdout)["invalid"]) == (1, 1)
    assert Batches(redis).all() == []


def test_nobody_can_tell_when_what_is_paused_or_held_ends(
    run: Run, redis: Redis, news: Path, tmp_path: Path
) -> None:
    sync(redis)
    check = ("batch", "check", str(news), str(write_rows(tmp_path / "rows.csv", ["a@example.org"])))
    assert json.loads(run(*check, *FROM, "--json").stdout)["ends_at"] is not None
    # With a sender that SES does not know, all of it waits
    held = run(*check, "--from", "x@y.org", "--json")
    assert json.loads(held.stdout)["ends_at"] is None
    assert "all of it is held, so nobody can tell" in run(*check, "--from", "x@y.org").stdout
    # and so it does while bulk mail is paused
    run("quota", "pause", "--bulk", "a wrong link")
    assert json.loads(run(*check, *FROM, "--json").stdout)["ends_at"] is None
    assert "bulk mail is paused, so nobody can tell" in run(*check, *FROM).stdout
    # and while all workers are suspended
    suspend(redis)
    assert json.loads(run(*check, *FROM, "--json").stdout)["ends_at"] is None
    assert "all workers are suspended (`rq suspend`), so nobody can tell" in run(*check, *FROM).stdout


def test_unknown_batches(run: Run) -> None:
    for words in (("show",), ("pause",), ("cancel",), ("report",)):
        result = run("batch", *words, "0" * 20)
        assert (result.exit_code, "no batch" in result.stderr) == (1, True)


def test_status_counts_recipients_not_chunks(run: Run, redis: Redis, news: Path, tmp_path: Path) -> None:
    sync(redis)
    path = write_rows(tmp_path / "rows.csv", (f"p{i}@example.org" for i in range(600)))
    id = run("batch", "send", str(news), str(path), *FROM).stdout.strip()
    status = json.loads(run("status", "--json").stdout)
    assert (status["lanes"]["bulk"]["queued"], status["messages"]["queued"]) == (600, 600)
    assert status["lanes"]["bulk"]["next_at"] is not None
    assert status["lanes"]["bulk"]["oldest_at"] is not None
    run("batch", "cancel", id)
    assert json.loads(run("status", "--json").stdout)["messages"]["queued"] == 0
    shown = json.loads(run("messages", "show", f"{id}-0-3", "--json").stdout)
    assert (shown["to"], shown["state"]) == (["p3@example.org"], "cancelled")


def test_what_goes_with_every_mail_and_what_does_not_is_told(run: Run, news: Path, tmp_path: Path) -> None:
    (news / "attachments").mkdir()
    (news / "attachments" / "terms.pdf").write_bytes(b"%PDF-1.4")
    (news / "body.htm").write_text("<p>Hello</p>")
    (news / ".DS_Store").write_bytes(b"")
    words = (str(news), str(rows(tmp_path, b"email,name\na@example.org,A\n")), *FROM)
    told = json.loads(run("batch", "check", *words, "--json").stdout)
    assert told["attachments"] == [{"name": "terms.pdf", "size": 8}]
    assert told["unused"] == ["body.htm"]
    shown = run("batch", "check", *words).stdout
    assert "terms.pdf (8 bytes)" in shown
    assert "body.htm in the template's folder is not used" in shown
    assert "body.htm in the template's folder is not used" in run("batch", "send", *words).stderr


def test_a_batch_starts_at_its_time(run: Run, redis: Redis, news: Path, tmp_path: Path) -> None:
    # Given a batch for later
    words = (str(news), str(rows(tmp_path, b"email,name\na@example.org,A\n")), *FROM)
    refused = run("batch", "send", *words, "--at", "2020-01-31T09:00")
    assert (refused.exit_code, "--at: 2020-01-31 09:00" in refused.stderr) == (2, True)
    id = run("batch", "send", *words, "--at", "+2h").stdout.strip()
    told = json.loads(run("batch", "show", id, "--json").stdout)
    assert (told["state"], told["reason"]) == ("paused", "its time has not come")
    assert told["starts_at"] is not None
    batches = Batches(redis)
    # When a worker looks before that, then nothing happens
    tend_batches(redis, "default")
    assert batches.get(id).state == "paused"
    # When the time has come, then it goes
    redis.set(CLOCK_OFFSET, 2 * 3600 + 1)
    tend_batches(redis, "default")
    assert (batches.get(id).state, batches.get(id).starts_at) == ("running", None)
    assert redis.exists(Keys("default").starting) == 0


def test_a_person_decides_before_its_time_comes(run: Run, redis: Redis, news: Path, tmp_path: Path) -> None:
    ids = []
    for name in ("a", "b", "c"):
        file = rows(tmp_path, f"email,name\n{name}@example.org,A\n".encode())
        ids.append(run("batch", "send", str(news), str(file), *FROM, "--at", "+2h").stdout.strip())
    assert run("batch", "pause", ids[0], "wait for legal").exit_code == 0
    assert run("batch", "resume", ids[1]).exit_code == 0
    assert run("batch", "cancel", ids[2]).exit_code == 0
    redis.set(CLOCK_OFFSET, 2 * 3600 + 1)
    tend_batches(redis, "default")
    assert [Batches(redis).get(id).state for id in ids] == ["paused", "running", "cancelled"]
    assert Batches(redis).get(ids[0]).reason.endswith("wait for legal")


def test_a_mail_that_is_html_alone_is_shown_as_it_is(run: Run, redis: Redis, tmp_path: Path) -> None:
    sync(redis)
    news = write_template(tmp_path / "news", body__html="<p>Dear {{ name }}</p>")
    (news / "body.txt").unlink()
    ran = run("batch", "check", str(news), str(rows(tmp_path, b"email,name\nada@example.org,Ada\n")), *FROM)
    assert (ran.exit_code, "<p>Dear Ada</p>" in ran.stdout) == (0, True), ran.output
