"""Makes the text of an HTML mail, for readers and filters that want text. Needs the extra `html`."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from sesq.config.errors import InvalidMessage
from sesq.config.parts import part
from sesq.producer import rules

_is_named_by_its_target = re.compile(
    r"\[((?:https?://|mailto:)?([^\]\s]{1,2000}))\]\((?:\1|(?:https?://|mailto:)\2)/?\)"
)
_has_no_name = re.compile(r"\[\s{0,9}\]\([^)\s]{0,2000}\)")
_is_a_document = re.compile(r"\s*<(?:!doctype|\?xml|html|head|body)\b", re.IGNORECASE)
_is_many_empty_lines = re.compile(r"\n{3,}")


def html_to_text(html: str) -> str:
    """Returns the words in lines as a browser shows them; links as `[words](target)`, images by their alternative text.

    What CSS hides in place (`style="display:none"`) is left out. Raises InvalidMessage("html") if `html` is not a text,
    and MissingPart without the library.
    """
    rules.text_size(html, "html")
    if html is None:
        raise InvalidMessage("html", "there is none to make text from")
    get_text, config = _library()
    # inscriptis before 2.7.6, the newest for Python 3.10, indents what is not a whole document
    document = html if _is_a_document.match(html) else f"<html>{html}"
    text = _has_no_name.sub("", _is_named_by_its_target.sub(r"\1", get_text(document, config)))
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    return _is_many_empty_lines.sub("\n\n", lines).strip("\n") + "\n"


@cache
def _library() -> tuple[Any, Any]:
    with part("html", "text from HTML"):
        from inscriptis import get_text  # type: ignore[import-untyped]
        from inscriptis.model.config import ParserConfig  # type: ignore[import-untyped]
    return get_text, ParserConfig(display_links=True, display_images=True)
