"""Pages and the API tell of send windows."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

from redis import Redis

from batch_stage import BatchStage
from sesq.queue.states import Lane

Console = Callable[..., Any]
WINDOW = "Mon-Fri 09:00-17:00 Europe/Berlin"
OUTSIDE = f"outside the send window {WINDOW}, which opens at 2023-11-15 09:00+01:00"


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_a_batch_and_the_account_outside_their_windows(console: Console, redis: Redis) -> None:
    # Given a batch by night, and bulk mail of the account that goes by day
    stage = BatchStage(redis)
    id = stage.take(2, window=WINDOW).id
    visit = console()
    # When one looks, Then each says what it waits for, and when that opens
    page = words(visit.get(f"batches/{id}").text)
    assert f"Send window {WINDOW}" in page
    assert f"Waits {OUTSIDE}" in page
    assert stage.grant(10)[1] == []
    assert f"2 of batch {id} are {OUTSIDE}." in words(visit.get("overview").text)
    redis.sadd(f"rq:workers:{stage.keys.queue(Lane.BULK)}", "w")
    assert OUTSIDE in words(visit.get(f"messages/{id}-0-0").text)
    redis.srem(f"rq:workers:{stage.keys.queue(Lane.BULK)}", "w")
    stage.policy.configure({}, WINDOW)
    stage.queue(lane="bulk")
    assert f"Bulk mail is {OUTSIDE}." in words(visit.get("overview").text)
    quota = words(visit.get("quota").text)
    assert f"Bulk mail goes {WINDOW}." in quota
    assert f"Bulk mail is {OUTSIDE}." in quota


def test_a_column_of_zones_is_shown_as_it_was_given(console: Console, redis: Redis) -> None:
    stage = BatchStage(redis)
    rows = [{"email": "a@example.org", "name": "A", "<b>tz": "Asia/Tokyo"}]
    id = stage.take(0, rows=rows, window=WINDOW, zone_column="<b>tz").id
    text = console().get(f"batches/{id}").text
    assert "by the zones in column <bdi>&lt;b&gt;tz</bdi>" in text
