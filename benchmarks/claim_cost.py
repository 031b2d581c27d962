"""What a question to the gate costs: beside a bare round trip and `limits`' moving window, under a small and a huge
quota, and in memory after a full day.

One client in one process asks one Redis over a unix socket, by a clock that stands still; nothing else is asked
meanwhile.
"""

from __future__ import annotations

import json
import statistics
import struct
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from limits import RateLimitItemPerDay, RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import Redis

from benchmarks.measure import Bench, bench, show
from sesq.queue.gate import SYNC, Claim, Gate
from sesq.queue.keys import CLOCK_OFFSET, Keys
from sesq.queue.policy import Policy

CALLS = 5000
GRANTS = 100
NOW = 1_700_000_000
MINUTES = 1440
SLOTS = 1442
SMALL, HUGE = 200, 50_000_000
WORKERS = 64
TENANTS = (1, 10, 1000)
LIMIT_KB = 64
GATE_KEYS = ("gate", "ledger", "token_waiters", "policy", "configured", "snapshot", "synced", "control")

_numbers = count()


def main(scale: float = 1.0) -> list[dict[str, Any]]:
    """Two tables: time and memory."""
    calls = max(200, round(CALLS * scale))
    with bench() as b:
        return [_times(b, calls), _memory(b)]


def _times(b: Bench, calls: int) -> dict[str, Any]:
    timed = [*_others(b, calls), *_claims(b, SMALL, calls), *_claims(b, HUGE, calls)]
    timed += [_claims_of_tenants(b, tenants) for tenants in TENANTS]
    base = statistics.median(timed[0][1])
    rows = []
    for name, seconds in timed:
        median, p99 = statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]
        rows.append((name, median * 1e6, p99 * 1e6, median / base))
    columns = ("question", "median µs", "p99 µs", "of a round trip")
    notes = [
        "a claim that is granted takes the message from its lane, leases it and writes its new state as well",
        f"{calls} of each, {GRANTS} of the claims granted",
    ]
    return show("What a question costs", columns, rows, notes)


def _others(b: Bench, calls: int) -> list[tuple[str, list[float]]]:
    b.redis.flushall()
    moving = MovingWindowRateLimiter(_limits_storage(b))
    busy, quiet = RateLimitItemPerSecond(1_000_000), RateLimitItemPerDay(14)
    return [
        ("a bare round trip (PING)", _time(b.redis.ping, calls)),
        ("an empty script", _time(b.redis.register_script("return 1"), calls)),
        ("limits' moving window, granted", _time(lambda: moving.hit(busy, "a"), calls)),
        ("limits' moving window, refused", _time(lambda: moving.hit(quiet, "b"), calls)),
    ]


def _claims(b: Bench, daily: int, calls: int) -> list[tuple[str, list[float]]]:
    """Under one daily quota, whose ledger is full but for a few."""
    gate = Gate(b.redis)
    _account(b, daily, used=daily, tokens=1e6)
    for_day = _time(partial(_ask, gate, "day"), calls)
    _account(b, daily, used=daily - GRANTS, tokens=0)
    for_rate = _time(partial(_ask, gate, "rate"), calls)
    _account(b, daily, used=daily - GRANTS, tokens=1e6)
    granted = _time(partial(_ask, gate, "full"), GRANTS)
    under = f"under {daily:,} a day"
    return [
        (f"a claim {under}, refused for the rate", for_rate),
        (f"a claim {under}, refused for the day", for_day),
        (f"a claim {under}, granted", granted),
    ]


def _claims_of_tenants(b: Bench, tenants: int) -> tuple[str, list[float]]:
    """Granted, from the queues of so many tenants in turn."""
    _account(b, HUGE, used=HUGE - GRANTS, tokens=1e6, tenants=tenants)
    return f"a claim granted, of {tenants:,} tenants", _time(partial(_ask, Gate(b.redis), "full"), GRANTS)


def _account(b: Bench, daily: int, used: int, tokens: float, tenants: int = 0) -> None:
    """An account with `used` of its day behind it, spread over all its minutes, and some mail queued."""
    b.redis.flushall()
    b.redis.set(CLOCK_OFFSET, f"={NOW}")
    told = {"rate": 1e6, "daily": daily, "sent": 0, "production": 1, "sending": 1, "readable": 1}
    SYNC.run(b.redis, "default", json.dumps({**told, "paused_because": "", "enforcement": ""}))
    minute = NOW // 60
    counts = [0] * SLOTS
    for i in range(MINUTES):
        counts[(minute - i) % SLOTS] = used // MINUTES + (i < used % MINUTES)
    keys = Keys("default")
    b.redis.set(keys.ledger, struct.pack(f"<{SLOTS}I", *counts))
    buckets = {"level": tokens, "at": NOW, "ses_level": tokens, "ses_at": NOW}
    b.redis.hset(keys.gate, mapping={**buckets, "minute": minute, "total": used})
    b.queue(max(GRANTS + 10, tenants), tenants=tenants)


def _ask(gate: Gate, expected: str) -> Claim:
    claim = gate.claim("worker", f"claim-{next(_numbers)}", want=1, lease=30.0)
    assert claim.reason == expected, claim
    return claim


def _time(ask: Callable[[], Any], calls: int) -> list[float]:
    """Seconds of each call, the first few left out."""
    seconds = []
    for _ in range(calls):
        started = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - started)
    return seconds[calls // 10 :]


def _memory(b: Bench) -> dict[str, Any]:
    rows: list[tuple[str, int, float]] = []
    for daily in (SMALL, HUGE):
        _account(b, daily, used=daily, tokens=0)
        Policy(b.redis).set({"rate": "14", "burst": "7", "reserve": "10%"}, by="benchmark", for_seconds=3600)
        gate = Gate(b.redis)
        for i in range(WORKERS):
            b.redis.zadd(gate.keys.token_waiters, {f"worker-{i}.{'x' * 32}": NOW + i})
        used = sum(_bytes(b.redis, f"sesq:default:{name}") for name in GATE_KEYS)
        rows.append((f"the gate, {WORKERS} workers waiting", daily, used / 1024))
    rows.append(("limits' moving window", SMALL, _window_bytes(b, SMALL) / 1024))
    rows.append(("limits' moving window", HUGE // 1000, _window_bytes(b, HUGE // 1000) / 1024))
    over = [row for row in rows[:2] if row[2] > LIMIT_KB]
    notes = [f"at most {LIMIT_KB} KB are allowed to the gate" + (": NOT KEPT" if over else "")]
    return show("What a full day takes in Redis", ("what", "quota of the day", "KB"), rows, notes)


def _window_bytes(b: Bench, daily: int) -> int:
    b.redis.flushall()
    moving, item = MovingWindowRateLimiter(_limits_storage(b)), RateLimitItemPerDay(daily)
    for _ in range(0, daily, SMALL):
        assert moving.hit(item, cost=SMALL)
    return sum(_bytes(b.redis, key) for key in b.redis.scan_iter())


def _bytes(redis: Redis, key: Any) -> int:
    return int(redis.memory_usage(key, samples=0) or 0)


def _limits_storage(b: Bench) -> RedisStorage:
    return RedisStorage(b.redis_url.replace("unix://", "redis+unix://"))


if __name__ == "__main__":
    main()
