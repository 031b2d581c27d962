"""GetAccount and PutAccountSendingAttributes of SESv2."""

from __future__ import annotations

from typing import Any

from sesq.simulator.errors import SesError
from sesq.simulator.v2.router import Operation, Request


def get_account(request: Request) -> dict[str, Any]:
    account = request.account
    settings = account.settings
    return {
        "DedicatedIpAutoWarmupEnabled": False,
        "EnforcementStatus": settings.enforcement_status,
        "ProductionAccessEnabled": settings.production_access,
        "SendQuota": {
            "Max24HourSend": settings.max_24_hour_send,
            "MaxSendRate": settings.max_send_rate,
            "SentLast24Hours": float(account.sent_last_24_hours()),
        },
        "SendingEnabled": settings.may_send,
    }


def put_sending(request: Request) -> dict[str, Any]:
    """The account's own pause. It cannot lift one set by AWS (SHUTDOWN)."""
    enabled = request.body.get("SendingEnabled", False)
    if not isinstance(enabled, bool):
        raise SesError("unreadable", "SendingEnabled is not a boolean.")
    request.account.change({"sending_enabled": enabled})
    return {}


OPERATIONS = (
    Operation("GET", "/v2/email/account", "GetAccount", get_account),
    Operation("PUT", "/v2/email/account/sending", "PutAccountSendingAttributes", put_sending),
)
