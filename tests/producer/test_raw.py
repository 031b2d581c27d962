"""Who a mail says it is from: read as every other reader does, or refused."""

from __future__ import annotations

import email.policy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.config.errors import InvalidMessage
from sesq.producer.mend import has_long_line
from sesq.producer.raw import MAX_PART_LENGTH, REMEMBERED_LENGTH, RawMail, addresses_in
from sesq.queue.addresses import spec_of


@pytest.mark.parametrize("name", ["from", "sender"])
@pytest.mark.parametrize(
    "value",
    [
        "shop@example.com; ceo@bank.com",
        "<shop@example.com> ceo@bank.com",
        "shop@example.com ceo@bank.com",
        "ceo@bank.com <shop@example.com>",
        "shop@example.com; Boss <ceo@bank.com>",
        "<@bank.com:shop@example.com>",
        "shop@example.com, <ceo@bank.com",
        'shop@example.com =?utf-8?q?"?= <ceo@bank.com> =?utf-8?q?"?=',
    ],
)
def test_a_second_address_that_only_others_see_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidMessage, match=f"{name}: "):
        addresses_in(name, value)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Shop",
        '"Shop, \\"the\\" one (@home)"',
        "Shop (a@b.org) ",
        "Shop Inc. of J. Q. Public",
        "=?utf-8?q?B=C3=BCro?= =?utf-8?b?w7w=?=",
        '"=?utf-8?q?B=C3=BCro?="',
        "=?utf-8?q?too bad?=",
        "=?utf-8?q?shop@home?=",
        "=?utf-8?q?Shop?=\r\n\t",
    ],
)
def test_names_as_people_write_them_pass(name: str) -> None:
    mail = RawMail.read(f"From: {name}<shop@example.com>\r\n\r\n".encode())
    assert [spec_of(wire) for wire in mail.addresses("from")] == ["shop@example.com"]


@pytest.mark.parametrize(
    "value", ["shop@example.com (Shop)", "Shops: shop@example.com;", "shop@example.com,"]
)
def test_other_ways_to_write_one_address_pass(value: str) -> None:
    assert addresses_in("from", value) == ("shop@example.com",)


ROOMY = st.sampled_from(
    [
        "ada@example.org",
        "Ada <ada@example.org>",
        '"Lovelace, \\"Ada\\"" <ada@example.org>',
        "ada@example.org (Ada (the first), \\) countess)",
        "Friends: bob@example.org, Cy <cy@example.org>;",
        "nobody:;",
        "=?utf-8?q?B=C3=BCro?= <buero@example.org>",
        "",
    ]
)


@given(st.lists(ROOMY, min_size=1, max_size=8))
def test_a_long_list_of_addresses_reads_as_a_short_one(parts: list[str]) -> None:
    short = ",".join(parts)
    long = ",".join([*parts, *["," * REMEMBERED_LENGTH]])
    assert addresses_in("to", long) == addresses_in("to", short)


@pytest.mark.parametrize(
    "first",
    [
        "Friends: bob@example.org, Cy <cy@example.org>;",
        "nobody:;",
        '"Lovelace, Ada" <ada@example.org>',
        "(one, two) ada@example.org",
        "ada@example.org (Ada (the first), countess)",
        '"(" <ada@example.org>',
        '(") ada@example.org',
    ],
)
def test_what_stands_after_a_group_a_name_or_a_comment_is_cut_at_its_commas(first: str) -> None:
    people = [f"person{number}@example.org" for number in range(200)]
    assert addresses_in("to", ", ".join([first, *people]))[-200:] == tuple(people)


@pytest.mark.parametrize(
    "piece",
    ["a ", "a,", '"', '",', "(", "(,", "a:,", "<,", "\\,", "[,", "=?utf-8?q?a?= ", "a@", ",", "ü <a@b.co>,"],
)
@pytest.mark.parametrize("name", ["to", "from"])
def test_no_header_of_addresses_keeps_others_waiting(
    monkeypatch: pytest.MonkeyPatch, name: str, piece: str
) -> None:
    # Given a library that takes time by the square of what it is given, and minutes for a long header
    header, given = piece * (100_000 // len(piece)), []
    read = email.policy.default.header_factory

    def header_factory(kind: str, value: str) -> Any:
        assert len(value) <= 2000
        given.append(value)
        return read(kind, value)

    monkeypatch.setitem(vars(email.policy.default), "header_factory", header_factory)
    # When the header is read, Then the library gets it in small pieces, and each of them twice at most
    with suppress(InvalidMessage):
        addresses_in(name, header)
    assert sum(map(len, given)) <= 2 * len(header)


def test_a_thousand_recipients_in_one_header_are_read() -> None:
    people = [f'"Somebody, {i}" <{"x" * 40}{i}@example.org>' for i in range(1000)]
    assert len(addresses_in("to", ", ".join(people))) == 1000
    with pytest.raises(InvalidMessage, match="to: has more than"):
        addresses_in("to", ", ".join(people * 10))
    with pytest.raises(InvalidMessage, match=r"to: .* is too long for one address"):
        addresses_in("to", "x" * (MAX_PART_LENGTH + 1))


FROM = b"From: a@b.co\r\n"


@pytest.mark.parametrize("name", ["To", "Reply-To"])
def test_more_addresses_than_are_read_are_not_left_as_ses_takes_no_header(name: str) -> None:
    """SES takes ASCII alone, and so many addresses are not written anew."""
    addresses = ", ".join(["Zoë <a@b.co>"] * 2001)
    raw = f"From: shop@example.com\r\n{name}: {addresses}\r\n\r\nHi".encode()
    with pytest.raises(InvalidMessage, match="has more than 2,000 addresses: use Bcc for so many") as told:
        RawMail.read(raw)
    assert told.value.field == name.lower()
    # One fewer is
    assert RawMail.read(raw.replace("Zoë <a@b.co>, ".encode(), b"", 1)).content.isascii()


@pytest.mark.parametrize(
    ("header", "count", "says"),
    [
        (b"X-A: " + b"b" * 500 + b"\r\n", 600, "raw: has more than 262,144 bytes of headers"),
        (b"A:\r\n", 1000, "raw: has more than 1,000 headers"),
        (b"To: " + b"a@b.co, " * 90 + b"c@d.co\r\n", 23, "to: has more than 2,000 addresses"),
    ],
)
def test_the_head_of_a_mail_is_bounded_as_a_whole(header: bytes, count: int, says: str) -> None:
    # Given headers of which each is small, When there are a few, Then they are read, When there are many, then not
    RawMail.read(FROM + header * 3 + b"\r\n").addresses("to")
    with pytest.raises(InvalidMessage, match=says):
        RawMail.read(FROM + header * count + b"\r\n").addresses("to")


def test_a_head_of_exactly_the_bound_is_read_and_one_more_is_not() -> None:
    # Given as many headers, and as many bytes of them, as a mail may have
    most = FROM + b"A:\r\n" * 999
    longest = FROM + (b"A: " + b"b" * 500 + b"\r\n") * 518
    longest += b"A: " + b"b" * (262_144 - len(longest) - 5) + b"\r\n"
    for head in (most, longest):
        assert RawMail.read(head + b"\r\n").content == head + b"\r\n"
    # Then one more is too many
    with pytest.raises(InvalidMessage, match="more than 1,000 headers"):
        RawMail.read(most + b"A:\r\n\r\n")
    with pytest.raises(InvalidMessage, match="more than 262,144 bytes"):
        RawMail.read(b"A" + longest + b"\r\n")


ATOMS = st.text("abcXYZ09 ", max_size=12)
NAMES = st.one_of(ATOMS, ATOMS.map("{} ".format), st.text("aZ9 .,;:()<>@'", max_size=12).map('"{}" '.format))


@given(name=NAMES, spec=st.from_regex(r"[a-z.]{1,6}@[a-z.-]{1,4}\.[a-z]{2}", fullmatch=True))
def test_an_address_is_the_same_in_every_field(name: str, spec: str) -> None:
    # Given an address as most are written, When it stands in From, which is read strictly, Then To reads it alike
    with suppress(InvalidMessage):
        wires = addresses_in("from", f"{name}<{spec}>")
        assert addresses_in("to", f"{name}<{spec}>") == wires


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 997, 998, 999, 1000, 2500]), st.sampled_from([b"\n", b"\r\n"]))
    ),
    st.sampled_from([0, 998, 999]),
)
def test_a_line_that_is_too_long_is_seen_wherever_it_stands(
    lines: list[tuple[int, bytes]], last: int
) -> None:
    body = b"".join(b"x" * length + end for length, end in lines) + b"x" * last
    assert has_long_line(body) == any(length > 998 for length in [last, *(length for length, _ in lines)])
