"""Opens the accounts that a worker serves, once Redis takes writes. Leaves out accounts with wrong settings."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from redis import Redis
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_chain, wait_fixed

from sesq.config.connection import may_pass
from sesq.config.errors import InvalidPolicy, MissingPart, QueueUnavailable, SesqError, SettingsError
from sesq.config.settings import AccountSettings, Settings
from sesq.queue.gate import Gate
from sesq.queue.identities import BorrowedIdentities
from sesq.queue.layout import require_layout
from sesq.queue.limit_values import LIMITS
from sesq.queue.policy import Policy
from sesq.queue.states import Lane
from sesq.queue.transport import note_transport
from sesq.worker.aws_clients import open_clients
from sesq.worker.retry import RetryPolicy
from sesq.worker.rules import Rules
from sesq.worker.sending import Sender, SendingPolicy
from sesq.worker.sync import AccountSync
from sesq.worker.transports import SendFailed
from sesq.worker.transports.client import AwsClients
from sesq.worker.verdicts import Kind

log = logging.getLogger("sesq.worker")

BACKOFF_SECONDS = (0.1, 0.5, 1.0, 2.0)
"""The pauses between attempts while Redis cannot be used. The last one repeats."""
CHECK_SECONDS = 5.0
HOPELESS = frozenset({Kind.CREDENTIALS, Kind.CONFIGURATION})


Result = TypeVar("Result")


class CannotStart(SesqError):
    """The worker cannot send with its settings: no region, or no credentials. The text names the cure."""


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """Holds an account that is ready to be served."""

    name: str
    gate: Gate
    sender: Sender
    rules: Rules
    sync: AccountSync
    lanes: Sequence[Lane] = tuple(Lane)


def open_account(
    redis: Redis,
    name: str,
    settings: Settings,
    *,
    lanes: Sequence[Lane] = tuple(Lane),
    sleep: Callable[[float], None] = time.sleep,
    clients: AwsClients | None = None,
) -> OpenAccount:
    """Opens an account. Raises SettingsError if it is not configured, or has no region."""
    transport, ses = open_clients(redis, name, settings, settings.concurrency, sleep, clients)
    gate, region = Gate(redis, name), transport.region
    rules = Rules(redis, name, region)
    sender = Sender(
        gate, transport, rules, _sending_policy(settings, name), lease=settings.lease_seconds, sleep=sleep
    )
    of_account = settings.account(name)
    sync = AccountSync(
        redis,
        name,
        ses,
        region,
        settings.sync_seconds,
        settings.on_restore,
        borrowed=tuple(BorrowedIdentities.of(of_account.identity_arns).arns),
        tenant=of_account.tenant,
        bulk_window=of_account.bulk_window or "",
    )
    return OpenAccount(name, gate, sender, rules, sync, lanes)


def _sending_policy(settings: Settings, name: str) -> SendingPolicy:
    return SendingPolicy(
        on_unverified=settings.on_unverified,
        redirect_to=settings.redirect_to,
        on_unknown=settings.on_unknown,
        keep_content=settings.keep_content,
        configuration_set=settings.account(name).events.configuration_set,
        tenant=settings.account(name).tenant,
        by_smtp=name in settings.smtp_accounts,
        retry=RetryPolicy(max_attempts=settings.retry.max_attempts),
    )


def starting_limits(account: AccountSettings) -> dict[str, str]:
    """Returns the limits of `sesq.toml` as texts for the policy."""
    limits = {name: getattr(account, name) for name in LIMITS}
    return {name: str(value) for name, value in limits.items() if value is not None}


def open_accounts(
    redis: Redis, settings: Settings, accounts: Mapping[str, Sequence[Lane]]
) -> list[OpenAccount]:
    """Opens the accounts that can send, or may be able to send later, each with its lanes.

    Mail of an account without credentials is held until it has some, also if they expire while the worker runs. Raises
    CannotStart, SettingsError or MissingPart if no account can be opened, and SettingsError for an account that is not
    configured.
    """
    for name in accounts:
        settings.account(name)
    require_layout(redis)
    clients = AwsClients()
    opened = {name: _opened(redis, name, settings, lanes, clients) for name, lanes in accounts.items()}
    usable = {name: account for name, account in opened.items() if isinstance(account, OpenAccount)}
    wrong: dict[str, SesqError] = {name: why for name, why in opened.items() if isinstance(why, SesqError)}
    hopeless = _check_all({name: account.sender.transport.check for name, account in usable.items()})
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
    return list(usable.values())


def _opened(
    redis: Redis, name: str, settings: Settings, lanes: Sequence[Lane], clients: AwsClients
) -> OpenAccount | SesqError:
    try:
        account = open_account(redis, name, settings, lanes=lanes, clients=clients)
        own = settings.account(name)
        Policy(redis, name).configure(starting_limits(own), own.bulk_window or "")
        note_transport(redis, name, own.transport)
    except (SettingsError, InvalidPolicy, MissingPart) as error:
        return error
    return account


def _check_all(checks: Mapping[str, Callable[[], None]]) -> dict[str, CannotStart]:
    """Checks all accounts at the same time, for a few seconds. Returns the accounts that can send nothing, and why.

    An account whose SES does not answer does not delay the others.
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
    """Makes the first AWS call of an account. Raises CannotStart for wrong credentials or settings."""
    try:
        check()
    except SendFailed as failure:
        if failure.verdict.kind in HOPELESS:
            raise CannotStart(f"account {account}: {failure.verdict.reason}") from failure
        log.warning("account %s: SES cannot be reached yet: %s", account, failure.verdict.reason)


def when_redis_serves(step: Callable[[], Result], sleep: Callable[[float], None] = time.sleep) -> Result:
    """Calls `step`, again and again while Redis takes no writes: it is full, a replica, or without replicas.

    Raises QueueUnavailable for errors that do not pass, such as a user without rights.
    """
    tries = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, QueueUnavailable) and may_pass(error)),
        wait=wait_chain(*map(wait_fixed, BACKOFF_SECONDS)),
        before_sleep=_say_what_it_waits_for,
        sleep=sleep,
    )
    return tries(step)


def _say_what_it_waits_for(state: RetryCallState) -> None:
    assert state.outcome is not None
    log.warning(
        "the worker cannot start yet: %s; trying again in %.1f s",
        state.outcome.exception(),
        state.upcoming_sleep,
    )
