"""Lists what of an account is damaged in Redis."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

from redis import Redis

from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash

log = logging.getLogger("sesq.redis")


@dataclass(frozen=True, slots=True)
class Damage:
    """Describes something damaged in Redis. `at`: when it was found (seconds since the epoch)."""

    what: str
    why: str
    at: float


def read_damage(redis: Redis, account: str) -> list[Damage]:
    """Lists the damaged keys, which were set aside or cannot be read; the latest first."""
    found = [_damage(*entry) for entry in read_hash(redis, Keys(account).damaged).items()]
    return sorted(found, key=lambda damage: (-damage.at, damage.what))


def _damage(what: str, packed: str) -> Damage:
    try:
        at, why = json.loads(packed)
        return Damage(what, str(why), float(at))
    except (ValueError, TypeError):
        return Damage(what, packed, 0.0)
