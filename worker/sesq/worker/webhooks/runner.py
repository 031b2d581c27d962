"""Runs webhooks, each in its own thread, so that a slow one does not delay the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from redis import Redis

from sesq.config.errors import SettingsError
from sesq.config.settings import Settings
from sesq.worker.webhooks.endpoint import Endpoint

log = logging.getLogger("sesq.webhooks")

WATCH_SECONDS = 0.2
END_SECONDS = 45.0
"""How long a thread may take to end: its delivery has a time limit, and so has Redis."""


def open_endpoints(
    redis: Redis, settings: Settings, accounts: Sequence[str], stop: threading.Event
) -> list[Endpoint]:
    """Makes the webhooks of the named accounts, or of all that are configured.

    It names a webhook with wrong settings in the log. Raises SettingsError if all configured ones are wrong.
    """
    found: list[Endpoint] = []
    problems: list[str] = []
    for account in accounts or sorted(settings.accounts):
        for name, webhook in sorted(settings.account(account).webhooks.items()):
            try:
                found.append(Endpoint(redis, account, name, webhook, stop))
            except SettingsError as error:  # noqa: PERF203  (each is reported)
                problems.append(f"accounts.{account}.webhooks.{name}.{error}")
    if not found and problems:
        raise SettingsError("\n".join(problems))
    for problem in problems:
        log.error("not served: %s", problem)
    return found


def run_endpoints(endpoints: Sequence[Endpoint], stop: threading.Event) -> None:
    """Delivers until `stop` is set."""
    threads = [threading.Thread(target=each.run, name=each.label, daemon=True) for each in endpoints]
    for thread in threads:
        thread.start()
    while not stop.wait(WATCH_SECONDS):  # Python handles signals between two waits
        pass
    for thread in threads:
        thread.join(END_SECONDS)
