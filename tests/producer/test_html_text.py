"""Text made from HTML: the words, where links go, and nothing that a reader would not see."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.config.errors import InvalidMessage, MissingPart
from sesq.producer import Message, html_text, html_to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", "\n"),
        ("<h1>Thanks, Ada &amp; Bob</h1><p>On its<br>way.</p>", "Thanks, Ada & Bob\n\nOn its\nway.\n"),
        ("<style>p{}</style><script>x</script><div style='display:none'>pre</div><p>a</p>", "a\n"),
        ("<ul><li>one</li><li>two</li></ul>", "  * one\n  * two\n"),
        ("<table><tr><td><table><tr><td><p>a</p></td></tr></table></td></tr></table>", "a\n"),
        ("<a href='https://x.org/t'>here</a>", "[here](https://x.org/t)\n"),
        ("<a href='https://x.org/'>https://x.org</a>", "https://x.org\n"),
        ("<a href='mailto:a@x.org'>a@x.org</a>", "a@x.org\n"),
        ("<a href='https://x.org/'><img src='a' alt='Logo'></a>", "[[Logo]](https://x.org/)\n"),
        ("<a href='https://x.org/'><img src='a'></a><p>a[] b</p>", "a[] b\n"),
        ("<p>a</p><p>&nbsp;</p><p> </p><p>b</p>", "a\n\nb\n"),
        ("<?xml version='1.0' encoding='utf-8'?><p>Grüße 😀</p>", "Grüße 😀\n"),
    ],
)
def test_words_and_targets(html: str, text: str) -> None:
    assert html_to_text(html) == text


@pytest.mark.parametrize("html", [None, b"<p>", "a\0", "\ud800"])
def test_what_is_no_text_is_refused(html: Any) -> None:
    with pytest.raises(InvalidMessage) as refused:
        html_to_text(html)
    assert refused.value.field == "html"


PIECES = st.sampled_from(
    [
        "<",
        ">",
        "<p>",
        "</p>",
        "<table>",
        "<td rowspan=x>",
        "<a href='",
        "'>",
        "<li>",
        "<!--",
        "[",
        "](",
        "<pre>",
    ]
)


@given(
    st.lists(PIECES | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))).map("".join)
)
def test_whatever_is_written_gives_a_text_that_a_mail_takes(html: str) -> None:
    Message(sender="shop@example.com", to="ada@example.org", html=html, text_from_html=True)


def test_a_message_makes_it_only_where_there_is_none() -> None:
    def text_of(**bodies: Any) -> str | None:
        return Message(sender="shop@example.com", to="ada@example.org", **bodies).text

    assert text_of(html="<p>a</p>") is None
    assert text_of(html="<p>a</p>", text_from_html=True) == "a\n"
    assert text_of(html="<p>a</p>", text="b", text_from_html=True) == "b"
    assert text_of(text="b", text_from_html=True) == "b"


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    html_text._library.cache_clear()
    monkeypatch.setitem(sys.modules, "inscriptis", None)
    with pytest.raises(MissingPart, match=r"pip install 'sesq\[html\]'"):
        html_to_text("<p>a</p>")
