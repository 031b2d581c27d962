"""Models of what programs send. They refuse unknown names, and text that UTF-8 cannot encode."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, model_validator

from sesq.console.web import actions
from sesq.console.web.filters import Filter, Moment, whole_characters
from sesq.queue.states import Lane
from sesq.worker.control import Application


class Given(BaseModel):
    """The base of all requests."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    _whole = model_validator(mode="before")(whole_characters)


class Mail(Given):
    """A message to send; see `sesq.producer.Message`."""

    sender: str = Field(alias="from")
    to: list[str] = []
    cc: list[str] = []
    bcc: list[str] = []
    reply_to: list[str] = []
    subject: str = ""
    text: str | None = None
    html: str | None = None
    headers: dict[str, str] = {}
    tags: dict[str, str] = {}
    configuration_set: str | None = None
    tenant: str | None = None
    feedback_to: str | None = None
    contact_list: str | None = None
    topic: str | None = None
    track: bool | None = None
    lane: Lane = Lane.TRANSACTIONAL
    send_at: Moment | None = None
    expires_at: Moment | None = None
    idempotency_key: str | None = None


class Ids(Given):
    """The ids of messages to change."""

    ids: list[str] = Field(min_length=1, max_length=actions.MOST_AT_ONCE)


class PageOfMessages(Filter):
    """A page of the messages that match."""

    after: str = ""
    limit: int = Field(default=50, ge=1, le=500)


class ActOnAll(Given):
    """An act, and the filter for its messages."""

    act: Literal["cancel", "retry", "release", "resolve"]
    outcome: Literal["sent", "queued", "failed"] | None = Field(
        default=None, description="For resolve alone: the state that the messages get."
    )
    filter: Filter

    @model_validator(mode="after")
    def _outcome_of_resolve(self) -> ActOnAll:
        if (self.act == "resolve") != (self.outcome is not None):
            raise ValueError("outcome: resolve needs it, and no other act takes it")
        if not self.filter.query().is_filtered:
            raise ValueError("filter: give at least one condition")
        return self

    @property
    def verb(self) -> str:
        """The act's name, such as `cancel` or `resolve as sent`."""
        return f"{self.act} as {self.outcome}" if self.outcome else self.act


class AgreedAct(ActOnAll):
    """An act with the number and the time that `count_act` answered."""

    number: int = Field(
        ge=0,
        description="The number of messages that it changes. If their number is another one now, it changes none.",
    )
    complete: bool = Field(
        default=True, description="false if the count was not complete: it changes all that match."
    )
    at: Moment = Field(description="It does not change messages that came into their state later.")


LimitText = str | StrictInt | StrictFloat
"""A limit as text, or as a JSON number."""


class Limits(Given):
    """Limits to change, as people write them: "14/second", "50000/day", "10%"; or as a number."""

    rate: LimitText | None = None
    daily: LimitText | None = None
    burst: LimitText | None = None
    margin: LimitText | None = None
    reserve: LimitText | None = None
    for_: str | None = Field(
        default=None, alias="for", description="Only for this time: 90s, 10m, 2h, 1d12h."
    )
    force: bool = Field(default=False, description="Allow more than SES allows.")

    @property
    def changes(self) -> dict[str, str]:
        """Returns the limits that are given."""
        given = self.model_dump(exclude={"for_", "force"}, exclude_none=True)
        return {name: str(value) for name, value in given.items()}


class LimitNames(Given):
    """Changed limits to remove; all if none is named."""

    limits: list[Literal["rate", "daily", "burst", "margin", "reserve"]] = []


class NewRamp(Given):
    """A ramp of the day, as people write it."""

    from_: str = Field(alias="from", description='Recipients in 24 hours at its start: "200" or "200/day".')
    to: str = Field(description="Recipients in 24 hours at its end.")
    over: str = Field(description="Whole days: 14d.")


class Reason(Given):
    """The reason, for people who read it later."""

    reason: str = Field(default="", max_length=500)


class WhichMail(Given):
    """All mail, or bulk mail, or the bulk mail of one tenant."""

    bulk: bool = Field(default=False, description="Only bulk mail.")
    tenant: str | None = Field(default=None, min_length=1, description="Only the bulk mail of this tenant.")


class Pause(Reason, WhichMail):
    """The mail to pause, and the reason."""


class Events(Given):
    """The ids of events that were given up; all if there is no list."""

    events: list[str] | None = Field(default=None, min_length=1, max_length=actions.MOST_AT_ONCE)


class Name(Given):
    """An address or a domain."""

    name: str = Field(max_length=320)


class Suppression(Given):
    """An address that gets no mail any more."""

    address: str = Field(max_length=320)
    reason: Literal["bounce", "complaint", "manual"] = "manual"


class Change(Given):
    """An entry of the history of limits, by its id."""

    id: str


class Waiting(Given):
    """What messages wait for, as in the list of messages, such as `recipient:bob@example.org`; and their number."""

    waiting: str = Field(min_length=1, max_length=400)
    number: int = Field(ge=0, description="With another number, nothing is done.")


class ProductionRequest(Given):
    """A request for production access. A person at AWS reads it, so it is sent only if `sure` is true."""

    mail_type: Literal["MARKETING", "TRANSACTIONAL"]
    website: str
    use_case: str
    language: Literal["EN", "JA"] = "EN"
    contacts: list[str] = []
    sure: bool = Field(default=False, description="If it is false, the request is only shown.")

    def application(self) -> Application:
        """Raises InputError."""
        told = self.model_dump(exclude={"sure", "contacts"})
        return Application(**told, contacts=actions.contacts(self.contacts))
