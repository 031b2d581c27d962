"""How much of the rate is used, and whether SES ever says "too fast": the real gate, and the strictest SES."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from sesq.queue.grants import Grant
from sesq.queue.keys import Keys
from sesq.queue.policy import Policy
from sesq.queue.results import SendResult
from sesq.queue.states import Lane, State
from stage import LEASE, Stage, sent
from traffic import START, Traffic, Worker

BULK, URGENT = Lane.BULK, Lane.TRANSACTIONAL
APART = [("urgent", (URGENT,)), ("bulk", (BULK,))]
NEAR = (0.04, 0.04)
USUAL = (0.1, 0.1)
FAR = (0.0, 0.4)
SLOW = (0.4, 0.4)


def workers(apart: bool) -> list[Worker]:
    """Two that serve both lanes, or one each."""
    return [Worker(*each) for each in APART] if apart else [Worker("a"), Worker("b")]


def backlog(traffic: Traffic, sizes: list[int], lane: Lane, recipients: float) -> None:
    queued = i = 0
    while queued < recipients:
        traffic.queue(sizes[i % len(sizes)], lane)
        queued += sizes[i % len(sizes)]
        i += 1


@pytest.mark.parametrize("round_trip", [NEAR, FAR])
@pytest.mark.parametrize("apart", [False, True])
def test_a_large_bulk_mail_goes_beside_urgent_mail_and_what_is_behind_it_too(
    redis: Redis, round_trip: tuple[float, float], apart: bool
) -> None:
    # Given 14 a second, an urgent mail each 0.4 s, and in the bulk lane one mail to 50 before 100 to one each
    traffic = Traffic(redis, 14.0, round_trip, workers(apart))
    large = traffic.queue(50, BULK)
    backlog(traffic, [1], BULK, 100)
    for i in range(40):
        traffic.queue_at(i * 0.4, 1, URGENT)
    # When 16 seconds pass
    traffic.run(16)
    # Then all of it has gone, the large mail early
    assert traffic.throttled == 0
    at = {gone.id: gone.at - START for gone in traffic.gone}
    assert at[large] < 3
    assert sum(gone.lane is BULK for gone in traffic.gone) == 101
    # and urgent mail has waited for nothing but its debt, one refill of SES's bucket and two round trips
    waits = [gone.at - gone.queued for gone in traffic.gone if gone.lane is URGENT]
    assert len(waits) == 40
    assert max(waits) < 43 / 14 + 1 + 2 * round_trip[1]


def assert_enough_is_used(traffic: Traffic) -> None:
    """95 %, or what no gate could exceed: while a mail as large as SES's burst is on its way, nothing else may go."""
    used, usable = traffic.share_used(since=2), traffic.share_usable(since=2)
    assert traffic.throttled == 0
    if traffic.round_trip == NEAR:
        assert used >= 0.95
    elif traffic.round_trip == USUAL:
        assert used >= min(0.95, 0.98 * usable)
    else:
        assert used >= 0.95 * usable


@pytest.mark.parametrize("round_trip", [NEAR, SLOW])
@pytest.mark.parametrize(
    "sizes", [[1], [2], [10], [14], [50], [1, 14], [14, 14, 1], [1, 2, 10, 14, 50], [1] * 9 + [50]]
)
def test_of_a_backlog_of_any_mix_all_but_a_twentieth_of_the_rate_is_used(
    redis: Redis, sizes: list[int], round_trip: tuple[float, float]
) -> None:
    traffic = Traffic(redis, 14.0, round_trip)
    backlog(traffic, sizes, BULK, 14 * 24)
    traffic.run(20)
    assert_enough_is_used(traffic)


@pytest.mark.parametrize("round_trip", [USUAL, FAR])
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("each", [0.15, 0.4])
@pytest.mark.parametrize("sizes", [[2], [50], [1, 10, 14]])
def test_so_it_is_beside_urgent_mail(
    redis: Redis, sizes: list[int], each: float, apart: bool, round_trip: tuple[float, float]
) -> None:
    traffic = Traffic(redis, 14.0, round_trip, workers(apart))
    backlog(traffic, sizes, BULK, 14 * 24)
    for i in range(int(20 / each)):
        traffic.queue_at(i * each, 1, URGENT)
    traffic.run(20)
    assert_enough_is_used(traffic)
    # an urgent mail waits for the debt of one bulk mail, and the round trips of that and of what was before it
    waits = [gone.at - gone.queued for gone in traffic.gone if gone.lane is URGENT]
    assert max(waits) < max(*sizes, 7) / 14 + 0.2 + 2 * round_trip[1]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("sizes", [[1], [2, 1], [1, 10, 14], [1, 50]])
@pytest.mark.parametrize("tenants", [1, 200])
def test_of_tenants_that_take_turns_as_much_is_used(
    redis: Redis, tenants: int, sizes: list[int], apart: bool
) -> None:
    # Given mail of tenants and of none, the mails of one tenant all of one size
    traffic = Traffic(redis, 14.0, NEAR, workers(apart))
    for i in range(max(tenants + 1, 14 * 24 // (sum(sizes) // len(sizes)))):
        tenant = i % (tenants + 1)
        traffic.queue(sizes[tenant % len(sizes)], BULK, f"t{tenant}" if tenant else None)
    for i in range(20):
        traffic.queue_at(i * 1.0, 1, URGENT, f"t{i % 3}" if i % 3 else None)
    # When 20 seconds pass
    traffic.run(20)
    # Then SES never says "too fast", and 97 % of the rate is used, or what no gate could exceed
    assert traffic.throttled == 0
    assert traffic.share_used(since=2) >= min(0.97, 0.98 * traffic.share_usable(since=2))


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("rate", [3.0, 14.0, 40.0])
def test_steady_urgent_mail_far_from_ses_does_not_keep_a_large_mail_back(
    redis: Redis, rate: float, apart: bool
) -> None:
    # Given urgent mail that uses half of the rate, of which some is always on its way
    traffic = Traffic(redis, rate, SLOW, workers(apart))
    large = [traffic.queue(int(rate), BULK) for _ in range(3)]
    for i in range(int(6 * rate)):
        traffic.queue_at(i * 2 / rate, 1, URGENT)
    # When 12 seconds pass, in which the large mail and the urgent mail would use three quarters of the rate
    traffic.run(12)
    # Then it has gone
    assert traffic.throttled == 0
    assert {gone.id for gone in traffic.gone if gone.lane is BULK} == set(large)


@pytest.mark.parametrize(
    ("rate", "sizes", "policy", "expected"),
    [
        (1.0, [1], {}, 1.0),
        (1.5, [1, 2], {}, 1.5),
        (500.0, [1, 50], {}, 500.0),
        (14.0, [1, 10, 50], {"rate": "5/second"}, 5.0),
        (14.0, [1, 10], {"burst": "2"}, 14.0),
    ],
)
def test_at_any_rate(
    redis: Redis, rate: float, sizes: list[int], policy: dict[str, str], expected: float
) -> None:
    """At one a second, in the sandbox, nothing goes before the answer to what went before: 20 ms of each second."""
    traffic = Traffic(redis, rate, (0.02, 0.02), policy=policy)
    seconds = max(5.0, 200 / expected)
    backlog(traffic, sizes, BULK, expected * (seconds + 2) + 60)
    traffic.run(seconds)
    assert traffic.throttled == 0
    assert traffic.share_used(since=2) >= 0.95 * expected / rate


SIZES = st.lists(st.sampled_from([1, 1, 1, 2, 10, 14, 50]), min_size=1, max_size=6)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rate=st.sampled_from([1.0, 1.5, 2.0, 3.0, 14.0, 60.0]),
    bulk=SIZES,
    urgent=st.lists(st.tuples(st.floats(0, 8), st.sampled_from([1, 1, 2, 14])), max_size=12),
    round_trip=st.tuples(st.floats(0, 0.2), st.floats(0.2, 0.4)),
    apart=st.booleans(),
    seed=st.integers(0, 9),
)
def test_whatever_comes_ses_never_says_too_fast_and_nothing_waits_for_nothing(
    redis: Redis,
    rate: float,
    bulk: list[int],
    urgent: list[tuple[float, int]],
    round_trip: tuple[float, float],
    apart: bool,
    seed: int,
) -> None:
    """Random mail over a network that takes any time up to 0.4 s: all of it goes, in the time that all of it costs."""
    traffic = Traffic(redis, rate, round_trip, workers(apart), seed)
    for n in bulk:
        traffic.queue(n, BULK)
    for at, n in urgent:
        traffic.queue_at(at, n, URGENT)
    cost = sum(bulk) + sum(n for _, n in urgent)
    mails = len(bulk) + len(urgent)
    traffic.run(8 + 2 + cost / rate + mails * (2 * round_trip[1] + 1.0))
    assert traffic.throttled == 0
    assert len(traffic.gone) == mails


# the two buckets, step by step ------------------------------------------------------------------------------------


@pytest.fixture
def stage(redis: Redis) -> Stage:
    """14 a second, both buckets full."""
    stage = Stage(redis)
    stage.sync(rate=14.0, daily=50_000.0)
    stage.pass_time(2)
    return stage


def some(n: int) -> list[str]:
    return [f"p{i}@example.org" for i in range(n)]


def test_a_large_mail_waits_until_nothing_is_on_its_way(stage: Stage) -> None:
    first = stage.queue()
    claim, _ = stage.claim()
    large = stage.queue(some(14))
    assert claim.ids == (first,)
    stage.pass_time(0.3)
    assert stage.claim()[0].ids == ()
    stage.gate.settle([sent(Grant(first, claim.grants[0].claim_id))])
    stage.pass_time(1.1 / 14)
    assert stage.claim()[0].ids == (large,)


def test_an_answer_that_never_comes_stops_nothing_for_long(stage: Stage) -> None:
    stage.queue(some(2))
    stage.claim()
    large = stage.queue(some(14))
    stage.pass_time(0.49)
    assert stage.claim()[0].ids == ()
    # half a second after its grant it has surely reached SES, whose bucket is full again a seventh of a second later
    stage.pass_time(0.1)
    assert stage.claim()[0].ids == ()
    stage.pass_time(0.06)
    assert stage.claim()[0].ids == (large,)


def test_an_answer_after_that_is_not_counted_twice(stage: Stage) -> None:
    late = stage.queue(some(14))
    claim, _ = stage.claim()
    stage.pass_time(2)
    stage.gate.settle([sent(Grant(late, claim.grants[0].claim_id))])
    large = stage.queue(some(14))
    assert stage.claim()[0].ids == (large,)


def test_while_tokens_gather_for_a_bulk_mail_urgent_mail_waits_and_then_goes_first(stage: Stage) -> None:
    # Given a bulk mail to 14, and an urgent one on its way
    flying = stage.queue()
    claim, _ = stage.claim()
    large = stage.queue(some(14), lane=BULK)
    stage.pass_time(0.2)
    assert stage.claim()[0].ids == ()
    # When another urgent one comes
    urgent = stage.queue()
    assert stage.claim(worker="other")[0].ids == ()
    # Then it waits until the bulk mail has gone
    stage.gate.settle([sent(Grant(flying, claim.grants[0].claim_id))])
    stage.pass_time(1.1 / 14)
    claim, _ = stage.claim()
    assert claim.ids == (large,)
    stage.gate.settle([sent(Grant(large, claim.grants[0].claim_id))])
    next_bulk = stage.queue(lane=BULK)
    stage.pass_time(8.5 / 14)
    assert stage.claim()[0].ids == (urgent,)
    stage.pass_time(1.1 / 14)
    assert stage.claim()[0].ids == (next_bulk,)


def test_a_pause_of_bulk_mail_holds_for_a_mail_for_which_tokens_gather(stage: Stage) -> None:
    # Given a bulk mail for which tokens gather, and a pause of bulk mail meanwhile
    flying = stage.queue()
    claim, _ = stage.claim()
    large = stage.queue(some(14), lane=BULK)
    stage.pass_time(0.2)
    assert stage.claim()[0].ids == ()
    stage.gate.settle([sent(Grant(flying, claim.grants[0].claim_id))])
    Policy(stage.redis).pause("bounces", by="me", bulk_only=True)
    # Then it does not go, though its tokens are there; and urgent mail does
    stage.pass_time(0.3)
    assert stage.claim()[0].ids == ()
    urgent = stage.queue()
    assert stage.claim()[0].ids == (urgent,)
    # When bulk mail goes on, Then it goes
    Policy(stage.redis).resume(by="me", bulk_only=True)
    stage.pass_time(5)
    assert stage.claim()[0].ids == (large,)


def test_what_has_tokens_already_may_change_them_while_others_gather(stage: Stage) -> None:
    first = stage.queue()
    claim, (begun,) = stage.claim()
    large = stage.queue(some(14), lane=BULK)
    stage.pass_time(0.3)
    assert stage.claim()[0].ids == ()
    # Its tokens were too old
    assert stage.gate.renew_tokens(begun, unused=True, lease=LEASE)[0] == "granted"
    stage.gate.settle([sent(Grant(first, claim.grants[0].claim_id))])
    stage.pass_time(1.1 / 14)
    assert stage.claim()[0].ids == (large,)


@pytest.mark.parametrize("end", ["cancelled", "expired", "paused", "no room", "never comes"])
def test_what_does_not_go_after_all_keeps_nobody_back(stage: Stage, end: str) -> None:
    stage.queue()
    stage.claim()
    large = stage.queue(some(14), lane=BULK)
    stage.pass_time(0.1)
    assert stage.claim()[0].ids == ()
    urgent = stage.queue()
    assert stage.claim()[0].ids == ()
    if end == "cancelled":
        stage.messages.cancel(large, "test")
    elif end == "expired":
        stage.redis.hset(stage.keys.message(large), "expires_at", stage.now - 1)
    elif end == "paused":
        stage.policy.pause("a look", by="test", bulk_only=True)
    elif end == "no room":
        stage.policy.set({"daily": "14"}, by="test")
    else:
        stage.pass_time(1.6)
        claim = stage.gate.claim("w", "y", want=1, lease=LEASE, lanes=(URGENT,))
        assert claim.ids == (urgent,)
        return
    assert urgent in stage.claim()[0].ids


def test_a_throttle_empties_both_buckets(stage: Stage) -> None:
    stage.queue()
    claim, _ = stage.claim()
    stage.gate.settle([SendResult(claim.grants[0], State.REFUSED, throttled=True)])
    level, ses_level = (float(each) for each in stage.redis.hmget(Keys("default").gate, "level", "ses_level"))
    assert level <= 0
    assert ses_level <= 0
