"""Where the events of one region go: to queues named after SNS topics, and to an HTTP address."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from sesq.simulator.clock import Clock
from sesq.simulator.configuration_sets import ConfigurationSet
from sesq.simulator.events.document import document, wrapped
from sesq.simulator.events.fate import Happening, happenings, is_virus
from sesq.simulator.events.queue import EventQueue
from sesq.simulator.record import Entry
from sesq.simulator.suppression import SuppressionList

_WEBHOOK_TIMEOUT = 5.0
_HEADERS = {"content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification"}

Fate = Literal["delivery", "delay", "bounce", "ooto", "complaint", "suppressionlist"]


class EventSettings(BaseModel):
    """Beside what configuration sets ask for: every event of the region to one `queue`, to one `webhook`, or both.

    `wrapped`: as SNS wraps it, or raw. `fates` make given addresses bounce or complain as the mailbox simulator's do.
    """

    model_config = ConfigDict(extra="forbid")
    queue: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,80}$")] | None = None
    webhook: HttpUrl | None = None
    wrapped: bool = True
    fates: dict[str, Fate] = Field(default_factory=dict)


class Publisher:
    """Nothing is made of what nobody reads."""

    def __init__(self, region: str, clock: Clock, suppression: SuppressionList) -> None:
        self.settings = EventSettings()
        self.queues: dict[str, EventQueue] = {}
        self.webhook_failures = 0
        self._region = region
        self._clock = clock
        self._suppression = suppression
        # One thread: what is posted arrives in order, and the loop never waits for somebody's server.
        self._poster = ThreadPoolExecutor(1, thread_name_prefix="sesq-simulator-webhook")

    def change(self, settings: Mapping[str, Any]) -> None:
        """Replace all settings; ValueError names what cannot be."""
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

    def accepted(self, entry: Entry, configuration_set: ConfigurationSet | None) -> None:
        """Publish what follows an acceptance."""
        destinations = configuration_set.destinations.values() if configuration_set else ()
        wanted = [each for each in destinations if each.enabled and each.topic]
        reasons = configuration_set.suppressed_reasons if configuration_set else None
        if not (wanted or self.settings.queue or self.settings.webhook or self.settings.fates):
            return
        now = self._clock.now()
        for happening in self._happenings(entry, reasons):
            self._suppress(happening, now)
            topics = {each.topic for each in wanted if happening.type in each.event_types} | {
                self.settings.queue
            }
            event = document(entry, happening, self._region, now)
            for topic in filter(None, topics):
                self.queue(topic).put(self._body(event, topic, now), now)
            if self.settings.webhook:
                self._poster.submit(self._post, str(self.settings.webhook), self._body(event, "webhook", now))

    def _happenings(self, entry: Entry, reasons: list[str] | None) -> list[Happening]:
        recipients = tuple(entry.mail.recipients)
        if entry.mail.rendering_error is not None:
            return [Happening("RENDERING_FAILURE", recipients)]
        if is_virus(entry.content or b""):
            return [Happening("REJECT", recipients)]
        fates: Mapping[str, str] = self.settings.fates
        follow = happenings(recipients, fates, lambda address: self._suppression.stops(address, reasons))
        return [Happening("SEND", recipients), *follow]

    def _suppress(self, happening: Happening, now: float) -> None:
        """SES lists an address after a hard bounce or a complaint; the mailbox simulator's are never listed."""
        reason = happening.type
        if reason in self._suppression.reasons and happening.sub_type == "General":
            for address in set(happening.recipients) & self.settings.fates.keys():
                self._suppression.put(address, reason, now)

    def _body(self, event: dict[str, Any], topic: str, now: float) -> str:
        return wrapped(event, topic, self._region, now) if self.settings.wrapped else json.dumps(event)

    def _post(self, url: str, body: str) -> None:
        request = urllib.request.Request(url, data=body.encode(), headers=_HEADERS, method="POST")  # noqa: S310
        try:
            urllib.request.urlopen(request, timeout=_WEBHOOK_TIMEOUT).close()  # noqa: S310  (HttpUrl: http or https)
        except (OSError, ValueError):
            self.webhook_failures += 1
