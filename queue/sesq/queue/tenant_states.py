"""Keeps SES's last answer about each tenant. Account sync writes it; screens, `doctor` and events of SES read it."""

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
    """Names the status of a tenant. The first three are SES's words. Redis and JSON have the values."""

    ENABLED = "ENABLED"
    REINSTATED = "REINSTATED"
    DISABLED = "DISABLED"
    UNKNOWN = "UNKNOWN"  # SES has no such tenant
    UNREADABLE = "UNREADABLE"  # not known: the credentials may not call GetTenant

    def __str__(self) -> str:
        return self.value


STOPPED = frozenset({SendingStatus.DISABLED, SendingStatus.UNKNOWN})
SENDING = frozenset({SendingStatus.ENABLED, SendingStatus.REINSTATED})


@dataclass(frozen=True, slots=True)
class TenantState:
    """Holds SES's answer about a tenant. `asked`: its time (s since the epoch). `why`: SES's words, if it refused.

    `own_list`: bounces and complaints of the tenant's mail go on the tenant's own suppression list at SES, not on the
    account's.
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
        """Whether SES takes mail of the tenant, by its last answer."""
        return self.status in SENDING


class TenantStates:
    """Reads and writes the answers about the tenants of one account. Every method raises QueueUnavailable."""

    def __init__(self, redis: Redis, account: str = "default") -> None:
        self.redis = redis
        self.key = Keys(account).tenant_states

    def read(self) -> dict[str, TenantState]:
        """Returns the answers about all tenants, by name."""
        with mapped():
            found = read_hash(self.redis, self.key)
        states = {name: _unpacked(packed) for name, packed in sorted(found.items())}
        return {name: state for name, state in states.items() if state is not None}

    def has_own_list(self, tenant: str) -> bool:
        """Whether the tenant has its own suppression list at SES; False if that is not known."""
        with mapped():
            packed = self.redis.hget(self.key, tenant)
        state = _unpacked(text(packed))
        return state is not None and state.own_list

    def note(self, tenant: str, state: TenantState) -> None:
        """Writes an answer of SES."""
        told: dict[str, Any] = {"status": state.status.value, "asked": state.asked}
        if state.why:
            told["why"] = state.why
        if state.own_list:
            told["own_list"] = 1
        with mapped():
            self.redis.hset(self.key, tenant, json.dumps(told))

    def forget(self, tenants: Iterable[str]) -> None:
        """Forgets the answers about these tenants."""
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
