"""Messages made to take long or to take much: each is answered as a short one is."""

from __future__ import annotations

import pytest

from sesq.simulator.addresses import bare_address, header_addresses
from sesq.simulator.clock import Clock
from sesq.simulator.errors import SesError
from sesq.simulator.mail import Mail
from sesq.simulator.mime import fill_from_headers
from sesq.simulator.templates import Template, render

HEAD = b"From: a@b.c\nTo: a@b.c\n"
LARGE = 500_000  # what is quadratic takes hours with so much, and the run's time limit ends it


@pytest.mark.parametrize("text", ["{{" + " " * LARGE, "{{" * LARGE, "{{a" * LARGE, "{" * LARGE, "}}" * LARGE])
def test_a_template_without_a_whole_variable_stays_as_it_is(text):
    assert render(Template(text, text, text), {"a": "x"})[:3] == (text, text, text)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("a@" + "b" * LARGE + "!", "Domain contains illegal character"),
        ("a@" + "b." * LARGE, "Domain ends with dot."),
        ("<" * LARGE, "Illegal address"),
        ("a" * LARGE, "Missing final '@domain'"),
        ('"' + "\\" * LARGE + "@b.c", "Local address contains illegal character"),
        (" " * LARGE + "@", "Missing domain"),
    ],
)
def test_an_address_of_any_length_is_refused_by_what_is_wrong(text, refusal):
    with pytest.raises(SesError) as refused:
        bare_address(text)
    assert refused.value.message == refusal


def test_a_long_address_is_an_address():
    address = "a@" + "b-" * LARGE
    assert bare_address(f"Ada <{address}>") == address


@pytest.mark.parametrize("body", [b"\n" * LARGE, b"x\n" * LARGE, b"\n--" * LARGE, b"\r" * LARGE])
def test_a_body_of_any_form_is_a_body(body):
    assert fill_from_headers(Mail(""), HEAD + b"\n" + body)["To"] == "a@b.c"


@pytest.mark.parametrize(("parts", "fine"), [(500, True), (501, False), (LARGE, False)])
def test_parts_are_counted(parts, fine):
    raw = HEAD + b"Content-Type: multipart/mixed; boundary=b\n" + b"\n--b" * parts
    if fine:
        assert fill_from_headers(Mail(""), raw)["To"] == "a@b.c"
    else:
        with pytest.raises(SesError, match="MIME part count exceeds"):
            fill_from_headers(Mail(""), raw)


@pytest.mark.parametrize(
    ("value", "addresses"),
    [
        ("a@b.c," * 40_000, ["a@b.c"] * 40_000),
        ('"' * 200_000, []),
        ("<" * 200_000, []),
        ("=?" * 100_000, ["=?" * 100_000]),
    ],
)
def test_a_header_as_long_as_it_may_be_names_whom_it_names(value, addresses):
    assert header_addresses([value]) == addresses


def test_comments_in_comments_are_refused():
    with pytest.raises(SesError, match="Illegal address"):
        header_addresses(["(" * 200_000])


def test_header_section_is_bounded():
    with pytest.raises(SesError, match="Header section too long"):
        fill_from_headers(Mail(""), b"X: y\r\n" * 100_000 + b"\r\nbody")


def test_clock_goes_forward_only_and_not_too_far():
    clock = Clock(lambda: 1_000.0)
    for seconds in (-1.0, float("inf"), float("nan"), 1e12):
        with pytest.raises(ValueError, match="advanced by 0 or more"):
            clock.advance(seconds)
    clock.freeze()
    clock.advance(5.0)
    assert clock.now() == 1_005.0
    clock.run()
    assert clock.now() == 1_005.0
