"""The times of a message: from when until when it may go."""

from __future__ import annotations

from datetime import datetime, timezone

from sesq.config.errors import InvalidMessage
from sesq.queue.addresses import shown

FIRST = datetime(1970, 1, 1, tzinfo=timezone.utc)
LAST = datetime(9000, 1, 1, tzinfo=timezone.utc)
"""Times that people and programs give are between these, far from the ends of Python's calendar in every time zone."""


def now() -> datetime:
    """Returns the time of this host's clock, by which the times of messages were made too."""
    return datetime.now(timezone.utc)


def read_moment(text: object, field: str) -> datetime:
    """Reads a time in ISO 8601. Raises InvalidMessage(field) if it is not one."""
    try:
        # Python 3.10 does not read the Z of other languages' times.
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError as error:
        raise InvalidMessage(field, f"{shown(text)} is no time: write 2030-01-31T09:30:00+00:00") from error


def check_order(send_at: datetime | None, expires_at: datetime | None) -> None:
    """Raises InvalidMessage if `expires_at` is not after `send_at`."""
    if send_at is not None and expires_at is not None and send_at >= expires_at:
        raise InvalidMessage("expires_at", "is not after send_at: the message would expire before it may go")


def check_ahead(expires_at: datetime | None) -> None:
    """Raises InvalidMessage if `expires_at` has passed."""
    if expires_at is not None and expires_at <= now():
        raise InvalidMessage(
            "expires_at", f"{expires_at:%Y-%m-%d %H:%M %Z} is over already, so the mail would never go"
        )


def instant(moment: object, field: str) -> datetime | None:
    """Returns the moment in UTC. Raises InvalidMessage(field) if it is not an aware datetime from 1970 to 9000.

    Python compares and subtracts two datetimes of one zone by their local times, which is wrong by an hour when
    daylight saving begins or ends.
    """
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        raise InvalidMessage(field, f"must be a datetime, not {shown(moment)}")
    if moment.utcoffset() is None:
        raise InvalidMessage(field, "has no time zone: give one, as in datetime.now(timezone.utc)")
    if not FIRST <= moment < LAST:
        raise InvalidMessage(field, f"{moment.isoformat()} is too far away: times are from 1970 to 9000")
    return moment.astimezone(timezone.utc)
