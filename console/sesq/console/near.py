"""Finds where the mail with a MessageId is likely to be: the MessageId has the time at which SES took the mail.

It begins with 4 hexadecimal digits for the region and 12 for the milliseconds since the epoch. SES does not
document that. So a search looks near that time first, and then everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.chunks import first_taken_at
from sesq.queue.keys import Keys
from sesq.queue.replies import texts
from sesq.queue.states import FINAL_STATES, State

PART = 250
"""Messages of each state that one step looks at."""
PARTS = 80
"""Steps: after so many, the search looks everywhere. At 14 mails a second, they cover the next 24 minutes."""
EARLIER_SECONDS = 1.0
"""How far SES's clock may be ahead of Redis's."""
CHUNKS_ASKED = 500
"""Chunks of batches that one step asks when SES took their first mail."""
CHUNKS_READ = 8
"""Of these, the step reads so many that began nearest to the time."""
HEAD_BYTES = 192
"""So much of a packed log is enough to read its first time."""

_names_one = re.compile(r"[0-9a-f]{4}([0-9a-f]{12})-[0-9a-f]{8}", re.IGNORECASE).match


def taken_at(message_id: str) -> float | None:
    """Returns when SES took the mail (s), if the text has so much of a MessageId that it belongs to one mail."""
    found = _names_one(message_id)
    return int(found[1], 16) / 1000 if found else None


def settled_after(
    redis: Redis, keys: Keys, states: Iterable[State], at: float, part: int
) -> list[tuple[str, str]]:
    """Lists the messages that ended next after a time, each with its MessageId; `part` by `part`."""
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        for state in FINAL_STATES.intersection(states or FINAL_STATES):
            pipeline.zrangebyscore(
                keys.state(state), repr(at - EARLIER_SECONDS), "+inf", start=part * PART, num=PART
            )
        ids = [id for found in pipeline.execute() for id in texts(found)]
        for id in ids:
            pipeline.hget(keys.message(id), "message_id")
        return list(zip(ids, texts(pipeline.execute()), strict=True))


def begun_near(redis: Redis, keys: Keys, chunks: list[str], at: float) -> list[int]:
    """Returns which of these chunks began nearest to a time, by their numbers in the list."""
    with mapped():
        pipeline = redis.pipeline(transaction=False)
        for chunk in chunks:
            pipeline.getrange(keys.results(chunk), 0, HEAD_BYTES - 1)
            pipeline.getrange(keys.log(chunk), 0, HEAD_BYTES - 1)
        heads = pipeline.execute()
    firsts = [first_taken_at(heads[i] or heads[i + 1]) for i in range(0, len(heads), 2)]
    begun = [(abs(first - at), number) for number, first in enumerate(firsts) if first is not None]
    return [number for _, number in sorted(begun)[:CHUNKS_READ]]
