"""The account at SES: what GetAccount and the identity list say, one control call a second over all processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError
from redis import Redis

from sesq.config.connection import mapped
from sesq.config.errors import SesqError
from sesq.config.keys import Keys

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

CONTROL_SPACING_MS = 1050
PAGE_SIZE = 1000
ENOUGH_IDENTITIES = 10_000
NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException"})


class AccountUnavailable(SesqError):
    """SES did not describe the account this time; the text says why. The next sync asks again."""


class AccountUnreadable(SesqError):
    """These credentials may not read the account (`ses:GetAccount`): the configured limits count."""


@dataclass(frozen=True, slots=True)
class Description:
    """What SES says. Rates are recipients a second, quotas recipients in 24 hours (-1: unlimited)."""

    rate: float
    daily: float
    sent: float
    production: bool
    sending: bool
    enforcement: str
    identities: dict[str, bool] | None = field(default=None)
    """Identity -> verified; None where the credentials may not list them: SES judges identities then."""

    @property
    def paused_because(self) -> str:
        """Why SES sends nothing for this account; empty where it does."""
        if self.enforcement == "SHUTDOWN":
            return "SES has paused sending for this account (SHUTDOWN): see the account dashboard for the open review"
        if self.rate <= 0:
            return "SES gives this account no sending rate"
        return "" if self.sending else "sending is switched off for this account at SES"


class ControlCalls:
    """Hands out SES's one control call a second, to whoever asks in any process."""

    def __init__(self, redis: Redis, account: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.redis = redis
        self.key = Keys(account).control
        self.sleep = sleep

    def wait(self) -> None:
        """Returns when the next control call may be made, and counts it."""
        with mapped():
            while not self.redis.set(self.key, 1, nx=True, px=CONTROL_SPACING_MS):
                self.sleep(max(1, int(self.redis.pttl(self.key))) / 1000)


class UnknownAccount:
    """In place of an account that nobody here can ask about."""

    def __init__(self, why: str) -> None:
        self.why = why

    def describe(self, _asking: Callable[[], None] = lambda: None) -> Description:
        """Raises AccountUnreadable: the configured limits count."""
        raise AccountUnreadable(self.why)


class SesAccount:
    """Reads one account through its SESv2 client. `may_lack_keys`: its mail goes without AWS credentials."""

    def __init__(self, client: SESV2Client, calls: ControlCalls, *, may_lack_keys: bool = False) -> None:
        self.client = client
        self.calls = calls
        self.may_lack_keys = may_lack_keys

    def describe(self, asking: Callable[[], None] = lambda: None) -> Description:
        """Reads the account and its identities; calls `asking` right before SES is asked for its count of the day.

        Raises AccountUnreadable or AccountUnavailable.
        """

        def ask() -> Any:
            asking()
            return self.client.get_account()

        account = self._call(ask)
        quota = account.get("SendQuota", {})
        if not {"MaxSendRate", "Max24HourSend", "SentLast24Hours"} <= quota.keys():
            raise AccountUnavailable("the answer tells no quota: check that the endpoint is SES")
        enforcement, rate = account.get("EnforcementStatus", ""), quota["MaxSendRate"]
        return Description(
            rate=rate,
            daily=quota["Max24HourSend"],
            sent=quota["SentLast24Hours"],
            production=account.get("ProductionAccessEnabled", False),
            sending=account.get("SendingEnabled", True) and enforcement != "SHUTDOWN" and rate > 0,
            enforcement=enforcement,
            identities=self._identities(),
        )

    def _identities(self) -> dict[str, bool] | None:
        found: dict[str, bool] = {}
        try:
            for page in self._pages():
                for item in page["EmailIdentities"]:
                    found[item["IdentityName"]] = item.get("VerificationStatus", "") == "SUCCESS" or (
                        "VerificationStatus" not in item and item.get("SendingEnabled", False)
                    )
        except AccountUnreadable:
            return None
        return found

    def _pages(self) -> Iterator[dict[str, Any]]:
        token: str | None = None
        for _ in range(0, ENOUGH_IDENTITIES, PAGE_SIZE):
            more: dict[str, Any] = {"NextToken": token} if token else {}
            page = self._call(partial(self.client.list_email_identities, PageSize=PAGE_SIZE, **more))
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
        except (
            Exception
        ) as error:  # all that a client raises is foreign; a parser's errors have no class of their own
            raise AccountUnavailable(str(error) or type(error).__name__) from error
