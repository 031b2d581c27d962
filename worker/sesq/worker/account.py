"""Reads the account from SES: GetAccount and the identity list, with one control call a second from all processes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError
from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import SesqError
from sesq.queue.scripts import JOBS, compose

if TYPE_CHECKING:
    from sesq.worker.transports.client import AwsClient

CONTROL = compose("control.lua", JOBS)

CONTROL_SPACING_MS = 1050
UNLIMITED = -1.0
PAGE_SIZE = 1000
ENOUGH_IDENTITIES = 10_000
NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException"})


class AccountUnavailable(SesqError):
    """SES did not describe the account this time; the text says why. The next sync asks again."""


class AccountUnreadable(SesqError):
    """These credentials may not read the account (`ses:GetAccount`): the configured limits count."""


@dataclass(frozen=True, slots=True)
class Description:
    """Holds SES's description. `rate`: recipients a second; `daily`, `sent`: recipients in 24 hours (-1: unlimited)."""

    rate: float
    daily: float
    sent: float
    production: bool
    sending: bool
    enforcement: str
    identities: dict[str, bool] | None = field(default=None)
    """Identity -> is verified; None if SES does not list them. SES then judges each message."""
    unlisted_because: str = ""

    @property
    def paused_because(self) -> str:
        """Why SES sends nothing for this account; empty if it does."""
        if self.enforcement == "SHUTDOWN":
            return "SES has paused sending for this account (SHUTDOWN): see the account dashboard for the open review"
        if self.rate == 0:
            return "SES gives this account no sending rate"
        return "" if self.sending else "sending is switched off for this account at SES"


class ControlCalls:
    """Keeps all processes together at SES's one control call a second."""

    def __init__(self, redis: Redis, account: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.redis = redis
        self.account = account
        self.sleep = sleep

    def wait(self) -> None:
        """Waits until the next control call may be made, and counts it."""
        with mapped():
            while left := int(CONTROL.run(self.redis, self.account, CONTROL_SPACING_MS)):
                self.sleep(left / 1000)


class UnknownAccount:
    """Stands for an account that SES cannot be asked about."""

    def __init__(self, why: str) -> None:
        self.why = why

    def describe(self, _asking: Callable[[], None] = lambda: None) -> Description:
        """Raises AccountUnreadable: the configured limits count."""
        raise AccountUnreadable(self.why)


class SesAccount:
    """Reads one account through its client. `may_lack_keys`: its mail needs no AWS credentials."""

    def __init__(self, client: AwsClient, calls: ControlCalls, *, may_lack_keys: bool = False) -> None:
        self.client = client
        self.calls = calls
        self.may_lack_keys = may_lack_keys

    def describe(self, asking: Callable[[], None] = lambda: None) -> Description:
        """Reads the account and its identities. Calls `asking` right before it asks SES for the count of the day.

        Raises AccountUnreadable or AccountUnavailable.
        """

        def ask() -> Any:
            api = self.client.api
            asking()
            return api.get_account()

        account = self._call(ask)
        quota = account.get("SendQuota") or {}
        rate, daily, sent = (
            _number(quota, name) for name in ("MaxSendRate", "Max24HourSend", "SentLast24Hours")
        )
        enforcement = account.get("EnforcementStatus", "")
        identities, unlisted_because = self._identities()
        return Description(
            rate=rate,
            daily=daily,
            sent=sent,
            production=account.get("ProductionAccessEnabled", False),
            sending=account.get("SendingEnabled", True) and enforcement != "SHUTDOWN" and rate != 0,
            enforcement=enforcement,
            identities=identities,
            unlisted_because=unlisted_because,
        )

    def _identities(self) -> tuple[dict[str, bool] | None, str]:
        """Returns the identities that SES lists; or None, and why it lists none. SES then judges each message."""
        found: dict[str, bool] = {}
        try:
            for page in self._pages():
                for item in page["EmailIdentities"]:
                    found[item["IdentityName"]] = item.get("VerificationStatus", "") == "SUCCESS" or (
                        "VerificationStatus" not in item and item.get("SendingEnabled", False)
                    )
        except AccountUnreadable as error:
            return None, f"the identities may not be listed ({error})"
        except AccountUnavailable as error:
            return None, f"the identities were not listed ({error})"
        except (KeyError, TypeError, AttributeError):  # the endpoint is not SES
            return None, "the answer lists no identities: check that the endpoint is SES"
        return found, ""

    def _pages(self) -> Iterator[dict[str, Any]]:
        token: str | None = None
        for _ in range(0, ENOUGH_IDENTITIES, PAGE_SIZE):
            more: dict[str, Any] = {"NextToken": token} if token else {}
            page = self._call(partial(self.client.api.list_email_identities, PageSize=PAGE_SIZE, **more))
            yield page
            token = page.get("NextToken")
            if not token:
                return

    def _call(self, operation: Callable[[], Any]) -> Any:
        self.calls.wait()
        try:
            return operation()
        except ClientError as error:
            code, text = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            if code in NOT_ALLOWED:
                raise AccountUnreadable(text) from error
            raise AccountUnavailable(f"{code}: {text}") from error
        except (NoCredentialsError, CredentialRetrievalError) as error:
            why = f"there are no usable AWS credentials: {error}"
            raise (AccountUnreadable if self.may_lack_keys else AccountUnavailable)(why) from error
        except Exception as error:  # botocore's errors, and a parser's, have no common class
            raise AccountUnavailable(str(error) or type(error).__name__) from error


def _number(quota: dict[str, Any], name: str) -> float:
    """Reads a limit: -1 is unlimited, and 0 means that SES still sets the account up. Raises AccountUnavailable."""
    value = quota.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise AccountUnavailable(f"the answer contains no {name}: check that the endpoint is SES")
    if value < 0 and value != UNLIMITED:
        raise AccountUnavailable(f"the answer contains a {name} of {value:g}: check that the endpoint is SES")
    return float(value)
