"""What an account needs to be worked for: a region, and a Redis that is near."""

from __future__ import annotations

import pytest
from redis import Redis

from sesq.config.errors import SettingsError
from sesq.config.settings import Settings
from sesq.worker.desk import open_desk


def test_no_region(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given no region anywhere
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    # When an account is opened, then the error names the setting and the cure
    with pytest.raises(SettingsError, match=r"region.*AWS_REGION"):
        open_desk(redis, "default", Settings())


def test_aws_region_counts_as_well(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given the variable that containers set, which boto3 does not read
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    # Then it is the account's region
    assert open_desk(redis, "default", Settings()).rules.region == "eu-north-1"


def test_a_redis_that_is_far_away_is_named_once_a_minute(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    desk = open_desk(redis, "default", Settings())
    for seconds, now in ((0.05, 0.0), (0.13, 1.0), (0.13, 2.0), (0.14, 62.0)):
        desk._mind_the_distance(seconds, now)
    assert [record.getMessage()[:45] for record in caplog.records] == [
        "account default: Redis took 130 ms to answer ",
        "account default: Redis took 140 ms to answer ",
    ]
