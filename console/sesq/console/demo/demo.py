"""Runs the demo from start to end: the parts, the story, the comparison. It leaves nothing behind."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sesq.config.embedded import EmbeddedRedis
from sesq.config.errors import SesqError
from sesq.console.demo.compare import Row, SesRecord, compare
from sesq.console.demo.load import VERIFIED
from sesq.console.demo.parts import SYNC_SECONDS, workers
from sesq.console.demo.patience import Interrupted, Patience
from sesq.console.demo.screen import Screen
from sesq.console.demo.story import Pace, Story
from sesq.console.demo.view import View
from sesq.console.streams import INTERRUPTED
from sesq.producer import Outbox
from sesq.queue.careful_redis import connect
from sesq.simulator import Simulator

SECONDS = 60.0
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Result:
    """What the demo found."""

    view: View
    rows: list[Row]
    paces: list[Pace]
    freed_after: float
    seconds: float

    @property
    def agrees(self) -> bool:
        return all(row.agrees for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        """Returns it for scripts. Paces in recipients a second, times in seconds."""
        return {
            "agrees": self.agrees,
            "rows": [
                {"fact": row.fact, "queue": row.queue, "ses": row.ses, "agrees": row.agrees}
                for row in self.rows
            ],
            "held": [{"to": list(r.envelope.recipients), "reason": r.reason} for r in self.view.held()],
            "freed_after": round(self.freed_after, 2),
            "paces": [
                {"limit": p.limit, "whose": p.whose, "measured": round(p.measured, 2)} for p in self.paces
            ],
            "seconds": round(self.seconds, 1),
        }

    def in_words(self) -> str:
        """Returns it for people."""
        paces = ", ".join(f"{p.measured:.1f}/s at a limit of {p.limit:g}/s ({p.whose})" for p in self.paces)
        held = "\n".join(f"  {record.envelope.recipients[0]}: {record.reason}" for record in self.view.held())
        verdict = (
            "[bold green]Both records agree: no limit of SES was broken, and nothing was lost or sent twice.[/]"
            if self.agrees
            else "[bold red]The records differ.[/]"
        )
        return (
            "A second may hold more than the rate: a mail to three goes at once, and then the queue rests; and SES "
            f"lets a burst through.\nPace: {paces}.\nStill held:\n{held}\n{verdict} ({self.seconds:.0f} s)"
        )


def run(*, seconds: float = SECONDS, worker_count: int = WORKERS, as_json: bool = False) -> int:
    """Runs the demo on this machine alone, in at most `seconds`, and leaves nothing running. Returns the exit status.

    0: both records agree. 1: they differ, or the demo did not come to its end. 130: interrupted.
    """
    patience = Patience(seconds)
    screen = Screen(as_json, lambda: patience.elapsed)
    try:
        with patience.ended_by_signals(), screen.painting():
            result = play(worker_count, screen, patience)
    except Interrupted:
        screen.complain("stopped; everything it had started has ended")
        return INTERRUPTED
    except (SesqError, OSError) as error:
        screen.complain(str(error))
        return 1
    screen.finish(result)
    return 0 if result.agrees else 1


def play(worker_count: int, screen: Screen, patience: Patience) -> Result:
    """Runs the story. Its parts run only for that time: a private Redis, SES on localhost, the Procfile's workers."""
    with ExitStack() as stack:
        folder = TemporaryDirectory(prefix="sesq-demo-", ignore_cleanup_errors=True)
        directory = Path(stack.enter_context(folder))
        url = stack.enter_context(EmbeddedRedis(directory / "redis")).url
        redis = connect(url)
        stack.callback(redis.close)
        ses = stack.enter_context(Simulator(max_send_rate=1, max_24_hour_send=200, verified=VERIFIED))
        parts = stack.enter_context(workers(worker_count, url, ses.endpoint_url, directory))
        screen.say(
            f"A private Redis, SES on {ses.endpoint_url.removeprefix('http://')} and {worker_count} workers of the "
            f"Procfile are starting. The workers ask SES about the account every {SYNC_SECONDS} s (usually 60)."
        )
        story = Story(Outbox(redis), ses, parts, screen, patience)
        view = story.play()
        rows = compare(view, SesRecord(ses.report(), ses.messages(), story.raised_at))
        return Result(view, rows, story.paces, story.freed_after, patience.elapsed)
