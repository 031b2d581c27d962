"""Sends the events of one region to queues named after SNS topics, and to an HTTP address."""

from __future__ import annotations

import functools
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl

from sesq.simulator.arns import write_arn
from sesq.simulator.clock import Clock
from sesq.simulator.configuration_sets import ConfigurationSet
from sesq.simulator.events.document import Documents
from sesq.simulator.events.fate import FATES, Happening, happenings, is_virus, told_on_demand
from sesq.simulator.events.queue import EventQueue
from sesq.simulator.events.sns import GREETING, Notification, notification
from sesq.simulator.http import Where
from sesq.simulator.mail import Mail
from sesq.simulator.record import Entry
from sesq.simulator.suppression import SuppressionList

_WEBHOOK_TIMEOUT = 5.0


def _known(fate: str) -> str:
    if fate not in FATES:
        raise ValueError(f"is none of {', '.join(FATES)}")
    return fate


Fate = Annotated[str, AfterValidator(_known)]


class EventSettings(BaseModel):
    """Where every event of the region goes, besides what configuration sets ask for: a `queue`, a `webhook`, or both.

    `wrapped`: in SNS's envelope, or raw. `signature_version`: of SNS's signature. `sns_url`: the address in
    SigningCertURL and UnsubscribeURL (none: the simulator's own). `fates`: what becomes of mail to given addresses.
    """

    model_config = ConfigDict(extra="forbid")
    queue: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,80}$")] | None = None
    webhook: HttpUrl | None = None
    wrapped: bool = True
    signature_version: Literal["1", "2"] = "1"
    sns_url: HttpUrl | None = None
    fates: dict[str, Fate] = Field(default_factory=dict)


class Suppression(NamedTuple):
    """The list that counts for a mail, with which reasons (none: the list's own), and the subtype of its bounces."""

    addresses: SuppressionList
    reasons: list[str] | None
    sub_type: str

    def reason(self, address: str) -> str:
        return self.sub_type if self.addresses.stops(address, self.reasons) else ""


class Behind(NamedTuple):
    """What counts for a mail: its configuration set, the name of its sender's identity, its suppression list."""

    configuration_set: ConfigurationSet | None
    identity: str | None
    suppression: Suppression


class Publisher:
    """Publishes events. If nobody listens to an event, it is not even written."""

    def __init__(self, region: str, clock: Clock, where: Where) -> None:
        self.settings = EventSettings()
        self.queues: dict[str, EventQueue] = {}
        self.webhook_failures = 0
        self.region = region
        self._clock = clock
        self._where = where
        # One thread: events arrive in order, and the loop never waits for the receiver.
        self._poster = ThreadPoolExecutor(1, thread_name_prefix="sesq-simulator-webhook")

    def change(self, settings: Mapping[str, Any]) -> None:
        """Replaces all settings. Raises ValueError, which names the fault."""
        self.settings = EventSettings.model_validate(settings)
        if self.settings.queue:
            self.queue(self.settings.queue)

    def queue(self, name: str) -> EventQueue:
        return self.queues.setdefault(name, EventQueue())

    def state(self) -> dict[str, Any]:
        now = self._clock.now()
        waiting = {name: queue.counts(now)[0] for name, queue in sorted(self.queues.items())}
        return {
            **self.settings.model_dump(mode="json"),
            "waiting": waiting,
            "webhook_failures": self.webhook_failures,
        }

    def greet(self, topic_arn: str) -> None:
        """Sends what SES sends first to a topic of a new event destination: a text that is not JSON."""
        self._put(notification(topic_arn, GREETING, self._clock.now(), subject=None))

    def accepted(self, entry: Entry, behind_of: Callable[[Mail], Behind]) -> None:
        """Publishes the events of accepted mail. It calls `behind_of` only if somebody may listen."""
        settings, mail = self.settings, entry.mail
        of_region = bool(settings.queue or settings.webhook or settings.fates)
        if not (of_region or mail.configuration_set):
            return
        behind = behind_of(mail)
        if not (of_region or _topics(behind)):
            return
        documents = Documents(entry, self.region, behind.identity)
        for happening in self._happenings(entry, behind.suppression):
            self._publish(documents, happening, behind)

    def tell(self, entry: Entry, fate: str, behind: Behind) -> dict[str, Any]:
        """Publishes one more event of an accepted message, for all its recipients. Raises ValueError."""
        happening = told_on_demand(_known(fate), entry.mail.recipients)
        return self._publish(Documents(entry, self.region, behind.identity), happening, behind)

    def _publish(self, documents: Documents, happening: Happening, behind: Behind) -> dict[str, Any]:
        now = self._clock.now()
        self._suppress(happening, behind.suppression.addresses, now)
        event = documents.of(happening, now)
        text = json.dumps(event)
        for arn in dict.fromkeys(self._arns(behind, happening)):
            self._put(notification(arn, text, now))
        if self.settings.webhook:
            told = notification(self._arn("webhook"), text, now)
            self._poster.submit(self._post, told, self.settings)
        return event

    def _arns(self, behind: Behind, happening: Happening) -> Iterator[str]:
        for arn, types in _topics(behind):
            if happening.type in types:
                yield arn
        if self.settings.queue:
            yield self._arn(self.settings.queue)

    def _arn(self, topic: str) -> str:
        return write_arn(self.region, topic, "sns")

    def _happenings(self, entry: Entry, suppression: Suppression) -> list[Happening]:
        recipients = tuple(entry.mail.recipients)
        if entry.mail.rendering_error is not None:
            return [Happening("RENDERING_FAILURE", recipients)]
        if is_virus(entry.content or b""):
            return [Happening("REJECT", recipients)]
        follow = happenings(recipients, self.settings.fates, suppression.reason)
        return [Happening("SEND", recipients), *follow]

    def _suppress(self, happening: Happening, listed: SuppressionList, now: float) -> None:
        """Lists an address after a hard bounce or a complaint, as SES does; but never one of the mailbox simulator."""
        if happening.lists_the_address and happening.type in listed.reasons:
            for address in set(happening.recipients) & self.settings.fates.keys():
                listed.put(address, happening.type, now)

    def _put(self, told: Notification) -> None:
        """Puts a notification into its queue. It is signed only when it is read, which saves time."""
        make = functools.partial(self._body, told, self.settings)
        self.queue(told.topic_arn.rpartition(":")[2]).put(make, told.at)

    def _body(self, told: Notification, settings: EventSettings) -> str:
        if not settings.wrapped:
            return told.message
        sns_url = str(settings.sns_url).rstrip("/") if settings.sns_url else self._where.url
        return told.body(sns_url, settings.signature_version)

    def _post(self, told: Notification, settings: EventSettings) -> None:
        body, headers = self._body(told, settings), told.http_headers(raw=not settings.wrapped)
        url = str(settings.webhook)
        request = urllib.request.Request(url, data=body.encode(), headers=headers, method="POST")  # noqa: S310
        try:
            urllib.request.urlopen(request, timeout=_WEBHOOK_TIMEOUT).close()  # noqa: S310  (HttpUrl: http or https)
        except urllib.error.HTTPError as refused:
            refused.close()
            self.webhook_failures += 1
        except (OSError, ValueError):
            self.webhook_failures += 1


def _topics(behind: Behind) -> list[tuple[str, frozenset[str]]]:
    """Lists the topics of a set's enabled destinations, and the types of events that each gets."""
    destinations = behind.configuration_set.destinations.values() if behind.configuration_set else ()
    return [(each.topic_arn, each.event_types) for each in destinations if each.enabled]
