"""All regions of one simulated AWS account, and what a test or a person can do with them."""

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
    """Makes a region when it is first named. `settings` and `verified` hold for each one, also after a reset."""

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
        """Returns the account in a region. Raises ValueError for what cannot be a region's name."""
        known = self._accounts.get(region)
        if known is not None:
            return known
        if not valid_region(region) or len(self._accounts) >= MAX_REGIONS:
            raise ValueError(f"not a region: {region[:40]!r}")
        return self._fresh(region)

    def regions(self) -> list[str]:
        """Lists the regions that were named so far."""
        return sorted(self._accounts)

    def reset(self, region: str = DEFAULT_REGION) -> Account:
        """Sets a region back to its start. The clock runs on from where it stands, also if it was frozen."""
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
        """Moves the one clock of all regions, forward only. Raises ValueError."""
        if freeze is not None:
            (self.clock.freeze if freeze else self.clock.run)()
        self.clock.advance(advance)
        return {"now": self.clock.now(), "frozen": self.clock.frozen}

    def set_faults(self, plan: Mapping[str, Any], region: str = DEFAULT_REGION) -> dict[str, Any]:
        account = self.account(region)
        account.faults = Faults.model_validate(plan)
        return account.faults.model_dump(exclude_none=True)

    def add_tenant(self, name: str, region: str = DEFAULT_REGION) -> dict[str, Any]:
        """Adds a tenant that may use every identity, configuration set and template. Raises SesError."""
        tenant = self.account(region).tenants.create(name, self.clock.now())
        tenant.owns_all = True
        return tenant.state()

    def set_tenant(self, name: str, sending_status: str, region: str = DEFAULT_REGION) -> dict[str, Any]:
        """Sets a tenant's sending status. Raises SesError and ValueError."""
        tenant = self.account(region).tenants.get(name)
        tenant.change(sending_status)
        return tenant.state()

    def tell(self, message: str, fate: str, region: str = DEFAULT_REGION) -> dict[str, Any]:
        """Publishes one more event of an accepted message, named by MessageId or number. Raises ValueError."""
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
        """Lists sending calls, oldest first; with a `limit`, only so many of the newest."""
        entries = list(self.account(region).record.entries(since))
        if limit is not None:
            entries = entries[max(0, len(entries) - limit) :]
        return [
            entry.summary(region) | ({"content": readable_content(entry)} if content else {})
            for entry in entries
        ]


def readable_content(entry: Entry) -> dict[str, Any] | None:
    """Returns the Content of a SendEmail request, or a raw message as text; None if it is no longer kept."""
    if entry.content is None:
        return None
    if entry.mail.raw:
        return {"Raw": {"Data": entry.content.decode("utf-8", "replace")}}
    content: dict[str, Any] = json.loads(entry.content or b"{}").get("Content", {})
    return content
