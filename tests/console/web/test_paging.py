"""The pages of a long list: forward through all of them, and back again."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from sesq.console.web.paging import MOST_BACK, Paging

GIVEN = {"state": ["sent", "failed"], "tag": "kind=news"}


def page(address: str | None, pages: int) -> Paging:
    """The page at an address of a list of so many pages, each of which begins after its own number."""
    assert address is not None
    parts = urlsplit(address)
    told = parse_qs(parts.query)
    after = told.pop("after", [""])[0]
    before = told.pop("newer", [])
    assert told == {"state": GIVEN["state"], "tag": [GIVEN["tag"]]}
    number = int(after or 0)
    return Paging(parts.path, GIVEN, after, before, str(number + 1) if number + 1 < pages else None)


@pytest.mark.parametrize("pages", [1, 2, 3, MOST_BACK + 1, MOST_BACK + 2, MOST_BACK + 5])
def test_from_the_last_page_back_to_the_newest(pages: int) -> None:
    # Given a reader who goes from the newest page to the last
    here = Paging("messages", GIVEN, "", (), "1" if pages > 1 else None)
    seen = [here.after]
    while here.older is not None:
        here = page(here.older, pages)
        assert here.here == page(here.here, pages).here
        seen.append(here.after)
    assert seen == ["", *map(str, range(1, pages))]
    # When they go back, Then each page is the one before, as far as the address holds them, and then the newest
    back = []
    while here.newer is not None:
        assert here.newest is None or page(here.newest, pages).after == ""
        here = page(here.newer, pages)
        back.append(here.after)
    assert back == [*seen[-2 : -2 - MOST_BACK : -1], *([""] if pages > MOST_BACK + 1 else [])]
    # And they know of the newest beside the one before, where that is another
    assert here.newest is None
