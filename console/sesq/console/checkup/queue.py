"""Whether the queue moves: workers live, nothing is stuck, nothing waits for a person."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.numbers import number_of
from sesq.console.acts import Acts
from sesq.console.checkup.check import Check, fail, ok, warn
from sesq.console.checkup.conditions import check_conditions
from sesq.console.checkup.movement import Still, stuck
from sesq.console.checkup.reputation import check_reputation
from sesq.console.checkup.tenants import check_tenants
from sesq.console.overview import Overview, read_overview
from sesq.console.times import span
from sesq.queue.batches import Batches
from sesq.queue.damage import read_damage
from sesq.queue.keys import Keys
from sesq.queue.messages import accounts
from sesq.queue.snapshot import redis_now
from sesq.queue.states import State
from sesq.queue.windows import batch_windows, look_at, problem_of, read_window
from sesq.worker.rules import read_blocks

MOST_DAMAGE = 20
LANE_CURE = "start one that serves it: sesq worker, without --lanes"
RESTORED = "a backup of Redis was restored: what was queued before may have been sent since that was made, and is held"
RESTORED_CURE = "see what was sent, cancel that, then sesq messages release --waiting-for restore"
DAMAGE_CURE = "look at it with redis-cli, then forget it: redis-cli HDEL sesq:{account}:damaged KEY"
ACT_CURE = "remove it on the page Activity of the console"
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
    yield from check_conditions(view)
    yield judge_workers(view)
    yield judge_movement(view, stuck(redis, view))
    blocks = read_blocks(redis, account)
    for what, why in blocks.items():
        if not what.startswith("tenant:"):
            yield fail(
                "blocked", f"{what}: {why}", "cure it at SES; sesq tries again by itself", f"held:{what}"
            )
    yield from check_tenants(redis, account, blocks)
    with mapped():
        if redis.exists(Keys(account).restored):
            yield warn("restored", RESTORED, RESTORED_CURE)
    for damage in read_damage(redis, account)[:MOST_DAMAGE]:
        cure = BATCH_CURE if damage.what.startswith(Keys(account).batch("")) else DAMAGE_CURE
        found = f"{damage.what}: {damage.why}"
        yield warn("damaged", found, cure.format(account=account), f"damaged:{damage.what}")
    for id in Acts(redis, account).all(redis_now(redis)).damaged[:MOST_DAMAGE]:
        yield warn(
            "damaged",
            f"act {id}: its record is damaged, or of another version",
            ACT_CURE,
            f"damaged:act:{id}",
        )
    yield from check_windows(redis, account)
    yield from check_reputation(redis, account)
    if view.counts[State.UNKNOWN]:
        yield warn(
            "unknown",
            f"{number_of(view.counts[State.UNKNOWN], 'message')} may have been sent, or not",
            SETTLE_CURE,
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
        about = what.replace("batch ", "batch:") if what.startswith("batch ") else "send window"
        yield fail("send window", f"{what}: {problem}", WINDOW_CURE, about)


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
    idle = [lane for lane in view.lanes if lane.queued and not view.serving(lane.lane)]
    waiting = sum(lane.queued for lane in idle)
    if view.workers and idle:
        which = " and ".join(lane.lane.value for lane in idle)
        return fail("workers", f"none serves {which}, and {waiting:,} are queued there", LANE_CURE)
    if view.workers:
        return ok("workers", f"{len(view.workers)} alive")
    if waiting:
        return fail("workers", f"none, and {waiting:,} are queued", "start one: sesq worker")
    return warn("workers", "none", "start one: sesq worker. Until then, all mail waits in the queue")


def judge_movement(view: Overview, still: Sequence[Still]) -> Check:
    """Judges whether lanes are stuck. `still`: the lanes whose mail may go and does not."""
    if still:
        told = (f"{each.lane} mail may go, and none has left for {span(each.seconds)}" for each in still)
        cure = "see the workers' logs: a worker serves this lane, and takes nothing from it"
        return fail("queues", "; ".join(told), cure, f"lane:{still[0].lane}")
    queued = sum(lane.queued for lane in view.lanes)
    held = view.counts[State.HELD]
    return ok("queues", f"{queued:,} queued, {held:,} held" if queued or held else "nothing waits to be sent")
