"""The judge of `python -m benchmarks rules`: its figures are those of the simulator's record."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from sesq.config.embedded import EmbeddedRedis
from sesq.simulator import Simulator

ROOT = Path(__file__).parents[1]


def test_the_judge_counts_what_ses_has_seen(
    redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    rules, measure = (importlib.import_module(f"benchmarks.{name}") for name in ("rules", "measure"))
    mail = importlib.import_module("benchmarks.rules_mail")
    with Simulator() as ses:
        b = measure.Bench(redis_server.url, ses.endpoint_url)
        for name, value in b.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        # Given a bulk mail that arrives twice, and an urgent one half a second after it is queued
        b.set_up(rate=4)
        ses.freeze()
        mail.send(0)
        ses.advance(1.0)
        mail.send(0)
        asked = b.now()
        ses.advance(0.5)
        mail.send(2)
        # and a bulk mail that SES throttles
        b.ses("PUT", "/_sim/faults", {"throttle": {"count": 1}})
        with pytest.raises(mail.client().exceptions.TooManyRequestsException):
            mail.send(1)
        # When the judge looks, Then it finds them, and one mail in the second to which nine tenths had arrived
        seen = rules.judge(b, 2, [2], asked)
    assert (seen.throttles, seen.missing, seen.twice) == (1, 1, 1)
    assert seen.waits == pytest.approx([0.5])
    assert seen.of_the_rate == pytest.approx(1 / rules.RATE)
