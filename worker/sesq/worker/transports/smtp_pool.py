"""Keeps open SMTP sessions: lends each to one thread at a time, and closes them before SES would."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from smtplib import SMTPResponseException

from sesq.worker.transports.smtp_session import CLOSING, Session
from sesq.worker.verdicts.smtp import NotLetIn

IDLE_SECONDS = 5.0
"""SES ends a session after about ten idle seconds, and publishes no number."""
WAIT_SECONDS = 20.0
REGROW_SECONDS = 60.0
"""After `421 Too many concurrent SMTP connections`, one more session is tried after this time, then another."""


class AllBusy(OSError):
    """No session became free in time."""


class SmtpPool:
    """Lends at most `most` sessions at once; fewer after SES said that there are too many. Times are seconds."""

    def __init__(
        self, connect: Callable[[], Session], most: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._connect = connect
        self._most = most
        self._clock = clock
        self._free: list[tuple[float, Session]] = []
        self._busy = 0
        self._lowered_to, self._lowered_at = most, 0.0
        self._changed = threading.Condition()
        self._sweeper: threading.Timer | None = None

    @property
    def limit(self) -> int:
        """The number of sessions that are allowed now."""
        regrown = int((self._clock() - self._lowered_at) // REGROW_SECONDS)
        return min(self._most, self._lowered_to + regrown)

    @contextmanager
    def lend(self, *, fresh: bool = False) -> Iterator[Session]:
        """Lends a session for one mail; with `fresh`, a new one. Raises as Session does, and AllBusy."""
        session = self._take(fresh)
        try:
            try:
                yield session
            finally:
                self._give_back(session)
        except SMTPResponseException as error:
            if error.smtp_code == CLOSING:
                self._lower()
            raise

    def sweep(self) -> None:
        """Closes sessions that are idle for too long. Runs again later while free sessions are left."""
        with self._changed:
            now = self._clock()
            stale = [session for since, session in self._free if now - since >= IDLE_SECONDS]
            self._free = [(since, session) for since, session in self._free if now - since < IDLE_SECONDS]
            self._sweeper = None
            if self._free:
                self._sweep_after(IDLE_SECONDS - (now - self._free[0][0]))
        _close_all(stale)

    def close(self) -> None:
        """Closes the sessions that are not in use."""
        with self._changed:
            sessions, self._free = [session for _, session in self._free], []
            if self._sweeper is not None:
                self._sweeper.cancel()
                self._sweeper = None
        _close_all(sessions)

    def _take(self, fresh: bool) -> Session:
        with self._changed:
            if not self._changed.wait_for(lambda: self._busy < self.limit, WAIT_SECONDS):
                raise AllBusy("all SMTP sessions are busy")
            self._busy += 1
            reused, unwanted = self._choose(fresh)
        _close_all(unwanted)
        return reused if reused is not None else self._open()

    def _choose(self, fresh: bool) -> tuple[Session | None, list[Session]]:
        """Returns the session to use again, and the sessions to close before a new one is opened.

        The session that was used last comes first, so that sessions that are not needed become idle.
        """
        now = self._clock()
        if not fresh and self._free and now - self._free[-1][0] < IDLE_SECONDS:
            return self._free.pop()[1], []
        too_many = max(0, self._busy + len(self._free) - self.limit)
        unwanted = [session for _, session in self._free[:too_many]]
        del self._free[:too_many]
        return None, unwanted

    def _open(self) -> Session:
        try:
            return self._connect()
        except NotLetIn as error:
            self._leave()
            if error.code == CLOSING and self._lower():
                return self._take(False)
            raise
        except BaseException:
            self._leave()
            raise

    def _lower(self) -> bool:
        """Lowers the limit to the sessions that there are. Returns whether another one is there to wait for."""
        with self._changed:
            others = self._busy + len(self._free)
            self._lowered_to, self._lowered_at = max(1, min(self.limit, others)), self._clock()
            return others > 0

    def _leave(self) -> None:
        with self._changed:
            self._busy -= 1
            self._changed.notify()

    def _give_back(self, session: Session) -> None:
        sound = session.sound
        with self._changed:
            self._busy -= 1
            if sound:
                self._free.append((self._clock(), session))
                if self._sweeper is None:
                    self._sweep_after(IDLE_SECONDS)
            self._changed.notify()
        if not sound:
            session.close()

    def _sweep_after(self, seconds: float) -> None:
        self._sweeper = threading.Timer(seconds, self.sweep)
        self._sweeper.daemon = True
        self._sweeper.start()


def _close_all(sessions: list[Session]) -> None:
    for session in sessions:
        session.close()
