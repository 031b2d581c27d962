"""`sesq status`: shows one account at a glance."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sesq.config.errors import InputError
from sesq.config.quotas import format_daily, format_rate
from sesq.console.condition_view import condition_as_json
from sesq.console.context import DEFAULT_ACCOUNT, Account, Json, open_account
from sesq.console.output import console, print_json
from sesq.console.overview import Memory, Overview, read_overview
from sesq.console.ramp_view import ramp_as_json
from sesq.console.tables import Counts, printable, table
from sesq.console.times import local_cell, utc
from sesq.console.watch import watch as keep_watching
from sesq.console.why import sentences
from sesq.queue.states import SENT_STATES, State

FEEDBACK_STATES = (State.DELIVERED, State.BOUNCED, State.COMPLAINED)
EXAMPLES = """Examples

  sesq status
  sesq status --watch
  sesq status --json | jq .usage.remaining
"""

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLES)
def status(
    account: Account = DEFAULT_ACCOUNT,
    json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again every second; q or Ctrl-C ends it.")
    ] = False,
) -> None:
    """Show the limits, the queue, and why mail waits."""
    if watch and (json or not console().is_terminal):
        raise InputError("--watch: needs a terminal, and no --json; repeat the command with --json instead")
    redis = open_account(account)
    if watch:
        keep_watching(lambda: as_text(read_overview(redis, account)))
    elif json:
        print_json(as_json(read_overview(redis, account)))
    else:
        console().print(as_text(read_overview(redis, account)))


def as_json(view: Overview) -> dict[str, Any]:
    """Returns it for scripts. Rates in recipients a second, days in recipients. None: unlimited, or not known (yet)."""
    usage = view.usage
    return {
        "account": view.account,
        "mode": view.snapshot.mode,
        "paused": view.paused is not None,
        "paused_because": view.paused,
        "bulk_paused": bool(view.bulk_paused),
        "bulk_paused_because": view.bulk_paused or None,
        "conditions": [condition_as_json(condition) for condition in view.conditions],
        "bulk_window": None
        if view.bulk_window is None
        else {
            "window": view.bulk_window.window,
            "open": view.bulk_window.opens_at is None,
            "opens_at": utc(view.bulk_window.opens_at if view.bulk_window.known else None),
        },
        "outside_windows": [
            {"batch": each.batch, "recipients": each.count, "opens_at": utc(each.opens_at)}
            for each in view.outside
        ],
        "policy": {
            "rate": usage.rate,
            "daily": usage.daily,
            "burst": usage.burst,
            "margin": view.usage.margin,
            "reserve": usage.reserve,
            "pace": usage.pace,
            "ramp": ramp_as_json(usage.ramp),
        },
        "usage": {
            "last_24h": usage.last_24h,
            "others": usage.others,
            "remaining": usage.remaining,
            "next_free_at": utc(view.next_free_at),
            "throttles": usage.throttles,
        },
        "lanes": {
            lane.lane.value: {
                "queued": lane.queued,
                "oldest_at": utc(lane.head.since if lane.head else None),
                "next_at": utc(view.goes_at(lane)),
            }
            for lane in view.lanes
        },
        "messages": totals(view),
        "feedback": {state.value: view.counts[state] for state in FEEDBACK_STATES},
        "waiting": [{"what": w.what, "reason": w.reason, "count": w.count} for w in view.waiting],
        "workers": [
            {
                "name": worker.name,
                "host": worker.host,
                "pid": worker.pid,
                "state": worker.state,
                "last_heartbeat": utc(worker.last_heartbeat),
                "sent": worker.sent,
            }
            for worker in view.workers
        ],
        "memory": {"used": view.memory.used, "limit": view.memory.limit} if view.memory else None,
        "synced_at": utc(view.snapshot.synced_at),
        "why": sentences(view),
    }


def totals(view: Overview) -> dict[str, int]:
    """Counts the messages in each state. `sent` includes those that were delivered, bounced or complained of since."""
    states = {state.value: view.counts[state] for state in State if state not in FEEDBACK_STATES}
    return states | {"sent": sum(view.counts[state] for state in SENT_STATES)}


def as_text(view: Overview) -> Any:
    """Returns the same for people, as something that rich draws."""
    from rich.console import Group
    from rich.text import Text

    usage, now = view.usage, view.usage.now
    counted = [(name, count) for name, count in totals(view).items() if count]
    parts: list[Any] = [
        Text(f"account {view.account}, {view.snapshot.mode}, {'paused' if view.paused else 'open'}", "bold"),
        Text(f"limits  {format_rate(usage.rate)}, {format_daily(usage.daily)}; {_used(view)}"),
        table(
            ("lane", "queued", "oldest since", "next goes"),
            [
                (
                    lane.lane,
                    lane.queued,
                    local_cell(lane.head.since if lane.head else None, now),
                    _next(view, view.goes_at(lane)),
                )
                for lane in view.lanes
            ],
        ),
        Counts(counted) if counted else Text("no messages"),
        _workers(view),
        *([Text(f"redis   {_memory(view.memory)}")] if view.memory else []),
        *(Text(printable(sentence)) for sentence in sentences(view)),
    ]
    return Group(*parts)


def _used(view: Overview) -> str:
    usage = view.usage
    left = "" if usage.remaining is None else f", {usage.remaining:,.10g} left"
    others = f" and {usage.others:,.10g} by others" if usage.others else ""
    return f"{usage.last_24h:,} sent in 24 hours{others}{left}"


def _next(view: Overview, at: float | None) -> object:
    return "" if at is None else local_cell(at, view.usage.now)


def _memory(memory: Memory) -> str:
    from rich.filesize import decimal

    return f"{decimal(memory.used)} in use" + (f" of {decimal(memory.limit)}" if memory.limit else "")


def _workers(view: Overview) -> Any:
    from rich.text import Text

    if not view.workers:
        return Text("no workers")
    return table(
        ("worker", "host", "pid", "state", "sent"),
        [(worker.name, worker.host, worker.pid, worker.state, worker.sent) for worker in view.workers],
    )
