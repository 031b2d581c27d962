"""Kills processes one after the other, and restarts Redis on its append-only file meanwhile."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from own_redis import OwnRedis

KILL_EVERY_SECONDS = 2.0

Start = Callable[[], "subprocess.Popen[bytes]"]


def rage(
    server: OwnRedis,
    starts: Sequence[Start],
    seed: int,
    seconds: float,
    first: Callable[[], object] = lambda: None,
) -> None:
    """Runs one process of each of `starts`, kills one every two seconds and starts it again. The seed gives the order.

    Calls `first` when all have started.
    """
    dice = random.Random(seed)
    workers = [start() for start in starts]
    first()
    begun = time.monotonic()
    restarts = [begun + seconds / 3, begun + seconds * 2 / 3]
    while (now := time.monotonic()) < begun + seconds:
        victim = dice.randrange(len(workers))
        workers[victim].kill()
        workers[victim].wait()
        workers[victim] = starts[victim]()
        if restarts and now > restarts[0]:
            restarts.pop(0)
            server.stop(signal.SIGKILL)
            server.start()
        time.sleep(KILL_EVERY_SECONDS)  # the time between two kills, not a wait for anything
