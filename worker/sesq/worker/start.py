"""What a worker process needs until it works: a Redis that takes writes, and a parent that is still there."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_chain, wait_fixed

from sesq.config.connection import may_pass
from sesq.config.errors import QueueUnavailable

log = logging.getLogger("sesq.worker")

BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0)
"""The pauses between two questions to a Redis that cannot be used; the last one for all that follow."""

Result = TypeVar("Result")


def when_redis_serves(step: Callable[[], Result], sleep: Callable[[float], None] = time.sleep) -> Result:
    """Takes a step of the start, again and again while Redis takes no writes: full, a replica, or without replicas.

    Raises QueueUnavailable for what the settings say wrongly, such as a user without rights.
    """
    tries = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, QueueUnavailable) and may_pass(error)),
        wait=wait_chain(*map(wait_fixed, BACKOFF_SECONDS)),
        before_sleep=_say_what_it_waits_for,
        sleep=sleep,
    )
    return tries(step)


def _say_what_it_waits_for(state: RetryCallState) -> None:
    assert state.outcome is not None
    log.warning(
        "the worker cannot start yet: %s; trying again in %.1f s",
        state.outcome.exception(),
        state.upcoming_sleep,
    )


class ParentPipe:
    """The read end of a pipe whose other end the parent process keeps open and never writes to.

    It ends when the parent does, however that ends. `on_end` is called then; until a worker sets it, there is nothing
    that could be left in a good order, and the process ends at once.
    """

    def __init__(self, descriptor: int) -> None:
        self.on_end: Callable[[], None] = lambda: os._exit(1)
        threading.Thread(target=self._watch, args=(descriptor,), name="parent", daemon=True).start()

    def _watch(self, descriptor: int) -> None:
        while os.read(descriptor, 1024):
            pass
        log.warning("the process that started this worker is gone: the worker stops")
        self.on_end()
