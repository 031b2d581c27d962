"""Reads the whole audit trail of an account: who did what and when, with the history of limits and pauses."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis

from sesq.console.audit import MOST_ENTRIES, Audit
from sesq.console.limits import before_change, changed
from sesq.console.times import span, utc
from sesq.queue.policy import BULK_PAUSE, HISTORY_LENGTH, PAUSE, Policy
from sesq.queue.ramp import RAMP

PAUSES = {PAUSE: "all mail", BULK_PAUSE: "bulk mail"}


@dataclass(frozen=True, slots=True)
class Deed:
    """One act. `before` and `after`: the values, in words. `until`: when it ends by itself (s).

    `act`: the id of an act on many messages. `is_limit`: it is in the history of limits, and can be undone.
    """

    at: float
    by: str
    what: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    until: float | None = None
    tenant: str = ""
    act: str = ""
    is_limit: bool = False

    @property
    def change(self) -> str:
        """Says what it changed, such as `rate 10/second → 5/second, for 2 h`."""
        names = dict.fromkeys([*self.before, *self.after])
        sides = [f"{name} {self.before.get(name, '?')} → {self.after.get(name, '?')}" for name in names]
        lasting = f", for {span(self.until - self.at)}" if self.until is not None else ""
        return "; ".join(sides) + lasting

    def matches(self, by: str, text: str) -> bool:
        """Whether `by` is in the name, and `text` in what was done. Case does not count."""
        told = f"{self.what} {self.change} {self.tenant}".lower()
        return by.lower() in self.by.lower() and text.lower() in told

    def as_json(self) -> dict[str, Any]:
        """Returns it for scripts."""
        return {
            "at": utc(self.at),
            "by": self.by,
            "what": self.what,
            "before": dict(self.before),
            "after": dict(self.after),
            "until": utc(self.until),
            "tenant": self.tenant or None,
        }


def read_trail(redis: Redis, account: str, limit: int, *, by: str = "", text: str = "") -> list[Deed]:
    """Lists the newest acts that match, the newest first. Raises QueueUnavailable."""
    noted = map(_noted, Audit(redis, account).entries(MOST_ENTRIES))
    limits = map(_limit, Policy(redis, account).history(HISTORY_LENGTH))
    found: Iterator[Deed] = heapq.merge(noted, limits, key=lambda deed: deed.at, reverse=True)
    return [
        deed
        for deed, _ in zip((each for each in found if each.matches(by, text)), range(limit), strict=False)
    ]


def _noted(entry: Mapping[str, Any]) -> Deed:
    before, after = (entry.get(side) or {} for side in ("before", "after"))
    return Deed(
        float(entry["at"]),
        str(entry["by"]),
        str(entry["what"]),
        before,
        after,
        act=str(entry.get("act") or ""),
    )


def _limit(event: Mapping[str, Any]) -> Deed:
    old, tenant = before_change(event), str(event.get("tenant") or "")
    new = event.get("new")
    what = f"reset {', '.join(old)}" if new is None else _verb(new)
    new = dict.fromkeys(old) if new is None else new
    return Deed(
        float(event["at"]),
        str(event["by"]),
        f"{what} of tenant {tenant}" if tenant else what,
        {_shown(name): changed(name, old.get(name)) for name in new},
        {_shown(name): changed(name, value) for name, value in new.items()},
        event.get("until"),
        tenant,
        is_limit=True,
    )


def _verb(new: Mapping[str, Any]) -> str:
    for name, mail in PAUSES.items():
        if name in new:
            return f"{'pause' if new[name] else 'resume'} {mail}"
    return "ramp" if RAMP in new else f"set {', '.join(new)}"


def _shown(name: str) -> str:
    return "pause" if name in PAUSES else name
