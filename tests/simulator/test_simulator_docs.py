"""What can be set and what can be read is in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from sesq.simulator import Simulator
from sesq.simulator.control import Control
from sesq.simulator.errors import TEXT, WIRE
from sesq.simulator.events.fate import FATES
from sesq.simulator.events.publisher import EventSettings
from sesq.simulator.faults import Faults
from sesq.simulator.settings import AccountSettings

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text("utf-8")
ses = Simulator()
TEXTS_OF_OURS = {
    "access_denied",
    "expired_token",
    "timeout",
    "internal_error",
    "unavailable",
    "reset",
    "rejected",
}


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            *AccountSettings.model_fields,
            *EventSettings.model_fields,
            *Faults.model_fields,
            *(word for fate in FATES for word in fate.split(":")),
            *ses.report(),
            *(route.path.partition("{")[0] for route in Control(ses.cloud).routes()),
        }
    ),
)
def test_is_documented(name):
    assert name in PAGE


@pytest.mark.parametrize(
    "kind", sorted(TEXT.keys() - TEXTS_OF_OURS - {"suspended", "configuration_set_paused"})
)
def test_words_of_ses_are_documented(kind):
    assert TEXT[kind][:25] in PAGE
    assert WIRE[kind].v2_code in PAGE
