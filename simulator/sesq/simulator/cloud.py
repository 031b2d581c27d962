"""All regions of one simulated AWS account, and the verbs by which a test or a person steers them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sesq.simulator.account import Account
from sesq.simulator.clock import Clock
from sesq.simulator.faults import Faults
from sesq.simulator.http import DEFAULT_REGION, Where, valid_region
from sesq.simulator.record import Entry, Record
from sesq.simulator.settings import AccountSettings

MAX_REGIONS = 200


class Cloud:
    """Regions come to be when first named. What is set up (`settings`, `verified`) holds for each, also
    after a reset."""

    def __init__(
        self,
        settings: AccountSettings,
        verified: tuple[str, ...] = (),
        clock: Clock | None = None,
        keep_content: int = 64 * 1024 * 1024,
        keep_entries: int = 500_000,
        keys: Mapping[str, str] | None = None,
    ) -> None:
        self.keys = dict(keys or {})
        self.clock = clock or Clock()
        self.where = Where()
        self._settings = settings
        self._verified = verified
        self._keep = keep_content, keep_entries
        self._accounts: dict[str, Account] = {}

    def account(self, region: str = DEFAULT_REGION) -> Account:
        """ValueError for what cannot be a region's name."""
        known = self._accounts.get(region)
        if known is not None:
            return known
        if not valid_region(region) or len(self._accounts) >= MAX_REGIONS:
            raise ValueError(f"not a region: {region[:40]!r}")
        return self._fresh(region)

    def regions(self) -> list[str]:
        """Those that were named so far."""
        return sorted(self._accounts)

    def reset(self, region: str = DEFAULT_REGION) -> Account:
        """A region as it was at the start. The clock runs on from where it stands, also when it was frozen."""
        self.account(region)  # so that only a region can be reset
        self.clock.run()
        return self._fresh(region)

    def _fresh(self, region: str) -> Account:
        account = Account(region, self._settings.model_copy(), self.clock, Record(*self._keep), self.where)
        for name in self._verified:
            account.identities.verify(name, self.clock.now())
        self._accounts[region] = account
        return account

    def move_clock(self, advance: float = 0.0, freeze: bool | None = None) -> dict[str, Any]:
        """One clock for all regions: it goes forward only."""
        if freeze is not None:
            (self.clock.freeze if freeze else self.clock.run)()
        self.clock.advance(advance)
        return {"now": self.clock.now(), "frozen": self.clock.frozen}

    def set_faults(self, plan: Mapping[str, Any], region: str = DEFAULT_REGION) -> dict[str, Any]:
        account = self.account(region)
        account.faults = Faults.model_validate(plan)
        return account.faults.model_dump(exclude_none=True)

    def add_tenant(self, name: str, region: str = DEFAULT_REGION) -> dict[str, Any]:
        """A tenant that may use every identity, configuration set and template; SesError."""
        tenant = self.account(region).tenants.create(name, self.clock.now())
        tenant.owns_all = True
        return tenant.state()

    def set_tenant(self, name: str, sending_status: str, region: str = DEFAULT_REGION) -> dict[str, Any]:
        """SesError, ValueError."""
        tenant = self.account(region).tenants.get(name)
        tenant.change(sending_status)
        return tenant.state()

    def tell(self, message: str, fate: str, region: str = DEFAULT_REGION) -> dict[str, Any]:
        """One more event of an accepted message, by its MessageId or number; ValueError."""
        account = self.account(region)
        entry = account.record.named(message)
        if not entry.accepted:
            raise ValueError(f"message {message[:100]!r} was refused: it has no events")
        return account.tell(entry, fate)

    def messages(
        self,
        region: str = DEFAULT_REGION,
        since: float = 0.0,
        limit: int | None = None,
        content: bool = False,
    ) -> list[dict[str, Any]]:
        """Sending calls, oldest first; with a `limit`, the newest so many of them."""
        entries = list(self.account(region).record.entries(since))
        if limit is not None:
            entries = entries[max(0, len(entries) - limit) :]
        return [
            entry.summary(region) | ({"content": readable_content(entry)} if content else {})
            for entry in entries
        ]


def readable_content(entry: Entry) -> dict[str, Any] | None:
    """The Content of a SendEmail request, a raw message as text; None if it is no longer kept."""
    if entry.content is None:
        return None
    if entry.mail.raw:
        return {"Raw": {"Data": entry.content.decode("utf-8", "replace")}}
    content: dict[str, Any] = json.loads(entry.content or b"{}").get("Content", {})
    return content
