"""Acts on all messages that match, for pages and for the API: the first steps at once, the others in a thread."""

from __future__ import annotations

import logging
import threading

from redis import Redis

from sesq.config.errors import SesqError
from sesq.console import many
from sesq.console.act import Act
from sesq.console.acts import Acts
from sesq.console.web.site import Room
from sesq.queue.snapshot import redis_now

log = logging.getLogger("sesq.console")
COUNT_SECONDS = 0.15
"""After this time (s) one request begins no other step of its count, if the filter needs the messages' records."""
STEPS_AT_ONCE = 10
"""Steps that are done before the answer. A thread does the others."""


def begin(room: Room, asked: Act) -> tuple[Act, bool]:
    """Begins an act that somebody has agreed to. Returns it, and whether it has ended. Raises InputError."""
    begun = many.begin(room.redis, room.account, asked, room.by)
    act = many.run(room.redis, room.account, begun, steps=STEPS_AT_ONCE)
    room.log(f"{act.verb}: {act.number} that match")
    stored = Acts(room.redis, room.account).get(act.id, redis_now(room.redis))
    if stored is not None and stored.run == begun.run:
        _go_on(room, act)
    return act, stored is None


def go_on(room: Room, id: str) -> None:
    """Continues an act that was interrupted. Raises WrongState if somebody works on it, or if it has ended."""
    act = Acts(room.redis, room.account).take_over(id, room.by, redis_now(room.redis))
    room.log(f"{act.verb}: continued")
    _go_on(room, act)


def stop(room: Room, id: str) -> bool:
    """Ends an act after its step, or now if no process works on it. Returns False if its record was damaged: then
    it is removed. Raises WrongState if it has ended."""
    was_good = Acts(room.redis, room.account).stop(id, room.by, redis_now(room.redis))
    room.log("stop an act" if was_good else "remove a damaged act")
    return was_good


def _go_on(room: Room, act: Act) -> None:
    given = (room.redis, room.account, act)
    threading.Thread(target=_finish, args=given, daemon=True, name=f"act-{act.id}").start()


def _finish(redis: Redis, account: str, act: Act) -> None:
    try:
        many.run(redis, account, act)
    except SesqError as error:
        log.warning("account %s: act %s is interrupted and can be continued: %s", account, act.id, error)
