"""Keeps one embedded server for as long as somebody uses it.

Run as a script: redis_supervisor.py USERS_LOCK SERVER ARGUMENT… Whoever uses the server holds a shared lock on the file
USERS_LOCK. The kernel gives the supervisor its exclusive lock when the last of them is gone, however that ended: then
the server is stopped, and its data stays on disk. While it stops, the lock is held, so that a newcomer waits and then
starts a server of its own. Standard library alone: it starts fast.

It goes to the background at once, nobody's child. Its standard output stays open as long as it lives, and is empty.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

STOP_SECONDS = 30


def keep(users_lock: Path, command: list[str]) -> None:
    """Runs `command` until nobody holds `users_lock` any more, until it ends, or until this process is told to end."""
    with users_lock.open("rb") as users:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
        signal.signal(signal.SIGCHLD, _leave)
        signal.signal(signal.SIGTERM, _leave)
        try:
            if server.poll() is None:
                fcntl.flock(users, fcntl.LOCK_EX)
        finally:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _stop(server)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()  # the append-only file is flushed on SIGTERM
    try:
        server.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    if os.fork() == 0:
        keep(Path(sys.argv[1]), sys.argv[2:])
