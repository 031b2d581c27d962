"""`sesq worker`: sends what is queued."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer
from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import InputError, QueueUnavailable
from sesq.config.parts import part
from sesq.console.context import load_settings, open_redis, start_logging
from sesq.queue.states import Lane

log = logging.getLogger("sesq.worker")

START_PAUSES_SECONDS = (0.5, 1.0, 2.0)
EXAMPLES = """Examples

  sesq worker
  sesq worker --processes 4 --concurrency 32
  sesq worker --lanes transactional --account shop --account billing
  sesq worker --burst
"""

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLES)
def worker(
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many messages of an account each process sends at once. This is not the rate."
        ),
    ] = None,
    lanes: Annotated[
        str, typer.Option(metavar="LANES", help="Which lanes; mail of the first goes first.")
    ] = ",".join(lane.value for lane in Lane),
    account: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An account in sesq.toml; several times; all if not given."),
    ] = None,
    burst: Annotated[
        bool, typer.Option("--burst", help="End when nothing is left that could go now.")
    ] = False,
    processes: Annotated[
        int, typer.Option(min=1, help="How many processes; one that dies is started again.")
    ] = 1,
    name: Annotated[str | None, typer.Option(help="The worker's name; a random one if not given.")] = None,
    stop_with_stdin: Annotated[
        bool, typer.Option("--stop-with-stdin", hidden=True, help="One of several: stop when stdin ends.")
    ] = False,
) -> None:
    """Send what is queued, within the limits of SES.

    Any number of workers on any number of hosts share the limits of an account. After SIGTERM or Ctrl-C it finishes
    the mail that it is sending, and all other mail stays in its place; a second signal stops it at once.
    """
    settings = load_settings()
    if concurrency is not None:
        settings = settings.model_copy(update={"concurrency": concurrency})
    chosen, accounts = parse_lanes(lanes), account or []
    for each in accounts:
        settings.account(each)
    start_logging(settings)
    logging.getLogger("rq.worker").setLevel("WARNING")  # sesq's worker says the same itself
    with part("worker"):
        from sesq.worker.start import ParentPipe, Processes, run_worker
    parent = ParentPipe(sys.stdin.fileno()) if stop_with_stdin else None
    redis = open_redis(settings)
    if parent is None:  # otherwise the parent has waited
        wait_for_redis(redis)
    if processes > 1:
        if name:
            raise InputError(
                "--name: is for one process; leave it out with several, which get names of their own"
            )
        options = [word for each in accounts for word in ("--account", each)]
        options += [
            "--lanes",
            lanes,
            "--concurrency",
            str(settings.concurrency),
            *(["--burst"] if burst else []),
            "--stop-with-stdin",
        ]
        raise typer.Exit(1 if Processes(["worker", *options], processes).run() else 0)
    run_worker(redis, settings, accounts=accounts, lanes=chosen, burst=burst, name=name, parent=parent)


def parse_lanes(text: str) -> tuple[Lane, ...]:
    """Reads `transactional,bulk`, in the order given. Raises InputError."""
    names = [name.strip() for name in text.split(",")]
    known = [lane.value for lane in Lane]
    if len(set(names)) < len(names) or not set(names) <= set(known):
        raise InputError(
            f"--lanes: {text!r}; allowed: {', '.join(known)}, each at most once, with a comma between"
        )
    return tuple(Lane(name) for name in names)


def wait_for_redis(redis: Redis, sleep: Callable[[float], None] = time.sleep) -> None:
    """Waits until Redis answers. Raises QueueUnavailable after a few tries."""
    for pause in START_PAUSES_SECONDS:
        if _answers(redis, pause):
            return
        sleep(pause)
    with mapped():
        redis.ping()


def _answers(redis: Redis, pause: float) -> bool:
    try:
        with mapped():
            return bool(redis.ping())
    except QueueUnavailable as error:
        log.warning("%s; trying again in %g s", error, pause)
        return False
