"""Configuration sets and their event destinations in SESv2."""

from __future__ import annotations

from sesq.simulator.table.common import (
    ADDRESS_VALIDATION,
    PAGE,
    REASONS,
    RESOURCE_TAGS,
    SOME_TEXT,
    TEXT,
    named,
)
from sesq.simulator.table.member import Object, checked, honoured, needed, refused
from sesq.simulator.table.shapes import Flag, Many, Number, Text, Time, Words

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
FILTERS: dict[str, tuple[str, ...]] = {"CONFIGURATION_SET_NAME_CONTAINS": ()}
_SWITCH = Text(choices=("ENABLED", "DISABLED"))

TRACKING = Object(
    {
        "CustomRedirectDomain": checked(TEXT, required=True),
        "HttpsPolicy": checked(Text(choices=("REQUIRE", "REQUIRE_OPEN_ONLY", "OPTIONAL"))),
    }
)
DELIVERY = Object(
    {
        "TlsPolicy": checked(Text(choices=("REQUIRE", "OPTIONAL"))),
        "SendingPoolName": refused("dedicated IP pools"),
        "MaxDeliverySeconds": checked(Number(300, 50_400)),
    }
)
REPUTATION = Object({"ReputationMetricsEnabled": checked(Flag()), "LastFreshStart": checked(Time())})
SUPPRESSION = {
    "SuppressedReasons": honoured(REASONS),
    "SuppressionScope": refused("the choice of a suppression list by a set"),
    "ValidationOptions": ADDRESS_VALIDATION,
}
VDM = Object(
    {
        "DashboardOptions": checked(Object({"EngagementMetrics": checked(_SWITCH)})),
        "GuardianOptions": checked(Object({"OptimizedSharedDelivery": checked(_SWITCH)})),
    }
)

DESTINATION = Object(
    {
        "Enabled": honoured(Flag()),
        "MatchingEventTypes": honoured(Many(Text(choices=EVENT_TYPES))),
        "SnsDestination": honoured(Object({"TopicArn": needed(SOME_TEXT)})),
        "KinesisFirehoseDestination": refused("events to Firehose"),
        "CloudWatchDestination": refused("events to CloudWatch"),
        "EventBridgeDestination": refused("events to EventBridge"),
        "PinpointDestination": refused("events to Pinpoint"),
    }
)
_ONE = {"ConfigurationSetName": needed(TEXT), "EventDestinationName": needed(TEXT)}
_WHOLE = Object({**_ONE, "EventDestination": needed(DESTINATION)})

CONFIGURATION_SETS = {
    "CreateConfigurationSet": Object(
        {
            "ConfigurationSetName": needed(TEXT),
            "TrackingOptions": checked(TRACKING),
            "DeliveryOptions": checked(DELIVERY),
            "ReputationOptions": checked(REPUTATION),
            "SendingOptions": honoured(Object({"SendingEnabled": honoured(Flag())})),
            "Tags": checked(RESOURCE_TAGS),
            "SuppressionOptions": honoured(Object(SUPPRESSION)),
            "VdmOptions": checked(VDM),
            "ArchivingOptions": refused("archives of Mail Manager"),
            "MessageSecurityOptions": refused("signing by S/MIME"),
        }
    ),
    "ListConfigurationSets": Object({"Filter": honoured(Words(FILTERS)), **PAGE}),
    "GetConfigurationSet": named("ConfigurationSetName"),
    "DeleteConfigurationSet": named("ConfigurationSetName"),
    "PutConfigurationSetSendingOptions": Object(
        {"ConfigurationSetName": needed(TEXT), "SendingEnabled": honoured(Flag())}
    ),
    "PutConfigurationSetSuppressionOptions": Object({"ConfigurationSetName": needed(TEXT), **SUPPRESSION}),
    "CreateConfigurationSetEventDestination": _WHOLE,
    "GetConfigurationSetEventDestinations": named("ConfigurationSetName"),
    "UpdateConfigurationSetEventDestination": _WHOLE,
    "DeleteConfigurationSetEventDestination": Object(_ONE),
}
