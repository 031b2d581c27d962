"""Configuration sets and their event destinations in SESv2."""

from __future__ import annotations

from typing import Any

from sesq.simulator.configuration_sets import ConfigurationSet, EventDestination
from sesq.simulator.members import choices, flag, mapping, needed_text
from sesq.simulator.suppression import REASONS
from sesq.simulator.v2.router import Operation, Request, asked_page

EVENT_TYPES = (
    "SEND",
    "REJECT",
    "BOUNCE",
    "COMPLAINT",
    "DELIVERY",
    "OPEN",
    "CLICK",
    "RENDERING_FAILURE",
    "DELIVERY_DELAY",
    "SUBSCRIPTION",
)


def create(request: Request) -> dict[str, Any]:
    body = request.body
    enabled = flag(mapping(body, "SendingOptions"), "SendingEnabled", missing=True)
    reasons = _reasons(mapping(body, "SuppressionOptions"))
    created = request.account.configuration_sets.create(needed_text(body, "ConfigurationSetName"))
    created.sending_enabled, created.suppressed_reasons = enabled, reasons
    return {}


def get(request: Request) -> dict[str, Any]:
    found = _named(request)
    answer: dict[str, Any] = {
        "ConfigurationSetName": found.name,
        "SendingOptions": {"SendingEnabled": found.sending_enabled},
    }
    if found.suppressed_reasons is not None:
        answer["SuppressionOptions"] = {"SuppressedReasons": found.suppressed_reasons}
    return answer


def list_all(request: Request) -> dict[str, Any]:
    names, more = asked_page(request, request.account.configuration_sets.names())
    return {"ConfigurationSets": names, **more}


def delete(request: Request) -> dict[str, Any]:
    request.account.configuration_sets.delete(request.names["ConfigurationSetName"])
    return {}


def put_sending(request: Request) -> dict[str, Any]:
    _named(request).sending_enabled = flag(request.body, "SendingEnabled", missing=False)
    return {}


def put_suppression(request: Request) -> dict[str, Any]:
    _named(request).suppressed_reasons = choices(request.body, "SuppressedReasons", REASONS)
    return {}


def create_destination(request: Request) -> dict[str, Any]:
    name = needed_text(request.body, "EventDestinationName")
    _named(request).add(_destination(request, name))
    return {}


def get_destinations(request: Request) -> dict[str, Any]:
    found = _named(request).destinations.values()
    return {"EventDestinations": [{**each.definition, "Name": each.name} for each in found]}


def update_destination(request: Request) -> dict[str, Any]:
    _named(request).replace(_destination(request, request.names["EventDestinationName"]))
    return {}


def delete_destination(request: Request) -> dict[str, Any]:
    _named(request).remove(request.names["EventDestinationName"])
    return {}


def _named(request: Request) -> ConfigurationSet:
    return request.account.configuration_sets.get(request.names["ConfigurationSetName"])


def _destination(request: Request, name: str) -> EventDestination:
    definition = mapping(request.body, "EventDestination")
    types = frozenset(choices(definition, "MatchingEventTypes", EVENT_TYPES))
    if "SnsDestination" in definition:
        needed_text(mapping(definition, "SnsDestination"), "TopicArn")
    return EventDestination(name, types, flag(definition, "Enabled", missing=False), definition)


def _reasons(options: Any) -> list[str] | None:
    return choices(options, "SuppressedReasons", REASONS) if options else None


_ONE = "/v2/email/configuration-sets/{ConfigurationSetName}"
_DESTINATIONS = f"{_ONE}/event-destinations"
_DESTINATION = _DESTINATIONS + "/{EventDestinationName}"

OPERATIONS = (
    Operation("POST", "/v2/email/configuration-sets", "CreateConfigurationSet", create),
    Operation("GET", "/v2/email/configuration-sets", "ListConfigurationSets", list_all),
    Operation("POST", "/v2/email/list-configuration-sets", "ListConfigurationSets", list_all),
    Operation("GET", _ONE, "GetConfigurationSet", get),
    Operation("DELETE", _ONE, "DeleteConfigurationSet", delete),
    Operation("PUT", f"{_ONE}/sending", "PutConfigurationSetSendingOptions", put_sending),
    Operation("PUT", f"{_ONE}/suppression-options", "PutConfigurationSetSuppressionOptions", put_suppression),
    Operation("POST", _DESTINATIONS, "CreateConfigurationSetEventDestination", create_destination),
    Operation("GET", _DESTINATIONS, "GetConfigurationSetEventDestinations", get_destinations),
    Operation("PUT", _DESTINATION, "UpdateConfigurationSetEventDestination", update_destination),
    Operation("DELETE", _DESTINATION, "DeleteConfigurationSetEventDestination", delete_destination),
)
