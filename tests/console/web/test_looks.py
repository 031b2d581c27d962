"""What pages promise: a title of their own, numbers in one form, previews that can be done, a gauge of what went."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.console.overview import read_overview
from sesq.console.web.render import PAGES, asset
from sesq.console.why import sentences
from sesq.queue.explain import explain
from sesq.queue.states import Lane
from stage import Stage

Console = Callable[..., Any]


def title(visit: Any, path: str) -> str:
    found = re.search(r"<title>(.*?)</title>", visit.get(path).text)
    assert found
    return unescape(found[1])


def test_each_page_has_a_title_of_its_own(console: Console, redis: Redis) -> None:
    stage, visit = BatchStage(redis), console()
    ids = [stage.queue(subject="Your order"), stage.queue(subject="Another order")]
    batch = stage.take(2).id
    paths = [
        *(path for path, _ in PAGES),
        *(f"messages/{id}" for id in ids),
        f"batches/{batch}",
        "quota/pause?mail=bulk",
        "quota/pause?mail=all",
    ]
    titles = [title(visit, path) for path in paths]
    assert len(set(titles)) == len(paths), titles
    assert all(each.endswith(" · default · sesq") for each in titles)
    assert "Your order · default · sesq" in titles


def test_large_numbers_are_written_out(redis: Redis) -> None:
    stage = Stage(redis)
    stage.sync(daily=2_345_678, sent=2_345_678)
    id = stage.queue()
    told = sentences(read_overview(redis, "default"))
    redis.sadd(f"rq:workers:{stage.keys.queue(Lane.TRANSACTIONAL)}", "w")
    told += [explain(redis, stage.messages.get(id)).waits_because]
    assert all("2,345,678 of 2,345,678 recipients in 24 hours" in each for each in told[1:]), told
    assert "e+06" not in " ".join(told)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"rate": "1000/second"}, "above the 100 a second that SES allows"),
        ({"daily": "unlimited"}, "above the 50,000 in 24 hours that SES allows"),
        ({"reserve": "60000"}, "more than the 50,000 recipients of a whole day"),
    ],
)
def test_a_preview_promises_only_what_can_be_done(
    console: Console, redis: Redis, change: dict[str, str], problem: str
) -> None:
    stage, visit = Stage(redis), console()
    shown = visit.post("quota/preview", change)
    assert (shown.status_code, problem in unescape(shown.text)) == (422, True)
    api = f"{visit.site}/api/v1/accounts/default/quota/preview"
    assert visit.session.post(api, json=change, timeout=20).status_code == 422
    # and what is shown can be done
    given = {**change, "force": "true"}
    status = 422 if "reserve" in change else 200
    assert visit.post("quota/preview", given).status_code == status
    assert visit.post("quota/set", given).status_code == status
    assert bool(stage.policy.history()) is (status == 200)


def test_the_gauge_shows_what_went_and_columns_say_their_value(console: Console, redis: Redis) -> None:
    stage, visit = Stage(redis), console()
    visit.session.cookies.set("sesq_zone", "Etc%2FUTC")
    for _ in range(30):
        stage.queue()
    stage.work(30)
    stage.pass_time(60)
    page = visit.get("overview").text
    assert "0.5 a second sent in the last whole minute" in page
    assert re.search(
        r'aria-label="Rate"><rect class="room"[^>]*/><rect class="used" x="0.000%" width="0.500%"', page
    )
    assert re.search(r"<title>2023-11-14 22:13:00: 30 recipients a minute</title>", page)
    assert 'aria-label="Sent, last hour: at most 30 recipients a minute"' in page


def test_what_one_points_at_in_a_plot_hides_nothing() -> None:
    # a rule for the colour of a plot's bars must not win over the one for what is not seen
    css = asset("console.css").decode()
    coloured = max(
        css.index(rule) for rule in (".plot.sent rect", ".plot.waiting rect", ".plot.refused rect")
    )
    assert css.index(".plot rect.column { fill: transparent; }") > coloured
