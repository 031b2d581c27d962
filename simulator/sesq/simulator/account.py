"""One account in one region: SES's rules, in the order in which this simulator checks them.

Which check SES does first is not known. Here the order is: the request can be read, the account, the configuration set
and the tenant may send, the sender (and in the sandbox each recipient) is verified, the rate, the day. A refused
message uses up nothing, unless `failed_calls_use_rate` is set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sesq.simulator.addresses import bare_address, simulated
from sesq.simulator.bucket import TokenBucket
from sesq.simulator.clock import Clock
from sesq.simulator.configuration_sets import ConfigurationSets
from sesq.simulator.errors import SesError
from sesq.simulator.events.publisher import Behind, Publisher, Suppression
from sesq.simulator.faults import STOPS_THE_CALL, STOPS_THE_MESSAGE, Faults, ReplyLost
from sesq.simulator.http import Where
from sesq.simulator.identities import Identities
from sesq.simulator.mail import Mail
from sesq.simulator.message_id import new_message_id, region_code
from sesq.simulator.options import lends
from sesq.simulator.record import Entry, Record
from sesq.simulator.settings import AccountSettings
from sesq.simulator.suppression import SuppressionList
from sesq.simulator.templates import Templates
from sesq.simulator.tenants import Tenants
from sesq.simulator.window import Ledger


class Account:
    """The state of one region. Not thread-safe: everything happens on the server's loop."""

    def __init__(
        self,
        region: str,
        settings: AccountSettings,
        clock: Clock,
        record: Record,
        where: Where | None = None,
    ) -> None:
        self.region = region
        self.settings = settings
        self.clock = clock
        self.record = record
        self.faults = Faults()
        self.identities = Identities()
        self.configuration_sets = ConfigurationSets()
        self.suppression = SuppressionList()
        self.templates = Templates(region)
        self.tenants = Tenants(region)
        self.events = Publisher(region, clock, where or Where())
        self.details: dict[str, Any] = {}
        self.case_id = ""
        self._code = region_code(region)
        self._ledger = Ledger()
        self._bucket = TokenBucket(settings.max_send_rate, settings.effective_burst, clock.now())
        self._control: dict[str, TokenBucket] = {}

    def change(self, changes: Mapping[str, Any]) -> None:
        """Changes some settings, from now on. The bucket keeps its tokens. Raises ValueError, which names the fault.

        A quota that was never set becomes the usual one of production when the account leaves the sandbox.
        """
        if changes.get("review") == "GRANTED":
            changes = {"production_access": True, **changes}
        self.settings = AccountSettings.model_validate(
            {**self.settings.model_dump(exclude_unset=True), **changes}
        )
        self._bucket.resize(self.settings.max_send_rate, self.settings.effective_burst, self.clock.now())
        if "control_rate" in changes:
            self._control.clear()

    def state(self) -> dict[str, Any]:
        now = self.clock.now()
        return {
            **self.settings.model_dump(),
            "burst": self.settings.effective_burst,
            "region": self.region,
            "tokens": round(self._bucket.level(now), 6),
            "sent_last_24_hours": self._ledger.last_24_hours(now),
            "suppressed": [each.address for each in self.suppression],
        }

    def sent_last_24_hours(self) -> int:
        """Counts recipients as GetAccount tells them, which may be late."""
        return self._ledger.last_24_hours(self.clock.now() - self.settings.sent_lag)

    def ask_for_review(self, details: Mapping[str, Any], production_access: bool) -> None:
        """Takes the account's details, and opens a review if production access is asked for.

        Raises SesError(conflict) while a review is open, and after a denial: then only a person at AWS can help.
        """
        if self.settings.review in ("PENDING", "DENIED"):
            raise SesError("conflict")
        self.details = dict(details)
        if production_access and not self.settings.production_access:
            self.case_id = f"{int(self.clock.now())}"
            self.change({"review": "PENDING"})

    def control_call(self, operation: str) -> None:
        """Counts a call of an operation that SES throttles at one a second. Raises SesError(control_throttle)."""
        rate = self.settings.control_rate
        if rate is None:
            return
        now = self.clock.now()
        bucket = self._control.get(operation)
        if bucket is None:
            bucket = self._control[operation] = TokenBucket(rate, max(1.0, rate), now)
        if not bucket.allows(1, now):
            raise SesError("control_throttle")
        bucket.take(1, now)

    def send(self, read: Callable[[], Mail], api: str = "v2") -> str:
        """Judges one sending call of one message, and records it. Returns its MessageId.

        Raises SesError and ReplyLost. `read` parses the request, and raises SesError if it cannot.
        """
        entry = self.judge(read, STOPS_THE_CALL + STOPS_THE_MESSAGE, api)
        self.lose_reply(entry)
        assert entry.id is not None
        return entry.id

    def judge(
        self, read: Callable[[], Mail], faults: tuple[str, ...] = STOPS_THE_MESSAGE, api: str = "v2"
    ) -> Entry:
        """Does the same for one entry of a bulk call, and loses no reply. Raises SesError."""
        now = self.clock.now()
        mail = Mail("", api=api)
        try:
            mail = read()
            self.faults.stop(faults)
            self._check(mail, now)
        except SesError as refusal:
            self.refuse(refusal, mail)
            raise
        return self._accept(mail, now)

    def check_call(self, mail: Mail) -> None:
        """Checks what stops a bulk call as a whole. `mail` has what its entries share. Raises SesError."""
        try:
            self._check_tenant(mail)
            self.faults.stop(STOPS_THE_CALL)
        except SesError as refusal:
            self.refuse(refusal, mail)
            raise

    def refuse(self, refusal: SesError, mail: Mail) -> None:
        """Records a refused send: once, even if several functions pass the refusal on."""
        if refusal.recorded:
            return
        refusal.recorded = True
        now = self.clock.now()
        self.record.refuse(refusal.kind, refusal.message, mail, now)
        if self.settings.failed_calls_use_rate and refusal.kind not in ("throttle", "control_throttle"):
            self._bucket.take(max(1, len(mail.recipients)), now)

    def lose_reply(self, *entries: Entry) -> None:
        """Raises ReplyLost if that fault happens to an accepted call."""
        if self.faults.loses_reply():
            for entry in entries:
                entry.reply_lost = True
            raise ReplyLost

    def _check(self, mail: Mail, now: float) -> None:
        self._check_may_send()
        self._check_configuration_set(mail)
        self._check_tenant(mail)
        self._check_verified(mail)
        if not self._bucket.allows(len(mail.recipients), now):
            raise SesError("throttle")
        quota = self.settings.max_24_hour_send
        if quota >= 0:
            wanted = _day_recipients(mail)
            if wanted and self._ledger.last_24_hours(now) + wanted > quota:
                raise SesError("daily")

    def _check_may_send(self) -> None:
        if self.settings.suspended:
            raise SesError("suspended")
        if not self.settings.may_send:
            raise SesError("paused")

    def _check_configuration_set(self, mail: Mail) -> None:
        name = mail.configuration_set
        if name is None:
            identity = self.identities.nearest(bare_address(mail.sender))
            name = mail.configuration_set = identity.configuration_set if identity is not None else None
            if name is not None and self.configuration_sets.find(name) is None:
                raise SesError("bad_request", f"Configuration set <{name}> does not exist.")
        if name is not None and not self.configuration_sets.get(name).sending_enabled:
            raise SesError("configuration_set_paused")

    def _check_tenant(self, mail: Mail) -> None:
        """Raises SesError(tenant, tenant_disabled, tenant_resources) if a mail names a tenant that may not send it."""
        if mail.tenant is None:
            return
        tenant = self.tenants.sending(mail.tenant)
        identity = self.identities.nearest(bare_address(mail.sender))
        default = identity.configuration_set if identity else None
        used = {
            "identity": identity.name if identity else None,
            "configuration-set": mail.configuration_set or default,
            "template": mail.template,
        }
        self.tenants.require(tenant, [f"{kind}/{name}" for kind, name in used.items() if name])

    def _check_verified(self, mail: Mail) -> None:
        covers = self.identities.covers
        senders = ((given, bare_address(given)) for given in (mail.sender, *mail.other_senders))
        failed = [given for given, address in senders if not covers(address) and not lends(mail, address)]
        if not self.settings.production_access:
            pairs = zip(mail.given_recipients(), mail.recipients, strict=True)
            failed += [given for given, address in pairs if not covers(address) and not simulated(address)]
        if failed:
            names = ", ".join(dict.fromkeys(failed))
            raise SesError(
                "unverified",
                "Email address is not verified. The following identities failed the check in region "
                f"{self.region.upper()}: {names}",
            )

    def _accept(self, mail: Mail, now: float) -> Entry:
        counted = _day_recipients(mail)
        self._bucket.take(len(mail.recipients), now)
        self._ledger.add(counted, now)
        entry = self.record.accept(new_message_id(self._code, now), mail, counted, now)
        self.events.accepted(entry, self._behind)
        return entry

    def tell(self, entry: Entry, fate: str) -> dict[str, Any]:
        """Publishes one more event of an accepted message. Returns its document. Raises ValueError."""
        return self.events.tell(entry, fate, self._behind(entry.mail))

    def _behind(self, mail: Mail) -> Behind:
        name = mail.configuration_set
        found = self.configuration_sets.find(name) if name else None
        identity = self.identities.nearest(bare_address(mail.sender))
        tenant = self.tenants.find(mail.tenant)
        if tenant is not None and tenant.own_list:
            suppression = Suppression(tenant.suppression, None, "OnTenantSuppressionList")
        else:
            reasons = found.suppressed_reasons if found else None
            suppression = Suppression(self.suppression, reasons, "OnAccountSuppressionList")
        return Behind(found, identity.name if identity else None, suppression)


def _day_recipients(mail: Mail) -> int:
    """Counts the recipients for the daily quota: mail to the mailbox simulator uses only rate."""
    return sum(1 for address in mail.recipients if not simulated(address))
