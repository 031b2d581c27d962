"""`sesq demo`: the main job on real parts."""

from __future__ import annotations

import typer

app = typer.Typer(add_completion=False)


@app.command()
def demo() -> None:
    """Watch the queue do its job against a simulated SES, in under a minute."""
    from sesq.console.demo import run

    raise typer.Exit(run())
