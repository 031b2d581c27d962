"""Every setting: its kind, bounds and default, and that it comes from the file and from the environment as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from busy_account import read_transcript
from sesq.config.errors import SettingsError
from sesq.config.settings import AccountSettings, Settings

ARN = "arn:aws:ses:eu-west-1:123456789012:identity/partner.example"
GIVEN: dict[str, tuple[Any, Any]] = {
    "redis_url": ("redis://h/3", "redis://h/3"),
    "redis_timeout_seconds": (2.5, 2.5),
    "data_dir": ("/var/lib/sesq", Path("/var/lib/sesq")),
    "mail_domain": ("example.com", "example.com"),
    "sync_seconds": (30, 30.0),
    "lease_seconds": (20, 20.0),
    "keep_days": (0.5, 0.5),
    "keep_content": (True, True),
    "on_unverified": ("refuse", "refuse"),
    "redirect_to": ("qa@example.com", "qa@example.com"),
    "on_unknown": ("resend", "resend"),
    "on_restore": ("send", "send"),
    "concurrency": (3, 3),
    "log_level": ("debug", "DEBUG"),
    "log_format": ("json", "json"),
    "retry.max_attempts": (4, 4),
    "accounts.shop.region": ("eu-west-1", "eu-west-1"),
    "accounts.shop.profile": ("ses", "ses"),
    "accounts.shop.role_arn": ("arn:aws:iam::1:role/ses", "arn:aws:iam::1:role/ses"),
    "accounts.shop.endpoint_url": ("http://127.0.0.1:9797", "http://127.0.0.1:9797"),
    "accounts.shop.endpoint_id": ("abc.def", "abc.def"),
    "accounts.shop.dual_stack": (True, True),
    "accounts.shop.transport": ("smtp", "smtp"),
    "accounts.shop.tenant": ("acme", "acme"),
    "accounts.shop.identity_arns": ([ARN], (ARN,)),
    "accounts.shop.rate": ("1 per 2 seconds", 0.5),
    "accounts.shop.daily": ("unlimited", -1.0),
    "accounts.shop.burst": (5, 5.0),
    "accounts.shop.margin": (0.25, 0.25),
    "accounts.shop.reserve": ("10%", "10%"),
    "accounts.shop.bulk_window": ("mon-fri 09:00-17:00 UTC", "Mon-Fri 09:00-17:00 UTC"),
    "accounts.shop.smtp.host": ("mail.example.com", "mail.example.com"),
    "accounts.shop.smtp.port": (2587, 2587),
    "accounts.shop.smtp.tls": ("tls", "tls"),
    "accounts.shop.smtp.ca_file": ("/etc/ca.pem", Path("/etc/ca.pem")),
    "accounts.shop.smtp.user": ("AKID", "AKID"),
    "accounts.shop.smtp.password": ("p", SecretStr("p")),
    "accounts.shop.smtp.password_file": ("/etc/p", Path("/etc/p")),
    "accounts.shop.events.configuration_set": ("news", "news"),
    "accounts.shop.events.queue_url": ("https://sqs/q", "https://sqs/q"),
    "accounts.shop.events.topic_arn": ("arn:aws:sns:eu-west-1:1:t", "arn:aws:sns:eu-west-1:1:t"),
    "accounts.shop.events.on_reputation": ("warn", "warn"),
    "accounts.shop.events.suppress_possible_complainers": (True, True),
}
"""Setting -> how it is written, and what it is then."""
DEFAULTS: dict[str, Any] = {
    "redis_timeout_seconds": 5.0,
    "sync_seconds": 60.0,
    "lease_seconds": 30.0,
    "keep_days": 14.0,
    "keep_content": False,
    "on_unverified": "hold",
    "on_unknown": "hold",
    "on_restore": "hold",
    "concurrency": 16,
    "log_level": "INFO",
    "log_format": "text",
    "retry.max_attempts": 10,
    "accounts.shop.transport": "ses",
    "accounts.shop.dual_stack": False,
    "accounts.shop.identity_arns": (),
    "accounts.shop.smtp.port": 587,
    "accounts.shop.smtp.tls": "starttls",
    "accounts.shop.events.on_reputation": "pause_bulk",
    "accounts.shop.events.suppress_possible_complainers": False,
}
"""What is not None where it is not given; the folder of data is another one for each user."""
ERRORS = read_transcript(Path(__file__).parent / "whole_errors.txt")
"""A line of sesq.toml -> what is said of it."""


def _keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if name == "accounts":
            yield from _keys(AccountSettings, "accounts.shop.")
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{above}{name}.")
        elif name != "webhooks":  # these have tests of their own
            yield above + name


def _value(settings: Any, key: str) -> Any:
    for step in key.split("."):
        settings = settings[step] if isinstance(settings, dict) else getattr(settings, step)
    return settings


def test_each_setting_is_named_here() -> None:
    assert set(GIVEN) == set(_keys(Settings))


@pytest.mark.parametrize("key", GIVEN)
def test_it_comes_from_the_file_and_from_the_environment(key: str, tmp_path: Path) -> None:
    written, meant = GIVEN[key]
    file = tmp_path / "sesq.toml"
    file.write_text(f"{key} = {json.dumps(written)}\n")
    variable = f"SESQ_{key.replace('.', '__').upper()}"
    of_env = json.dumps(written) if isinstance(written, list) else str(written)
    shop = {"SESQ_ACCOUNTS__SHOP__REGION": "eu-west-1"}
    for settings in (
        Settings.load(file, {}),
        Settings.load(env={variable: of_env, "HOME": str(tmp_path)}),
    ):
        assert _value(settings, key) == meant
    # and it alone is another than by default
    others = [each for each in GIVEN if each not in (key, "data_dir", "accounts.shop.region")]
    settings = Settings.load(env={**shop, variable: of_env, "HOME": str(tmp_path)})
    assert {each: _value(settings, each) for each in others} == {each: DEFAULTS.get(each) for each in others}


@pytest.mark.parametrize("line", ERRORS)
def test_what_is_said_of_a_wrong_setting(line: str, tmp_path: Path) -> None:
    file = tmp_path / "sesq.toml"
    file.write_text(line.replace("; ", "\n"))
    with pytest.raises(SettingsError) as raised:
        Settings.load(file, {})
    assert str(raised.value).replace(f"{tmp_path}/", "").splitlines() == ERRORS[line]
