"""The entry point `sesq`. It imports nothing at first, so that it can say if the command line is not installed."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command that `sys.argv` names, and ends the process: 0 done, 1 refused or failed, 2 wrong use."""
    from sesq.console.streams import ENDED_BY_PIPE, give_up_stdout, is_full_disk, write_every_character

    write_every_character()
    try:
        try:
            _run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError as error:
        give_up_stdout(error)
        sys.exit(ENDED_BY_PIPE)
    except OSError as error:
        if not is_full_disk(error):
            raise
        sys.exit(give_up_stdout(error))


def _run() -> None:
    from sesq.console.streams import INTERRUPTED

    try:
        from sesq.console.app import app

        app(prog_name="sesq")
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit("sesq: the command line needs typer and rich: pip install 'sesq[console]'")
    except KeyboardInterrupt:  # while a command's libraries are loaded, before anything has begun
        sys.exit(INTERRUPTED)
