"""For other projects' tests: `def test_it(ses_simulator): …` runs against a fresh SES on localhost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sesq.simulator.simulator import Simulator


@pytest.fixture
def ses_simulator() -> Iterator[Simulator]:
    """A sandbox account in every region, control calls unthrottled; see `Simulator` for what can be asked of it."""
    # pytest loads this file in every run of everybody who installed sesq: the server is imported when
    # asked for.
    try:
        from sesq.simulator import Simulator
    except ModuleNotFoundError as error:
        pytest.fail(str(error), pytrace=False)

    with Simulator(control_rate=None) as simulator:
        yield simulator
