"""Mail that a user gives in fields, over HTTP, not as a finished mail. The rules are the same as over SMTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sesq.producer.message import Message
from sesq.producer.submission.users import User
from sesq.producer.written_mail import key_of_owner

CURE = "leave it out, or allow it with `tenants` or `contact_lists` of this user in the users file"


def message_of(user: User, given: Mapping[str, Any], *, owner: str | None = None) -> Message:
    """Makes a message from options of `Message`, if the user may send it. The value None counts as not given.

    Without a lane, the user's first lane counts; the account and the tenant are the user's. An idempotency key counts
    for its owner only, by default the user. Raises InvalidMessage.
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
