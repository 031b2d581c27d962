"""Opens the accounts that a worker serves: those that are set up wrongly are told in the log, and left out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from redis import Redis

from sesq.config.errors import InvalidPolicy, SesqError, SettingsError
from sesq.config.settings import AccountSettings, Settings
from sesq.queue.layout import require_layout
from sesq.queue.policy import Policy
from sesq.queue.states import Lane
from sesq.worker.desk import Desk, open_desk, starting_limits
from sesq.worker.transports import SendFailed
from sesq.worker.transports.client import AwsClients
from sesq.worker.verdicts import Kind

log = logging.getLogger("sesq.worker")

CHECK_SECONDS = 5.0
HOPELESS = frozenset({Kind.CREDENTIALS, Kind.CONFIGURATION})


class CannotStart(SesqError):
    """The worker cannot send anything as it is set up: no region, no credentials. The text names the cure."""


def open_desks(redis: Redis, settings: Settings, accounts: Mapping[str, Sequence[Lane]]) -> list[Desk]:
    """Those of the accounts, each with its lanes, that can send, or may be able to later.

    One without credentials has its mail held until it has some, as it would while the worker runs. Raises CannotStart
    or SettingsError where none is left, and SettingsError for one that is not configured.
    """
    for name in accounts:
        settings.account(name)
    require_layout(redis)
    clients = AwsClients()
    opened = {name: _opened(redis, name, settings, lanes, clients) for name, lanes in accounts.items()}
    desks = {name: desk for name, desk in opened.items() if isinstance(desk, Desk)}
    wrong: dict[str, SesqError] = {name: why for name, why in opened.items() if isinstance(why, SesqError)}
    hopeless = _check_all({name: desk.sender.transport.check for name, desk in desks.items()})
    if len(wrong) + len(hopeless) == len(opened):
        raise (wrong | hopeless)[next(iter(accounts))]
    for name, why in wrong.items():
        level = (
            logging.INFO
            if name == "default" and settings.account(name) == AccountSettings()
            else logging.ERROR
        )
        told = str(why).removeprefix(f"account {name}: ")
        log.log(
            level,
            "account %s is not served, until its settings are right and a worker starts: %s",
            name,
            told,
        )
    for why in hopeless.values():
        log.error("%s", why)
    return list(desks.values())


def _opened(
    redis: Redis, name: str, settings: Settings, lanes: Sequence[Lane], clients: AwsClients
) -> Desk | SesqError:
    try:
        desk = open_desk(redis, name, settings, lanes=lanes, clients=clients)
        Policy(redis, name).configure(starting_limits(settings.account(name)))
    except (SettingsError, InvalidPolicy) as error:
        return error
    return desk


def _check_all(checks: Mapping[str, Callable[[], None]]) -> dict[str, CannotStart]:
    """All at once, and no longer than some seconds: an account whose SES is silent does not hold up the others.

    Returns those that can send nothing, with why.
    """
    hopeless: dict[str, CannotStart] = {}

    def look(account: str, check: Callable[[], None]) -> None:
        try:
            _check(check, account)
        except CannotStart as error:
            hopeless[account] = error

    threads = [threading.Thread(target=look, args=each, daemon=True) for each in checks.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + CHECK_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(hopeless)


def _check(check: Callable[[], None], account: str) -> None:
    """What it lacks is told at the start. AWS clients are made when the first call needs them."""
    try:
        check()
    except SendFailed as failure:
        if failure.verdict.kind in HOPELESS:
            raise CannotStart(f"account {account}: {failure.verdict.reason}") from failure
        log.warning("account %s: SES cannot be reached yet: %s", account, failure.verdict.reason)
