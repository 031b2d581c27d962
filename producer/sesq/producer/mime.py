"""Writes a mail in MIME (RFC 5322, 2045 to 2049, 2231), all ASCII, for SMTP and for what Simple content cannot carry.

It writes neither Bcc, nor Date and Message-ID, which SES sets itself.
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
    """Writes the mail with CRLF line ends: text, HTML and other forms as alternatives, inline files beside the HTML."""
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
    """Gives each multipart without a boundary one that is made from the mail's content.

    The library's own boundaries are random: each try of the same mail would look like another mail.
    """
    digest = hashlib.sha256()
    for part in mail.walk():
        if not part.is_multipart():
            digest.update(str(part.get_payload()).encode(errors="replace"))
    for number, part in enumerate(mail.walk()):
        if part.get_content_maintype() == "multipart" and part.get_boundary() is None:
            part.set_boundary(f"=_{digest.hexdigest()[:32]}_{number}")


def written(email: AnyEmail) -> bytes:
    """Writes a mail of the standard library with CRLF line ends. Raises InvalidMessage("email") if that is impossible.

    It checks headers for line breaks first, since not every Python that runs this does so.
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
    """Folds one header value into lines. Several spaces become one: some readers end headers at a line of spaces."""
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
