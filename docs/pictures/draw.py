"""Draws demo.svg: what a real `sesq demo` shows on a terminal. `make pictures` runs it, in under a minute."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console

from sesq.console.demo.demo import SECONDS, WORKERS, play
from sesq.console.demo.patience import Patience
from sesq.console.demo.screen import WIDTH, Screen

PICTURE = Path(__file__).parent / "demo.svg"
FROM_ELSEWHERE = re.compile(r"<!--.*?-->|@font-face {{.*?}}", re.DOTALL)
"""Parts of rich's picture that load fonts from other hosts. Without them a browser uses its own monospace font."""


def main() -> None:
    """Plays the demo, and writes the picture if both records agree."""
    console = Console(
        record=True, file=io.StringIO(), force_terminal=True, color_system="truecolor", width=WIDTH
    )
    patience = Patience(SECONDS)
    screen = Screen(False, lambda: patience.elapsed, console)
    console.print("[bold]$ sesq demo[/]")
    result = play(WORKERS, screen, patience)
    screen.finish(result)
    if not result.agrees:
        raise SystemExit("the two records differ: nothing is drawn")
    PICTURE.write_text(as_svg(console), "utf-8")


def as_svg(console: Console) -> str:
    """Returns the recorded screen as SVG, without links to other hosts."""
    template = FROM_ELSEWHERE.sub("", CONSOLE_SVG_FORMAT)
    return console.export_svg(title="sesq demo", code_format=template, unique_id="demo")


if __name__ == "__main__":
    main()
