"""The live table: what is sent, what waits, and why; and at the end the two columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sesq.console.demo.compare import Row
from sesq.console.demo.view import Change, View
from sesq.queue.states import Lane, State

EVENTS = 6
COLOURS = {State.SENT: "green", State.HELD: "yellow", State.QUEUED: "cyan", State.SENDING: "blue"}
SHORT = 1e-6


def live(view: View, elapsed: float) -> RenderableType:
    """All of it, at one moment."""
    parts = [_progress(view), Text(), _lanes(view), Text(), _holds(view), Text(), _events(view)]
    return Panel(Group(*parts), title=f"sesq demo · {elapsed:.0f} s", title_align="left")


def one_line(view: View) -> str:
    """The same where nothing can be painted."""
    count = view.count()
    states = ", ".join(f"{count[state]} {state}" for state in (State.SENT, State.QUEUED, State.HELD))
    return f"{states}; {view.pace_now():.1f} recipients/s of {view.usage.rate:g}"


def two_columns(rows: Sequence[Row]) -> Table:
    """What must agree, row by row."""
    table = Table("", title="Two records that must agree", title_justify="left", expand=True)
    for heading in ("the queue", "SES"):
        table.add_column(heading, justify="right")
    table.add_column()
    for row in rows:
        mark = Text("✓", "green") if row.agrees else Text("✗ differs", "bold red")
        table.add_row(row.fact, _shown(row.queue), str(row.ses), mark)
    return table


def _shown(queue: int | tuple[int, int]) -> str:
    if isinstance(queue, tuple):
        return str(queue[0]) if queue[0] == queue[1] else f"{queue[0]} to {queue[1]}"
    return str(queue)


def _progress(view: View) -> RenderableType:
    count, total = view.count(), len(view.records)
    line = Text.assemble(
        (f"{count[State.SENT]} sent", "green"),
        f" of {total} · {count[State.SENDING]} on their way · {count[State.QUEUED]} queued · ",
        (f"{count[State.HELD]} held", "yellow"),
    )
    grid = Table.grid(padding=(0, 2))
    grid.add_row(line, ProgressBar(total or 1, count[State.SENT], width=20))
    return grid


def _lanes(view: View) -> RenderableType:
    table = _plain("lane", "waiting", "why it waits")
    for lane, seen in zip(Lane, view.usage.lanes, strict=True):
        table.add_row(str(lane), str(seen["queued"]), _why(view, seen))
    used, usage = view.usage.last_24h, view.usage
    day = "any number" if usage.daily is None else f"{usage.daily:g}"
    table.add_row("pace", f"{view.pace_now():.1f}/s", f"recipients a second; allowed: {usage.rate:g}")
    table.add_row("day", str(used), f"recipients in 24 hours; allowed: {day}")
    return table


def _why(view: View, lane: dict[str, Any]) -> str:
    if not lane["queued"]:
        return "nothing waits"
    if view.usage.closed:
        return {"unsynced": "the account has not been read yet"}.get(view.usage.closed, view.usage.closed)
    if lane["room_at"] > view.now + SHORT:
        return "the day's quota is used up"
    wait = lane["ready_at"] - view.now
    return f"rate: the next token comes in {wait:.1f} s" if wait > SHORT else "a token is there"


def _holds(view: View) -> RenderableType:
    table = _plain("held", "", "until")
    for reason, count in sorted(Counter(record.reason for record in view.held()).items()):
        table.add_row("", str(count), Text(reason, "yellow"))
    if not table.row_count:
        table.add_row("", "0", "")
    return table


def _events(view: View) -> RenderableType:
    table = _plain("ago", "what", "")
    for change in islice((c for c in view.changes() if c.state is not State.SENDING), EVENTS):
        state = Text(f"{change.state:<7}", COLOURS.get(change.state, ""))
        table.add_row(f"{max(0.0, view.now - change.at):.1f} s", state, _about(change))
    return table


def _about(change: Change) -> str:
    envelope = change.record.envelope
    more = f" and {envelope.rate_cost - 1} more" if envelope.rate_cost > 1 else ""
    return f"{envelope.subject} → {envelope.recipients[0]}{more}"


def _plain(*headings: str) -> Table:
    """Three columns; the last takes what width there is, and is cut off where that is too little."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=True)
    for heading, width in zip(headings, (14, 8, None), strict=True):
        ratio = None if width else 1
        table.add_column(heading, width=width, ratio=ratio, no_wrap=True, overflow="ellipsis")
    return table
