"""What `sesq doctor` checks: Redis, the account at SES, and whether the queue moves."""

from sesq.console.checkup.aws import check_account
from sesq.console.checkup.check import Check, Status
from sesq.console.checkup.events import check_events
from sesq.console.checkup.queue import check_queue, check_unknown_accounts
from sesq.console.checkup.server import CURE, check_redis
from sesq.console.checkup.webhooks import check_webhooks

__all__ = [
    "CURE",
    "Check",
    "Status",
    "check_account",
    "check_events",
    "check_queue",
    "check_redis",
    "check_unknown_accounts",
    "check_webhooks",
]
