"""Sandbox: what the account may do, and the request for production access, shown before it is sent."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form
from starlette.responses import Response

from sesq.config.errors import InputError, SesqError
from sesq.console.web import actions
from sesq.console.web.render import page
from sesq.console.web.site import Operating, Room, Viewing
from sesq.queue.replies import read_hash
from sesq.worker.control import Access, Application

router = APIRouter()
Text = Annotated[str, Form()]


@router.get("/accounts/{account}/sandbox")
def sandbox(room: Viewing) -> Response:
    return show(room)


def show(room: Room, status: int = 200, problem: str = "", given: dict[str, str] | None = None) -> Response:
    """Shows the state of the account as SES says now, or why SES cannot be asked."""
    access, unavailable = None, ""
    try:
        access = Access.read(room.control)
    except SesqError as error:
        unavailable = str(error)
    verified = "1" in read_hash(room.redis, room.messages.keys.identities).values()
    details = access.details if access else {}
    before = {
        "mail_type": str(details.get("MailType", "TRANSACTIONAL")),
        "website": str(details.get("WebsiteURL", "")),
        "use_case": str(details.get("UseCaseDescription", "")),
        "language": str(details.get("ContactLanguage", "EN")),
        "contacts": "",
    }
    return page(
        room,
        "sandbox",
        status,
        access=access,
        unavailable=unavailable,
        verified=verified,
        given=given or before,
        problem=problem,
    )


@router.post("/accounts/{account}/sandbox/apply")
def apply(
    room: Operating,
    mail_type: Text = "",
    website: Text = "",
    use_case: Text = "",
    language: Text = "EN",
    contacts: Text = "",
    sure: Text = "",
) -> Response:
    """Sends the request to AWS if `sure` is set; otherwise only shows it, since a person at AWS reads it."""
    given = {"mail_type": mail_type, "website": website, "use_case": use_case}
    given |= {"language": language, "contacts": contacts}
    try:
        application = _application(given)
        if not sure:
            return page(room, "sandbox_preview", given=given, application=application.request())
        actions.apply_for_production(room, application)
    except InputError as error:
        return show(room, 422, str(error), given)
    return room.go("sandbox", "Sent. A person at AWS answers, mostly within a day.")


def _application(given: dict[str, Any]) -> Application:
    return Application(
        mail_type=given["mail_type"],
        website=given["website"].strip(),
        use_case=given["use_case"].strip(),
        language=given["language"],
        contacts=actions.contacts(given["contacts"].replace(",", " ").split()),
    )
