"""Recipients by domain and by tag: counted from SES's events, in a bounded number of names, for a week."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis

from agreement import assert_agreement
from batch_stage import BatchStage
from sesq.queue.audit import Kind, audit
from sesq.queue.origins import OTHERS, Origin, read_origins
from sesq.queue.reputation import Reputation, Standing
from sesq.worker.events import Feedback, Handled

HARD = {"bounceType": "Permanent", "bounceSubType": "General"}
SOFT = {"bounceType": "Transient", "bounceSubType": "General"}
ABUSE = {"complaintFeedbackType": "abuse"}
DAY = 86_400


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


@pytest.fixture
def feedback(stage: BatchStage) -> Feedback:
    return Feedback(stage.redis, "default", pauses_bulk=False)


def told(
    kind: str, number: int, *to: str, named: tuple[str, ...] = (), tags: Any = None, **detail: Any
) -> str:
    """An event of a mail to these addresses, about those `named`."""
    mail = {"messageId": f"m-{number}", "destination": [*to], "tags": tags or {}}
    list_of = {"Bounce": "bouncedRecipients", "Complaint": "complainedRecipients"}.get(kind)
    about = {list_of: [{"emailAddress": each} for each in named or to]} if list_of else {}
    return json.dumps(
        {"eventType": kind, "mail": mail, kind.lower(): {"feedbackId": number, **about, **detail}}
    )


def counts(stage: BatchStage, what: str, kind: str, days_ago: int = 0) -> dict[str, float]:
    """What stands in the key itself."""
    key = stage.keys.origins(what, kind, int(stage.now // DAY) - days_ago)
    return {name.decode(): n for name, n in stage.redis.zrange(key, 0, -1, withscores=True)}


def test_each_event_counts_for_the_domains_of_its_recipients_and_for_the_tags_of_its_mail(
    stage: BatchStage, feedback: Feedback
) -> None:
    # Given a mail to three, a mail to one, and what SES itself says in tags
    to = ("ada@Example.org", "bob@example.org", "cleo@example.net")
    tags = {
        "campaign": ["autumn"],
        "sesq-id": ["x"],
        "ses:from-domain": ["example.com"],
        "ses:operation": ["x"],
    }
    feedback.handle(told("Send", 1, *to, tags=tags))
    feedback.handle(told("Send", 2, "dora@example.net", tags={"campaign": ["winter"], "kind": ["all"]}))
    # When one of the three bounces, which is told twice, and one of them complains
    for _ in range(2):
        feedback.handle(told("Bounce", 1, *to, named=to[:1], tags=tags, **HARD))
    feedback.handle(told("Complaint", 1, *to, named=to[:2], tags=tags, **ABUSE))
    # Then each counts once, and a complaint as one, of however many who may have made it
    assert counts(stage, "domain", "sent") == {"example.org": 2, "example.net": 2}
    assert counts(stage, "domain", "bounced") == {"example.org": 1}
    assert counts(stage, "domain", "complained") == {"example.org": 1}
    assert counts(stage, "tag", "sent") == {"campaign=autumn": 3, "campaign=winter": 1, "kind=all": 1}
    assert counts(stage, "tag", "bounced") == {"campaign=autumn": 1}
    assert counts(stage, "tag", "complained") == {"campaign=autumn": 1}
    assert Reputation(stage.redis).read() == Standing(4, 1, 1)
    # and every key goes by itself, which the auditor knows
    assert all(0 < stage.redis.ttl(key) <= 8 * DAY for key in stage.redis.scan_iter("sesq:default:origins:*"))
    assert_agreement(stage.redis)


def test_what_does_not_count_for_the_account_counts_for_no_domain_and_no_tag(
    stage: BatchStage, feedback: Feedback
) -> None:
    tags = {"kind": ["all"]}
    feedback.handle(told("Bounce", 1, "ada@example.org", tags=tags, **SOFT))
    feedback.handle(told("Delivery", 2, "ada@example.org", tags=tags))
    feedback.handle(told("Send", 3, "success@simulator.amazonses.com", tags=tags))
    assert not [*stage.redis.scan_iter("sesq:default:origins:*")]


def test_a_tag_that_cannot_be_read_stops_no_event(stage: BatchStage, feedback: Feedback) -> None:
    tags = {"a": 7, "b": [], "c": [7], "d": ["x"], "e" * 600: ["x"]}
    body = told("Send", 1, "ada@example.org", "eve@" + "e" * 600, tags=tags)
    assert feedback.handle(body) is not Handled.POISON
    assert counts(stage, "tag", "sent") == {"d=x": 2}
    assert counts(stage, "domain", "sent") == {"example.org": 1}


def test_an_event_counts_for_no_more_domains_than_a_mail_can_have(
    stage: BatchStage, feedback: Feedback
) -> None:
    feedback.handle(told("Send", 1, *(f"p@d{number}.example" for number in range(60))))
    assert len(counts(stage, "domain", "sent")) == 50


def test_of_too_many_domains_those_with_the_most_mail_stay(stage: BatchStage, feedback: Feedback) -> None:
    # Given as many domains as are counted, a recipient each, and one with two
    key = stage.keys.origins("domain", "sent", int(stage.now // DAY))
    stage.redis.zadd(key, {f"d{number:03}.example": 1 for number in range(999)} | {"big.example": 2})
    # When three more come
    feedback.handle(told("Send", 1, "ada@first.example"))
    feedback.handle(told("Send", 2, "ada@second.example"))
    feedback.handle(told("Send", 3, "ada@third.example"))
    # Then those with the fewest have made room, and their recipients are still counted
    found = counts(stage, "domain", "sent")
    assert len(found) == 1001
    assert (found[OTHERS], found["big.example"], found["third.example"]) == (3, 2, 1)
    assert sum(found.values()) == 999 + 2 + 3
    # and a domain that comes late keeps its place once it has more than those
    feedback.handle(told("Send", 4, "ada@third.example"))
    for number in range(5, 10):
        feedback.handle(told("Send", number, f"ada@n{number}.example"))
    assert counts(stage, "domain", "sent")["third.example"] == 2
    assert len(counts(stage, "domain", "sent")) == 1001


def small(stage: BatchStage, kind: str, **names: int) -> None:
    """As many domains as are counted, a recipient each, and those `names` besides."""
    key = stage.keys.origins("domain", kind, int(stage.now // DAY))
    stage.redis.zadd(key, {f"m{number:03}.example": 2 for number in range(1000 - len(names))} | names)


def test_a_domain_that_makes_room_takes_its_bounces_along(stage: BatchStage, feedback: Feedback) -> None:
    # Given as many domains as are counted, of which one has the fewest recipients, and a bounce and a complaint
    small(stage, "sent", **{"back.example": 1})
    feedback.handle(told("Bounce", 1, "ada@back.example", **HARD))
    feedback.handle(told("Complaint", 1, "ada@back.example", **ABUSE))
    assert counts(stage, "domain", "bounced") == {"back.example": 1}
    # When another domain comes
    feedback.handle(told("Send", 2, "ada@new.example"))
    # Then all counts of the first one count as the others'
    assert counts(stage, "domain", "sent")[OTHERS] == 1
    assert (counts(stage, "domain", "bounced"), counts(stage, "domain", "complained")) == (
        {OTHERS: 1},
        {OTHERS: 1},
    )
    # and its next bounce too, since its mail is among theirs
    feedback.handle(told("Bounce", 3, "bob@back.example", **HARD))
    assert counts(stage, "domain", "bounced") == {OTHERS: 2}
    # When it comes back
    feedback.handle(told("Send", 4, *(f"p{number}@back.example" for number in range(4))))
    feedback.handle(told("Bounce", 4, "p0@back.example", **HARD))
    # Then its rate is of what was sent and bounced since
    (found, others) = read_origins(stage.redis, "default", "domain", 1)
    assert found == Origin("back.example", Standing(4, 1, 0))
    assert (others.name, others.standing.bounced, others.standing.complained) == (OTHERS, 2, 1)


def test_domains_that_only_bounce_are_no_more_than_are_counted(stage: BatchStage, feedback: Feedback) -> None:
    small(stage, "sent")
    small(stage, "bounced")
    for number in range(3):
        feedback.handle(told("Bounce", number, f"ada@new{number}.example", **HARD))
    assert len(counts(stage, "domain", "sent")) == len(counts(stage, "domain", "bounced")) == 1001
    assert sum(counts(stage, "domain", "bounced").values()) == 2003


def test_a_bounce_of_earlier_mail_counts_on_the_day_of_that(stage: BatchStage, feedback: Feedback) -> None:
    # Given mail of yesterday, and today as many domains as are counted
    feedback.handle(told("Send", 1, "ada@example.org"))
    stage.pass_time(DAY)
    small(stage, "sent")
    feedback.handle(told("Send", 2, "ada@new.example"))
    # When the mail bounces
    feedback.handle(told("Bounce", 1, "ada@example.org", **HARD))
    # Then that counts with it, and is forgotten with it
    assert counts(stage, "domain", "bounced", days_ago=1) == {"example.org": 1}
    assert counts(stage, "domain", "bounced") == {}
    day = int(stage.now // DAY) - 1
    assert 0 < stage.redis.ttl(stage.keys.origins("domain", "bounced", day)) <= 7 * DAY
    assert read_origins(stage.redis, "default", "domain", 1)[0] == Origin("example.org", Standing(1, 1, 0))


def test_today_and_the_six_days_before_count(stage: BatchStage, feedback: Feedback) -> None:
    feedback.handle(told("Send", 1, "ada@example.org"))
    feedback.handle(told("Bounce", 1, "ada@example.org", **HARD))
    stage.pass_time(6 * DAY)
    feedback.handle(told("Send", 2, "bob@example.org"))
    whole = (Origin("example.org", Standing(2, 1, 0)),)
    assert read_origins(stage.redis, "default", "domain", 20) == whole
    stage.pass_time(DAY)
    assert read_origins(stage.redis, "default", "domain", 20) == ()


def test_the_auditor_finds_counts_that_would_stay_for_ever(stage: BatchStage, feedback: Feedback) -> None:
    feedback.handle(told("Send", 1, "ada@example.org"))
    key = stage.keys.origins("domain", "sent", int(stage.now // DAY))
    stage.redis.persist(key)
    (finding,) = audit(stage.redis, "default", sleep=lambda _: None)
    assert (finding.kind, finding.key) == (Kind.EXPIRY, key)
