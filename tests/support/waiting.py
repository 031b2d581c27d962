"""Reads what waits in an account's lanes, for tests of producers."""

from __future__ import annotations

from redis import Redis

from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.record import Record
from sesq.queue.states import Lane


def in_order(redis: Redis, account: str = "default") -> list[Record]:
    """Returns every record, the oldest first; of those with the same time by Redis's clock, the next to go first."""
    keys = Keys(account)
    waiting = [id for lane in Lane for id in redis.lrange(f"rq:queue:{keys.queue(lane)}", 0, -1)]
    place = {id.decode(): number for number, id in enumerate(waiting)}
    records = Messages(redis, account).list(limit=500)
    return sorted(records, key=lambda record: (record.created, place.get(record.id, 0)))
