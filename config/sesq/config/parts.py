"""Parts of sesq that an extra brings: the one place that names the extra where its libraries are not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sesq.config.errors import MissingPart


@contextmanager
def part(extra: str, what: str = "this") -> Iterator[None]:
    """`with part("worker"):` around the imports that an extra brings. Raises MissingPart."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "sesq":
            raise
        raise MissingPart(f"{what} needs {error.name}: pip install 'sesq[{extra}]'") from error
