"""Messages made to take long or to take much: each is answered, and the time does not grow with the square."""

from __future__ import annotations

import contextlib

import pytest

from sesq.simulator.addresses import bare_address, header_addresses
from sesq.simulator.clock import Clock
from sesq.simulator.errors import SesError
from sesq.simulator.mime import check_form, read_headers
from sesq.simulator.templates import RenderingError, Template, render

LARGE = 500_000  # what is quadratic takes hours with so much, and the run's time limit ends it


@pytest.mark.parametrize("text", ["{{" + " " * LARGE, "{{" * LARGE, "{{a" * LARGE, "{" * LARGE, "}}" * LARGE])
def test_templates(text):
    with contextlib.suppress(RenderingError):
        render(Template(text), {})


@pytest.mark.parametrize(
    "text",
    [
        "a@" + "b" * LARGE + "!",
        "a@" + "b." * LARGE,
        "a@" + "b-" * LARGE,
        "<" * LARGE,
        "a" * LARGE,
        '"' + "\\" * LARGE + "@b.c",
        " " * LARGE + "@",
    ],
)
def test_addresses(text):
    with contextlib.suppress(SesError):
        bare_address(text)


@pytest.mark.parametrize(
    "raw", [b"\n" * LARGE, b"x\n" * LARGE, b"\n--" * LARGE, b"boundary=b\n--b" * LARGE, b"\r" * LARGE]
)
def test_bodies(raw):
    with contextlib.suppress(SesError):
        check_form(raw)


@pytest.mark.parametrize(
    "value", ["(" * 200_000, "a@b.c," * 40_000, '"' * 200_000, "<" * 200_000, "=?" * 100_000]
)
def test_header_values_as_long_as_they_may_be(value):
    with contextlib.suppress(SesError):
        header_addresses([value])


def test_header_section_is_bounded():
    with pytest.raises(SesError, match="Header section too long"):
        read_headers(b"X: y\r\n" * 100_000 + b"\r\nbody")


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
