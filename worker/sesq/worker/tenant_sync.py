"""Asks SES whether the tenants with mail here may send. It is a part of account sync.

GetTenant is about one tenant, and SES allows one control call a second. So after each sync workers ask about some of
the tenants, in turn. If SES refuses mail of a tenant before that, the mail waits because of that answer (see
`verdicts`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.numbers import number_of
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.replies import texts
from sesq.queue.shares import tenant_of, tenant_queues
from sesq.queue.snapshot import redis_now
from sesq.queue.states import Lane
from sesq.queue.tenant_states import SendingStatus, TenantState, TenantStates
from sesq.worker.control.calls import ControlRefused, ControlUnavailable, SesControl
from sesq.worker.verdicts.outcomes import NO_TENANT, TENANT_STOPPED

log = logging.getLogger("sesq.sync")

ASK_SECONDS = 300
"""After this time sesq asks SES about a tenant again."""
SHARE_OF_SYNC = 3
"""Seconds of a sync's interval for each tenant that is asked about in it."""
MOST_ASKED = 60
FORGET_SECONDS = 30 * 86_400
"""How long the answer about a tenant is kept after its last mail, since events of that mail still come."""
REASONS = {SendingStatus.DISABLED: TENANT_STOPPED.reason, SendingStatus.UNKNOWN: NO_TENANT.reason}


class TenantSync:
    """Asks SES about the tenants of one account. `default`: the tenant of mail that names none."""

    def __init__(
        self, redis: Redis, account: str, control: SesControl, region: str, default: str | None
    ) -> None:
        self.redis = redis
        self.account = account
        self.keys = Keys(account)
        self.region = region
        self.default = default
        self.states = TenantStates(redis, account)
        self.messages = Messages(redis, account)
        self._control = control

    def run(self, interval: float) -> None:
        """Asks SES about the tenants that are due, as many as `interval` (s) has room for. Raises no error of SES."""
        now, before = redis_now(self.redis), self.states.read()
        held, queued = self._held(), self._queued()
        self._forget(before, held | queued, now)
        most = min(MOST_ASKED, max(1, int(interval / SHARE_OF_SYNC)))
        for tenant in in_turn(before, held, queued, now, most):
            try:
                state = self._ask(tenant, now)
            except ControlUnavailable as error:
                log.info("account %s: SES did not tell of its tenants: %s", self.account, error)
                return
            self.states.note(tenant, state)
            self._act(tenant, state, before.get(tenant))
            if state.status is SendingStatus.UNREADABLE:
                return  # SES would not tell about the others either

    def _ask(self, tenant: str, now: float) -> TenantState:
        try:
            told = self._control.call("get_tenant", TenantName=tenant).get("Tenant") or {}
            status = SendingStatus(told.get("SendingStatus"))
        except ControlRefused as error:
            if error.code == "NotFoundException":
                return TenantState(SendingStatus.UNKNOWN, now)
            return TenantState(SendingStatus.UNREADABLE, now, str(error))
        except ValueError:
            return TenantState(SendingStatus.UNREADABLE, now, "the answer has no status that sesq knows")
        scope = (told.get("SuppressionAttributes") or {}).get("SuppressionScope")
        return TenantState(status, now, own_list=scope == "TENANT")

    def _act(self, tenant: str, state: TenantState, before: TenantState | None) -> None:
        """Holds all mail of a tenant that SES has stopped, and frees it when SES says that the tenant may send.

        If SES refused mail of a tenant that may send, there may be another reason: then one message is tried first.
        """
        hold = hold_of(tenant)
        if state.is_stopped:
            why = REASONS[state.status].format(tenant=tenant, region=self.region)
            with mapped():
                told = json.dumps([redis_now(self.redis), why, False, ""])
                if self.redis.hsetnx(self.keys.blocks, hold, told):
                    log.warning("account %s: mail of a tenant waits: %s", self.account, why)
        elif state.may_send and self._is_blocked(hold):
            if before is not None and before.is_stopped:
                freed = self.messages.free(hold, f"SES says of the tenant {tenant}: {state.status}")
                told = number_of(freed, "message")
                log.info("account %s: freed %s that waited for tenant %s", self.account, told, tenant)
            else:
                self.messages.try_one(hold, "trying whether SES takes it now")

    def _is_blocked(self, hold: str) -> bool:
        with mapped():
            return bool(self.redis.hexists(self.keys.blocks, hold))

    def _queued(self) -> set[str]:
        """Returns the tenants with mail in a lane, and the tenant of all mail that names none."""
        with mapped():
            found = {
                tenant_of(queue) for lane in Lane for queue in tenant_queues(self.redis, self.keys, lane)
            }
        return found | ({self.default} if self.default else set())

    def _held(self) -> set[str]:
        with mapped():
            holds = texts(self.redis.hkeys(self.keys.holds))
        kinds = (hold.partition(":") for hold in holds)
        return {name.partition("/")[0] for kind, _, name in kinds if kind == "tenant"}

    def _forget(self, states: Mapping[str, TenantState], with_mail: set[str], now: float) -> None:
        """Removes the block of a tenant that has no mail, since no worker asks about the tenant until mail comes."""
        gone = [name for name in states if name not in with_mail]
        for name in gone:
            if states[name].is_stopped and self._is_blocked(hold_of(name)):
                self.messages.free(hold_of(name), "")
        self.states.forget(name for name in gone if now - states[name].asked > FORGET_SECONDS)


def in_turn(
    states: Mapping[str, TenantState], held: set[str], queued: set[str], now: float, most: int
) -> list[str]:
    """Returns the tenants to ask about now, first those with the oldest answers.

    Half of the places are for tenants with held mail.
    """

    def due(names: set[str]) -> list[str]:
        asked = {name: states[name].asked if name in states else -1.0 for name in names}
        waits = [name for name, at in asked.items() if not 0 <= now - at < ASK_SECONDS]
        return sorted(waits, key=lambda name: (asked[name], name))

    first, others = due(held), due(queued - held)
    half = max((most + 1) // 2, most - len(others))
    return [*first[:half], *others][:most]


def hold_of(tenant: str) -> str:
    """Returns the hold of all mail of a tenant."""
    return f"tenant:{tenant}"


def stopped_holds(states: Mapping[str, TenantState]) -> set[str]:
    """Returns the holds of tenants that SES has stopped. No message needs to try these."""
    return {hold_of(name) for name, state in states.items() if state.is_stopped}
