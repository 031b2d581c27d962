"""A search for a MessageId looks first where the time in the MessageId leads, and everywhere if that was in vain."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis
from typer.testing import Result

from batch_stage import BatchStage
from sesq.console import near
from sesq.console.find import Finder
from sesq.console.web.search import Query
from sesq.queue.chunks import pack_results
from sesq.queue.states import State

Run = Callable[..., Result]
BEGAN = 1_700_000_000.0
MESSAGES = 3000
CHUNKS = 12
CHUNK_SECONDS = 40.0


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def message_id(at: float, number: int) -> str:
    """As SES makes them: region, milliseconds, and what is random."""
    return f"0102{round(at * 1000):012x}-{number:08x}-7b1c-4d0a-9f6e-0242ac120002-000000"


def pile(stage: BatchStage, *, late: float = 0.0) -> None:
    """Writes messages straight into Redis, one a second; each came into its state `late` after SES took it (s)."""
    of_one = stage.redis.hgetall(stage.keys.message(stage.queue()))
    pipeline = stage.redis.pipeline(transaction=False)
    for number in range(MESSAGES):
        id, taken_at = f"pile{number}", BEGAN + number
        state = State.BOUNCED if number % 10 == 0 else State.DELIVERED
        own = {"state": state.value, "message_id": message_id(taken_at, number), "since": taken_at + late}
        pipeline.hset(stage.keys.message(id), mapping=of_one | own)
        pipeline.zadd(stage.keys.state(state), {id: taken_at + late})
    pipeline.execute()


def batch_that_went(stage: BatchStage) -> str:
    """A batch of which SES took one chunk after the other; the log of every second one is packed."""
    id = stage.take(CHUNKS * 500).id
    for chunk in range(CHUNKS):
        at = BEGAN + chunk * CHUNK_SECONDS
        rows = range(500)
        lines = [f"{at + row * 0.08 + 0.3:.3f} {row}:{message_id(at + row * 0.08, row)}\n" for row in rows]
        log, name = "".join(lines).encode(), f"{id}-{chunk}"
        if chunk % 2:
            stage.redis.set(stage.keys.results(name), pack_results(log))
        else:
            stage.redis.set(stage.keys.log(name), log)
    stage.redis.hset(stage.keys.batch(id), "created", BEGAN - 10)
    return id


def finds(redis: Redis, text: str) -> tuple[list[str], int]:
    """Which messages have that MessageId, and how many were looked at."""
    looked = [0]
    found = [record.id for record in Finder(redis, "default", Query(message_id=text)).all(50, looked.append)]
    return found, looked[-1]


@pytest.mark.parametrize("number", [0, 1, 1500, 2990, MESSAGES - 1])
@pytest.mark.parametrize("given", [slice(None), slice(25)], ids=["whole", "beginning"])
def test_few_messages_are_looked_at(redis: Redis, stage: BatchStage, number: int, given: slice) -> None:
    # Given thousands of messages, whose deliveries SES told two seconds later
    pile(stage, late=2)
    redis.config_resetstat()
    # When one is looked for by its MessageId
    found, looked = finds(redis, message_id(BEGAN + number, number)[given])
    # Then only those of its time are looked at
    assert found == [f"pile{number}"]
    assert looked <= 2 * near.PART
    commands = sum(each["calls"] for each in redis.info("commandstats").values())
    assert commands < 3 * near.PART


@pytest.mark.parametrize(("chunk", "row"), [(0, 0), (3, 499), (6, 250), (CHUNKS - 1, 1)])
def test_few_chunks_of_a_batch_are_read(
    redis: Redis, stage: BatchStage, monkeypatch: pytest.MonkeyPatch, chunk: int, row: int
) -> None:
    # Given a batch that took minutes
    id = batch_that_went(stage)
    monkeypatch.setattr(near, "CHUNKS_READ", 2)
    # When one of its recipients is looked for by the MessageId
    found, looked = finds(redis, message_id(BEGAN + chunk * CHUNK_SECONDS + row * 0.08, row))
    # Then two chunks of twelve are read
    assert (found, looked) == ([f"{id}-{chunk}-{row}"], 1000)


@pytest.mark.parametrize("asked", [1, 5, CHUNKS])
def test_all_chunks_are_asked_in_steps(
    redis: Redis, stage: BatchStage, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    id = batch_that_went(stage)
    monkeypatch.setattr(near, "CHUNKS_ASKED", asked)
    monkeypatch.setattr(near, "CHUNKS_READ", 1)
    at = BEGAN + 7 * CHUNK_SECONDS + 10 * 0.08
    assert finds(redis, message_id(at, 10)) == ([f"{id}-7-10"], 500)


@pytest.mark.parametrize("late", [-86_400.0, 86_400.0], ids=["by a wrong clock", "by a late event"])
def test_what_is_not_near_its_time_is_found_all_the_same(
    redis: Redis, stage: BatchStage, monkeypatch: pytest.MonkeyPatch, late: float
) -> None:
    # Given messages whose time in their state is far from the one in the MessageId
    monkeypatch.setattr(near, "PARTS", 3)
    pile(stage, late=late)
    # Then the search looks everywhere, the newest first
    found, looked = finds(redis, message_id(BEGAN + 1501, 1501))
    assert (found, looked >= MESSAGES - 1501) == (["pile1501"], True)


def test_none_is_said_when_each_was_looked_at_once(run: Run, redis: Redis, stage: BatchStage) -> None:
    # Given messages and a batch, of whose time the wanted one would be
    pile(stage)
    batch_that_went(stage)
    wanted = message_id(BEGAN + 100, 77_777)
    # When nobody has it
    found, looked = finds(redis, wanted)
    # Then each message has been looked at, and counted once
    assert (found, looked) == ([], 1 + MESSAGES + CHUNKS * 500)
    assert run("messages", "list", "--message-id", wanted).stdout == "no message matches\n"


@pytest.mark.parametrize("after", ["near:x", "near:-1", "near:batches:", "near:9999999999"])
def test_a_cursor_that_is_none_is_refused(run: Run, redis: Redis, after: str) -> None:
    query = Query(message_id=message_id(BEGAN, 1), after=after)
    with pytest.raises(Exception, match="is not where a page ended"):
        Finder(redis, "default", query).page(seconds=0)


def test_a_cursor_has_a_number_of_nine_digits_at_most(redis: Redis) -> None:
    query = Query(message_id=message_id(BEGAN, 1), after="near:999999999")
    assert Finder(redis, "default", query).page(seconds=0).records == []
