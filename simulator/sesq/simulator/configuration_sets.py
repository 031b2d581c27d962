"""Configuration sets: whether they may send, and where events of their messages go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sesq.simulator.errors import SesError

MAX_DESTINATIONS = 10
is_name = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
"""Whether a configuration set or an event destination may have this name."""


@dataclass
class EventDestination:
    """`event_types` are spelled as in the API (SEND, DELIVERY, …). `definition` is kept as it was given."""

    name: str
    event_types: frozenset[str]
    enabled: bool
    definition: Mapping[str, Any]

    @property
    def topic_arn(self) -> str:
        return str(self.definition["SnsDestination"]["TopicArn"])


@dataclass
class ConfigurationSet:
    """`options` have no effect here: they come back as they were given."""

    name: str
    sending_enabled: bool = True
    suppressed_reasons: list[str] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    destinations: dict[str, EventDestination] = field(default_factory=dict)

    def add(self, destination: EventDestination) -> None:
        """Raises SesError(already_exists, limit)."""
        if destination.name in self.destinations:
            raise SesError("already_exists", f"Event destination {destination.name} already exists.")
        if len(self.destinations) >= MAX_DESTINATIONS:
            raise SesError("limit", f"A configuration set has at most {MAX_DESTINATIONS} event destinations.")
        self.destinations[destination.name] = destination

    def replace(self, destination: EventDestination) -> None:
        self.remove(destination.name)
        self.destinations[destination.name] = destination

    def remove(self, name: str) -> None:
        """Raises SesError(not_found)."""
        if self.destinations.pop(name, None) is None:
            raise SesError("not_found", f"Event destination {name} does not exist.")


class ConfigurationSets:
    """The configuration sets of one account in one region, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, ConfigurationSet] = {}

    def names(self) -> list[str]:
        return sorted(self._by_name)

    def find(self, name: str) -> ConfigurationSet | None:
        return self._by_name.get(name)

    def get(self, name: str) -> ConfigurationSet:
        """Raises SesError(configuration_set) if there is none."""
        found = self._by_name.get(name)
        if found is None:
            raise SesError("configuration_set", f"Configuration set <{name}> does not exist.")
        return found

    def create(self, name: str) -> ConfigurationSet:
        """Raises SesError(already_exists, bad_request)."""
        if not is_name(name):
            raise SesError("bad_request", f"Invalid configuration set name {name!r}.")
        if name in self._by_name:
            raise SesError("already_exists", f"Configuration set <{name}> already exists.")
        created = self._by_name[name] = ConfigurationSet(name)
        return created

    def delete(self, name: str) -> None:
        del self._by_name[self.get(name).name]
