"""The limits in force, and where each comes from: what `sesq quota show` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from redis import Redis

from sesq.config.quotas import format_daily, format_rate
from sesq.console.condition_view import all_conditions, condition_as_json
from sesq.console.ramp_view import changed_ramp, ramp_as_json, ramp_of_history_as_json
from sesq.console.times import utc
from sesq.queue.conditions import Condition
from sesq.queue.fields import Fields
from sesq.queue.gate import Gate
from sesq.queue.limit_values import LIMITS
from sesq.queue.policy import Policy, Setting
from sesq.queue.snapshot import read_snapshot
from sesq.queue.usage import Usage
from sesq.queue.windows import look_at, read_window


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. `value` is in force (None: unlimited), by `origin`: `set`, `sesq.toml`, `ramp`, `SES` or `default`.

    `asked` is what somebody set, as written; `ses` what SES allows (-1: unlimited), None if that is not known.
    """

    value: float | None
    origin: str
    asked: str | None
    ses: float | None
    until: float | None
    forced: bool

    def as_json(self) -> dict[str, Any]:
        """Returns it for scripts; None is unlimited, or not known."""
        return {
            "value": self.value,
            "origin": self.origin,
            "set_to": limit_as_json(self.asked),
            "ses": None if self.ses == -1 else self.ses,
            "until": utc(self.until),
            "forced": self.forced,
        }


def limit_as_json(text: str | None) -> float | str | None:
    """What somebody set, for scripts: a number, a share ("10%"), or "unlimited"; None: it is not set."""
    if text is None or text.endswith("%"):
        return text
    number = Fields({"": text}).number("")
    return "unlimited" if number == -1 else number


def written(name: str, value: float | str | None) -> str:
    """Writes a limit for people: `14/second`, `50000/day`, `10%`. Other texts, such as why it is paused, stay."""
    try:
        number = None if value is None else float(value)
    except ValueError:
        return str(value)
    if name == "daily":
        return format_daily(number)
    if number is None:
        return ""
    return format_rate(number) if name == "rate" else f"{number:.10g}"


def changed(name: str, value: str | Mapping[str, Any] | None) -> str:
    """Writes one side of a change in the history, for people."""
    if isinstance(value, Mapping):
        return changed_ramp(value)
    return written(name, value) if value else "not set"


def before_change(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a change of the history replaced: of each limit the value that somebody had set, and that held."""
    for_a_time = entry.get("old_for") or {}
    return {**(entry.get("old") or {}), **{name: each.get("value") for name, each in for_a_time.items()}}


def change_as_json(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an entry of the history for scripts."""
    told = {name: value for name, value in entry.items() if name != "old_for"}
    times = {"at": utc(entry["at"]), "until": utc(entry.get("until"))}
    return {
        **told,
        **times,
        "old": _sides_as_json(before_change(entry)),
        "new": _sides_as_json(entry.get("new")),
    }


def _sides_as_json(side: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {name: _value_as_json(name, value) for name, value in side.items()}


def _value_as_json(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return ramp_of_history_as_json(value)
    return limit_as_json(value) if name in LIMITS else value


def read_limits(redis: Redis, account: str) -> dict[str, Limit]:
    """Reads the limits by name. It works for an account that nobody has used yet. Raises QueueUnavailable."""
    return _limits(redis, account)[0]


def quota_as_json(redis: Redis, account: str) -> dict[str, Any]:
    """Returns all limits, the ramp and the conditions, for scripts. Raises QueueUnavailable."""
    limits, usage = _limits(redis, account)
    conditions = [condition_as_json(each) for each in conditions_of(redis, account, usage)]
    told = {name: limit.as_json() for name, limit in limits.items()}
    return told | {"ramp": ramp_as_json(usage.ramp), "conditions": conditions}


def conditions_of(redis: Redis, account: str, usage: Usage) -> tuple[Condition, ...]:
    """Lists the conditions. Raises QueueUnavailable."""
    window = read_window(redis, account)
    view = look_at(redis, account, [window]).get(window)
    return all_conditions(redis, account, usage, read_snapshot(redis, account), view)


def _limits(redis: Redis, account: str) -> tuple[dict[str, Limit], Usage]:
    usage, snapshot = Gate(redis, account).usage(), read_snapshot(redis, account)
    settings = Policy(redis, account).show()
    in_force = {
        "rate": usage.rate,
        "daily": usage.daily,
        "burst": usage.burst,
        "margin": usage.margin,
        "reserve": usage.reserve,
    }
    ses = {"rate": snapshot.rate, "daily": snapshot.daily}
    # the origin of the limit in force if it is not the one that was set: SES's is lower, or SES is not known yet
    elsewhere = "SES" if snapshot.readable else "default"
    limits = {
        name: _limit(setting, in_force[name], ses.get(name), elsewhere) for name, setting in settings.items()
    }
    if usage.ramp_counts:
        limits["daily"] = replace(limits["daily"], origin="ramp")
    return limits, usage


def _limit(setting: Setting, value: float | None, ses: float | None, elsewhere: str) -> Limit:
    own = setting.value if setting.origin in ("set", "sesq.toml") else None
    origin = setting.origin if own is None or _is_in_force(own, value) else elsewhere
    return Limit(value, origin, own, ses, setting.until, setting.forced)


def _is_in_force(asked: str, value: float | None) -> bool:
    """Whether what was set is in force. A share ("10%") always is, since SES has no such limit."""
    if asked.endswith("%"):
        return True
    return Fields({"": asked}).optional("") == (-1 if value is None else value)
