"""Shows batches to people and scripts: as tables, as JSON, and the days of a plan as bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from redis import Redis

from sesq.config.quotas import format_daily, format_rate
from sesq.console.batch_check import Check, Preview
from sesq.console.batch_plan import Plan, plan
from sesq.console.tables import Cell, Column, Counts, printable, table, wrapped
from sesq.console.times import local, local_cell, span, utc
from sesq.producer.batch.row_validator import Why
from sesq.queue.batch import Batch
from sesq.queue.short_ids import shortened_batches
from sesq.queue.states import State

BAR_WIDTH = 40
MOST_DAYS = 31
PROBLEMS_SHOWN = 20


def as_json(batch: Batch, when: Plan) -> dict[str, Any]:
    """Returns a batch for scripts. `rate`: recipients a second on average since it began."""
    return {
        "id": batch.id,
        "name": batch.name,
        "state": batch.state,
        "reason": batch.reason,
        "from": batch.envelope.sender,
        "tenant": batch.envelope.tenant,
        "created": utc(batch.created),
        "ended": utc(batch.ended),
        "starts_at": utc(batch.starts_at),
        "window": batch.window,
        "zone_column": batch.zone_column,
        "outside": when.outside if batch.left else "",
        "filled": batch.filled,
        "total": batch.total,
        "left": batch.left,
        "stuck": batch.stuck,
        "sent": batch.sent,
        "counts": {state.value: count for state, count in batch.counts.items()},
        "invalid": batch.invalid,
        "duplicates": batch.duplicates,
        "suppressed": batch.suppressed,
        "stop_bounces": batch.stop_bounces,
        "stop_complaints": batch.stop_complaints,
        "rate": _average(batch, when.now),
        "ends_at": utc(when.ends_at) if batch.left else None,
    }


def as_text(batch: Batch, when: Plan) -> Any:
    """Returns the same for people, as something that rich draws."""
    from rich.console import Group

    counted = [(state.value, count) for state, count in batch.counts.items() if count]
    parts: list[Any] = [wrapped(("", ""), [fact for fact in _facts(batch, when) if fact[1]])]
    if counted:
        parts.append(Counts(counted))
    if batch.left and len(when.days) > 1:
        parts.append(days_chart(when.days))
    return Group(*parts)


def _facts(batch: Batch, when: Plan) -> Iterator[tuple[str, object]]:
    yield "batch", batch.id
    yield "template", batch.name
    yield "from", batch.envelope.sender
    yield "tenant", batch.envelope.tenant
    yield "state", batch.state
    yield "because", batch.reason
    yield (
        "recipients",
        f"{batch.total:,}" + ("" if batch.filled else " so far: its rows are still being read"),
    )
    yield "left out", _left_out(batch)
    yield "begun", local(batch.created, when.now)
    yield "starts", local(batch.starts_at, when.now)
    yield (
        "window",
        batch.window + (f", by the zones in column {batch.zone_column}" if batch.zone_column else ""),
    )
    yield "ended", local(batch.ended, when.now)
    if batch.total:
        open_ = batch.left + batch.stuck
        yield (
            "done",
            f"{100 * (batch.total - open_) / batch.total:.1f} %, {batch.left:,} to go" + _stuck(batch),
        )
    yield "rate", f"{format_rate(when.rate)} allowed, {_average(batch, when.now):.3g}/second so far"
    if batch.left:
        yield "waits", when.outside
        yield "ends", _ends(when)


def _left_out(batch: Batch) -> str:
    """Says how many rows of the file are not in the batch."""
    named = {"invalid": batch.invalid, "duplicates": batch.duplicates, "suppressed": batch.suppressed}
    return ", ".join(f"{count:,} {name}" for name, count in named.items() if count)


def _stuck(batch: Batch) -> str:
    named = {state: batch.counts[state] for state in (State.HELD, State.UNKNOWN) if batch.counts[state]}
    told = " and ".join(f"{count:,} {state}" for state, count in named.items())
    return f"; {told}: see sesq messages list --state {next(iter(named))}" if named else ""


def _average(batch: Batch, now: float) -> float:
    return round(batch.sent / max(1.0, (batch.ended or now) - batch.created), 4)


def _ends(when: Plan) -> str:
    if when.ends_at is None:
        return f"nobody can tell: {when.endless}"
    return local(when.ends_at, when.now)


COLUMNS = (
    Column("id"),
    Column("template", worth=8, cut=True),
    Column("state"),
    Column("recipients", worth=5),
    Column("sent", worth=6),
    Column("to go", worth=7),
    Column("held", worth=4),
    Column("ends", worth=3),
)


def rows_of(redis: Redis, batches: list[Batch], *, wide: bool) -> Any:
    """Returns all batches in one table."""
    short = shortened_batches([batch.id for batch in batches])
    return table(COLUMNS, [_row(redis, batch, short[batch.id]) for batch in batches], wide=wide)


def _row(redis: Redis, batch: Batch, short_id: str) -> tuple[object, ...]:
    ends: object = ""
    if batch.left:
        when = plan(redis, batch.account, batch.left, of=batch)
        ends = local_cell(when.ends_at, when.now)
    numbers = (f"{count:,}" for count in (batch.total, batch.sent, batch.left, batch.stuck))
    return Cell(batch.id, short_id), batch.name, batch.state, *numbers, ends


def check_as_text(check: Check) -> Any:
    """Returns a check for people, as something that rich draws."""
    from rich.console import Group
    from rich.text import Text

    left_out = check.intake.left_out
    counts = [
        ("rows", check.intake.rows),
        ("ready", check.ready),
        ("held: SES would refuse them now", check.held),
        ("invalid", left_out[Why.INVALID]),
        ("duplicates", left_out[Why.DUPLICATE]),
        ("suppressed", left_out[Why.SUPPRESSED]),
    ]
    parts: list[Any] = [wrapped(("", ""), [(name, f"{count:,}") for name, count in counts])]
    problems = check.intake.problems[:PROBLEMS_SHOWN]
    if problems:
        parts.append(wrapped(("line", "left out because"), [(each.line, each.reason) for each in problems]))
    more = sum(left_out.values()) - len(problems)
    if more > 0:
        parts.append(Text(f"and {more:,} more; --json names up to 1,000 of them"))
    parts += [_preview(preview) for preview in check.previews]
    if check.attachments:
        files = [f"{each.name} ({len(each.content):,} bytes)" for each in check.attachments]
        parts.append(Text(printable(f"With every mail goes {', '.join(files)}.")))
    parts += [Text(line, "yellow") for line in unused(check)]
    if check.sender_problem:
        parts.append(Text(f"{check.sender_problem}: nothing of it goes before that", "yellow"))
    if check.plan is not None:
        parts += _plan(check, check.plan)
    return Group(*parts)


def unused(check: Check) -> Iterator[str]:
    """Yields a line for each file of the template's folder that is not a part of the mail."""
    for name in check.unused:
        yield printable(
            f"{name} in the template's folder is not used; files that go with the mail are in attachments/"
        )


def _preview(preview: Preview) -> Any:
    from rich.panel import Panel
    from rich.text import Text

    body = preview.text if preview.text is not None else preview.html or ""
    lines = "\n".join(printable(line) for line in body.splitlines()[:12])
    title = Text(printable(f"{preview.to}: {preview.subject}"))
    return Panel(Text(lines), title=title, title_align="left", subtitle=f"{preview.size:,} bytes")


def _plan(check: Check, when: Plan) -> Iterator[Any]:
    from rich.text import Text

    if when.outside and check.ready:
        yield Text(f"{when.outside[0].upper()}{when.outside[1:]}.", "yellow")
    limits = (
        f"{format_rate(when.rate)}, {format_daily(when.daily)}{' and more each day' if when.grows else ''}"
    )
    if when.ends_at is None:
        yield Text(f"{when.endless}, so nobody can tell when it ends.")
    elif check.ready:
        days = [f"{count:,} {_day(day, when)}" for day, count in when.days.items()]
        told = ", ".join(days[:4]) + (", …" if len(days) > 4 else "")
        behind = f", behind {when.ahead:,} that wait already" if when.ahead else ""
        takes = span(when.ends_at - when.now)
        yield Text(f"ends {local(when.ends_at, when.now)} ({takes}; {limits}{behind}): {told}", "bold")
        if len(when.days) > 1:
            yield days_chart(when.days)


def _day(day: str, when: Plan) -> str:
    days = (date.fromisoformat(day) - datetime.fromtimestamp(when.now).astimezone().date()).days
    return {0: "today", 1: "tomorrow"}.get(days, date.fromisoformat(day).strftime("%a %d %b"))


def days_chart(days: Mapping[str, int]) -> Any:
    """Draws a bar for each day, at most a month of them."""
    from rich.bar import Bar
    from rich.table import Table

    most = max(days.values())
    chart = Table(box=None, show_header=False, pad_edge=False)
    for day, count in list(days.items())[:MOST_DAYS]:
        label = date.fromisoformat(day).strftime("%a %d %b")
        chart.add_row(label, Bar(most, 0, count, width=BAR_WIDTH), f"{count:,}")
    if len(days) > MOST_DAYS:
        chart.add_row("…", "", f"{len(days) - MOST_DAYS} days more")
    return chart
