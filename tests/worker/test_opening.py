"""What an account needs to be worked for: a region."""

from __future__ import annotations

import pytest
from redis import Redis

from sesq.config.errors import SettingsError
from sesq.config.settings import Settings
from sesq.worker.opening import open_account


def test_no_region(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given no region anywhere
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    # When an account is opened, then the error names the setting and the cure
    with pytest.raises(SettingsError, match=r"region.*AWS_REGION"):
        open_account(redis, "default", Settings())


def test_aws_region_counts_as_well(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given the variable that containers set, which boto3 does not read
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    # Then it is the account's region
    assert open_account(redis, "default", Settings()).rules.region == "eu-north-1"
