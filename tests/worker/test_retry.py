"""The retry policy: what follows from a verdict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.queue.grants import Grant
from sesq.queue.states import State
from sesq.worker.retry import RetryPolicy, decide
from sesq.worker.verdicts import Kind, Verdict

GRANT = Grant("m", "c")
POLICY = RetryPolicy(max_attempts=8)
HELD = {
    Kind.UNVERIFIED_RECIPIENT,
    Kind.UNVERIFIED_SENDER,
    Kind.CONFIGURATION,
    Kind.CREDENTIALS,
    Kind.UNRECOGNIZED,
}
WAITS = {Kind.RATE, Kind.THROTTLED, Kind.DAY_SPENT, Kind.PAUSED, Kind.SUSPENDED}

kinds = st.sampled_from(Kind)
attempts = st.integers(0, 20)
jitters = st.floats(0, 1)
answers = st.sampled_from(["hold", "resend"])


def verdict(kind: Kind) -> Verdict:
    return Verdict(kind, "Code", "text", "Because.", hold="sender:a@b.c")


def after(kind, attempts=0, on_unknown="hold", jitter=0.0):
    return decide(GRANT, verdict(kind), attempts, on_unknown, POLICY, jitter)


@given(kinds, attempts, answers, jitters)
def test_only_what_may_have_left_keeps_its_place_in_the_day(kind, tried, on_unknown, jitter):
    assert after(kind, tried, on_unknown, jitter).refund_day is (kind is not Kind.UNKNOWN)


@given(st.sampled_from(sorted(WAITS | HELD)), attempts, answers, jitters)
def test_waiting_and_being_held_spend_no_attempt(kind, tried, on_unknown, jitter):
    decision = after(kind, tried, on_unknown, jitter)

    assert decision.attempts == tried
    assert decision.state is not State.FAILED


@pytest.mark.parametrize(
    ("kind", "state", "flags"),
    [
        (Kind.RATE, State.QUEUED, (True, False, False)),
        (Kind.THROTTLED, State.RETRYING, (True, False, False)),
        (Kind.DAY_SPENT, State.QUEUED, (False, True, False)),
        (Kind.PAUSED, State.QUEUED, (False, False, True)),
        (Kind.SUSPENDED, State.QUEUED, (False, False, True)),
        (Kind.TRANSIENT, State.RETRYING, (False, False, False)),
        (Kind.REFUSED, State.REFUSED, (False, False, False)),
        (Kind.UNKNOWN, State.UNKNOWN, (False, False, False)),
    ],
)
def test_each_kind_has_its_state_and_what_it_tells_the_gate(kind, state, flags):
    decision = after(kind)

    assert decision.state is state
    assert (decision.throttled, decision.day_spent, bool(decision.paused)) == flags
    assert decision.reason == "Because."
    assert decision.hold is None


@pytest.mark.parametrize("kind", sorted(HELD))
def test_what_waits_for_no_time_is_held_with_what_it_waits_for(kind):
    decision = after(kind)

    assert (decision.state, decision.hold, decision.delay) == (State.HELD, "sender:a@b.c", 0)


def test_a_transient_failure_waits_longer_each_time_and_fails_at_last():
    decisions = [after(Kind.TRANSIENT, tried) for tried in range(8)]

    assert [decision.delay for decision in decisions] == [5, 10, 30, 120, 300, 600, 1200, 0]
    assert [decision.state for decision in decisions] == [State.RETRYING] * 7 + [State.FAILED]
    assert [decision.attempts for decision in decisions] == list(range(1, 9))
    assert "8 attempts" in decisions[-1].reason


def test_the_last_delay_repeats_for_a_patient_policy():
    patient = RetryPolicy(max_attempts=100)

    assert decide(GRANT, verdict(Kind.TRANSIENT), 50, "hold", patient, 0).delay == 1200


@given(st.integers(0, 6), jitters)
def test_jitter_only_stretches_a_delay_and_never_far(tried, jitter):
    plain, jittered = after(Kind.TRANSIENT, tried).delay, after(Kind.TRANSIENT, tried, jitter=jitter).delay

    assert plain <= jittered <= plain * 1.25


@given(jitters)
def test_a_throttle_for_unknown_reasons_waits_up_to_ten_minutes(jitter):
    assert 1 <= after(Kind.THROTTLED, jitter=jitter).delay <= 600


def test_an_unknown_is_sent_again_only_when_the_policy_says_so():
    assert after(Kind.UNKNOWN, on_unknown="hold").state is State.UNKNOWN
    resent = after(Kind.UNKNOWN, on_unknown="resend")
    assert (resent.state, resent.attempts, resent.delay) == (State.RETRYING, 1, 5)


def test_an_unknown_out_of_attempts_is_still_unknown_and_not_failed():
    assert after(Kind.UNKNOWN, attempts=7, on_unknown="resend").state is State.UNKNOWN
