"""The headers of one click: as RFC 8058 has them, or refused with the cure."""

from __future__ import annotations

import doctest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.config.errors import InvalidMessage
from sesq.producer import Message, header_rules, unsubscribe
from sesq.producer.unsubscribe import MAX_URL_LENGTH, one_click

URL = "https://shop.example/leave?who=7f3a"


def test_both_headers_in_the_order_that_ses_advises() -> None:
    assert list(one_click(URL).items()) == [
        ("List-Unsubscribe", f"<{URL}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ]
    assert (
        one_click(URL, "mailto:a@x.org")["List-Unsubscribe"]
        == one_click(URL, "a@x.org")["List-Unsubscribe"]
        == f"<{URL}>, <mailto:a@x.org>"
    )


def test_the_example_is_true() -> None:
    assert doctest.testmod(unsubscribe) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "field", "cure"),
    [
        (("http://shop.example/leave",), "url", "https://"),
        (("https:///leave",), "url", "a host"),
        (("mailto:leave@shop.example",), "url", "https://"),
        (("https://[shop/leave",), "url", "no URL"),
        (("https://shop.example/a b",), "url", "percent-encode"),
        (("https://shop.example/a>,<b",), "url", "percent-encode"),
        (("https://shop.example/a\r\nBcc: eve@example.org",), "url", "percent-encode"),
        (("https://shop.example/ü",), "url", "percent-encode"),
        ((f"https://shop.example/{'a' * MAX_URL_LENGTH}",), "url", "token"),
        ((None,), "url", "percent-encode"),
        ((URL, "leave"), "mailto", "no domain"),
        ((URL, "Leave <leave@shop.example>"), "mailto", "bare address"),
        ((URL, "a{b}@shop.example"), "mailto", "bare address"),
        ((URL, '"a>b"@shop.example'), "mailto", "not one address"),
        ((URL, "leave@shop.example?subject=a b"), "mailto", "percent-encoded"),
        ((URL, f"leave@shop.example?subject={'a' * 100}"), "mailto", "short"),
        ((URL, 5), "mailto", "no address"),
    ],
)
def test_what_would_not_work_is_refused_with_the_cure(arguments: Any, field: str, cure: str) -> None:
    with pytest.raises(InvalidMessage, match=cure) as refused:
        one_click(*arguments)
    assert refused.value.field == field


@given(
    st.text(st.characters(min_codepoint=0, max_codepoint=300), max_size=40),
    st.none() | st.text(st.characters(min_codepoint=0, max_codepoint=300), max_size=40),
)
def test_what_passes_is_two_headers_and_no_more(path: str, query: str | None) -> None:
    try:
        headers = one_click(f"https://shop.example/{path}", query and f"leave@shop.example?subject={query}")
    except InvalidMessage:
        return
    value = headers["List-Unsubscribe"]
    assert value.isascii()
    assert value.count("<") == value.count(">") == (2 if query else 1)
    message = Message(sender="shop@example.com", to="ada@example.org", text="", headers=headers)
    assert message.envelope().kind == "simple"


def test_the_longest_fits_what_ses_takes() -> None:
    url = URL + "a" * (MAX_URL_LENGTH - len(URL))
    headers = one_click(url, "leave@shop.example?subject=" + "a" * 77)
    assert header_rules.fit_simple(header_rules.encoded_headers(header_rules.check_headers(headers)))
