"""Reputation: rates against Amazon's lines, where bounces come from, an alert, and the way to the suppression list."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from batch import template
from clicks import Clicker
from sesq.console.checkup import Check, check_queue
from sesq.console.reputation_view import read_reputation
from sesq.console.times import utc
from sesq.producer.batch.batch_intake import numbered, take
from sesq.producer.batch.request import batch_request
from sesq.queue.origins import Origin
from sesq.queue.reputation import Standing
from sesq.queue.results import SendResult
from sesq.queue.states import State
from sesq.worker.events import Feedback
from stage import Stage

Console = Callable[..., Any]


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


@pytest.fixture
def clicker(console: Console) -> Clicker:
    return Clicker(console())


def bounces(stage: Stage, to: str, **options: Any) -> str:
    """A mail to that address was sent and came back."""
    id = stage.queue(to, **options)
    stage.pass_time(1)
    _, (started,) = stage.claim(1)
    stage.gate.settle([SendResult(started.grant, State.SENT, "ses-1", message_id=f"ses-{id}")])
    tags = {name: [value] for name, value in {"sesq-id": id, **options.get("tags", {})}.items()}
    mail = {"messageId": f"ses-{id}", "destination": [to], "tags": tags}
    bounce = {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [{"emailAddress": to}],
    }
    Feedback(stage.redis, "default", pauses_bulk=False).handle(
        json.dumps({"eventType": "Bounce", "mail": mail, "bounce": bounce})
    )
    return id


def counted(stage: Stage, sent: int, bounced: int, complained: int) -> list[Check]:
    """So many in this hour: what is said of the reputation."""
    hour = int(stage.now // 3600)
    told = {"sent": sent, "bounced": bounced, "complained": complained}
    stage.redis.hset(stage.keys.reputation, mapping={f"{hour}:{kind}": n for kind, n in told.items()})
    return [each for each in check_queue(stage.redis, "default") if each.name == "reputation"]


def test_which_domain_and_which_tag_bounce_is_one_click_away(stage: Stage, clicker: Clicker) -> None:
    for number in range(3):
        bounces(stage, f"p{number}@bad.example", tags={"kind": "news"})
    bounces(stage, "ada@Good.example", tags={"kind": "receipt"})
    view = read_reputation(stage.redis, "default")
    assert view.domains == (
        Origin("bad.example", Standing(0, 3, 0)),
        Origin("good.example", Standing(0, 1, 0)),
    )
    assert view.tags == (
        Origin("kind=news", Standing(0, 3, 0)),
        Origin("kind=receipt", Standing(0, 1, 0)),
    )
    clicker.open("overview").follow("Reputation")
    assert clicker.clicks == 1
    assert "bad.example 0 3 \N{EN DASH} too few" in clicker.text
    # and a click on the number shows these messages
    assert 'messages?state=bounced&amp;q=%2A%40bad.example"' in clicker.open("reputation").page
    clicker.open("messages?state=bounced&q=%2A%40bad.example")
    assert all(f"p{number}@bad.example" in clicker.text for number in range(3))


def test_the_number_of_a_domain_leads_to_the_mail_of_exactly_that_domain(
    stage: Stage, clicker: Clicker
) -> None:
    # Given bounces of two domains, of which one is the beginning of the other, and of a domain below it
    for number in range(2):
        bounces(stage, f"p{number}@Gmail.co")
    for to in ("ada@gmail.com", "bob@mx.gmail.co", "cleo@notgmail.co"):
        bounces(stage, to)
    # When somebody clicks on the number of its bounces
    clicker.open("reputation").follow("2")
    # Then these messages are shown, and no others
    assert all(f"p{number}@Gmail.co" in clicker.text for number in range(2))
    assert not any(name in clicker.text for name in ("ada@", "bob@", "cleo@"))


def origin(stage: Stage, what: str, name: str, days_ago: int = 0, **counts: int) -> None:
    """So much was counted for a domain or a tag on that day."""
    day = int(stage.now // 86_400) - days_ago
    for kind, n in counts.items():
        stage.redis.zincrby(stage.keys.origins(what, kind, day), n, name)


def test_domains_and_tags_have_rates_and_the_thresholds_that_these_reach(
    stage: Stage, clicker: Clicker
) -> None:
    # Given domains whose mail bounces, of which one has little mail and one is nearly a week ago
    origin(stage, "domain", "pause.example", sent=1000, bounced=100, complained=1)
    origin(stage, "domain", "review.example", days_ago=6, sent=900, bounced=30)
    origin(stage, "domain", "review.example", sent=100, bounced=20)
    origin(stage, "domain", "fine.example", sent=10_000, bounced=499, complained=9)
    origin(stage, "domain", "few.example", sent=49, bounced=40, complained=1)
    origin(stage, "domain", "old.example", days_ago=7, sent=100, bounced=100)
    origin(stage, "domain", "without.example", sent=100)
    origin(stage, "tag", "kind=news", sent=2000, complained=10)
    # Then the worst stand first, and those with too little mail last
    text = clicker.open("reputation").text
    assert (
        "pause.example 1,000 100 10.00 % ≥ 10 % 1 0.10 % ≥ 0.1 % "
        "review.example 1,000 50 5.00 % ≥ 5 % 0 0.00 % "
        "fine.example 10,000 499 4.99 % 9 0.09 % "
        "few.example 49 40 81.63 % too few 1 2.04 % too few "
        "Tags in the last 7 days"
    ) in text
    assert "kind=news 2,000 0 0.00 % 10 0.50 % ≥ 0.5 %" in text
    assert "old.example" not in text
    assert "without.example" not in text


def test_of_many_domains_the_worst_are_shown_and_what_made_room_counts_together(
    stage: Stage, clicker: Clicker
) -> None:
    for number in range(30):
        origin(stage, "domain", f"d{number}.example", sent=100, bounced=number + 1)
    origin(stage, "domain", "", sent=7000, bounced=70)
    text = clicker.open("reputation").text
    assert "d29.example 100 30" in text
    assert "d10.example 100 11" in text
    assert "d9.example" not in text
    assert "all others 7,000 70 1.00 %" in text


def test_the_rates_stand_beside_the_lines(stage: Stage, clicker: Clicker) -> None:
    counted(stage, 10_000, 300, 5)
    text = clicker.open("reputation").text
    assert "Bounces 3.00 % 300 of 10,000 recipients in a week." in text
    assert "Complaints 0.05 %" in text
    assert "Amazon reviews an account at 0.10 %, and may pause it at 0.50 %" in text


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ((10_000, 0, 9), []),
        ((10_000, 0, 10), [("warn", "0.10% complaints")]),
        ((10_000, 0, 40), [("fail", "0.40% complaints")]),
        ((10_000, 500, 10), [("warn", "5.00% bounces"), ("warn", "0.10% complaints")]),
        ((500, 25, 0), [("warn", "5.00% bounces")]),
        ((499, 400, 400), []),
    ],
)
def test_an_alert_says_so_from_the_lines_on(
    stage: Stage, clicker: Clicker, counts: tuple[int, int, int], said: list[tuple[str, str]]
) -> None:
    found = counted(stage, *counts)
    assert [(each.status.value, " ".join(each.detail.split()[:2])) for each in found] == said
    page = clicker.open("overview").text
    assert ("Where they come from" in page) is bool(said)


def test_a_bounce_leads_to_its_entry_in_the_suppression_list_and_back(stage: Stage, clicker: Clicker) -> None:
    id = bounces(stage, "eve@example.org")
    clicker.open(f"messages/{id}").follow("eve@example.org")
    assert clicker.where == "suppression?q=eve%40example.org"
    assert "bounce" in clicker.text
    clicker.follow("eve@example.org")
    assert clicker.where == "messages?q=eve%40example.org"
    assert f"messages/{id}" in clicker.page


def test_tenants_and_batches_have_their_rates_the_worst_first(stage: Stage, clicker: Clicker) -> None:
    # Given a tenant of whose mail two came back, and two batches of which one is worse
    for number in range(2):
        bounces(stage, f"p{number}@bad.example", tenant="acme")
    hour = int(stage.now // 3600)
    stage.redis.hset(stage.keys.tenant_reputation("acme"), f"{hour}:sent", 1000)
    ids = []
    for key, counts in (("a", {"sent": 990, "bounced": 10}), ("b", {"sent": 996, "complained": 4})):
        rows = numbered([{"email": f"{key}@example.org", "name": "P"}])
        ids.append(take(stage.redis, batch_request(template(), "shop@example.com", key), rows).id)
        stage.redis.hset(stage.keys.batch(ids[-1]), mapping={f"n:{name}": n for name, n in counts.items()})
    # Then each has its rate, and the batch with 0.4 % complaints comes before that with 1 % bounces
    view = read_reputation(stage.redis, "default")
    assert {name: week.rate("bounced") for name, week in view.tenants.items()} == {"acme": 0.002}
    assert [batch.id for batch, _ in view.batches] == ids[::-1]
    text = clicker.open("reputation").text
    assert "acme 1,000 2 0.20 % 0 0.00 %" in text
    assert "1,000 0 0.00 % 4 0.40 %" in text


@pytest.mark.parametrize("sent", [0, 1000])
def test_where_more_bounced_than_was_sent_no_surface_shows_a_rate(
    stage: Stage, clicker: Clicker, run: Console, sent: int
) -> None:
    # Given bounces and complaints of mail that was sent before its counts began
    counted(stage, sent, 1200, 1)
    origin(stage, "domain", "early.example", sent=sent, bounced=1200, complained=1)
    complaints = 0.001 if sent else None
    percent = "0.10 %" if sent else "\N{EN DASH}"
    # Then there is no rate of bounces, and none of complaints where nothing was sent
    told = json.loads(run("events", "standing", "--json").stdout)
    assert clicker.visit.get("/api/v1/accounts/default/reputation").json() == told
    (domain,) = told["domains"]
    for part in (told, domain):
        assert (part["bounced_rate"], part["complained_rate"]) == (None, complaints)
    assert (domain["bounced_passed"], told["problem"]) == ("too_few", None)
    shown = " ".join(run("events", "standing").stdout.split())
    few = "1,200 bounces (no rate: fewer were counted as sent)" if sent else "too few to judge: 1,200 bounces"
    assert few in shown
    assert f"early.example {sent} 1200 - 1 {'0.10%' if sent else '-'}" in shown
    text = clicker.open("reputation").text
    assert "Bounces \N{EN DASH} 1,200 of" in text
    assert f"Complaints {percent} 1 of" in text
    assert f"early.example {sent:,} 1,200 \N{EN DASH} too few 1 {percent}" in text
    # and what was sent is enough to say that the account bounces too much
    said = " ".join(each.detail for each in check_queue(stage.redis, "default"))
    assert ("1,200 bounces (no rate: fewer were counted as sent)" in said) is (sent > 0)


def test_where_no_events_were_read_every_surface_says_so_and_how_to_read_them(
    stage: Stage, clicker: Clicker, run: Console
) -> None:
    def said() -> list[str]:
        standing = json.loads(run("events", "standing", "--json").stdout)
        assert clicker.visit.get("/api/v1/accounts/default/reputation").json() == standing
        page = clicker.open("reputation").text
        return [str(standing["problem"]), run("events", "standing").stdout.strip(), page]

    # Given an account whose events nobody reads
    words = "No events have been read, so nothing is known of bounces and complaints."
    for text in said():
        assert words in text
        assert all(name in text for name in ("accounts.default.events.queue_url", "sesq events setup"))
        assert "fine" not in text
    # When somebody reads them
    Feedback(stage.redis, "default").note_reading()
    # Then nobody says so any more
    assert all(words not in text for text in said())
    standing = json.loads(run("events", "standing", "--json").stdout)
    assert (standing["problem"], standing["events_read_at"]) == (None, utc(stage.now))


def test_the_text_of_the_standing_has_all_that_the_page_has(stage: Stage, run: Console) -> None:
    # Given a tenant and a batch of whose mail some came back
    bounces(stage, "p@bad.example", tenant="acme", tags={"kind": "news"})
    rows = numbered([{"email": "p@example.org", "name": "P"}])
    batch = take(stage.redis, batch_request(template(), "shop@example.com", "a"), rows).id
    stage.redis.hset(stage.keys.batch(batch), mapping={"n:sent": 90, "n:bounced": 10})
    # Then the text names both beside the domain and the tag
    lines = [" ".join(line.split()) for line in run("events", "standing").stdout.splitlines()]
    for what, row in (
        ("domain", "bad.example 0 1 - 0 - too few to judge"),
        ("tag", "kind=news 0 1 - 0 - too few to judge"),
        ("tenant", "acme 0 1 - 0 - too few to judge"),
        ("batch", f"{read_reputation(stage.redis, 'default').batches[0][0].name or batch} 100 10 10.00%"),
    ):
        at = lines.index(f"{what} sent bounces rate complaints rate reached")
        assert lines[at + 2].startswith(row)
