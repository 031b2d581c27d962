"""The settings of an account. They are checked when they are given: unknown names are errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator


@dataclass(frozen=True, slots=True)
class Quota:
    """What SES lets an account send: recipients a second, and recipients in any 24 hours."""

    rate: float
    daily: float


SANDBOX = Quota(1.0, 200.0)
PRODUCTION = Quota(14.0, 50_000.0)
"""A usual first quota outside the sandbox."""


def _usual(quota_part: Callable[[Quota], float]) -> Callable[[dict[str, Any]], float]:
    return lambda told: quota_part(PRODUCTION if told.get("production_access") else SANDBOX)


class AccountSettings(BaseModel):
    """The settings of one account in one region.

    `max_send_rate`: recipients a second. `max_24_hour_send`: recipients in 24 hours.
    A quota that is not set is the usual one of the sandbox, or of production.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    production_access: bool = False
    max_send_rate: float = Field(gt=0, default_factory=_usual(lambda quota: quota.rate))
    max_24_hour_send: float = Field(
        ge=-1, default_factory=_usual(lambda quota: quota.daily), description="-1 is unlimited"
    )
    burst: float | None = Field(None, ge=1, description="none: one second's worth, at least 1")
    sending_enabled: bool = True
    enforcement_status: Literal["HEALTHY", "PROBATION", "SHUTDOWN"] = "HEALTHY"
    suspended: bool = Field(False, description="permanently restricted")
    control_rate: float | None = Field(
        1.0, gt=0, description="calls a second of each operation; none: no limit"
    )
    review: Literal["PENDING", "GRANTED", "DENIED", "FAILED"] | None = Field(
        None, description="of the request for production access; GRANTED gives it"
    )
    failed_calls_use_rate: bool = False
    sent_lag: float = Field(0.0, ge=0, description="seconds by which SentLast24Hours is behind")

    @field_validator("max_24_hour_send")
    @classmethod
    def _no_other_negative(cls, value: float) -> float:
        if -1 < value < 0:
            raise ValueError("max_24_hour_send is 0 or more, or -1 for unlimited")
        return value

    @property
    def effective_burst(self) -> float:
        return max(1.0, self.max_send_rate) if self.burst is None else self.burst

    @property
    def may_send(self) -> bool:
        """GetAccount's SendingEnabled. It is false also if AWS has paused the account."""
        return self.sending_enabled and self.enforcement_status != "SHUTDOWN" and not self.suspended


def explain(error: ValueError) -> str:
    """Says what is wrong in one line. pydantic's own text is for programmers."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{name}: {problem}" for name, problem in problems_of(error))


def problems_of(error: ValidationError) -> list[tuple[str, str]]:
    """Lists each wrong setting and what is wrong. Leaves out what only follows from another wrong setting."""
    return [
        (".".join(map(str, each["loc"])), each["msg"])
        for each in error.errors()
        if each["type"] != "default_factory_not_called"
    ]
