"""Acts on many messages, as they are kept: how many may be unfinished, and what is told of what could not be done."""

from __future__ import annotations

import pytest
from redis import Redis

from sesq.config.errors import InputError
from sesq.console.act import Act, Step
from sesq.console.acts import Acts
from sesq.console.web.search import Query
from sesq.queue.states import State

ACT = Act("retry", Query(states=(State.REFUSED,)), 9, 1_700_000_000.0, words="that are refused")


def test_twenty_acts_may_be_unfinished(redis: Redis) -> None:
    acts = Acts(redis, "default")
    # Given twenty acts that have begun
    for _ in range(20):
        acts.open(ACT)
    # When one more is to begin, Then it does not, and it is said what to do
    with pytest.raises(InputError, match="20 acts have begun and not ended"):
        acts.open(ACT)
    assert redis.hlen(acts.key) == 20


def test_three_reasons_are_told_each_once() -> None:
    # Given a step in which one message was changed, and five were not, for four reasons
    act = ACT.and_then(Step(["one", "two", "one", "", "three", "four"]), 5.0)
    # Then all are counted, and the first three reasons are told
    assert (act.done, act.refused, act.reasons, act.moved) == (1, 5, ("one", "two", "three"), 5.0)
    # And a later step adds none to three
    assert act.and_then(Step(["five"]), 6.0).reasons == ("one", "two", "three")
