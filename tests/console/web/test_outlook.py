"""What limits would be in force after a change, whatever SES allows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis import Redis

from sesq.console.overview import Overview, read_overview
from sesq.console.web.outlook import changed
from sesq.queue.ramp import start_ramp
from stage import Stage


@pytest.fixture
def view(redis: Redis) -> Overview:
    """50,000 a day, 100 a second; a fifth of the rate is withheld after a throttle."""
    Stage(redis)
    view = read_overview(redis, "default")
    return replace(view, usage=replace(view.usage, slow=0.2))


@pytest.mark.parametrize(
    ("ses", "asked", "kept", "forced"),
    [
        (100.0, "10/second", 10, 10),
        (100.0, "100/second", 100, 100),
        (100.0, "200/second", 100, 200),
        (0.0, "10/second", 0, 10),
        (-1.0, "200/second", 200, 200),
        (None, "200/second", 200, 200),
    ],
)
def test_the_rate(view: Overview, ses: float | None, asked: str, kept: float, forced: float) -> None:
    view = replace(view, snapshot=replace(view.snapshot, rate=ses))
    for force, rate in ((False, kept), (True, forced)):
        after = changed(view, {"rate": asked}, force=force)
        assert (after.rate, after.pace) == (rate, pytest.approx(rate * 0.8 * (1 - view.usage.margin)))


@pytest.mark.parametrize(
    ("asked", "daily", "growth"),
    [
        ({"daily": "150"}, 100, [(150, 15), (150, 15)]),
        ({"daily": "50"}, 50, [(50, 5), (50, 5)]),
        ({"reserve": "30"}, 100, [(200, 30), (400, 30)]),
        ({"reserve": "50%"}, 100, [(200, 100), (400, 200)]),
        ({"rate": "7"}, 100, [(200, 20), (400, 40)]),
    ],
)
def test_a_ramp_limits_what_a_change_allows(
    redis: Redis, asked: dict[str, str], daily: float, growth: list[tuple[float, float]]
) -> None:
    """What is told before a change is what the gate does after it."""
    stage = Stage(redis)
    stage.policy.set({"reserve": "10%"}, by="ada")
    start_ramp(redis, "default", 100, 400, 2 * 86_400, by="ada")
    told = changed(read_overview(redis, "default"), asked, force=False)
    assert (told.daily, [step[1:] for step in told.growth]) == (daily, growth)
    stage.policy.set(asked, by="ada")
    done = stage.gate.usage()
    names = ("rate", "pace", "daily", "ceiling", "reserve", "growth")
    assert {name: getattr(told, name) for name in names} == {name: getattr(done, name) for name in names}


@pytest.mark.parametrize(
    ("ses", "asked", "kept", "forced"),
    [
        (1000.0, "10/day", 10, 10),
        (1000.0, "1000", 1000, 1000),
        (1000.0, "2000/day", 1000, 2000),
        (1000.0, "unlimited", 1000, None),
        (0.0, "10/day", 0, 10),
        (0.0, "unlimited", 0, None),
        (-1.0, "10/day", 10, 10),
        (-1.0, "unlimited", None, None),
        (None, "10/day", 10, 10),
        (None, "unlimited", None, None),
    ],
)
def test_the_day(
    view: Overview, ses: float | None, asked: str, kept: float | None, forced: float | None
) -> None:
    view = replace(view, snapshot=replace(view.snapshot, daily=ses))
    for force, daily in ((False, kept), (True, forced)):
        assert changed(view, {"daily": asked}, force=force).daily == daily


@pytest.mark.parametrize(
    ("given", "reserve", "burst", "pace"),
    [
        ({"reserve": "30"}, 30, None, 80),
        ({"reserve": "10%"}, 5000, None, 80),
        ({"reserve": "10%", "daily": "5"}, 0, None, 80),
        ({"reserve": "100%", "daily": "20"}, 20, None, 80),
        ({"burst": "7"}, 0, 7, 80),
        ({"margin": "0.25"}, 0, None, 60),
        ({"margin": "0"}, 0, None, 80),
    ],
)
def test_reserve_burst_and_margin(
    view: Overview, given: dict[str, str], reserve: float, burst: float | None, pace: float
) -> None:
    after = changed(view, given, force=False)
    assert (after.reserve, after.burst) == (reserve, view.usage.burst if burst is None else burst)
    assert after.pace == pytest.approx(pace, rel=0.003)
