"""`sesq demo`: shows the queue's main job on real parts."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from sesq.config.parts import part
from sesq.console.context import Json

EXAMPLES = """Examples

  sesq demo
  sesq demo --workers 4
  sesq demo --json
"""

NEEDED = ("sesq.worker.start", "sesq.simulator.simulator")
"""Modules that run in other processes. They are imported first, so that a missing library is named at the start."""

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLES)
def demo(
    workers: Annotated[int, typer.Option(min=1, max=16, help="How many worker processes.")] = 2,
    seconds: Annotated[float, typer.Option(min=10, help="Give up after this time.")] = 60.0,
    json: Json = False,
) -> None:
    """Watch the queue do its job against a simulated SES, in under a minute.

    Exit 0 only if the queue's record and SES's own agree. It needs no AWS account, and leaves nothing running.
    """
    with part("all"):
        for needed in NEEDED:
            import_module(needed)
        from sesq.console.demo import run
    raise typer.Exit(run(seconds=seconds, worker_count=workers, as_json=json))
