"""Messages: search, send, and the acts on one or many."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query

from sesq.config.errors import WrongState
from sesq.console import find
from sesq.console.find import Finder
from sesq.console.message_view import as_json as message_as_json
from sesq.console.message_view import listed_as_json
from sesq.console.overview import read_waiting
from sesq.console.subjects import Subjects
from sesq.console.web import actions
from sesq.console.web.api.entry import Json, Operating, Sending, Viewing, api_router, operation
from sesq.console.web.api.given import Ids, Mail, PageOfMessages
from sesq.console.web.api.mail_answers import Done, MessagePage, NewMessage, OneMessage, WaitedFor
from sesq.console.web.site import Room
from sesq.producer import Message
from sesq.producer.submission.fields import message_of
from sesq.queue.explain import explain
from sesq.queue.short_ids import find_message

router = api_router("messages")


@router.get("/messages", **operation("list_messages", MessagePage))
def messages(room: Viewing, given: Annotated[PageOfMessages, Query()]) -> Json:
    """Lists the newest messages that match. If `next` is not null, give it as `after` for the following page.

    With a filter, recipients of batches that have no record follow the messages with a record.
    """
    found = Finder(room.redis, room.account, given.query(given.after)).page(
        given.limit, seconds=find.PAGE_SECONDS
    )
    return {
        "messages": [listed_as_json(each) for each in found.records],
        "next": found.next,
        "looked_at": found.looked,
    }


@router.post("/messages", **operation("send_message", NewMessage, 201))
def send(room: Sending, mail: Mail) -> Json:
    """Queues a message. With the role `send`, only as the users file allows: senders, lanes, tenants."""
    given, rights = mail.model_dump(exclude_none=True, exclude_unset=True), room.visitor.rights
    message = message_of(rights, given) if rights else Message(account=room.account, **given)
    return {"id": actions.send(room, message)}


@router.get("/messages/{id}", **operation("show_message", OneMessage))
def message(room: Viewing, id: str) -> Json:
    """Shows one message with its history."""
    return message_as_json(
        explain(room.redis, Subjects(room.redis, room.account).of(find_message(room.messages, id)))
    )


def _each(room: Room, verb: str, ids: list[str]) -> Json:
    done, problems = actions.act(room, verb, ids)
    if not done:
        raise WrongState("; ".join(dict.fromkeys(problems.values())))
    return {"done": done, "problems": problems}


@router.post("/messages/cancel", **operation("cancel_messages", Done))
def cancel(room: Operating, given: Ids) -> Json:
    """Cancels messages that are not sent yet. Answers 409 if it can cancel none of them."""
    return _each(room, "cancel", given.ids)


@router.post("/messages/retry", **operation("retry_messages", Done))
def retry(room: Operating, given: Ids) -> Json:
    """Queues failed, refused, suppressed, expired or retrying messages again."""
    return _each(room, "retry", given.ids)


@router.post("/messages/release", **operation("release_messages", Done))
def release(room: Operating, given: Ids) -> Json:
    """Lets held messages try again now."""
    return _each(room, "release", given.ids)


@router.post("/messages/resolve/{outcome}", **operation("resolve_messages", Done))
def resolve(room: Operating, outcome: Literal["sent", "queued", "failed"], given: Ids) -> Json:
    """Settles unknown messages: SES may have taken them, or not."""
    return _each(room, f"resolve as {outcome}", given.ids)


@router.get("/waiting", **operation("list_waiting", list[WaitedFor]))
def waiting(room: Viewing) -> list[Json]:
    """Lists what held messages wait for, and how many wait for each."""
    return [
        {"waiting": each.what, "reason": each.reason, "messages": each.count}
        for each in read_waiting(room.redis, room.messages)
    ]
