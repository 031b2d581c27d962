"""Says how to install what the simulator needs besides Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def part() -> Iterator[None]:
    """Wraps imports that need the extra. Its ModuleNotFoundError names the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "sesq":
            raise
        cure = f"the simulator needs {error.name}: pip install 'sesq[simulator]'"
        raise ModuleNotFoundError(cure, name=error.name) from error
