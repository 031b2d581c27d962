"""Send a test mail: formatted or raw, to a verified address or the mailbox simulator. It goes through the queue."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form
from starlette.responses import Response

from sesq.config.errors import InputError
from sesq.console.web import actions
from sesq.console.web.render import page
from sesq.console.web.site import Operating, Room, Viewing
from sesq.producer import Message, Outbox
from sesq.queue.replies import read_hash
from sesq.queue.states import Lane

router = APIRouter()
Text = Annotated[str, Form()]
MAILBOX_SIMULATOR = {
    "success@simulator.amazonses.com": "is delivered",
    "bounce@simulator.amazonses.com": "bounces",
    "complaint@simulator.amazonses.com": "is marked as spam",
    "ooto@simulator.amazonses.com": "gets an automatic reply",
    "suppressionlist@simulator.amazonses.com": "is on SES's global suppression list",
}
"""Address -> what happens to mail to it (SES developer guide, "Using the mailbox simulator manually")."""
MOST_OFFERED = 200


@router.get("/accounts/{account}/test")
def form(room: Viewing, to: str = "success@simulator.amazonses.com") -> Response:
    given = {
        "sender": "",
        "to": to,
        "subject": "Test",
        "text": "This is a test.",
        "html": "",
        "raw": "",
        "tag": "",
    }
    return show(room, given)


def show(room: Room, given: dict[str, str], status: int = 200, problem: str = "") -> Response:
    """Shows the form with these values."""
    identities = read_hash(room.redis, room.messages.keys.identities)
    verified = sorted(name for name, is_verified in identities.items() if is_verified == "1")[:MOST_OFFERED]
    return page(
        room,
        "test_mail",
        status,
        given=given,
        problem=problem,
        addresses=[name for name in verified if "@" in name],
        domains=[name for name in verified if "@" not in name],
        simulator=MAILBOX_SIMULATOR,
    )


@router.post("/accounts/{account}/test")
def send(
    room: Operating,
    kind: Annotated[str, Form()],
    sender: Text = "",
    to: Text = "",
    subject: Text = "",
    text: Text = "",
    html: Text = "",
    raw: Text = "",
    tag: Text = "",
) -> Response:
    given = {
        "sender": sender,
        "to": to,
        "subject": subject,
        "text": text,
        "html": html,
        "raw": raw,
        "tag": tag,
    }
    try:
        message = _message(room, kind == "raw", given)
        problems = Outbox(room.redis).check(message)
        id = actions.send(room, message)
    except InputError as error:
        return show(room, given, 422, str(error))
    return room.go(f"messages/{id}", "; ".join(["Queued.", *problems]), bad=bool(problems))


def _message(room: Room, raw: bool, given: dict[str, str]) -> Message:
    options: dict[str, Any] = {"account": room.account, "lane": Lane.TRANSACTIONAL}
    name, equals, value = given["tag"].strip().partition("=")
    if name:
        if not equals:
            raise InputError("tag: write name=value")
        options["tags"] = {name: value}
    to = [part.strip() for part in given["to"].split(",") if part.strip()]
    if raw:
        written = given["raw"].encode("utf-8", "surrogateescape")
        return Message.from_bytes(written, sender=given["sender"].strip() or None, to=to or None, **options)
    # a browser sends a text of several lines with CRLF
    text, html = (given[name].replace("\r\n", "\n") or None for name in ("text", "html"))
    return Message(
        sender=given["sender"].strip(), to=to, subject=given["subject"], text=text, html=html, **options
    )
