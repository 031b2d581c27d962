"""A batch of which Redis has lost a chunk: every page and command that shows it answers, before and after a repair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from batch_stage import BatchStage
from sesq.queue.audit import repair


@pytest.mark.parametrize("kinds", [["chunk"], ["rows"], ["chunk", "rows"], ["chunk", "rows", "log"]])
def test_every_page_and_command_shows_it(
    redis: Redis, console: Callable[..., Any], run: Callable[..., Any], kinds: list[str]
) -> None:
    # Given a batch that is half sent, and a chunk of it that is lost
    stage = BatchStage(redis)
    taken = stage.take(6)
    stage.send(2)
    stage.grant(1)
    redis.delete(*(f"sesq:default:{kind}:{taken.id}-0" for kind in kinds))
    visit = console()

    def look() -> None:
        for command in (("batch", "show"), ("batch", "show", "--json"), ("batch", "report")):
            name, word, *options = command
            assert run(name, word, taken.id, *options).exit_code == 0, command
        assert run("messages", "show", f"{taken.id}-0-4").exit_code in (0, 1)
        for page in (f"batches/{taken.id}", f"/api/v1/accounts/default/batches/{taken.id}/recipients"):
            assert visit.get(page).status_code == 200, page

    # Then it is shown
    look()
    # When it is repaired, Then it is shown as well, and its report names each row, and why it was not sent
    repair(redis, sleep=lambda _: None)
    look()
    lines = run("batch", "report", taken.id).stdout.splitlines()
    assert [line.partition(",")[0] for line in lines[1:]] == [f"{taken.id}-0-{row}" for row in range(6)]
    assert "rows 1 to 500 of the source" in lines[-1]
