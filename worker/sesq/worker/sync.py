"""Syncs an account: reads it from SES for the gate, and frees messages whose holds are over.

Any number of processes may try. One of them reads the account every `interval` seconds.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from redis import Redis

from sesq.config.connection import mapped
from sesq.config.numbers import number_of
from sesq.queue.batches import Batches
from sesq.queue.envelope import VERSIONS
from sesq.queue.fields import Fields
from sesq.queue.fitting import free_fitting
from sesq.queue.gate import SYNC, Gate
from sesq.queue.keys import Keys
from sesq.queue.messages import Messages
from sesq.queue.ramp import mind_ramp
from sesq.queue.replies import read_hash, read_json
from sesq.queue.scripts import JOBS, compose, library
from sesq.queue.snapshot import BORROWED, redis_now
from sesq.queue.tenant_states import TenantStates
from sesq.queue.windows import keep_window, refresh_windows
from sesq.worker.account import AccountUnavailable, AccountUnreadable, Description, SesAccount, UnknownAccount
from sesq.worker.control.calls import SesControl
from sesq.worker.reconcile import reconcile_in_turn
from sesq.worker.rules import Block, Rules, read_block
from sesq.worker.suppression import SesSuppression
from sesq.worker.tenant_sync import TenantSync, stopped_holds

log = logging.getLogger("sesq.sync")

DUE = compose("due.lua", library("server.lua", base=JOBS))

LEASE_SECONDS = 20
"""After this time another process reads the account: the first one may have died."""
RETRY_SECONDS = 5
REFUSED_AS_A_WHOLE = frozenset({"account", "credentials", "configuration_set", "tenant"})
READABLE = {"version": frozenset(map(str, VERSIONS))}
RESTORED = (
    "a backup of Redis was restored, or a crash lost the last writes: SES has taken mail that is unknown here. "
    "Mail that was queued before is held, and running batches are paused, until a person releases them: "
    "sesq messages release --waiting-for restore"
)
PROBE_SECONDS = 300
"""After this time one message tries again whether SES still refuses a sender, set or account."""
MOST_PROBES = 10
"""How many of them are tried after one sync."""

CHANGES = {
    "rate": "the rate is now {0:g} recipients a second (was {1:g})",
    "daily": "the quota is now {0:.15g} recipients in 24 hours (was {1:.15g})",
}
SWITCHES = {
    "production": ("the account is in the sandbox again", "the account is out of the sandbox"),
    "sending": ("SES sends nothing for the account any more", "SES sends for the account again"),
}


class AccountSync:
    """Syncs one account."""

    def __init__(
        self,
        redis: Redis,
        account: str,
        ses: SesAccount | UnknownAccount,
        region: str,
        interval: float,
        on_restore: str = "hold",
        borrowed: Collection[str] = (),
        tenant: str | None = None,
        bulk_window: str = "",
    ) -> None:
        """Takes the account's settings. `borrowed`: identities that other accounts let this one use.

        `tenant`: the tenant of mail that names none. `bulk_window`: the send window of bulk mail.
        """
        self.redis = redis
        self.account = account
        self.keys = Keys(account)
        self.ses = ses
        self.rules = Rules(redis, account, region)
        self.interval = interval
        self.on_restore = on_restore
        self.borrowed = borrowed
        self.tenant = tenant
        self.bulk_window = bulk_window
        self.failures = 0
        """How often in a row SES did not describe the account."""
        self._noted: dict[str, Any] = {}
        self._unlisted_before = False

    def run_if_due(self) -> bool:
        """Syncs the account, unless a process did so within the interval. Returns whether it did so."""
        if not self._lease(min(LEASE_SECONDS, self.interval)):
            return False
        Messages(self.redis, self.account).prune()
        try:
            self.run()
            if self.failures:
                log.info("account %s: SES describes the account again", self.account)
            self.failures = 0
            self._read_suppression()
        except AccountUnavailable as error:
            self._count_failure(error)
            self._lease(min(RETRY_SECONDS, self.interval), anyway=True)
        return True

    def _count_failure(self, error: AccountUnavailable) -> None:
        """Logs the first failure in a row, the second, the fourth, and so on."""
        self.failures += 1
        if self.failures & (self.failures - 1) == 0:
            log.warning(
                "account %s: SES did not describe the account: %s. It is asked every %g s; `sesq doctor` tells more",
                self.account,
                error,
                RETRY_SECONDS,
            )

    def _lease(self, seconds: float, *, anyway: bool = False) -> bool:
        """Whether the account is due. If it is, or with `anyway`, no other process reads it for so many seconds."""
        with mapped():
            return bool(DUE.run(self.redis, self.account, seconds, self.interval, int(anyway)))

    def run(self) -> None:
        """Syncs the account now. Raises AccountUnavailable, also if Redis loses the gate's data meanwhile."""
        keep_window(self.redis, self.account, self.bulk_window)
        refresh_windows(self.redis, self.account)
        try:
            told = _told(self.ses.describe(self._note_what_is_booked), self.borrowed) | self._noted
        except AccountUnreadable as error:
            log.warning("account %s: %s; the configured limits count", self.account, error)
            told = {"readable": 0}
        told["on_restore"] = self.on_restore
        with mapped():
            answer = SYNC.run(self.redis, self.account, json.dumps(told))
        if answer is None:
            raise AccountUnavailable(
                "Redis lost the counts of sent mail while SES was asked: it is asked again"
            )
        self._lease(self.interval, anyway=True)
        before = read_json(answer) or {}
        self._unlisted_before = before.get("listed") == "0"
        self._report(before, told)
        self.rules.refresh()
        reconcile_in_turn(self.redis, self.account)  # first, so that messages cancelled in RQ are not freed
        blocks = self._read_blocks()
        self._free_what_came_true(blocks)
        mind_ramp(self.redis, self.account)
        free_fitting(self.redis, self.account)
        self._read_tenants()
        self._probe(self._read_blocks())

    def _read_tenants(self) -> None:
        """Asks SES about tenants. It comes after all that needs no call, since it may take a third of the interval."""
        if isinstance(self.ses, SesAccount) and self.rules.snapshot.readable:
            control = SesControl(self.ses.client, self.ses.calls)
            region = self.rules.region
            TenantSync(self.redis, self.account, control, region, self.tenant).run(self.interval)

    def _read_suppression(self) -> None:
        """Reads SES's suppression list, so that mail to addresses on it is not even tried."""
        if isinstance(self.ses, SesAccount) and self.rules.snapshot.production:
            control = SesControl(self.ses.client, self.ses.calls)
            SesSuppression(self.redis, self.account, control).pull_if_due()

    def _note_what_is_booked(self) -> None:
        """Notes the ledger before SES is asked, because SES may not have counted mail that is on its way now."""
        usage = Gate(self.redis, self.account).usage()
        self._noted = {"booked": usage.total - usage.flying, "books": usage.books, "asked": usage.now}

    def _report(self, before: dict[str, str], told: dict[str, Any]) -> None:
        if told.get("unlisted_because") and not self._unlisted_before:
            log.warning("account %s: %s; SES judges them by itself", self.account, told["unlisted_because"])
        if "restored" in before:
            log.error("account %s: %s", self.account, RESTORED)
        for name, sentence in CHANGES.items():
            was = Fields(before).optional(name)
            if was is not None and name in told and was != told[name]:
                changed = sentence.format(told[name], was)
                log.info("account %s: %s", self.account, changed)
        for name, sentences in SWITCHES.items():
            was = Fields(before).optional(name)
            if was is not None and name in told and was != told[name]:
                log.info("account %s: %s", self.account, sentences[told[name]])

    def _read_blocks(self) -> dict[str, Block]:
        with mapped():
            return {hold: read_block(told) for hold, told in read_hash(self.redis, self.keys.blocks).items()}

    def _free_what_came_true(self, blocks: dict[str, Block]) -> None:
        messages = Messages(self.redis, self.account)
        for hold in messages.holds():
            kind, _, name = hold.partition(":")
            if kind == "batch":
                Batches(self.redis, self.account).free_resumed(name)
                continue
            doubted = hold in blocks and blocks[hold].doubt
            readable = name in READABLE.get(kind, ())
            if (
                readable
                or self._is_open(kind, hold not in blocks)
                or (self.rules.satisfied(hold) and not doubted)
            ):
                freed = messages.free(hold, f"{hold.replace(':', ' ')}: no longer in the way")
                log.info(
                    "account %s: freed %s that waited for a %s",
                    self.account,
                    number_of(freed, "message"),
                    kind,
                )

    def _is_open(self, kind: str, unblocked: bool) -> bool:
        """Whether no known reason holds the messages any more.

        If SES lists no identities, only a try can tell. If the list is missing just once, the next list counts.
        """
        if kind in ("recipient", "sender"):
            return unblocked and self._unlisted_before and not self.rules.snapshot.listed
        return unblocked and kind in REFUSED_AS_A_WHOLE  # not messages that wait for another version of sesq

    def _probe(self, blocks: dict[str, Block]) -> None:
        """Lets one message of each block try whether SES still refuses it. If not, the next sync frees the others.

        Of many blocks, the oldest try: each refusal costs rate.
        """
        if not blocks:
            return
        now = redis_now(self.redis)
        stopped = stopped_holds(TenantStates(self.redis, self.account).read())
        blocked = {hold: block for hold, block in blocks.items() if hold not in stopped}
        due = [hold for hold, block in blocked.items() if self._may_try(hold, block, now)]
        for hold in sorted(due, key=lambda hold: blocks[hold].since)[:MOST_PROBES]:
            Messages(self.redis, self.account).try_one(hold, "trying whether SES takes it now")

    def _may_try(self, hold: str, block: Block, now: float) -> bool:
        if hold.startswith("sender:") and self.rules.snapshot.listed and not block.doubt:
            return False  # the list of identities tells it
        tried = 0 <= now - block.since <= PROBE_SECONDS  # below 0: the clock was set back since
        return not tried or self._answers_to(hold, block)

    def _answers_to(self, hold: str, block: Block) -> bool:
        """Whether SES has taken these credentials since it refused mail because of them."""
        same = isinstance(self.ses, SesAccount) and not self.ses.may_lack_keys
        return hold == "credentials" and same and block.since < self._noted.get("asked", 0.0)


def _told(description: Description, borrowed: Collection[str]) -> dict[str, Any]:
    told = asdict(description) | {"readable": 1, "paused_because": description.paused_because}
    for name in ("production", "sending"):
        told[name] = int(told[name])
    if description.identities is None:
        del told["identities"]
    else:
        own = {name: int(verified) for name, verified in description.identities.items()}
        told["identities"] = own | {name: int(BORROWED) for name in borrowed if not own.get(name)}
    return told
