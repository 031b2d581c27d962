"""Whether the queue moves: workers live, nothing is stuck, nothing waits for a person."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from redis import Redis

from sesq.config.connection import mapped
from sesq.console.checkup.check import Check, fail, ok, warn
from sesq.console.checkup.tenants import check_tenants
from sesq.console.overview import Overview, read_overview
from sesq.console.times import span
from sesq.queue.batches import Batches
from sesq.queue.damage import read_damage
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages, accounts
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State
from sesq.queue.windows import batch_windows, look_at, problem_of, read_window
from sesq.worker.rules import read_blocks

STUCK_SECONDS = 60
MOST_DAMAGE = 20
RESTORED = "a backup of Redis was restored: what was queued before may have been sent since that was made, and is held"
RESTORED_CURE = "see what was sent, cancel that, then sesq messages release --waiting-for restore"
DAMAGE_CURE = "look at it with redis-cli, then forget it: redis-cli HDEL sesq:{account}:damaged KEY"
BATCH_CURE = (
    "sesq doctor --deep --repair builds it anew from its chunks, paused; give the same sesq batch send again, which "
    "queues nobody twice; then sesq batch resume ID"
)
WINDOW_CURE = (
    "correct bulk_window in sesq.toml; start a worker, which writes the times of windows; or cancel the batch"
)
SETTLE_CURE = "look at `sesq messages list --state unknown`, then `sesq messages resolve`"


def check_queue(redis: Redis, account: str) -> Iterator[Check]:
    """Reads Redis alone."""
    view = read_overview(redis, account)
    last = Messages(redis, account).list([State.SENT], limit=1)
    yield judge_workers(view)
    yield judge_movement(view, last[0].since if last else None)
    blocks = read_blocks(redis, account)
    for what, why in blocks.items():
        if not what.startswith("tenant:"):
            yield fail("blocked", f"{what}: {why}", "cure it at SES; sesq tries again by itself")
    yield from check_tenants(redis, account, blocks)
    with mapped():
        if redis.exists(Keys(account).restored):
            yield warn("restored", RESTORED, RESTORED_CURE)
    for damage in read_damage(redis, account)[:MOST_DAMAGE]:
        cure = BATCH_CURE if damage.what.startswith(Keys(account).batch("")) else DAMAGE_CURE
        yield warn("damaged", f"{damage.what}: {damage.why}", cure.format(account=account))
    yield from check_windows(redis, account)
    if view.counts[State.UNKNOWN]:
        yield warn(
            "unknown", f"{view.counts[State.UNKNOWN]} messages may have been sent, or not", SETTLE_CURE
        )


def check_windows(redis: Redis, account: str) -> Iterator[Check]:
    """Whether what waits for a send window can ever go."""
    window, now = read_window(redis, account), redis_now(redis)
    asked = [("bulk mail", window, "")] if window else []
    for batch in Batches(redis, account).all():
        if batch.window and batch.left:
            own = batch_windows(redis, account, batch.id)
            asked += [(f"batch {batch.id}", each, window) for each in own]
    views = look_at(redis, account, [own for _, own, _ in asked])
    problems = ((what, problem_of([all_bulk, own], views[own], now)) for what, own, all_bulk in asked)
    for what, problem in islice((each for each in problems if each[1]), MOST_DAMAGE):
        yield fail("send window", f"{what}: {problem}", WINDOW_CURE)


def check_unknown_accounts(redis: Redis, configured: Collection[str]) -> Iterator[Check]:
    """Whether mail waits for accounts that are not configured here: a slip in a name, or another host's."""
    for name in sorted(set(accounts(redis)) - set(configured)):
        waiting = sum(lane.queued for lane in read_overview(redis, name).lanes)
        if waiting:
            yield warn(
                "accounts",
                f"account {name} is not configured here, and {waiting:,} wait in its lanes",
                f"name it in sesq.toml where a worker is to send them, or see sesq messages list --account {name}",
            )


def judge_workers(view: Overview) -> Check:
    """None is no failure as long as nothing waits for one."""
    if view.workers:
        return ok("workers", f"{len(view.workers)} alive")
    waiting = sum(lane.queued for lane in view.lanes)
    if waiting:
        return fail("workers", f"none, and {waiting} messages are queued", "start one: sesq worker")
    return warn("workers", "none", "start one before mail is queued: sesq worker")


def judge_movement(view: Overview, last_sent: float | None) -> Check:
    """`last_sent`: when the last message left (seconds since the epoch), None for never."""
    if view.usage.closed == "suspended":
        return warn("queues", str(view.paused), "rq resume")
    if view.paused:
        return warn("queues", f"paused: {view.paused}", "sesq quota resume, where it was a person who paused")
    queued = sum(lane.queued for lane in view.lanes)
    now = view.usage.now
    for lane in view.lanes:
        may_go = view.usage.closed is None and lane.next_at is not None and lane.next_at <= now
        if may_go and lane.head is not None and view.workers:
            still = now - max(lane.head.since, last_sent or 0)
            if still > STUCK_SECONDS:
                cure = "see the workers' logs, and that one of them serves this lane"
                return fail("queues", f"{lane.lane} could go, and has not moved for {span(still)}", cure)
    held = view.counts[State.HELD]
    return ok("queues", f"{queued} queued, {held} held" if queued or held else "nothing waits to be sent")
