"""For other projects' tests: `def test_it(sesq_outbox): …` records what the application queues; see `testing`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sesq.producer.testing import Recorded


@pytest.fixture
def sesq_outbox() -> Iterator[Recorded]:
    """Records what this test's application queues."""
    # pytest loads this file in every run of everybody who installed sesq: the outbox is imported when asked for.
    from sesq.producer.testing import outbox

    with outbox() as recorded:
        yield recorded
