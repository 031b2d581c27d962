"""The pages of a long list. Their addresses hold the filter, where the page begins, and the pages before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

MOST_BACK = 20


@dataclass(frozen=True, slots=True)
class Paging:
    """One page. `after`: the cursor where it begins, empty for the newest page. `before`: those of the pages before.

    `next`: the cursor where the following page begins, None if there is none.
    """

    path: str
    given: Mapping[str, Any]
    after: str
    before: Sequence[str]
    next: str | None

    @property
    def here(self) -> str:
        """This page."""
        return self._to(self.after, self.before)

    @property
    def older(self) -> str | None:
        """The following page."""
        back = [*self.before, self.after] if self.after else []
        return None if self.next is None else self._to(self.next, back[-MOST_BACK:])

    @property
    def newer(self) -> str | None:
        """The page before it; the newest page if the address does not say which that is."""
        if not self.after:
            return None
        return self._to(self.before[-1] if self.before else "", self.before[:-1])

    @property
    def newest(self) -> str | None:
        """The first page, if that is not the page before."""
        return self._to("", ()) if self.before else None

    def _to(self, after: str, before: Sequence[str]) -> str:
        place = {"after": after, "newer": list(before) if after else []}
        query = urlencode(
            {**self.given, **{name: value for name, value in place.items() if value}}, doseq=True
        )
        return f"{self.path}?{query}" if query else self.path
