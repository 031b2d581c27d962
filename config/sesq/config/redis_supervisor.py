"""Keeps one embedded server for as long as somebody uses it.

Run as a script: redis_supervisor.py USERS_LOCK SERVER ARGUMENT… Each user of the server holds a shared lock on the file
USERS_LOCK. When the last user is gone, however it ended, the kernel gives the supervisor its exclusive lock. It then
stops the server, whose data stays on disk. It holds the lock meanwhile, so that a new user waits, and then starts a new
server. It imports the standard library only, to start fast.

It goes to the background at once. It writes nothing to its standard output, which stays open until it ends.
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
    """Runs `command` until nobody holds `users_lock`, until it ends by itself, or until this process gets SIGTERM."""
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
