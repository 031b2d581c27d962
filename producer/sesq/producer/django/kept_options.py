"""Keeps a message's options in its headers, for packages that store a message and build it again before it is sent.

django-post_office, djmail and others store a message's headers, but not its attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sesq.config.errors import InvalidMessage
from sesq.producer.rules import MAX_RECIPIENTS, address_list, feedback_address, once
from sesq.queue.ids import following, new_id

if TYPE_CHECKING:
    from django.core.mail import EmailMessage

HEADERS = {
    "lane": "X-Sesq-Lane",
    "tags": "X-Sesq-Tags",
    "tenant": "X-Sesq-Tenant",
    "feedback_to": "X-Sesq-Feedback-To",
    "contact_list": "X-Sesq-Contact-List",
    "topic": "X-Sesq-Topic",
    "track": "X-Sesq-Track",
    "idempotency_key": "X-Sesq-Key",
    "send_at": "X-Sesq-Send-At",
    "expires_at": "X-Sesq-Expires",
}


def keep_options(email: EmailMessage, **options: Any) -> list[str]:
    """Writes options of `message.sesq` into headers, with the ids that the message will have in the queue.

    Returns these ids, which are also `email.sesq_ids`: one, or one for each 50 recipients. Raises InvalidMessage for an
    option that has no header.

        ids = keep_options(email, lane="bulk", tags={"kind": "news"})
        post_office.mail.send(..., headers=email.extra_headers)
    """
    unknown = next((name for name in options if name not in HEADERS), None)
    if unknown is not None:
        raise InvalidMessage(unknown, f"has no header of sesq's; these have one: {', '.join(HEADERS)}")
    first = new_id()
    email.extra_headers["X-Sesq-Id"] = first
    given = {name: value for name, value in options.items() if value is not None}
    if "feedback_to" in given:
        given["feedback_to"] = feedback_address(given["feedback_to"])  # a header is ASCII
    email.extra_headers.update({HEADERS[name]: _written(value) for name, value in given.items()})
    (people,) = once(address_list([str(each) for each in email.recipients()], "to"))
    parts = max(1, -(-len(people) // MAX_RECIPIENTS))
    ids = [following(first, number) for number in range(parts)]
    email.sesq_ids = ids  # type: ignore[attr-defined]
    return ids


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    return str(value)
