"""Settings, errors and connections to Redis; also the version, since the namespace package `sesq` has no code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
    """The version of the distribution `sesq`, from its metadata."""
else:

    def __getattr__(name: str) -> str:
        """Reads the version only when it is used, so that a producer starts faster."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("sesq")
