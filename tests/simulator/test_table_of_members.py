"""The table of members holds what botocore's models hold: no member of an operation passes unseen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from sesq.simulator.table.member import Member, Object, Use, rows
from sesq.simulator.table.shapes import Flag, Many, Number, Text, Time, Words
from sesq.simulator.table.v1 import V1
from sesq.simulator.table.v2 import V2

TABLES = {"sesv2": V2, "ses": V1}
OPERATIONS = [(api, name) for api, table in TABLES.items() for name in table]
_session = botocore.session.get_session()
_models = {api: _session.get_service_model(api) for api in TABLES}

TYPES = {
    "string": Text,
    "blob": Text,
    "boolean": Flag,
    "integer": Number,
    "long": Number,
    "timestamp": Time,
    "list": Many,
    "map": Words,
    "structure": Object,
}


def modelled(shape: Shape | None, path: str = "") -> Iterator[tuple[str, Shape, bool]]:
    """Every member below a shape of the model, as `EmailTags[].Name`, and whether it must be there."""
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            below = f"{path}.{name}" if path else name
            yield below, member, name in shape.required_members
            yield from modelled(member, below)
    elif isinstance(shape, ListShape):
        yield from modelled(shape.member, f"{path}[]")


# Here SES is on record to answer an empty TenantName in words of its own, where the model has a constraint.
OTHER_THAN_THE_MODEL = {
    "GetTenant",
    "DeleteTenant",
    "PutTenantSuppressionAttributes",
    "CreateTenantResourceAssociation",
    "DeleteTenantResourceAssociation",
    "ListTenantResources",
}


def input_of(api: str, name: str) -> dict[str, tuple[Shape, bool]]:
    shape = _models[api].operation_model(name).input_shape
    return {path: (member, required) for path, member, required in modelled(shape)}


def table_of(api: str, name: str) -> dict[str, Member]:
    return dict(rows(TABLES[api][name]))


@pytest.mark.parametrize(("api", "name"), OPERATIONS)
def test_every_member_of_the_model_has_a_row(api: str, name: str) -> None:
    table = table_of(api, name)
    refused = tuple(path for path, member in table.items() if member.use is Use.REFUSED)
    for path in input_of(api, name):
        below_a_refused_one = any(path.startswith((f"{each}.", f"{each}[]")) for each in refused)
        assert path in table or below_a_refused_one, f"{name}: {path} is in the model, and has no row"


@pytest.mark.parametrize(("api", "name"), OPERATIONS)
def test_every_row_is_as_the_model_has_it(api: str, name: str) -> None:
    model = input_of(api, name)
    for path, member in table_of(api, name).items():
        shape, required = model[path]
        if member.shape is None or (path == "TenantName" and name in OTHER_THAN_THE_MODEL):
            continue
        assert type(member.shape) is TYPES[shape.type_name], path
        assert member.required == required, path
        assert constraints_of(member.shape) == constraints_in(shape), path


def constraints_of(shape: Any) -> list[dict[str, Any]]:
    """Of a shape, and of what it is a list of."""
    if isinstance(shape, Many):
        return [{"min": shape.shortest or None, "max": shape.longest}, *constraints_of(shape.each)]
    if isinstance(shape, Text):
        bounds = {"min": shape.shortest or None, "max": shape.longest}
        return [bounds | {"pattern": shape.pattern, "enum": sorted(shape.choices)}]
    if isinstance(shape, Number):
        return [{"min": shape.least, "max": shape.most}]
    return [{"enum": sorted(shape.keys)}] if isinstance(shape, Words) else []


def constraints_in(shape: Any) -> list[dict[str, Any]]:
    read = shape.metadata
    bounds = {"min": read.get("min") or None, "max": read.get("max")}
    if isinstance(shape, ListShape):
        return [bounds, *constraints_in(shape.member)]
    if isinstance(shape, MapShape):
        return [{"enum": sorted(shape.key.metadata.get("enum", ()))}]
    if shape.type_name in ("string", "blob"):
        return [bounds | {"pattern": read.get("pattern"), "enum": sorted(read.get("enum", ()))}]
    return [bounds] if shape.type_name in ("integer", "long") else []


def test_what_the_simulator_answers_is_in_the_table() -> None:
    from sesq.simulator.v1.operations import ACTIONS
    from sesq.simulator.v2.operations import OPERATIONS as V2_OPERATIONS

    assert {each.name for each in V2_OPERATIONS} == V2.keys()
    assert ACTIONS.keys() == V1.keys()
