"""Mail that a user gives in fields, not as a finished mail: over HTTP. The same rules count as over SMTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sesq.producer.message import Message
from sesq.producer.submission.users import User
from sesq.producer.written_mail import key_of_owner

CURE = "leave it out, or allow this to the user, with `tenants` or `contact_lists` in the users file"


def message_of(user: User, given: Mapping[str, Any], *, owner: str | None = None) -> Message:
    """Makes the message of these options of `Message`, if its user may send it so; None gives nothing.

    The lane is the user's first where none is given, the account and the tenant are the user's. Keys of two owners,
    by default the users, never meet. Raises InvalidMessage.
    """
    told = {name: value for name, value in given.items() if value is not None}
    options = {"lane": user.lanes[0], "tenant": user.tenant, **told, "account": user.account}
    replace(user.header_rule, cure=CURE).check(options)
    options["idempotency_key"] = key_of_owner(
        options.get("idempotency_key"), user.name if owner is None else owner
    )
    message = Message(**options)
    user.require_lane(message.lane)
    user.require_sender("from", message.sender)
    return message
