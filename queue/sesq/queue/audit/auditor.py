"""Checks that all keys of an account in Redis agree, and mends what can be mended.

    from sesq.queue.audit import audit, repair

    audit(redis, "default")     # [] where all is well
    repair(redis, "default")    # mends what follows from other keys, and says what it did

The account may be in use meanwhile. So each fault is looked for a second time, some moments later. It counts only if
its object has not changed between the two looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.audit.finding import Finding
from sesq.queue.audit.repair import mend
from sesq.queue.audit.survey import Progress, Survey
from sesq.queue.audit.walk import hash_fields
from sesq.queue.keys import Keys

BETWEEN_SECONDS = 3.0
"""Longer than a worker needs for its regular upkeep, which it does once a second."""
ROUNDS = 5
"""How many repairs follow each other at most: a repair may reveal a fault that the next one mends."""


def _quiet(_what: str, _done: int, _total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """Holds what was mended, and how; and what is still wrong."""

    done: list[tuple[Finding, str]]
    left: list[Finding]


def audit(
    redis: Redis,
    account: str = "default",
    *,
    settled: bool = False,
    sleep: Callable[[float], object] = time.sleep,
    progress: Progress = _quiet,
) -> list[Finding]:
    """Reads all keys of the account, changes nothing, and returns what is wrong, sorted.

    `settled`: nobody uses the account, and workers have done all that RQ was told, so that RQ's keys must agree too.
    Raises QueueUnavailable.
    """
    with mapped():
        first = _look(redis, account, settled=settled, progress=progress)
        if not first:
            return []
        sleep(BETWEEN_SECONDS)
        second = _look(redis, account, settled=settled, progress=progress)
    found = [each for each, mark in second.items() if first.get(each) == mark]
    return sorted(found, key=lambda each: (each.kind.value, each.key, each.what))


def _look(redis: Redis, account: str, *, settled: bool, progress: Progress) -> dict[Finding, str]:
    """Reads everything once.

    If it has to set aside a key of another type, it reads everything again: what it had read before counted that key.
    """
    found: dict[Finding, str] = {}
    for _ in range(ROUNDS):
        before = set(hash_fields(redis, Keys(account).damaged))
        found = Survey(redis, account, settled=settled, progress=progress).look()
        if set(hash_fields(redis, Keys(account).damaged)) <= before:
            break
    return found


def repair(
    redis: Redis,
    account: str = "default",
    *,
    sleep: Callable[[float], object] = time.sleep,
    progress: Progress = _quiet,
) -> Repaired:
    """Mends what follows from other keys, and reports it. It may be called again. Raises QueueUnavailable."""
    done: list[tuple[Finding, str]] = []
    left = audit(redis, account, sleep=sleep, progress=progress)
    for _ in range(ROUNDS):
        with mapped():
            deeds = [(finding, mend(redis, account, finding)) for finding in left if finding.repairable]
        done += [(finding, deed) for finding, deed in deeds if deed]
        if not any(deed for _, deed in deeds):
            break
        left = audit(redis, account, sleep=sleep, progress=progress)
    return Repaired(done, left)
