"""Offers `SesqWorker` for `rq worker -w`, and `send`, the function that RQ's jobs name. Each is loaded when needed."""

from importlib import import_module
from typing import Any

_HOMES = {"SesqWorker": "sesq.worker.worker", "send": "sesq.worker.stock_worker"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
