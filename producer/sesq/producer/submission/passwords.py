"""Checks passwords so that guessing is slow, and no mail waits for it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from sesq.config.errors import SesqError
from sesq.producer.submission.users import User, Users

WRONG_FROM_A_HOST = parse("20/5minute")


class TooManyTries(SesqError):
    """Too many wrong passwords from one host."""


class Passwords:
    """Checks passwords in one thread of its own: all guesses together take one core at most, about 20 a second.

    A password that was right before is known at once. A host that gave too many wrong ones waits.
    """

    def __init__(self, users: Users) -> None:
        self._users = users
        self._thread = ThreadPoolExecutor(1, "passwords")
        self._wrong = MovingWindowRateLimiter(MemoryStorage())

    async def check(self, name: str, password: str, host: str) -> User | None:
        """Returns the user whose name and password these are. Raises TooManyTries."""
        known = self._users.known(name, password)
        if known is not None:
            return known
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._checked, name, password, host)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _checked(self, name: str, password: str, host: str) -> User | None:
        """Checks in the thread, so that a client that hangs up before the answer is counted too."""
        if not self._wrong.test(WRONG_FROM_A_HOST, host):
            raise TooManyTries("too many wrong passwords from this host")
        user = self._users.find(name, password)
        if user is None:
            self._wrong.hit(WRONG_FROM_A_HOST, host)
        return user
