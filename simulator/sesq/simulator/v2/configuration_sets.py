"""Configuration sets and their event destinations in SESv2."""

from __future__ import annotations

import re
from typing import Any

from sesq.simulator.arns import partition
from sesq.simulator.configuration_sets import ConfigurationSet, EventDestination, is_name
from sesq.simulator.errors import SesError
from sesq.simulator.members import flag, mapping, needed_text, text, texts
from sesq.simulator.suppression import check_reasons
from sesq.simulator.v2.router import Operation, Request, asked_page

_TOPIC = re.compile(r"arn:([a-z-]+):sns:([a-z0-9-]+):\d+:[A-Za-z0-9_.-]{1,256}")
# Options without effect here: they come back as they were given.
_KEPT = ("TrackingOptions", "DeliveryOptions", "ReputationOptions", "VdmOptions", "Tags")


def create(request: Request) -> dict[str, Any]:
    body = request.body
    reasons = _reasons(mapping(body, "SuppressionOptions"))
    created = request.account.configuration_sets.create(needed_text(body, "ConfigurationSetName"))
    created.sending_enabled = flag(mapping(body, "SendingOptions"), "SendingEnabled", missing=True)
    created.suppressed_reasons = reasons
    created.options = {name: body[name] for name in _KEPT if body.get(name) is not None}
    return {}


def get(request: Request) -> dict[str, Any]:
    found = _named(request)
    answer: dict[str, Any] = {
        "ConfigurationSetName": found.name,
        "SendingOptions": {"SendingEnabled": found.sending_enabled},
        **found.options,
    }
    if found.suppressed_reasons is not None:
        answer["SuppressionOptions"] = {"SuppressedReasons": found.suppressed_reasons}
    return answer


def list_all(request: Request) -> dict[str, Any]:
    part = text(mapping(request.body, "Filter"), "CONFIGURATION_SET_NAME_CONTAINS")
    wanted = [name for name in request.account.configuration_sets.names() if part in name]
    names, more = asked_page(request, wanted)
    return {"ConfigurationSets": names, **more}


def delete(request: Request) -> dict[str, Any]:
    name = request.body["ConfigurationSetName"]
    request.account.tenants.keep(f"configuration-set/{name}")
    request.account.configuration_sets.delete(name)
    return {}


def put_sending(request: Request) -> dict[str, Any]:
    _named(request).sending_enabled = flag(request.body, "SendingEnabled", missing=False)
    return {}


def put_suppression(request: Request) -> dict[str, Any]:
    _named(request).suppressed_reasons = check_reasons(texts(request.body, "SuppressedReasons"))
    return {}


def create_destination(request: Request) -> dict[str, Any]:
    destination = _destination(request, needed_text(request.body, "EventDestinationName"))
    _named(request).add(destination)
    request.account.events.greet(destination.topic_arn)
    return {}


def get_destinations(request: Request) -> dict[str, Any]:
    found = _named(request).destinations.values()
    return {"EventDestinations": [{**each.definition, "Name": each.name} for each in found]}


def update_destination(request: Request) -> dict[str, Any]:
    destination = _destination(request, text(request.body, "EventDestinationName"))
    _named(request).replace(destination)
    request.account.events.greet(destination.topic_arn)
    return {}


def delete_destination(request: Request) -> dict[str, Any]:
    _named(request).remove(request.body["EventDestinationName"])
    return {}


def _named(request: Request) -> ConfigurationSet:
    return request.account.configuration_sets.get(request.body["ConfigurationSetName"])


def _destination(request: Request, name: str) -> EventDestination:
    if not is_name(name):
        raise SesError("bad_request", f"Invalid event destination name <{name[:100]}>.")
    definition = mapping(request.body, "EventDestination")
    if not definition.get("SnsDestination"):
        raise SesError("bad_request", "Exactly one destination is needed: here an SnsDestination.")
    types = frozenset(texts(definition, "MatchingEventTypes"))
    if not types:
        raise SesError("bad_request", "MatchingEventTypes is empty.")
    arn = text(mapping(definition, "SnsDestination"), "TopicArn")
    found = _TOPIC.fullmatch(arn)
    region = request.account.region
    if found is None or found.groups() != (partition(region), region):
        raise SesError("bad_request", f"SNS topic <{arn[:200]}> not found.")
    return EventDestination(name, types, flag(definition, "Enabled", missing=False), definition)


def _reasons(options: Any) -> list[str] | None:
    return check_reasons(texts(options, "SuppressedReasons")) if options else None


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
