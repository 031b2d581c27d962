"""A mail in MIME (RFC 5322, 2045 to 2049, 2231), all ASCII: for what SES's Simple content cannot carry, and for SMTP.

Bcc has no header here, and Date and Message-ID are SES's: it overwrites them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from email.errors import MessageError
from email.generator import BytesGenerator
from email.header import Header
from email.message import EmailMessage
from email.message import Message as AnyEmail
from email.policy import SMTP, EmailPolicy
from io import BytesIO
from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.producer.attachment import Attachment
from sesq.queue.addresses import encode_words, shown
from sesq.queue.envelope import Envelope, SimpleContent

# "7bit": without it the library would leave short non-ASCII lines as 8bit, which not every relay takes.
_POLICY = SMTP.clone(cte_type="7bit")
_FOLD_AT = 76

_opens_line = re.compile(r"[\r\n](?![ \t\n])").search


def render(envelope: Envelope, content: SimpleContent, attachments: Sequence[Attachment] = ()) -> bytes:
    """The mail as bytes with CRLF line ends: text, HTML and the like as alternatives, inline files beside the HTML."""
    body = EmailMessage(_POLICY)
    _add_texts(body, content)
    for attachment in attachments:
        if attachment.inline_id is not None:
            _add_inline(body, attachment)
    for attachment in attachments:
        if attachment.alternative:
            body.add_alternative(attachment.content, **_described(attachment, None))
    for attachment in attachments:
        if attachment.inline_id is None and not attachment.alternative:
            body.add_attachment(attachment.content, **_described(attachment, "attachment"))
    set_boundaries(body)
    return _head(envelope, content).encode("ascii") + body.as_bytes()


def set_boundaries(mail: AnyEmail) -> None:
    """Gives the multiparts of a mail that have no boundary one made from its content: the same mail, the same bytes.

    The library's own boundaries are random, and would make every retry of a mail look like another mail.
    """
    digest = hashlib.sha256()
    for part in mail.walk():
        if not part.is_multipart():
            digest.update(str(part.get_payload()).encode(errors="replace"))
    for number, part in enumerate(mail.walk()):
        if part.get_content_maintype() == "multipart" and part.get_boundary() is None:
            part.set_boundary(f"=_{digest.hexdigest()[:32]}_{number}")


def written(email: AnyEmail) -> bytes:
    """A mail of the standard library as bytes with CRLF line ends; InvalidMessage("email") when it cannot be one.

    Its headers are looked at first: not every Python that runs this refuses line breaks in them.
    """
    policy = email.policy.clone(linesep="\r\n")
    if isinstance(policy, EmailPolicy):
        policy = policy.clone(utf8=False)
    try:
        for name, value in email.items():
            if _opens_line(name) or _opens_line(str(value)):
                raise InvalidMessage("email", f"the header {shown(name)} contains a line break: remove it")
        set_boundaries(email)
        content = BytesIO()
        BytesGenerator(content, mangle_from_=False, policy=policy).flatten(email)
        return content.getvalue()
    except (MessageError, LookupError, ValueError, AttributeError, TypeError) as error:
        raise InvalidMessage("email", f"cannot be written: {error}") from error


def _head(envelope: Envelope, content: SimpleContent) -> str:
    lists = (("To", envelope.to), ("Cc", envelope.cc), ("Reply-To", envelope.reply_to))
    fields = [("From", envelope.sender)]
    fields += [(name, ", ".join(wires)) for name, wires in lists if wires]
    fields += [("Subject", content.subject), *content.headers]
    return "".join(f"{name}: {folded(name, value)}\r\n" for name, value in fields)


def folded(name: str, value: str, line_end: str = "\r\n") -> str:
    """One header value in lines. Runs of spaces become one: some readers end the headers at a line of spaces alone."""
    line = re.sub(" {2,}", " ", (value if value.isascii() else encode_words(value)).strip())
    return Header(line, "us-ascii", maxlinelen=_FOLD_AT, header_name=name).encode(linesep=line_end)


def _add_texts(body: EmailMessage, content: SimpleContent) -> None:
    if content.html is None:
        body.set_content(content.text or "")
    elif content.text is None:
        body.set_content(content.html, subtype="html")
    else:
        body.set_content(content.text)
        body.add_alternative(content.html, subtype="html")


def _add_inline(body: EmailMessage, attachment: Attachment) -> None:
    html = body.get_body(("related", "html")) or body
    html.add_related(attachment.content, cid=f"<{attachment.inline_id}>", **_described(attachment, "inline"))


def _described(attachment: Attachment, disposition: str | None) -> dict[str, Any]:
    kind, _, parameters = (attachment.content_type or "").partition(";")
    maintype, _, subtype = kind.partition("/")
    return {
        "maintype": maintype,
        "subtype": subtype,
        "disposition": disposition,
        "filename": attachment.name if disposition else None,
        "params": dict(_parameters(parameters)),
    }


def _parameters(text: str) -> Iterable[tuple[str, str]]:
    for parameter in filter(None, map(str.strip, text.split(";"))):
        name, _, value = parameter.partition("=")
        yield name, value.strip('"')
