"""Reads the X-SES- headers of raw mail, by which it asks SES for options. SES takes them out of the mail."""

from __future__ import annotations

from email.message import Message

from sesq.simulator.errors import SesError

CONFIGURATION_SET, TENANT, MESSAGE_TAGS = "x-ses-configuration-set", "x-ses-tenant", "x-ses-message-tags"
LIST = "x-ses-list-management-options"
SOURCE_ARN, FROM_ARN, RETURN_PATH_ARN = ARNS = (
    "x-ses-source-arn",
    "x-ses-from-arn",
    "x-ses-return-path-arn",
)
_IMITATED = (CONFIGURATION_SET, TENANT, MESSAGE_TAGS, LIST, *ARNS)
# SES writes these into the mail that it receives: they ask for nothing when such mail is sent on.
_OF_RECEIVED_MAIL = (
    "x-ses-receipt",
    "x-ses-dkim-signature",
    "x-ses-outgoing",
    "x-ses-spam-verdict",
    "x-ses-virus-verdict",
)


def asked_for(headers: Message) -> dict[str, str]:
    """Returns their values by names in lower case. Raises SesError(not_imitated), also for unknown ones."""
    asked: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower()
        if not lower.startswith("x-ses-") or lower in _OF_RECEIVED_MAIL:
            continue
        if lower not in _IMITATED:
            raise _not_imitated(name, "this header asks for")
        if lower in asked:
            raise _not_imitated(name, "two headers of that name ask for")
        asked[lower] = str(value).strip()
        if not asked[lower]:
            raise _not_imitated(name, "an empty header asks for")
    return asked


def _not_imitated(name: str, what: str) -> SesError:
    return SesError("not_imitated", f"{name[:100]}: this simulator does not imitate what {what}.")
