"""Random traffic under a moving clock, against a model that counts everything again each time."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from sesq.simulator.account import Account
from sesq.simulator.clock import GRACE, Clock
from sesq.simulator.errors import SesError
from sesq.simulator.mail import Mail
from sesq.simulator.record import Record
from sesq.simulator.settings import AccountSettings

DAY = 86_400.0
START = 1_800_000_000.0


@dataclass
class Model:
    """No state but the history, replayed for every question."""

    history: list[tuple[str, float, float, float]] = field(default_factory=list)

    @property
    def accepted(self) -> list[tuple[float, int, int]]:
        """When, recipients, and those that count for the day."""
        return [
            (when, int(first), int(second)) for kind, when, first, second in self.history if kind == "sent"
        ]

    @property
    def burst(self) -> float:
        return [burst for kind, _, _, burst in self.history if kind == "quota"][-1]

    def tokens(self, now: float) -> float:
        _, at, rate, burst = self.history[0]
        level = burst
        for kind, when, first, second in self.history[1:]:
            level, at = min(burst, level + (when - at) * rate), when
            if kind == "sent":
                level -= first
            else:
                rate, burst = first, second
                level = min(burst, level)
        return min(burst, level + (now - at) * rate)

    def in_day(self, now: float) -> int:
        return sum(counted for when, _, counted in self.accepted if when > now - DAY + GRACE)

    def most_in(self, span: float, column: int) -> int:
        accepted = self.accepted
        windows = [
            sum(entry[column] for entry in accepted if start <= entry[0] < start + span - GRACE)
            for start, *_ in accepted
        ]
        return max(windows, default=0)


SENDS = st.tuples(
    st.just("send"), st.one_of(st.just(1), st.integers(1, 50)), st.sampled_from([0, 0, 0, 1, 3])
)
# Often to the very edge of a day, from either side.
WAITS = st.tuples(
    st.just("wait"),
    st.one_of(st.sampled_from([0.1, 0.5, 1.0, 30.0, 3600.0, DAY - 30.0, DAY - 1.0, DAY]), st.floats(0, 7200)),
    st.none(),
)
CHANGES = st.tuples(
    st.just("quota"), st.sampled_from([0.5, 1.0, 3.0, 14.0]), st.sampled_from([None, 1.0, 5.0])
)


@example(rate=14.0, quota=2.0, steps=[("send", 2, 0), ("wait", DAY - 30.0, None), ("send", 1, 0)])
@example_settings(max_examples=200, deadline=None)
@given(
    rate=st.sampled_from([0.5, 1.0, 2.5, 14.0]),
    quota=st.sampled_from([2.0, 5.0, 60.0, 200.0]),
    steps=st.lists(st.one_of(SENDS, SENDS, WAITS, WAITS, CHANGES), max_size=60),
)
def test_both_limits_agree_with_brute_force(rate, quota, steps):
    now = [START]
    clock = Clock(lambda: now[0])
    settings = AccountSettings(production_access=True, max_send_rate=rate, max_24_hour_send=quota)
    account = Account("us-east-1", settings, clock, Record(10_000, 1_000))
    account.identities.verify("example.com", START)
    model = Model([("quota", START, rate, max(1.0, rate))])
    for step, first, second in steps:
        if step == "wait":
            now[0] += first
        elif step == "quota":
            account.change({"max_send_rate": first, "burst": second})
            model.history.append(("quota", now[0], first, second or max(1.0, first)))
        else:
            _send(account, model, now[0], first, min(second, first), quota)
    report = account.record.report()
    assert report["max_recipients_in_1s"] == model.most_in(1.0, 1)
    assert report["max_recipients_in_24h"] == model.most_in(DAY, 2) <= quota
    assert report["recipients"] == sum(recipients for _, recipients, _ in model.accepted)


def _send(account: Account, model: Model, now: float, recipients: int, simulated: int, quota: float) -> None:
    to = ["success@simulator.amazonses.com"] * simulated + ["ada@example.org"] * (recipients - simulated)
    counted = recipients - simulated
    burst = model.burst
    tokens = model.tokens(now)
    expected = None
    if tokens + GRACE < min(recipients, burst):
        expected = "throttle"
    elif counted and model.in_day(now) + counted > quota:
        expected = "daily"
    try:
        account.send(lambda: Mail("shop@example.com", to=to, recipients=to))
        outcome = None
        model.history.append(("sent", now, recipients, counted))
    except SesError as error:
        outcome = error.kind
    # A token that is there to within rounding may be judged either way.
    if abs(tokens - min(recipients, burst)) > 1e-4:
        assert outcome == expected
