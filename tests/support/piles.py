"""Fills Redis with very many copies of one message, fast: a script in Redis copies it."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from sesq.queue.keys import Keys
from sesq.queue.states import Lane

COPY = """
local A, queue, id, prefix = 'sesq:default:', ARGV[1], ARGV[2], ARGV[5]
for i = tonumber(ARGV[3]), tonumber(ARGV[4]) do
  local copy = prefix .. i
  for _, key in ipairs({A .. 'message:', A .. 'content:', 'rq:job:'}) do redis.call('COPY', key .. id, key .. copy) end
  for _, set in ipairs({A .. 'state:queued', A .. 'expiring'}) do
    local score = redis.call('ZSCORE', set, id)
    if score then redis.call('ZADD', set, score, copy) end
  end
  redis.call('RPUSH', 'rq:queue:' .. queue, copy)
end
"""
AT_ONCE = 1_000
SEARCHES = ("lrem", "lpos", "linsert", "lrange", "smembers", "keys")
"""Commands that take longer on a longer list or set."""


def pile_up(redis: Redis, id: str, count: int, *, prefix: str) -> None:
    """Queues `count` copies of a bulk message behind it: `<prefix>1`, `<prefix>2`, …"""
    for first in range(1, count, AT_ONCE):
        last = min(count, first + AT_ONCE - 1)
        redis.eval(COPY, 0, Keys("default").queue(Lane.BULK), id, first, last, prefix)


@dataclass
class Work:
    """The work of Redis for scripts since this object was made."""

    redis: Redis

    def __post_init__(self) -> None:
        self.redis.config_set("slowlog-log-slower-than", 1000)
        self.redis.config_set("slowlog-max-len", 1000)
        self.redis.slowlog_reset()
        self.redis.config_resetstat()

    def commands_a_script(self) -> float:
        """Returns how many commands one script ran, on average."""
        stats = self.redis.info("commandstats")
        scripts = sum(each["calls"] for name, each in stats.items() if name.startswith("cmdstat_eval"))
        return sum(each["calls"] for each in stats.values()) / scripts

    def searches(self) -> dict[str, int]:
        """Returns how often each command ran that searches a whole list or set."""
        stats = self.redis.info("commandstats")
        return {name: stats[f"cmdstat_{name}"]["calls"] for name in SEARCHES if f"cmdstat_{name}" in stats}

    def longest_script_ms(self) -> float:
        """Returns the longest time of a script (ms), by Redis's slow log."""
        entries = self.redis.slowlog_get(1000)
        return max((each["duration"] / 1000 for each in entries if b"EVAL" in each["command"]), default=0.0)
