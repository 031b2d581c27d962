"""Rows that several operations share."""

from __future__ import annotations

from sesq.simulator.table.member import Object, checked, honoured, needed, refused
from sesq.simulator.table.resource_tags import check_resource_tags
from sesq.simulator.table.shapes import Many, Number, Text

TEXT = Text()
SOME_TEXT = Text(shortest=1)
TEXTS = Many(TEXT)
REASONS = Many(Text(choices=("BOUNCE", "COMPLAINT")))
PAGE = {"NextToken": honoured(TEXT), "PageSize": honoured(Number())}

# They come back, and have no other effect.
RESOURCE_TAGS = Many(
    Object({"Key": checked(TEXT, required=True), "Value": checked(TEXT, required=True)}),
    rule=check_resource_tags,
)

AUTHORIZATION = refused("sending authorization (identities lent by other accounts)")
ADDRESS_VALIDATION = refused("the validation of addresses")
TENANT = honoured(SOME_TEXT)


def named(member: str, shape: Text = TEXT) -> Object:
    """Makes the row of an operation that takes one name, and nothing else."""
    return Object({member: needed(shape)})
