"""Mails as other programs write them, and what every intake does with each: it mends or refuses it."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from typing import cast

SUBJECT = "Cron <app@host> " + "./bin/console report --since=yesterday " * 30 + "end"
FORTY = [f"member-{number:03}@department.example.org" for number in range(40)]
LINE = "Größe " * 500 + "= end"
HEAD = b"From: Shop <shop@example.com>\r\nTo: ada@example.org\r\n"
ADA = ("ada@example.org",)

Check = Callable[[EmailMessage], bool]


@dataclass(frozen=True)
class Mended:
    """A mail that is queued: its recipients, and a check of its content in the queue."""

    name: str
    raw: bytes
    check: Check
    to: tuple[str, ...] = ADA
    reached: tuple[str, ...] | None = None

    @property
    def recipients(self) -> tuple[str, ...]:
        return self.to if self.reached is None else self.reached


@dataclass(frozen=True)
class Refused:
    """A mail that is refused, and the text of the answer."""

    name: str
    raw: bytes
    says: str


def parsed(content: bytes) -> EmailMessage:
    """Parses a mail from the queue. Asserts that every line fits into a mail, and that every header is ASCII."""
    head = content.partition(b"\r\n\r\n")[0]
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert head.isascii()
    return cast("EmailMessage", email.message_from_bytes(content, policy=email.policy.default))


def _specs(mail: EmailMessage, name: str) -> list[str]:
    return [address.addr_spec for address in mail[name].addresses]


def _field(line: str, body: str = "Hello", charset: str = "utf-8") -> bytes:
    return HEAD + f"{line}\r\n\r\n{body}\r\n".encode(charset)


def _to(value: str) -> bytes:
    return f"From: Shop <shop@example.com>\r\nTo: {value}\r\nSubject: Hi\r\n\r\nHello\r\n".encode()


MENDED = [
    Mended(
        "a long subject",
        _field(f"Subject: {SUBJECT}"),
        lambda mail: mail["Subject"] == SUBJECT,
    ),
    Mended(
        "a subject whose spaces come late",
        _field(f"Subject: {'x' * 900} {'y' * 900}"),
        lambda mail: mail["Subject"].split() == ["x" * 900, "y" * 900],
    ),
    Mended(
        "a long line of references",
        _field("References: " + " ".join(f"<{number:060}@example.com>" for number in range(30))),
        lambda mail: len(mail["References"].split()) == 30,
    ),
    Mended("forty members in one line", _to(", ".join(FORTY)), lambda mail: _specs(mail, "To") == FORTY),
    Mended("forty members without a space", _to(",".join(FORTY)), lambda mail: _specs(mail, "To") == FORTY),
    Mended(
        "a body in one line",
        _field("Subject: Hi", LINE),
        lambda mail: mail.get_content().strip() == LINE,
    ),
    Mended(
        "a page in one line",
        _field(
            "Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit", LINE, "latin-1"
        ),
        lambda mail: (mail.get_content().strip(), mail.get_content_type()) == (LINE, "text/html"),
    ),
    Mended(
        "a name without a domain",
        _to("root, Ada <ada@example.org>"),
        lambda mail: _specs(mail, "To") == ["root@host.example", "ada@example.org"],
    ),
    Mended(
        "headers to nobody",
        HEAD.replace(b"ada@example.org", b"") + b"Cc:\r\nReply-To: \r\n\r\nHello\r\n",
        lambda mail: not {"To", "Cc", "Reply-To"} & set(mail.keys()),
    ),
    Mended(
        "headers in Latin-1",
        "From: Jörg <shop@example.com>\r\nTo: Änne <ada@example.org>\r\nSubject: Grüße\r\n\r\nHello\r\n".encode(
            "latin-1"
        ),
        lambda mail: (
            (mail["Subject"], mail["From"].addresses[0].display_name, mail["To"].addresses[0].display_name)
            == ("Grüße", "Jörg", "Änne")
        ),
    ),
    Mended(
        "headers and a body in Windows-1252",
        "From: Shop “Jörg” <shop@example.com>\r\nSubject: 5 € “now”\r\n\r\n5 €\r\n".encode("cp1252"),
        lambda mail: (
            (mail["Subject"], mail["From"].addresses[0].display_name, mail.get_content().strip())
            == ("5 € “now”", "Shop “Jörg”", "5 €")
        ),
    ),
    Mended(
        "a subject that is encoded in part",
        _field("Subject: =?utf-8?q?Gr=C3=BC?= Größe"),
        lambda mail: mail["Subject"] == "Grü Größe",
    ),
    Mended(
        "a file whose name is not ASCII",
        _field(
            'Content-Type: text/plain; charset=utf-8; name="Grüße; 1.txt"\r\n'
            'Content-Disposition: attachment;\r\n filename="Grüße; 1.txt"'
        ),
        lambda mail: (
            (mail.get_filename(), mail["Content-Type"].params["name"], mail.get_content_charset())
            == ("Grüße; 1.txt", "Grüße; 1.txt", "utf-8")
        ),
    ),
    Mended(
        "a receipt to a name that is not ASCII",
        _field(
            "Disposition-Notification-To: Jörg <shop@example.com>\r\nResent-From: Jörg <shop@example.com>"
        ),
        lambda mail: (
            mail["Disposition-Notification-To"].endswith("<shop@example.com>")
            and _specs(mail, "Resent-From") == ["shop@example.com"]
        ),
    ),
    Mended(
        "a neighbour that SES takes nowhere",
        _to("jörg@example.org, Ada <ada@example.org>"),
        lambda mail: "host.example" not in mail["To"],
    ),
    Mended(
        "a fold of spaces alone before a blind copy",
        HEAD + b"X-Note: a\r\n" + b" " * 1200 + b"\r\nBcc: dan@example.org\r\nSubject: Hi\r\n\r\nHello\r\n",
        lambda mail: (mail["Subject"], mail.get_content().strip()) == ("Hi", "Hello"),
    ),
    Mended(
        "a sender without a domain in Latin-1",
        "From: Jörg <root>\r\nTo: ada@example.org\r\n\r\nHello\r\n".encode("latin-1"),
        lambda mail: str(mail["From"].addresses[0]) == "Jörg <root@host.example>",
    ),
    Mended(
        "neighbours that cannot be read",
        _to("bob@web1, Ada <ada@example.org>, <>, cy@example.org., Nobody <>"),
        lambda mail: _specs(mail, "To") == ["bob@web1", "ada@example.org", "cy@example.org"],
        to=("ada@example.org", "cy@example.org"),
    ),
    Mended(
        "blind copies",
        HEAD + b"Bcc: dan@example.org\r\nResent-To: ada@example.org\r\nResent-Bcc: eve@example.org,\r\n"
        b" fay@example.org\r\nbCC: gus@example.org\r\n\r\nHello\r\n",
        lambda mail: not re.search("dan|eve|fay|gus|bcc", mail.as_string().lower()),
    ),
    Mended("nobody at all", _to("<>"), lambda mail: mail["To"] is None),
    Mended("a closed list", _to("undisclosed-recipients:;"), lambda mail: "undisclosed" in mail["To"]),
    Mended(
        "one person in several spellings",
        _to("ada@example.org, ADA@example.org"),
        lambda mail: len(mail["To"].addresses) == 2,
        to=("ada@example.org", "ada@EXAMPLE.org", "ADA@example.org", "Ada <ada@example.org>"),
        reached=("ada@example.org", "ADA@example.org"),
    ),
]

REFUSED = [
    Refused("a word that fits into no line", _field(f"X-Token: {'x' * 1100}"), "x-token: has more than 998"),
    Refused("a subject without a space", _field(f"Subject: {'x' * 1100}"), "put a space where it may be"),
    Refused(
        "a long line in a part",
        _field('Content-Type: multipart/mixed; boundary="b"', f"--b\r\n\r\n{'x' * 1100}\r\n--b--"),
        "encode that part as quoted-printable or base64",
    ),
    Refused(
        "too many people in a header that is not ASCII",
        _to(",\r\n ".join(f"Jörg <a{number}@example.org>" for number in range(2001))),
        "to: has more than 2,000 addresses",
    ),
    Refused(
        "a sender whom SES takes nowhere",
        "From: jörg@example.com\r\nTo: ada@example.org\r\n\r\nHello\r\n".encode(),
        "rg@example.com' has non-ASCII characters before the @",
    ),
    Refused("a NUL in the body", _field("Subject: Hi", "He\0llo"), "contains a NUL byte"),
    Refused("a tenant", _field("X-SES-TENANT: other"), "may not be chosen by the mail itself: remove"),
    Refused(
        "a list of SES's",
        _field("X-SES-LIST-MANAGEMENT-OPTIONS: all; topic=news"),
        "may not be chosen by the mail itself: remove",
    ),
]
