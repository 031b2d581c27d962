"""Reads ARNs of SES's resources. An ARN that contradicts the account of the request is refused."""

from __future__ import annotations

import re
from typing import NamedTuple

from sesq.simulator.errors import SesError
from sesq.simulator.http import ACCOUNT_ID

KINDS = ("identity", "configuration-set", "template")
_ARN = re.compile(r"arn:([^:]*):([^:]*):([^:]*):([^:]*):([^/]*)(?:/(.+))?")
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


class Resource(NamedTuple):
    kind: str
    name: str


def partition(region: str) -> str:
    return next((name for start, name in _PARTITIONS.items() if region.startswith(start)), "aws")


def write_arn(region: str, resource: str, service: str = "ses") -> str:
    """Writes the ARN of `identity/…`, `template/…` and so on in a region of this account, or of another service."""
    return f"arn:{partition(region)}:{service}:{region}:{ACCOUNT_ID}:{resource}"


def read_arn(arn: str, region: str, kinds: tuple[str, ...] = KINDS) -> Resource:
    """Reads what an ARN names in a region of this account. Raises SesError(bad_request)."""
    found = _ARN.fullmatch(arn)
    if found is None:
        raise _refused("Provided resource identifier is not an SES resource")
    written_partition, service, written_region, owner, kind, name = found.groups()
    if service != "ses" or written_partition != partition(written_region):
        raise _refused("Provided ARN is not in SES resource ARN format")
    if kind not in kinds:
        raise _refused(f"Unsupported resource type: {kind[:100]}")
    if written_region != region:
        raise _refused(f"Resource <{arn}> must be in the same region")
    if owner != ACCOUNT_ID:
        raise _refused(f"Resource <{arn}> must be in the same account")
    if not name:
        raise _refused("Provided resource identifier is not an SES resource")
    return Resource(kind, name)


def _refused(text: str) -> SesError:
    return SesError("bad_request", text)
