"""Requests larger sending quotas from AWS Service Quotas. Only an account outside the sandbox may ask.

The codes are those of the service `ses` in Service Quotas; both quotas count recipients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sesq.worker.control.calls import asked

SERVICE = "ses"
CODES = {"daily": "L-804C8AE8", "rate": "L-CDEF9B6B"}
"""Sending quota (recipients in 24 hours) and sending rate (recipients a second)."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Describes a request for one quota. `status` and `case_id` are AWS's."""

    name: str
    wanted: float
    status: str
    case_id: str
    id: str


class QuotaRequests:
    """Requests quotas through a `service-quotas` client. Raises ControlRefused or ControlUnavailable."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def ask(self, name: str, wanted: float) -> Quota:
        """Requests the value `wanted`. AWS decides; a person does so for large steps."""
        told = asked(
            "request_service_quota_increase",
            lambda: self._client.request_service_quota_increase(**_named(name), DesiredValue=wanted),
        )["RequestedQuota"]
        return Quota(name, wanted, told.get("Status", ""), told.get("CaseId", ""), told.get("Id", ""))


def _named(name: str) -> dict[str, str]:
    return {"ServiceCode": SERVICE, "QuotaCode": CODES[name]}
