"""The chart of a batch over time: on its page, with an axis, a unit, and a value for each moment."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.queue.batch_progress import note_progress

Console = Callable[..., Any]


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


def plots(page: str) -> dict[str, list[str]]:
    """Name of each plot -> what the pointer shows over each column."""
    svgs = re.findall(r'<svg class="plot [^"]*"[^>]*aria-label="([^":]*):[^"]*">(.*?)</svg>', page, re.DOTALL)
    return {name: re.findall(r"<title>([^<]*)</title>", svg) for name, svg in svgs}


def amounts(titles: list[str]) -> list[str]:
    return [title.rpartition(": ")[2] for title in titles]


def test_the_page_of_a_batch_shows_how_it_went(stage: BatchStage, console: Console) -> None:
    # Given a batch of ten, of which four went in an hour, and whose mail to two came back in the next
    id = stage.take(10).id
    stage.pass_time(3599)
    stage.send(4)
    note_progress(stage.redis, "default")
    stage.pass_time(3600)
    stage.redis.hset(stage.keys.batch(id), mapping={"n:taken": 1, "n:arrived": 1, "n:bounced": 2})
    note_progress(stage.redis, "default")
    stage.pass_time(1)
    page = console().get(f"batches/{id}").text
    # Then each count has a plot of 60 columns with the number at that time
    found = {name: amounts(titles) for name, titles in plots(page).items()}
    assert found == {
        "Sent": ["0 recipients"] * 29 + ["4 recipients"] * 31,
        "Delivered": ["0 recipients"] * 59 + ["1 recipient"],
        "Bounced": ["0 recipients"] * 59 + ["2 recipients"],
    }
    # with its scale, and the times at both ends
    text = " ".join(re.sub(r"<[^>]*>", " ", page[page.index('id="progress"') :]).split())
    assert "Sent 4 so far 4 recipients" in text
    assert re.search(r"\d\d:\d\d:\d\d now Delivered 1 so far 1 recipient", text)


def test_of_a_batch_that_has_ended_it_ends_with_the_last_change(stage: BatchStage, console: Console) -> None:
    id = stage.take(2).id
    stage.pass_time(60)
    stage.send(2)
    stage.pass_time(7 * 86_400)
    page = console().get(f"batches/{id}").text
    assert amounts(plots(page)["Sent"]) == ["0 recipients"] * 59 + ["2 recipients"]
    assert "Sent <b>2</b> <small>in all</small>" in page
    assert "<span>now</span>" not in page


def test_before_anything_has_gone_there_is_no_chart(stage: BatchStage, console: Console) -> None:
    id = stage.take(2).id
    assert 'id="progress"' not in console().get(f"batches/{id}").text
