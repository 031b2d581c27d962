"""New batches by upload: the texts of a template and the file of rows, checked first, as `sesq batch` does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

from fastapi import Form, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from sesq.config.errors import InputError
from sesq.config.numbers import number_of
from sesq.console.batch_check import Check, check
from sesq.console.batch_files import Digest, RowsFile, is_jsonl
from sesq.console.batch_options import rows_of
from sesq.console.context import pairs
from sesq.console.web.api.entry import Json, Operating, api_router, operation
from sesq.console.web.api.mail_answers import BatchCheck, NewBatchAnswer
from sesq.console.web.filters import Moment
from sesq.console.web.site import Room
from sesq.producer import Attachment, Outbox
from sesq.producer.batch.batch_intake import take
from sesq.producer.batch.request import BatchRequest, batch_request
from sesq.producer.batch.template import Template
from sesq.producer.rules import MAX_ATTACHMENTS, address_list

router = api_router("batches", "/batches")
OF_SES = ("tenant", "configuration_set", "feedback_to", "contact_list", "topic", "track")
OPTIONS = (*OF_SES, "starts_at", "window", "zone_column", "stop_bounces", "stop_complaints")


class NewBatch(BaseModel):
    """A template and its rows. `subject`, `text`, `html` and the values of `header` are jinja2, as in a folder."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    sender: str = Field(alias="from")
    rows: UploadFile = Field(description="CSV with a heading, or JSON lines; `email` is the recipient.")
    subject: str
    text: str | None = None
    html: str | None = None
    name: str = Field(default="batch", max_length=200, description="A name for people.")
    reply_to: list[str] = Field(default=[])
    header: list[str] = Field(default=[], description="NAME: VALUE; may be given several times.")
    tag: list[str] = Field(default=[], description="NAME=VALUE; may be given several times.")
    attachments: list[UploadFile] = Field(default=[], max_length=MAX_ATTACHMENTS)
    tenant: str | None = None
    configuration_set: str | None = None
    feedback_to: str | None = None
    contact_list: str | None = None
    topic: str | None = None
    track: bool | None = None
    starts_at: Moment | None = None
    window: str | None = None
    zone_column: str | None = None
    stop_bounces: float | None = Field(default=None, ge=0, le=100)
    stop_complaints: float | None = Field(default=None, ge=0, le=100)
    email_column: str | None = Field(
        default=None, description="The column of the recipient, if it is not `email`."
    )
    encoding: str | None = Field(default=None, description="The encoding of the rows, if not UTF-8.")
    again: bool = Field(default=False, description="Send it although the same batch was sent before.")

    def template(self) -> Template:
        """Raises InputError."""
        return Template(
            self.name,
            self.subject.strip(),
            self.text,
            self.html,
            headers=pairs(self.header, ":", "header"),
            reply_to=address_list(self.reply_to, "reply_to"),
            attachments=tuple(_attachment(each) for each in self.attachments),
        )

    def options(self) -> Json:
        """Returns the options for `batch_request`."""
        return {name: getattr(self, name) for name in OPTIONS} | {"tags": pairs(self.tag, "=", "tag")}


Uploaded = Annotated[NewBatch, Form(media_type="multipart/form-data")]


@router.post("/check", **operation("check_batch", BatchCheck))
def check_batch(room: Operating, new: Uploaded) -> Json:
    """Says which rows are left out and why, how the first mails look, and when the last mail goes. Queues nothing."""
    with _rows(new) as file:
        return _checked(room, new, file)[1].as_json()


@router.post("", **operation("create_batch", NewBatchAnswer, 201))
def create_batch(room: Operating, new: Uploaded) -> Json:
    """Queues one mail for each row that can be sent. Refuses the same rows a second time, unless `again` is true."""
    with _rows(new) as file:
        request, found = _checked(room, new, file)
        if not found.intake.queued:
            raise InputError(f"none of {found.intake.rows} rows can be sent, so nothing is queued")
        rows = rows_of(request, file, new.encoding, None, new.email_column)
        printed = found.intake.unprintable is None
        intake = take(room.redis, request, rows, again=new.again, printed=printed)
    room.note(f"batch: send {intake.id} to {number_of(intake.queued, 'recipient')}")
    return {"id": intake.id, "queued": intake.queued, **found.as_json()}


def _checked(room: Room, new: NewBatch, file: RowsFile) -> tuple[BatchRequest, Check]:
    """Returns the batch, identified by its rows, and what would happen to it. Raises InputError."""
    settings = room.site.settings
    outbox = Outbox(room.redis, keep_days=settings.keep_days, smtp_accounts=settings.smtp_accounts)
    options = {"account": room.account, "keep_seconds": outbox.keep_seconds, **new.options()}
    request = batch_request(new.template(), new.sender, "", **options)
    outbox.check_transport(room.account, request.envelope.track)
    digest = Digest()
    rows = digest.of(rows_of(request, file, new.encoding, None, new.email_column))
    found = check(room.redis, request, rows)
    return replace(request, key=digest.hexdigest()), found


@contextmanager
def _rows(new: NewBatch) -> Iterator[RowsFile]:
    """Writes the rows into a file, since they are read twice."""
    with TemporaryDirectory(prefix="sesq-") as folder:
        kept = Path(folder) / "rows"
        with kept.open("wb") as file:
            shutil.copyfileobj(new.rows.file, file)
        yield RowsFile(kept, "rows", is_jsonl(kept))


def _attachment(file: UploadFile) -> Attachment:
    """Guesses the type from the file's name: clients often declare application/octet-stream."""
    return Attachment(file.filename or "", file.file.read())
