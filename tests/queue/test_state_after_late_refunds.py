"""All that changes in SES's bucket when tokens come back that were charged to it without an answer."""

from __future__ import annotations

import pytest

from scene import Scene
from sesq.queue.results import put_back


@pytest.mark.parametrize(("which", "level"), [(0, 9.0), (1, 10.0)])
def test_of_two_that_were_charged_one_after_the_other_the_last_alone_is_undone(
    scene: Scene, which: int, level: float
) -> None:
    # Given an account of 10 a second, and two mails of which nobody heard, each charged when it must have left
    scene.sync(rate=10.0)
    scene.pass_time(10)
    grants = []
    for _ in range(2):
        scene.queue()
        grants += scene.ask().grants
        scene.pass_time(0.7)
    # When one of them comes back unused
    scene.see()
    scene.gate.settle([put_back(grants[which], "not in turn")])
    # Then the first, after which SES's bucket was changed again, adds nothing to it
    found = float(scene.redis.hget(scene.keys.gate, "ses_level") or 0)
    assert found == level
