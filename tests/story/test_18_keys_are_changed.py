"""The AWS keys are changed under running processes: mail, account sync and events go on without a restart."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sesq.queue.snapshot import read_snapshot
from sesq.queue.states import State
from system import System, eventually

KEY = "[default]\naws_access_key_id = {0}\naws_secret_access_key = secret of {0}\n"


@pytest.fixture
def rotating(system: Any, tmp_path: Path) -> Iterator[System]:
    """A worker and a reader of events, with keys from a file."""
    file = tmp_path / "credentials"
    settings = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(file),
    }
    s: System
    with system(
        max_send_rate=50, max_24_hour_send=1000, keys={"AK0": "secret of AK0"}, settings=settings
    ) as s:
        file.write_text(KEY.format("AK0"))
        s.environment["AWS_ENDPOINT_URL_SQS"] = s.ses.endpoint_url
        s.environment["SESQ_ACCOUNTS__DEFAULT__EVENTS__QUEUE_URL"] = (
            f"{s.ses.endpoint_url}/000000000000/events"
        )
        s.ses.set_events(queue="events")
        s.start_workers(1)
        s.start("sesq.console", "events")
        yield s


def change_at_aws(s: System, key: str) -> None:
    """The old one ends at once."""
    s.ses.cloud.keys[key] = f"secret of {key}"
    for other in [each for each in s.ses.cloud.keys if each != key]:
        del s.ses.cloud.keys[other]


def test_all_of_them_go_on_with_the_new_keys(rotating: System, tmp_path: Path) -> None:
    s, rates = rotating, itertools.count(60)
    for number in range(3):
        key, rate = f"AK{number + 1}", next(rates)
        # When the file is written, and the old key ends
        (tmp_path / "credentials").write_text(KEY.format(key))
        change_at_aws(s, key)
        s.ses.set_account(max_send_rate=rate)
        s.send(5)
        # Then mail leaves, the account is read and what became of the mail is heard
        eventually(lambda: read_snapshot(s.redis, "default").rate == rate, f"the rate is {rate}")  # noqa: B023
        s.wait_for(State.DELIVERED, 5 * (number + 1))
    assert s.ses.report()["duplicates"] == 0


def test_what_was_refused_before_the_file_is_written_goes_after_it(rotating: System, tmp_path: Path) -> None:
    s = rotating
    s.send(1)
    s.wait_for(State.DELIVERED, 1)
    # When the key ends, and nobody has written another one yet
    change_at_aws(s, "AK1")
    s.send(5)
    s.wait_for(State.HELD, 5)
    # Then all goes once there is one
    (tmp_path / "credentials").write_text(KEY.format("AK1"))
    s.wait_for(State.DELIVERED, 6)
    assert s.ses.report()["duplicates"] == 0
