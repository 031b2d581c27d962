"""Addresses: what is read, what is refused, and that a wire form always says what was meant."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sesq.config.errors import InvalidMessage
from sesq.queue.addresses import (
    Address,
    has_unsafe,
    is_mailbox_simulator,
    masked,
    parse_address,
    spec_of,
    wire_form,
)


@pytest.mark.parametrize(
    ("text", "display", "spec"),
    [
        ("ada@example.org", "", "ada@example.org"),
        ("  <ada@example.org> ", "", "ada@example.org"),
        ("Ada <ada@example.org>", "Ada", "ada@example.org"),
        ("Ada King<ada@example.org>", "Ada King", "ada@example.org"),
        ('"King, Ada" <ada@example.org>', "King, Ada", "ada@example.org"),
        (r'"the \"first\"" <ada@example.org>', 'the "first"', "ada@example.org"),
        ("ada@example.org <ada@example.org>", "ada@example.org", "ada@example.org"),
        ("=?utf-8?q?J=C3=B6rg?= <j@example.org>", "Jörg", "j@example.org"),
        ("=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3F=3D?= <a@example.org>", "=?utf-8?q?x?=", "a@example.org"),
        ("Jörg <j@bücher.example>", "Jörg", "j@xn--bcher-kva.example"),
        ("Case.Kept+Label@Example.ORG", "", "Case.Kept+Label@Example.ORG"),
        ('"a..b"@example.org', "", '"a..b"@example.org'),
    ],
)
def test_reads_an_address(text: str, display: str, spec: str) -> None:
    # When it is read
    address = parse_address(text, "to")

    # Then name and address are told apart, and the wire form leads back to both
    assert (address.display, address.spec) == (display, spec)
    assert parse_address(address.wire, "to") == address
    assert spec_of(address.wire) == spec


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("Ada <>", "empty"),
        ("ada", "no domain"),
        ("ada@", "no domain"),
        ("@example.org", "nothing before"),
        ("ada@localhost", "no dot"),
        ("ada@127.0.0.1", "invalid domain"),
        ("ada@[127.0.0.1]", "invalid domain"),
        ("ada@example.org.", "invalid domain"),
        ("ada@example..org", "invalid domain"),
        ("ada@-example.org", "invalid domain"),
        ("ada@exam ple.org", "invalid domain"),
        ("ada@☃.example", "IDNA"),
        ("ada@" + "ä" * 80 + ".example", "IDNA"),
        ("jörg@example.org", "SMTPUTF8"),
        ("a..b@example.org", "double quotes"),
        (".a@example.org", "double quotes"),
        ("a b@example.org", "may not have"),
        ("ada@example.org, bob@example.org", "list"),
        ("ada@example.org;bob@example.org", "list"),
        ("Ada <ada@example.org>, Bob <bob@example.org>", "list"),
        ("King, Ada <ada@example.org>", "double quotes"),
        ("ada@example.org\r\nBcc: eve@example.org", "line break"),
        ("Ada\n <ada@example.org>", "line break"),
        ("Ada\u2028 <ada@example.org>", "line break"),
        ("=?utf-8?q?a=0D=0ABcc:_e?= <ada@example.org>", "line break"),
        ("ada@example.org\0", "control character"),
        ("\ud800 <ada@example.org>", "control character"),
        ("a" * 65 + "@example.org", "64 characters"),
        ("a@" + ".".join(["b" * 60] * 5) + ".org", "254 characters"),
        ("a" * 1000 + " <ada@example.org>", "too long"),
        ("a" + " " * 1_000_000 + "b@example.org", "longer than 3600 characters"),
    ],
)
def test_refuses_what_is_no_address_and_says_why(text: str, says: str) -> None:
    # When it is read, by either door
    for read in (parse_address, wire_form):
        with pytest.raises(InvalidMessage, match=says) as refusal:
            read(text, "cc")

        # Then the field is named, and the text stays short
        assert refusal.value.field == "cc"
        assert len(str(refusal.value)) < 250


LONG_DOMAIN = ".".join(["b" * 60] * 3 + ["c" * 6, "org"])


@pytest.mark.parametrize(
    ("longest", "too_long"),
    [
        ("a" * 64 + "@example.org", "a" * 65 + "@example.org"),
        ("a" * 60 + "@" + LONG_DOMAIN, "a" * 61 + "@" + LONG_DOMAIN),
        ("N" * 882 + " <ada@example.org>", "N" * 883 + " <ada@example.org>"),
        (" " * 3585 + "ada@example.org", " " * 3586 + "ada@example.org"),
    ],
    ids=["before the @", "whole", "with its name", "as given"],
)
def test_the_longest_is_read_and_one_letter_more_is_not(longest: str, too_long: str) -> None:
    for read in (parse_address, wire_form):
        read(longest, "to")
        with pytest.raises(InvalidMessage):
            read(too_long, "to")


@pytest.mark.parametrize("value", [None, 5, b"ada@example.org", ["ada@example.org"]])
def test_refuses_what_is_no_text(value: object) -> None:
    with pytest.raises(InvalidMessage, match="string"):
        parse_address(value, "to")  # type: ignore[arg-type]


DISPLAYS = st.text(max_size=80).filter(lambda text: not has_unsafe(text))


@given(DISPLAYS)
@example("=?utf-8?q?x?=")
@example("a, b <eve@example.org>")
@example('\\" <eve@example.org>')
@example("ä" * 79)
def test_a_name_survives_the_wire_and_adds_nobody(display: str) -> None:
    # Given an address with any name
    address = Address(" ".join(display.split()), "ada", "example.org")
    if len(address.wire) > 900:
        return

    # When it travels in a header, and another program reads it
    wire = address.wire
    header = email.message_from_bytes(f"To: {wire}\r\n\r\n".encode("ascii"), policy=email.policy.default)[
        "to"
    ]

    # Then there is one address, and our own reading of the wire form gives it back unchanged
    assert [entry.addr_spec for entry in header.addresses] == ["ada@example.org"]
    again = parse_address(wire, "to")
    assert again.spec == "ada@example.org"
    assert again.wire == parse_address(again.wire, "to").wire
    if "=?" not in address.display:
        assert again == address


@given(
    st.text(max_size=60) | st.from_regex(r"[^\n]{0,20}<?[a-z.]{1,5}@[a-z.é]{1,8}>?[^\n]{0,5}", fullmatch=True)
)
def test_any_text_is_an_address_or_an_error(text: str) -> None:
    # When anything is read
    try:
        address = parse_address(text, "to")
    except InvalidMessage:
        return

    # Then it is one line of ASCII that says the same again, whichever door it took
    assert address.wire.isascii()
    assert address.wire.isprintable()
    assert parse_address(address.wire, "to").spec == address.spec == spec_of(wire_form(text, "to"))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("success@simulator.amazonses.com", True),
        ("bounce+order-7@simulator.amazonses.com", True),
        ("ooto@Simulator.AmazonSES.com", True),
        ("complaint@simulator.amazonses.com", True),
        ("suppressionlist@simulator.amazonses.com", True),
        ("Success@simulator.amazonses.com", False),
        ("anything@simulator.amazonses.com", False),
        ("success@a.simulator.amazonses.com", False),
        ("success@example.org", False),
    ],
)
def test_knows_the_mailbox_simulator(spec: str, expected: bool) -> None:
    assert is_mailbox_simulator(spec) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ada@example.org is not verified", "…@example.org is not verified"),
        ("<bob.o'hara+x@a.example>, c@b.example", "<…@a.example>, …@b.example"),
        ('"two words"@example.org', "…@example.org"),
        ("no address here", "no address here"),
    ],
)
def test_in_logs_nobody_is_named(text: str, expected: str) -> None:
    assert masked(text) == expected
