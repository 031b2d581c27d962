"""`--watch`: draws something again and again on the whole terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sesq.console.output import console

WATCH_SECONDS = 1.0


def watch(draw: Callable[[], Any]) -> None:
    """Draws every second, until q or Ctrl-C."""
    from rich.live import Live

    with (
        _key_pressed() as pressed,
        Live(draw(), console=console(), screen=True, auto_refresh=False) as live,
    ):
        try:
            while not pressed("q", WATCH_SECONDS):
                live.update(draw(), refresh=True)
        except KeyboardInterrupt:
            return


@contextmanager
def _key_pressed() -> Iterator[Callable[[str, float], bool]]:
    """Yields a function: `pressed("q", 1.0)` says whether that key comes within a second. Keys are not shown."""
    import select
    import sys
    import termios
    import time
    import tty

    if not sys.stdin.isatty():

        def only_wait(_: str, seconds: float) -> bool:
            time.sleep(seconds)
            return False

        yield only_wait
        return

    def pressed(key: str, seconds: float) -> bool:
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        return bool(ready) and sys.stdin.read(1) == key

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
