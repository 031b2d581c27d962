"""What a job of sesq runs where a stock `rq worker -S json` takes it: slower than sesq's own worker, by the same rules.

RQ has already taken the job out of its queue and does its own bookkeeping by what this function does: return (sent),
raise (not sent: the job's result shows why) or ask to be run again. `reseat.lua` sets right what RQ takes amiss.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache

from rq import Retry

from sesq.config.errors import SesqError
from sesq.config.settings import Settings
from sesq.queue.careful_redis import connect
from sesq.queue.messages import Messages
from sesq.queue.states import SENT_STATES, State
from sesq.worker.courier import Outcome
from sesq.worker.desk import Desk, open_desk

PATIENCE_SECONDS = 5.0
"""How long a job waits for its turn before it goes back to the head of its queue."""
CHUNK_SECONDS = 60.0
"""How long a job sends recipients of a batch before it lets RQ look at its other queues."""
WAITS = frozenset({"rate", "day", "paused", "ses_paused", "unsynced"})
AGAIN = 1_000_000
"""RQ wants a limit of tries; sesq counts its own, and waiting for quota is none."""


class NotSent(SesqError):
    """The message was not sent, and RQ's tools show why. sesq itself queues it again when that changes."""


def deliver(account: str, id: str) -> str | Retry:
    """Sends one message if it may go. Returns SES's MessageId, or RQ's request to run the job again."""
    desk = _open(account)
    execution = f"rq-{os.urandom(6).hex()}"
    answer = _wait_for_turn(desk, id, execution)
    if answer in WAITS:
        return _back_to_the_head()
    if answer != "granted":
        return _already(desk, id, answer)
    begun = desk.gate.begin(execution, [id])
    if not begun:
        return _already(desk, id, "sending")
    outcome = desk.courier.carry(begun[0])
    reached = desk.gate.settle([{**outcome, "foreign": True}])[0]
    return _result({**outcome, "to": reached or outcome["to"]})


def deliver_chunk(account: str, chunk: str) -> str | Retry:
    """Sends recipients of a batch's chunk one after the other, while it need not wait longer than a moment."""
    desk = _open(account)
    deadline = time.monotonic() + CHUNK_SECONDS
    while time.monotonic() < deadline:
        execution = f"rq-{os.urandom(6).hex()}"
        piece, answer, wait = desk.slices.take(chunk, _worker(), execution, lease=desk.courier.lease)
        if answer == "nothing":
            desk.slices.pack()
            return "sent"
        if piece is not None:
            row = desk.slices.read(execution, [piece])
            for begun in desk.slices.begin(execution, [each.id for each in row]):
                desk.slices.settle([desk.courier.carry(begun)])
        elif wait > PATIENCE_SECONDS:
            break
        else:
            desk.courier.sleep(wait)
    return _back_to_the_head()


def _open(account: str) -> Desk:
    """The account's desk, with what sesq's own worker does once a second: nobody else may be there to do it."""
    desk = _desk(account)
    desk.sync.run_if_due()
    desk.rules.refresh()
    desk.judge(_worker())
    return desk


def _worker() -> str:
    return f"rq:{os.getpid()}"


def _wait_for_turn(desk: Desk, id: str, execution: str) -> str:
    """Asks the gate until it grants, or the wait would be longer than a moment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer, wait = desk.gate.take(id, _worker(), execution, lease=desk.courier.lease)
        if answer not in WAITS:
            return answer
        left = deadline - time.monotonic()
        if left <= 0:
            return answer
        desk.courier.sleep(min(wait, left))


def _back_to_the_head() -> Retry:
    return Retry(max=AGAIN, enqueue_at_front=True)


def _already(desk: Desk, id: str, state: str) -> str:
    """Somebody queued what is not to be sent, or what is being sent."""
    if state in {s.value for s in SENT_STATES}:
        return Messages(desk.gate.redis, desk.gate.account).get(id).message_id or ""
    raise NotSent(f"message {id} is {state}, so it is not sent now")


def _result(outcome: Outcome) -> str | Retry:
    state = State(outcome["to"])
    if state is State.SENT:
        return str(outcome["message_id"])
    if state is State.QUEUED:
        return _back_to_the_head()
    if state is State.RETRYING:
        return Retry(max=AGAIN, interval=max(1, round(outcome["delay"])))
    raise NotSent(f"{state}: {outcome['reason']}")


@lru_cache(maxsize=8)
def _desk(account: str) -> Desk:
    """This process's desk for the account. A forked work horse makes its own: clients do not survive a fork."""
    settings = Settings.load()
    return open_desk(connect(settings=settings), account, settings, concurrency=1)
