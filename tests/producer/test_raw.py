"""Who a mail says it is from: read as every other reader does, or refused."""

from __future__ import annotations

import pytest

from sesq.config.addresses import spec_of
from sesq.config.errors import InvalidMessage
from sesq.producer.raw import RawMail, addresses_in


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
