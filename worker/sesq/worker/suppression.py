"""Reads SES's own suppression list into sesq's, and writes to it what a person adds or removes, if SES allows it.

In the sandbox nobody may change SES's list (developer guide, "account-level suppression list"): only sesq's counts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash
from sesq.queue.snapshot import redis_now
from sesq.queue.suppression import Suppressed, SuppressionList, mailed_as
from sesq.worker.control.calls import ControlRefused, ControlUnavailable, SesControl

log = logging.getLogger("sesq.sync")

PULL_SECONDS = 3600
LEASE_SECONDS = 600
"""After this time another process reads the list: the first one may have died."""
OVERLAP_SECONDS = 300
"""SES's entries may appear a little later than their time says."""
SOURCE = "SES's list"


class SesSuppression:
    """Reads and changes the list of one account at SES. Methods raise ControlRefused and ControlUnavailable."""

    def __init__(self, redis: Redis, account: str, control: SesControl) -> None:
        self.redis = redis
        self.account = account
        self.keys = Keys(account)
        self.ours = SuppressionList(redis, account)
        self._control = control

    def pull_if_due(self) -> int:
        """Reads new entries of SES's list, once an hour in one process. Returns how many. Raises no error of SES."""
        now = redis_now(self.redis)
        with mapped():
            times = read_hash(self.redis, self.keys.suppression_read)
            if (
                0 < Fields(times).number("until") - now <= PULL_SECONDS
            ):  # a time farther off is from before the clock was set back
                return 0
            self.redis.hset(self.keys.suppression_read, "until", now + LEASE_SECONDS)
        try:
            new = self.pull(min(now, Fields(times).number("read")))
        except (ControlRefused, ControlUnavailable) as error:
            log.info("account %s: SES's suppression list was not read: %s", self.account, error)
            self._note(now + PULL_SECONDS, times.get("read", "0"))
            return 0
        self._note(now + PULL_SECONDS, now)
        return new

    def _note(self, until: float, read: float | str) -> None:
        with mapped():
            self.redis.hset(self.keys.suppression_read, mapping={"until": until, "read": read})

    def pull(self, since: float = 0.0) -> int:
        """Adds what SES has listed since then (s since the epoch; 0: all) to sesq's list. Returns how many were new."""
        return self.ours.add(self._listed(since))

    def _listed(self, since: float) -> Iterator[Suppressed]:
        start = {"StartDate": _moment(since - OVERLAP_SECONDS)} if since else {}
        for item in self._control.pages(
            "list_suppressed_destinations", "SuppressedDestinationSummaries", **start
        ):
            if address := mailed_as(item["EmailAddress"]):
                at = item["LastUpdateTime"].timestamp()
                yield Suppressed(address, str(item["Reason"]).lower(), at, SOURCE)

    def put(self, specs: Iterable[str], reason: str) -> str:
        """Lists addresses at SES too, with one call a second. Returns why SES refused, or "". Raises nothing."""
        at_ses = "COMPLAINT" if reason == "complaint" else "BOUNCE"
        return self._each(
            specs,
            lambda spec: self._control.call("put_suppressed_destination", EmailAddress=spec, Reason=at_ses),
        )

    def delete(self, specs: Iterable[str]) -> str:
        """Removes addresses from SES's list. Returns why SES refused, or "". Raises nothing."""
        return self._each(specs, self._delete)

    def _delete(self, spec: str) -> None:
        try:
            self._control.call("delete_suppressed_destination", EmailAddress=spec)
        except ControlRefused as error:
            if error.code != "NotFoundException":
                raise

    def _each(self, specs: Iterable[str], act: Callable[[str], Any]) -> str:
        try:
            for spec in specs:
                act(spec)
        except (ControlRefused, ControlUnavailable) as error:
            return str(error)
        return ""


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
