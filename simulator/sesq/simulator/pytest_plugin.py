"""For other projects' tests: `def test_it(ses_simulator): …` runs against a fresh SES on localhost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sesq.simulator.simulator import Simulator


@pytest.fixture
def ses_simulator() -> Iterator[Simulator]:
    """Starts SES with a sandbox account in every region, and no limit for control calls; see `Simulator`."""
    # pytest loads this file in every run if sesq is installed, so the server is imported only here
    try:
        from sesq.simulator import Simulator
    except ModuleNotFoundError as error:
        pytest.fail(str(error), pytrace=False)

    with Simulator(control_rate=None) as simulator:
        yield simulator
