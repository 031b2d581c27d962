"""The rendered mail, read back by the standard library: nothing lost, nothing smuggled."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sesq.config.errors import InvalidMessage
from sesq.producer.message import Attachment, Message
from sesq.producer.mime import render
from sesq.queue.addresses import has_unsafe, spec_of
from sesq.queue.envelope import Envelope, SimpleContent

ENVELOPE = Envelope(sender="shop@example.com", to=("ada@example.org",))


def read(mail: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(mail, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def structure(part: Any) -> Any:
    kind = part.get_content_type()
    return [kind, *map(structure, part.iter_parts())] if part.is_multipart() else kind


PNG = Attachment("logo.png", b"\x89PNG", inline_id="logo@shop")
PDF = Attachment("report.pdf", b"%PDF")
INVITATION = Attachment("a.ics", b"BEGIN", "text/calendar; method=REQUEST; charset=utf-8", alternative=True)


@pytest.mark.parametrize(
    ("text", "html", "attachments", "expected"),
    [
        ("a", None, [], "text/plain"),
        (None, "a", [], "text/html"),
        ("a", "b", [], ["multipart/alternative", "text/plain", "text/html"]),
        ("a", None, [PDF], ["multipart/mixed", "text/plain", "application/pdf"]),
        (None, "b", [PNG], ["multipart/related", "text/html", "image/png"]),
        ("a", None, [INVITATION], ["multipart/alternative", "text/plain", "text/calendar"]),
        (
            None,
            "b",
            [INVITATION, PNG],
            ["multipart/alternative", ["multipart/related", "text/html", "image/png"], "text/calendar"],
        ),
        (
            "a",
            "b",
            [PDF, INVITATION],
            [
                "multipart/mixed",
                ["multipart/alternative", "text/plain", "text/html", "text/calendar"],
                "application/pdf",
            ],
        ),
        (
            "a",
            "b",
            [PDF, PNG, PNG],
            [
                "multipart/mixed",
                [
                    "multipart/alternative",
                    "text/plain",
                    ["multipart/related", "text/html", "image/png", "image/png"],
                ],
                "application/pdf",
            ],
        ),
    ],
)
def test_parts_stand_where_mail_programs_look_for_them(
    text: Any, html: Any, attachments: Any, expected: Any
) -> None:
    mail = render(ENVELOPE, SimpleContent("", text, html), attachments)
    assert structure(read(mail)) == expected


def test_the_head_has_everybody_but_bcc() -> None:
    # Given a message with every kind of recipient and names outside ASCII
    envelope = Envelope(
        sender=Message(sender="Shöp <shop@example.com>", to="a@example.org", text="").sender,
        to=('"King, Ada" <ada@example.org>', "bob@example.org"),
        cc=("cy@example.org",),
        bcc=("eve@example.org",),
        reply_to=("help@example.com",),
    )

    # When it is rendered
    raw = render(envelope, SimpleContent("Grüße", "Hällo", headers=(("X-Order", "7"),)))
    mail = read(raw)

    # Then the head says it all in ASCII, and nothing of Bcc
    assert mail["from"].addresses[0].display_name == "Shöp"
    assert [address.addr_spec for address in mail["to"].addresses] == ["ada@example.org", "bob@example.org"]
    assert mail["to"].addresses[0].display_name == "King, Ada"
    assert (mail["cc"], mail["reply-to"]) == ("cy@example.org", "help@example.com")
    assert (mail["subject"], mail["x-order"]) == ("Grüße", "7")
    assert mail.get_content().splitlines() == ["Hällo"]
    assert b"eve@example.org" not in raw
    assert raw.isascii()


def test_an_inline_image_is_found_by_its_id_and_a_file_keeps_its_type() -> None:
    invitation = Attachment("a.ics", b"BEGIN:VCALENDAR", "text/calendar; method=REQUEST; charset=utf-8")
    mail = read(render(ENVELOPE, SimpleContent("", None, "<img src='cid:logo@shop'>"), [PNG, invitation]))
    image = next(part for part in mail.walk() if part.get_content_type() == "image/png")
    calendar = next(part for part in mail.walk() if part.get_content_type() == "text/calendar")
    assert (image["content-id"], image.get_content_disposition()) == ("<logo@shop>", "inline")
    assert image.get_content() == b"\x89PNG"
    assert calendar["content-type"].params == {"method": "REQUEST", "charset": "utf-8"}
    assert calendar.get_content() == "BEGIN:VCALENDAR"


def test_an_invitation_is_the_body_once_more_and_no_file() -> None:
    # Given an entry with text outside ASCII, and a line that SMTP would double
    entry = "BEGIN:VCALENDAR\r\nSUMMARY:Führung\r\n.\r\nEND:VCALENDAR\r\n".encode()
    invitation = Attachment("a.ics", entry, "text/calendar; method=REQUEST; charset=utf-8", alternative=True)

    # When it travels beside the text
    mail = read(render(ENVELOPE, SimpleContent("", "Come"), [invitation]))

    # Then it is there to the byte, with its method, without a name and a disposition
    _, part = mail.iter_parts()
    assert part["content-type"].params == {"method": "REQUEST", "charset": "utf-8"}
    assert part.get_payload(decode=True) == entry
    assert (part.get_filename(), part["content-disposition"]) == (None, None)


def test_no_line_of_the_head_is_empty_to_any_reader() -> None:
    # Given a subject with enough spaces to fill lines of their own
    raw = render(ENVELOPE, SimpleContent(f"a{' ' * 300}Bcc: eve@example.org", "Hello"))

    # Then no line of the head looks like its end
    head = raw.partition(b"\r\n\r\n")[0]
    assert all(line.strip() for line in head.split(b"\r\n"))
    assert read(raw)["subject"] == "a Bcc: eve@example.org"


def test_the_same_mail_is_the_same_bytes() -> None:
    def rendered(content: bytes) -> bytes:
        return render(ENVELOPE, SimpleContent("", "a", "b"), [Attachment("a", content)])

    assert rendered(b"x") == rendered(b"x")
    assert rendered(b"x") != rendered(b"y")


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="/\\"),
    min_size=1,
    max_size=60,
)


@given(
    NAMES.filter(lambda name: name.strip() not in ("", ".", "..") and not has_unsafe(name)),
    st.binary(max_size=300),
)
@example(
    'Übersicht 2030 — Größe, Länge & "alles"; ein sehr langer Name, der über jede Zeile hinausgeht.pdf',
    b"\r\n.\r\n",
)
@example("<>", b"")
@example('"a"', b"")
def test_a_file_arrives_as_it_was(name: str, content: bytes) -> None:
    mail = read(render(ENVELOPE, SimpleContent("", "a"), [Attachment(name, content, "application/pdf")]))
    (part,) = mail.iter_attachments()
    assert part.get_content() == content
    assert (
        part["Content-Disposition"].params["filename"] == name.strip()
    )  # get_filename() would unquote it twice


def passes(**arguments: Any) -> bool:
    try:
        Message(**arguments)
    except InvalidMessage:
        return False
    return True


def passes_name(name: str) -> bool:
    try:
        Attachment(name, b"")
    except InvalidMessage:
        return False
    return True


ANY_TEXT = st.text(max_size=60)
HOSTILE = st.sampled_from(
    [
        "\r\n",
        "\n",
        "\r",
        "\u2028",
        "\x85",
        "\x0b",
        "Bcc: eve@example.org",
        "=?utf-8?q?=0D=0A?=",
        "<eve@example.org>",
        ", ",
        '"',
        "\\",
    ]
)
PIECES = st.lists(ANY_TEXT | HOSTILE, max_size=4).map("".join)


@given(
    sender=PIECES,
    to=PIECES,
    subject=PIECES,
    header=st.tuples(PIECES | st.just("X-A"), PIECES),
    text=PIECES,
    name=PIECES,
)
def test_nothing_smuggles_a_header_or_a_recipient(
    sender: str, to: str, subject: str, header: tuple[str, str], text: str, name: str
) -> None:
    # Given parts that somebody else wrote, each put where an application would put it
    hostile: dict[str, Any] = {
        "sender": f"{sender} <shop@example.com>",
        "to": f"{to} <ada@example.org>",
        "subject": subject,
        "headers": {header[0]: header[1]},
        "text": text,
    }

    # When the door lets some of them through
    parts = {"sender": "shop@example.com", "to": "ada@example.org", "subject": "", "headers": {}, "text": ""}
    parts |= {key: value for key, value in hostile.items() if passes(**{**parts, key: value})}
    file = Attachment(name, b"") if passes_name(name) else Attachment("a", b"")
    message = Message(**parts, attachments=[file])

    # Then another reader finds one sender, one recipient, and the headers that were given
    raw = message.content()
    mail = read(raw)
    plain = email.message_from_bytes(raw)
    own = ["From", "To", "Subject", *parts["headers"]]
    assert [key for key in plain.keys() if key not in ("Content-Type", "MIME-Version")] == own  # noqa: SIM118
    assert [address.addr_spec for address in mail["from"].addresses] == ["shop@example.com"]
    assert [address.addr_spec for address in mail["to"].addresses] == ["ada@example.org"]
    assert [spec_of(wire) for wire in message.to] == ["ada@example.org"]
    assert len(list(mail.iter_parts())) == 2
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    if "=?" not in message.subject:
        assert "".join(mail["subject"].split()) == "".join(message.subject.split())


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=400))
@example("a" * 2000)
@example("ä" * 2000)
@example("From here\n.\n..\n")
def test_a_body_arrives_as_it_was_but_for_its_line_ends(text: str) -> None:
    raw = render(ENVELOPE, SimpleContent("", text))
    received = read(raw).get_content()
    assert received.replace("\r\n", "\n").rstrip("\n") == text.replace("\r\n", "\n").replace(
        "\r", "\n"
    ).rstrip("\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
