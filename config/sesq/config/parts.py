"""Names the extra to install when one of its libraries is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sesq.config.errors import MissingPart


@contextmanager
def part(extra: str, what: str = "this") -> Iterator[None]:
    """Turns an import that fails into MissingPart: `with part("worker"):` stands around the imports from an extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "sesq":
            raise
        raise MissingPart(f"{what} needs {error.name}: pip install 'sesq[{extra}]'") from error
