"""Acts on all messages that match, for pages and for the API: the first steps at once, the others in a thread."""

from __future__ import annotations

import logging
import threading

from redis import Redis

from sesq.config.errors import SesqError
from sesq.console import many
from sesq.console.act import Act, Acts
from sesq.console.web.site import Room
from sesq.queue.snapshot import redis_now

log = logging.getLogger("sesq.console")
DONE_AT_ONCE = 500
"""Messages that are changed before the answer. A thread changes the others."""


def begin(room: Room, asked: Act) -> tuple[Act, bool]:
    """Begins an act that somebody has agreed to. Returns it, and whether it has ended. Raises InputError."""
    act = many.begin(room.redis, room.account, asked, room.by)
    act = many.run(room.redis, room.account, act, most=DONE_AT_ONCE)
    room.log(f"{act.verb}: {act.number} that match")
    stored = Acts(room.redis, room.account).get(act.id)
    if stored is not None and stored.run == act.run:
        _go_on(room, act)
    return act, stored is None


def go_on(room: Room, id: str) -> None:
    """Continues an act that was interrupted. Raises WrongState if somebody works on it, or if it has ended."""
    act = Acts(room.redis, room.account).take_over(id, room.by, redis_now(room.redis))
    room.log(f"{act.verb}: continued")
    _go_on(room, act)


def stop(room: Room, id: str) -> None:
    """Ends an act after its step, or now if no process works on it."""
    Acts(room.redis, room.account).stop(id, room.by, redis_now(room.redis))
    room.log("stop an act")


def _go_on(room: Room, act: Act) -> None:
    given = (room.redis, room.account, act)
    threading.Thread(target=_finish, args=given, daemon=True, name=f"act-{act.id}").start()


def _finish(redis: Redis, account: str, act: Act) -> None:
    try:
        many.run(redis, account, act)
    except SesqError as error:
        log.warning("account %s: act %s is interrupted and can be continued: %s", account, act.id, error)
