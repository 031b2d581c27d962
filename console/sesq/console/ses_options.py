"""Options of SES that `sesq send` and `sesq batch` share."""

from __future__ import annotations

from typing import Annotated, Any

import typer

Tenant = Annotated[str | None, typer.Option(metavar="NAME", help="The SES tenant that it is sent for.")]
FeedbackTo = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Where SES sends bounces and complaints; a verified address."),
]
ContactList = Annotated[
    str | None, typer.Option(metavar="NAME", help="SES's contact list, which the recipient may leave.")
]
Topic = Annotated[str | None, typer.Option(metavar="NAME", help="A topic of the contact list.")]
Track = Annotated[
    bool | None,
    typer.Option(
        "--track/--no-track",
        help="Whether SES tracks opens and clicks; if not given, the configuration set decides.",
    ),
]


def of_ses(
    tenant: str | None,
    feedback_to: str | None,
    contact_list: str | None,
    topic: str | None,
    track: bool | None,
) -> dict[str, Any]:
    """Returns the options that were given, as a message and a batch take them."""
    given = {"tenant": tenant, "feedback_to": feedback_to, "contact_list": contact_list, "topic": topic}
    return {name: value for name, value in given.items() if value} | (
        {} if track is None else {"track": track}
    )
