"""Finding mail at the command line: by recipient, MessageId, subject, tag and time, also in batches; and exports."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest
from redis import Redis
from typer.testing import Result

from batch_stage import BatchStage
from busy_account import BusyAccount
from sesq.console import find
from sesq.console.commands import messages as commands
from sesq.console.find import Finder
from sesq.console.web import search
from sesq.console.web.search import Query

Run = Callable[..., Result]
Find = Callable[..., list[str]]


@pytest.fixture
def account(redis: Redis) -> BusyAccount:
    return BusyAccount(redis)


@pytest.fixture
def found(account: BusyAccount, run: Run) -> Find:
    """`found("--to", "ada")`: which messages `messages list` finds so, named, the newest first."""

    def ask(*options: str) -> list[str]:
        ran = run("messages", "list", *map(account.unnamed, options), "--json")
        assert ran.exit_code == 0, ran.output
        return [account.named(each["id"]).strip("<>").replace(">", "") for each in json.loads(ran.stdout)]

    return ask


def test_all_mail_to_one_person_in_batches_too(found: Find) -> None:
    batches = {"batch-later-0-1", "batch-cancelled-0-1", "batch-paused-0-1", "batch-running-0-1"}
    assert set(found("--to", "P1@example")) == batches
    # Of a recipient with a record, the record alone
    assert found("--to", "p3@example.org") == ["batch-running-0-3"]
    assert found("--to", "p5@example.org") == ["batch-running-0-5"]
    assert found("--to", "c@example.com") == ["queued"]
    assert found("--to", "nobody@example.org") == []


def test_all_mail_to_exactly_one_domain_in_batches_too(found: Find) -> None:
    everybody = found("--to", "@example.org")
    assert {"batch-running-0-1", "batch-running-0-3"} <= set(everybody)
    assert found("--to", "*@Example.org") == everybody
    for part in ("*@example.or", "*@xample.org", "*@org"):
        assert found("--to", part) == []


@pytest.mark.parametrize("packed", [False, True])
def test_by_message_id(run: Run, redis: Redis, account: BusyAccount, found: Find, *, packed: bool) -> None:
    assert found("--message-id", "ses-bounced") == ["bounced"]
    assert found("--message-id", "ses-r1") == ["batch-running-0-1"]
    # As the header of the mail has it, and its beginning
    assert found("--message-id", "<ses-r0@email.amazonses.com>") == ["batch-running-0-0"]
    assert set(found("--message-id", "ses-r")) == {"batch-running-0-0", "batch-running-0-1"}
    # Also of a batch that has ended, whose results are packed
    stage = BatchStage(redis)
    id = stage.take(2, key="ended").id
    _settle_rows(stage, id)
    if packed:
        stage.pack()
    assert found("--message-id", f"m-{id}-0-1") == [f"{id}-0-1"]


def _settle_rows(stage: BatchStage, id: str) -> None:
    """Writes down what SES answered to the rows of a chunk, as its log has it."""
    stage.redis.append(stage.keys.log(f"{id}-0"), f"{stage.now:.3f} 0:m-{id}-0-0 1:m-{id}-0-1\n")
    stage.redis.sadd(stage.keys.unpacked, f"{id}-0")


def test_by_words_of_the_subject_as_it_was_sent(found: Find) -> None:
    assert found("--subject", "this BOUNCED") == ["bounced"]
    assert found("--subject", "p3 news") == ["batch-running-0-3"]
    assert found("--subject", "news p6") == ["batch-running-0-6"]
    assert found("--subject", "news name") == []


def test_by_tag(found: Find) -> None:
    assert found("--tag", "campaign=paused") == [f"batch-paused-0-{row}" for row in (2, 1, 0)]
    assert set(found("--tag", "campaign=autumn")) == {"queued", "bounced", "complained", "delivered", "sent"}
    assert found("--tag", "kind") == ["queued"]
    assert found("--tag", "campaign=none") == []


def test_by_time_and_state(found: Find) -> None:
    # It is 23:00; batch-running was sent at 22:32
    assert found("--since", "27m") == found("--since", "2023-11-14T22:33:00Z")
    assert "bulk" in found("--since", "27m")
    assert "batch-running-0-0" not in found("--since", "27m")
    assert found("--since", "2023-11-14T22:23:00Z", "--until", "2023-11-14T22:24:00Z") == [
        "complained",
        "bounced",
    ]
    sent = ["batch-running-0-1", "batch-running-0-0", "sent"]
    assert found("--state", "sent") == sent
    assert found("--state", "sent", "--since", "30m") == sent[:2]
    assert set(found("--state", "cancelled")) == {
        "cancelled",
        *(f"batch-cancelled-0-{row}" for row in range(3)),
    }
    assert found("--state", "held", "--to", "p2@") == ["batch-running-0-2"]


def test_a_time_that_is_none_is_refused(run: Run, account: BusyAccount) -> None:
    ran = run("messages", "list", "--since", "yesterday")
    assert (ran.exit_code, "--since: 'yesterday' is no time" in ran.stderr) == (2, True)


def test_no_filter_lists_what_has_a_record(found: Find, account: BusyAccount) -> None:
    assert len(found()) == len(account.messages.list())


@pytest.mark.parametrize("size", [1, 3])
def test_a_search_goes_on_until_it_has_looked_everywhere(
    run: Run, redis: Redis, account: BusyAccount, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    # Given a search that looks at very few in each step
    whole = {record.id for record in Finder(redis, "default", Query(to="p")).all(1000)}
    monkeypatch.setattr(search, "LOOK_THROUGH", size)
    monkeypatch.setattr(search, "CHUNK", size)
    monkeypatch.setattr(find, "CHUNKS_AT_ONCE", 1)
    bars: list[int] = []
    looked: list[int] = []

    class Bar:
        def __enter__(self) -> Callable[[int], object]:
            return looked.append

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(commands, "progress_of", lambda _what, total: bars.append(total) or Bar())
    # When nothing can be found
    ran = run("messages", "list", "--to", "nobody@nowhere.example")
    # Then that is said when all were looked at: 19 records, and 16 recipients of four batches
    assert (ran.exit_code, ran.stdout) == (0, "no message matches\n")
    assert (bars, looked[-1]) == ([35], 35)
    assert looked == sorted(looked)
    # And what there is is found all the same, each once
    again = [record.id for record in Finder(redis, "default", Query(to="p")).all(1000)]
    assert (len(again), set(again)) == (len(whole), whole)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_lose_and_repeat_nothing(redis: Redis, account: BusyAccount, limit: int) -> None:
    expected = [record.id for record in Finder(redis, "default", Query(to="p")).all(1000)]
    told: list[str] = []
    after: str | None = ""
    while after is not None:
        page = Finder(redis, "default", Query(to="p", after=after)).page(limit, seconds=0)
        assert len(page.records) <= limit
        told += [record.id for record in page.records]
        after = page.next
    assert told == expected


def test_each_step_looks_at_a_bounded_number(redis: Redis) -> None:
    # Given more than one step would look at
    stage = BatchStage(redis)
    stage.take(3000, key="many")
    page = Finder(redis, "default", Query(to="p2999@")).page(50, seconds=0)
    while page.next is not None:
        assert page.looked <= find.CHUNKS_AT_ONCE * 500
        page = Finder(redis, "default", Query(to="p2999@", after=page.next)).page(50, seconds=0)
    assert [record.envelope.to for record in page.records] == [("p2999@example.org",)]


def test_a_limit_says_that_there_may_be_more(run: Run, account: BusyAccount) -> None:
    ran = run("messages", "list", "--to", "p1@example.org", "--limit", "2")
    assert "there may be more than these 2" in ran.stderr
    assert "there may be more" not in run("messages", "list", "--to", "p1@example.org").stderr


def test_no_messages_beside_a_batch(run: Run, redis: Redis) -> None:
    BatchStage(redis).take(2)
    assert run("messages", "list").stdout == "no messages; recipients of batches are in `sesq batch list`\n"


# exports


def test_what_is_listed_as_lines(run: Run, account: BusyAccount) -> None:
    options = ("messages", "list", "--state", "bounced", "--state", "held")
    listed = json.loads(run(*options, "--json").stdout)
    lines = run(*options, "--format", "jsonl").stdout.splitlines()
    assert sorted((json.loads(line) for line in lines), key=lambda each: each["id"]) == sorted(
        listed, key=lambda each: each["id"]
    )
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(run(*options, "--format", "csv").stdout))}
    assert rows.keys() == {each["id"] for each in listed}
    bounced = rows[account.ids["bounced"]]
    told = {name: bounced[name] for name in ("state", "to", "subject", "reason", "message_id", "tags")}
    assert told == {
        "state": "bounced",
        "to": "ada@example.org",
        "subject": "This is bounced",
        "reason": "Permanent bounce (General) of bounced@example.org",
        "message_id": "ses-bounced",
        "tags": "campaign=autumn",
    }
    assert run(*options, "--json", "--format", "csv").exit_code == 2
