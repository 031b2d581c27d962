"""The renderer prints the next rows with the one that is asked for; each is what it would be by itself."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import pytest
from redis import Redis

from batch import template
from sesq.config.errors import InvalidMessage
from sesq.producer.batch.batch_intake import numbered, take
from sesq.producer.batch.request import batch_request
from sesq.producer.batch.template import TemplateRenderer
from sesq.queue.rows import Rows
from sesq.worker import row_renderer as module
from sesq.worker.row_renderer import AHEAD_ROWS, MOST_RENDERED, RowRenderer


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose mail was printed, in order."""
    who: list[str] = []
    content = TemplateRenderer.content
    monkeypatch.setattr(
        TemplateRenderer,
        "content",
        lambda self, values: (who.append(values["name"]), content(self, values))[1],
    )
    return who


@pytest.fixture
def chunk(redis: Redis) -> str:
    rows = ({"email": f"p{i}@example.org", "name": f"P{i}"} for i in range(100))
    return f"{take(redis, batch_request(template(), 'shop@example.com', 'k'), numbered(rows)).id}-0"


def new_renderer(redis: Redis, clock: Callable[[], float] = time.monotonic) -> RowRenderer:
    return RowRenderer(redis, "default", Rows(redis, "default", clock), clock)


def subject(renderer: RowRenderer, id: str) -> str:
    content = renderer.mail(id, renderer.rows.envelope(id))
    assert not isinstance(content, bytes)
    return content.subject


def test_the_next_rows_are_printed_with_the_first(redis: Redis, chunk: str, printed: list[str]) -> None:
    # Given a renderer, and what each mail is by itself
    alone = [subject(new_renderer(redis), f"{chunk}-{row}") for row in range(6)]
    assert len(set(alone)) == 6
    printed.clear()
    # When the first is printed, then those after it are ready, and each is what it would be by itself
    renderer = new_renderer(redis, clock=lambda: 0.0)
    assert subject(renderer, f"{chunk}-0") == alone[0]
    assert printed == [f"P{row}" for row in range(AHEAD_ROWS)]
    assert [subject(renderer, f"{chunk}-{row}") for row in range(1, AHEAD_ROWS)] == alone[1:AHEAD_ROWS]
    assert len(printed) == AHEAD_ROWS
    # and the last row of a chunk has none after it
    printed.clear()
    subject(renderer, f"{chunk}-99")
    assert printed == ["P99"]


def test_a_mail_that_is_sent_again_is_printed_again(redis: Redis, chunk: str) -> None:
    renderer = new_renderer(redis)
    first = [subject(renderer, f"{chunk}-{row}") for row in (0, 1, 1, 0)]
    assert first == [first[0], first[1], first[1], first[0]]
    assert first[0] != first[1]


def test_large_mails_are_printed_one_by_one(
    redis: Redis, chunk: str, printed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AHEAD_BYTES", 10)
    subject(new_renderer(redis), f"{chunk}-0")
    assert printed == ["P0"]


def test_slow_ones_do_not_keep_the_first_one_waiting(redis: Redis, chunk: str, printed: list[str]) -> None:
    # Given a clock by which each look takes a second
    renderer = new_renderer(redis, itertools.count(0.0, 1.0).__next__)
    subject(renderer, f"{chunk}-0")
    assert printed == ["P0"]


def test_what_nobody_sends_is_not_kept_for_ever(redis: Redis, chunk: str) -> None:
    renderer = new_renderer(redis)
    for row in range(0, 100, AHEAD_ROWS):
        subject(renderer, f"{chunk}-{row}")
    assert len(renderer._rendered) == MOST_RENDERED


def test_what_is_wrong_with_a_row_is_told_in_its_turn(
    redis: Redis, chunk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a third row that cannot be printed
    content = TemplateRenderer.content

    def fails(self: TemplateRenderer, values: dict[str, str]) -> object:
        if values["name"] == "P2":
            raise InvalidMessage("text", "is none")
        return content(self, values)

    monkeypatch.setattr(TemplateRenderer, "content", fails)
    renderer = new_renderer(redis)
    # Then the others go, and it alone fails
    assert subject(renderer, f"{chunk}-0")
    assert subject(renderer, f"{chunk}-1")
    with pytest.raises(InvalidMessage, match="is none"):
        subject(renderer, f"{chunk}-2")
    assert subject(renderer, f"{chunk}-3")
