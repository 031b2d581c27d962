"""What SES said last about each tenant. Account sync writes it down; screens, `doctor` and events of SES read it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.queue.fields import Fields
from sesq.queue.keys import Keys
from sesq.queue.replies import read_hash, read_json, text


class SendingStatus(str, Enum):
    """The first three are SES's words. The value is what Redis and JSON show."""

    ENABLED = "ENABLED"
    REINSTATED = "REINSTATED"
    DISABLED = "DISABLED"
    UNKNOWN = "UNKNOWN"  # SES has no such tenant
    UNREADABLE = "UNREADABLE"  # SES does not say: the credentials may not call GetTenant

    def __str__(self) -> str:
        return self.value


STOPPED = frozenset({SendingStatus.DISABLED, SendingStatus.UNKNOWN})
SENDING = frozenset({SendingStatus.ENABLED, SendingStatus.REINSTATED})


@dataclass(frozen=True, slots=True)
class TenantState:
    """`asked`: when SES said so (s since the epoch). `why`: its words, where it refused to say. `own_list`: bounces and
    complaints of its mail go on a suppression list of its own at SES, and not on the account's.
    """

    status: SendingStatus
    asked: float
    why: str = ""
    own_list: bool = False

    @property
    def is_stopped(self) -> bool:
        """Whether SES takes no mail of the tenant."""
        return self.status in STOPPED

    @property
    def may_send(self) -> bool:
        """Whether SES says that it takes its mail."""
        return self.status in SENDING


class TenantStates:
    """The tenants of one account. Every method raises QueueUnavailable when Redis cannot be reached."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.key = Keys(account).tenant_states

    def read(self) -> dict[str, TenantState]:
        """Returns all tenants of which SES was asked, by name."""
        with mapped():
            found = read_hash(self.redis, self.key)
        states = {name: _unpacked(packed) for name, packed in sorted(found.items())}
        return {name: state for name, state in states.items() if state is not None}

    def has_own_list(self, tenant: str) -> bool:
        """Whether SES keeps the suppression list of that tenant apart; False if that is not known."""
        with mapped():
            packed = self.redis.hget(self.key, tenant)
        state = _unpacked(text(packed))
        return state is not None and state.own_list

    def note(self, tenant: str, state: TenantState) -> None:
        """Writes down what SES said."""
        told: dict[str, Any] = {"status": state.status.value, "asked": state.asked}
        if state.why:
            told["why"] = state.why
        if state.own_list:
            told["own_list"] = 1
        with mapped():
            self.redis.hset(self.key, tenant, json.dumps(told))

    def forget(self, tenants: Iterable[str]) -> None:
        """Forgets what SES said of them."""
        names = list(tenants)
        if names:
            with mapped():
                self.redis.hdel(self.key, *names)


def _unpacked(packed: str) -> TenantState | None:
    """Reads a tenant's state. None if it is damaged: SES is then asked again."""
    found = read_json(packed.encode())
    if not isinstance(found, dict) or found.get("status") not in list(SendingStatus):
        return None
    told = Fields({name: str(value) for name, value in found.items()})
    status = SendingStatus(told.text("status"))
    return TenantState(status, told.number("asked"), told.text("why"), told.text("own_list") == "1")
