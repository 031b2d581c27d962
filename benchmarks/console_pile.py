"""A million messages for the console's benchmark, written straight into Redis: most with a record, some in a batch."""

from __future__ import annotations

import json
from dataclasses import dataclass

from benchmarks.measure import Bench, mail
from sesq.producer.batch import Template
from sesq.producer.batch.batch_intake import numbered, take
from sesq.producer.batch.request import batch_request
from sesq.queue.chunks import CHUNK_ROWS, pack_results
from sesq.queue.keys import Keys
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State

HELD_FOR = 5000
"""Recipients that messages wait for."""
SHARES = {State.SENT: 0.9, State.QUEUED: 0.08, State.HELD: 0.01, State.FAILED: 0.01}
A_SECOND = 100
"""Messages that SES took in a second."""
AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Pile:
    """`id`: one of the messages. `batch`: that with `rows` recipients. The MessageIds are of one in the middle."""

    id: str
    batch: str
    rows: int
    began: float
    middle: float
    message_id: str
    message_id_of_row: str


def message_id(at: float, number: int) -> str:
    """As SES makes them."""
    return f"0100{round(at * 1000):012x}-{number:08x}-7b1c-4d0a-9f6e-0242ac120002-000000"


def fill(b: Bench, count: int, rows: int) -> Pile:
    """Writes `count` messages with a record, and `rows` recipients of a batch that has gone."""
    id = b.outbox.send(mail(0))
    keys, began = Keys("default"), redis_now(b.redis) - (count + rows) / A_SECOND
    of_one = {name.decode(): value.decode() for name, value in b.redis.hgetall(keys.message(id)).items()}
    number = 0
    for state, share in SHARES.items():
        last = number + round(count * share)
        while number < last:
            some = range(number, min(number + AT_ONCE, last))
            _write(b, keys, of_one, state, some, began)
            number = some[-1] + 1
    middle = count // 2
    batch = _batch(b, keys, rows, began + count / A_SECOND)
    of_row = message_id(began + (count + rows // 2) / A_SECOND, rows // 2)
    at = began + middle / A_SECOND
    return Pile(id, batch, rows, began, at, message_id(at, middle), of_row)


def _write(b: Bench, keys: Keys, of_one: dict[str, str], state: State, some: range, began: float) -> None:
    pipeline = b.redis.pipeline(transaction=False)
    for number in some:
        id, at = f"{number:032x}", began + number / A_SECOND
        own = {
            "state": state.value,
            "since": f"{at:.3f}",
            "history": json.dumps([at, state.value, ""]),
            "to": json.dumps([f"person{number}@example.org"]),
            "subject": f"Order {number}",
        }
        if state is State.SENT:
            own["message_id"] = message_id(at, number)
        if state is State.HELD:
            own["hold"] = f"recipient:person{number % HELD_FOR}@example.org"
            pipeline.zadd(keys.hold(own["hold"]), {id: at})
            pipeline.hset(keys.holds, own["hold"], "recipient is not verified")
        pipeline.hset(keys.message(id), mapping=of_one | own)
        pipeline.zadd(keys.state(state), {id: at})
        if state is State.QUEUED:
            pipeline.rpush(f"rq:queue:{of_one['queue']}", id)
    pipeline.execute()


def _batch(b: Bench, keys: Keys, rows: int, began: float) -> str:
    template = Template(name="news", subject="News for {{ name }} of {{ city }}", text="Hello {{ name }}.")
    made = (
        {"email": f"reader{number}@example.com", "name": f"Reader {number}", "city": "Bern"}
        for number in range(rows)
    )
    id = take(b.redis, batch_request(template, "shop@example.com", "news"), numbered(made)).id
    for chunk in range(0, rows, CHUNK_ROWS):
        lines = [
            f"{began + number / A_SECOND + 0.2:.3f} {number - chunk}:"
            f"{message_id(began + number / A_SECOND, number)}\n"
            for number in range(chunk, min(rows, chunk + CHUNK_ROWS))
        ]
        b.redis.set(keys.results(f"{id}-{chunk // CHUNK_ROWS}"), pack_results("".join(lines).encode()))
    b.redis.hset(keys.batch(id), mapping={"created": began, "n:waiting": 0, "n:taken": rows})
    return id
