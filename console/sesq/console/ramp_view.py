"""Shows a ramp to people and scripts: what it allows today, when it grows, why it stands still. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sesq.console.times import local, utc
from sesq.queue.reputation import BEFORE_AMAZON, WORDS
from sesq.queue.usage import Ramp, Usage

LINES = " and ".join(f"{WORDS[kind]} are below {rate:.1%}" for kind, rate in BEFORE_AMAZON.items())


def ramp_as_json(ramp: Ramp | None) -> dict[str, Any] | None:
    """Returns a ramp for scripts; None if there is none. Amounts are recipients in 24 hours; `day` counts from 1."""
    if ramp is None:
        return None
    return {
        "from": ramp.first,
        "to": ramp.last,
        "days": ramp.days,
        "began_at": utc(ramp.began),
        "value": ramp.cap,
        "day": min(ramp.day + 1, ramp.days),
        "steps": [{"at": utc(at), "value": cap} for at, cap in ramp.steps],
        "ends_at": utc(ramp.steps[-1][0]) if ramp.steps else None,
        "stands_still_since": utc(ramp.still_since),
        "stands_still_because": ramp.still_because or None,
    }


def ramp_sentences(usage: Usage) -> Iterator[str]:
    """Yields sentences about the account's ramp; none if there is no ramp."""
    return sentences_of(usage.ramp, usage.ceiling, usage.now)


def sentences_of(ramp: Ramp | None, ceiling: float | None, now: float) -> Iterator[str]:
    """Does the same for any ramp. `ceiling`: the daily limit without it (recipients in 24 hours; None: unlimited)."""
    if ramp is None:
        return
    yield _stands(ramp, now)
    if ceiling is not None and ramp.last > ceiling:
        yield f"SES, or your own limit, allows {ceiling:,.10g} in 24 hours now, so no more than that go."


def _stands(ramp: Ramp, now: float) -> str:
    allows = f"allows {ramp.cap:,} recipients in 24 hours"
    if ramp.still_since is not None:
        since = local(ramp.still_since, now)
        return f"The ramp {allows} and stands still since {since}: {ramp.still_because}. It goes on when {LINES}."
    if not ramp.steps:
        return f"The ramp has come to its end and {allows}; `sesq quota ramp --stop` takes it away."
    (at, cap), (end, last) = ramp.steps[0], ramp.steps[-1]
    later = f", and {last:,} from {local(end, now)}" if len(ramp.steps) > 1 else ""
    return f"The ramp {allows}, on day {ramp.day + 1} of {ramp.days}; {cap:,} from {local(at, now)}{later}."


def ramp_of_history_as_json(ramp: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a ramp of the history for scripts."""
    return {
        "from": ramp.get("from"),
        "to": ramp.get("to"),
        "days": ramp.get("days"),
        "began_at": utc(ramp.get("began")),
        "stands_still_since": utc(ramp.get("since")),
        "stands_still_because": ramp.get("why"),
    }


def changed_ramp(ramp: Mapping[str, Any]) -> str:
    """Writes a ramp of the history for people."""
    told = f"{ramp.get('from')}/day to {ramp.get('to')}/day in {ramp.get('days')} days"
    return f"{told}, standing still: {ramp.get('why')}" if ramp.get("since") else told
