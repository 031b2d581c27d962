"""SES on localhost that enforces SES's rules. It imports no other floor, so that it can judge them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sesq.simulator.parts import part

if TYPE_CHECKING:
    from sesq.simulator.clock import Clock
    from sesq.simulator.errors import SesError
    from sesq.simulator.simulator import Simulator, read_account_file, serve

__all__ = ["Clock", "SesError", "Simulator", "read_account_file", "serve"]

_HOMES = {"Clock": "clock", "SesError": "errors"}


def __getattr__(name: str) -> Any:
    """Imports a name at its first use: pytest loads the plugin in every run, also if no test wants a server."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with part():
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'simulator')}"), name)
