"""Who a mail says it is from: read as every other reader does, or refused."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.config.addresses import spec_of
from sesq.config.errors import InvalidMessage
from sesq.producer.raw import MAX_PART_LENGTH, REMEMBERED_LENGTH, RawMail, addresses_in


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
    "piece",
    ["a ", "a,", '"', '",', "(", "(,", "a:,", "<,", "\\,", "[,", "=?utf-8?q?a?= ", "a@", ",", "ü <a@b.co>,"],
)
@pytest.mark.parametrize("name", ["to", "from"])
def test_no_header_of_addresses_keeps_others_waiting(name: str, piece: str) -> None:
    # Given a header that the library reads in minutes, When it is read, Then it is in a moment
    began = time.process_time()
    with suppress(InvalidMessage):
        addresses_in(name, piece * (200_000 // len(piece)))
    assert time.process_time() - began < 5


def test_a_thousand_recipients_in_one_header_are_read() -> None:
    people = [f'"Somebody, {i}" <{"x" * 40}{i}@example.org>' for i in range(1000)]
    assert len(addresses_in("to", ", ".join(people))) == 1000
    with pytest.raises(InvalidMessage, match="to: has more than"):
        addresses_in("to", ", ".join(people * 10))
    with pytest.raises(InvalidMessage, match=r"to: .* is too long for one address"):
        addresses_in("to", "x" * (MAX_PART_LENGTH + 1))


def test_headers_longer_than_any_server_takes_are_refused() -> None:
    with pytest.raises(InvalidMessage, match="raw: has more than 1,048,576 bytes of headers"):
        RawMail.read(b"From: a@b.co\r\n" + b"X-A: b\r\n" * 140_000 + b"\r\n")
