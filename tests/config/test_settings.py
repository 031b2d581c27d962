from __future__ import annotations

import json
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sesq.config import places
from sesq.config.errors import SettingsError
from sesq.config.essentials import Essentials
from sesq.config.settings import AccountSettings, EventSettings, RetrySettings, Settings, SmtpSettings
from sesq.config.webhook_settings import WebhookSettings
from sesq.queue.careful_redis import connect

EXAMPLE = Path(__file__).parents[2] / "config" / "sesq.example.toml"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sesq.toml"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of this machine count: not the user's, and not a sesq.toml beside the tests."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)


def test_without_file_and_environment_the_defaults_count() -> None:
    settings = Settings.load(env={})
    assert settings == Settings()
    assert settings.account("default") == settings.account() == AccountSettings()
    assert (settings.redis_url, settings.sync_seconds, settings.on_unverified) == (None, 60, "hold")


def test_the_environment_counts_more_than_the_file_key_by_key(file: Path) -> None:
    # Given a file that sets two keys of an account
    file.write_text('concurrency = 4\n[accounts.shop]\nregion = "eu-west-1"\nrate = "14/second"\n')
    # When a variable sets one of them, and another a key of a table that the file has not
    env = {
        "SESQ_ACCOUNTS__SHOP__RATE": "1 per 2 seconds",
        "SESQ_RETRY__MAX_ATTEMPTS": "3",
        "SESQ_CONCURRENCY": "8",
    }
    settings = Settings.load(file, env)
    # Then the rest of the file still counts
    assert settings.account("shop") == AccountSettings(region="eu-west-1", rate=0.5)
    assert (settings.concurrency, settings.retry.max_attempts) == (8, 3)
    assert set(settings.accounts) == {"default", "shop"}


def test_the_file_is_the_one_named_else_here_else_in_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    places = [tmp_path / "named.toml", home / "sesq.toml", home / ".config/sesq/sesq.toml"]
    for number, place in enumerate(places, start=1):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"concurrency = {number}\n")
    env = {"HOME": str(home)}
    assert Settings.load(env={**env, "SESQ_CONFIG": str(places[0])}).concurrency == 1
    assert Settings.load(env=env).concurrency == 2
    places[1].unlink()
    assert Settings.load(env=env).concurrency == 3


@pytest.mark.parametrize(
    ("table", "key", "least", "most", "beyond"),
    [
        ("", "sync_seconds", 1, 86_400, (0.9, 86_401)),
        ("", "lease_seconds", 5, 60, (4.9, 60.1)),
        ("", "concurrency", 1, 10_000, (0, 10_001)),
        ("", "keep_days", 0.001, 36_500, (0, 36_501)),
        ("", "redis_timeout_seconds", 0.001, 3600, (0, 3601)),
        ("[retry]", "max_attempts", 1, 1_000_000, (0, 1_000_001)),
        ("[accounts.default]", "burst", 1, 1e9, (0.9,)),
        ("[accounts.default]", "margin", 0, 0.5, (-0.01, 0.501)),
        ("[accounts.default]", "reserve", 0, 10**9, (-1,)),
        ("[accounts.default]", "reserve", "'0%'", "'100%'", ("'101%'", "'-1%'")),
        ("[accounts.default.smtp]", "port", 1, 65_535, (0, 65_536)),
    ],
)
def test_exactly_the_bounds_are_taken_and_what_lies_beyond_is_refused(
    file: Path, table: str, key: str, least: object, most: object, beyond: tuple[object, ...]
) -> None:
    for value in (least, most):
        file.write_text(f"{table}\n{key} = {value}\n")
        Settings.load(file, {})
    for value in beyond:
        file.write_text(f"{table}\n{key} = {value}\n")
        with pytest.raises(SettingsError, match=key):
            Settings.load(file, {})


@pytest.mark.parametrize(
    ("text", "longest"),
    [("[accounts.{}]", 32), ("[accounts.default.events]\nconfiguration_set = '{}'", 64)],
)
def test_the_longest_name_is_taken_and_one_letter_more_is_refused(
    file: Path, text: str, longest: int
) -> None:
    file.write_text(text.format("a" * longest))
    Settings.load(file, {})
    file.write_text(text.format("a" * (longest + 1)))
    with pytest.raises(SettingsError, match="accounts"):
        Settings.load(file, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("on_unverifed = 'hold'", ["on_unverifed: unknown key", "did you mean on_unverified?", "redis_url"]),
        ("[accounts.shop]\nspeed = 1", ["accounts.shop.speed: unknown key", "region, profile"]),
        ("[retry]\ntimes = 1", ["retry.times: unknown key", "allowed: max_attempts"]),
        ("[accounts.default]\nrate = 'fast'", ["accounts.default.rate = 'fast'", "allowed", "14/second"]),
        (
            "[accounts.default]\ndaily = '9/hour'",
            ["accounts.default.daily = '9/hour'", "allowed", "50000/day"],
        ),
        ("[accounts.default]\nreserve = '110%'", ["accounts.default.reserve = '110%'", "allowed"]),
        ("[accounts.default]\nmargin = 0.6", ["accounts.default.margin = 0.6", "less than or equal to 0.5"]),
        ("[accounts.default]\ntransport = 'post'", ["accounts.default.transport = 'post'", "'ses'"]),
        ("[accounts.Shop]", ["accounts.Shop", "should match pattern"]),
        ("concurrency = 'many'", ["concurrency = 'many'", "valid integer"]),
        ("on_unknown = 'ask'", ["on_unknown = 'ask'", "'hold' or 'resend'"]),
        ("on_unverified = 'redirect'", ["needs redirect_to"]),
        ("redis_url = 'http://u:secret@h'", ["redis_url: ", "allowed", "redis://"]),
        ("xyz = 1", ["xyz: unknown key; allowed: redis_url, "]),
        ("rate = 14", ["rate: unknown key", "did you mean accounts.default.rate?"]),
        ("keep_days = inf", ["keep_days = inf", "less than or equal to 36500"]),
        ("redis_timeout_seconds = nan", ["redis_timeout_seconds = nan", "less than or equal to 3600"]),
        ("data_dir = ''", ["data_dir = ''", "allowed: the path of a folder"]),
        ("data_dir = '~nobody-of-that-name/x'", ["data_dir", "there is no such home directory"]),
        ("[accounts.default]\nburst = inf", ["accounts.default.burst = inf", "finite"]),
        ("[accounts.default]\nregion = 'EU West'", ["accounts.default.region = 'EU West'", "pattern"]),
        ("[accounts.default]\nregion = ''", ["accounts.default.region = ''", "pattern"]),
        ("[accounts.default]\nrole_arn = 'sender'", ["accounts.default.role_arn = 'sender'", "pattern"]),
        (
            "[accounts.default]\nendpoint_url = 'host:secret'",
            ["accounts.default.endpoint_url: ", "https?://"],
        ),
        (
            "[accounts.default.events]\nqueue_url = 'mail'",
            ["accounts.default.events.queue_url: ", "https?://"],
        ),
        ("accounts = 3", ["accounts = 3", "valid dictionary"]),
        ("sync_seconds = 'a\nb'", ["cannot be read as TOML"]),
    ],
)
def test_an_error_in_the_file_names_file_key_value_and_what_is_allowed(
    file: Path, text: str, said: list[str]
) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError) as raised:
        Settings.load(file, env={})
    for part in [str(file), *said]:
        assert part in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("SESQ_REDIS_ULR", "redis://h", "unknown key; did you mean redis_url?"),
        ("SESQ_CONCURRENCY", "many", "concurrency = 'many': "),
        ("SESQ_ACCOUNTS__DEFAULT__RATE", "fast", "'fast' is not a rate; allowed: "),
        ("SESQ_ACCOUNTS__DEFAULT__RAT", "1", "unknown key; did you mean rate?"),
        ("SESQ_RATE", "14/second", "unknown key; did you mean SESQ_ACCOUNTS__DEFAULT__RATE?"),
        ("SESQ_QUEUE_URL", "https://q", "did you mean SESQ_ACCOUNTS__DEFAULT__EVENTS__QUEUE_URL?"),
        ("SESQ_MAX_ATTEMPTS", "3", "did you mean SESQ_RETRY__MAX_ATTEMPTS?"),
        ("SESQ_RETRY", "many", "allowed: JSON, or one variable a key"),
    ],
)
def test_an_error_in_the_environment_names_the_variable(
    file: Path, variable: str, value: str, said: str
) -> None:
    file.write_text("concurrency = 4\n")
    with pytest.raises(SettingsError) as raised:
        Settings.load(file, env={variable: value})
    assert said in str(raised.value)
    assert variable.removeprefix("SESQ_").split("__")[0] in str(raised.value).upper()
    assert str(file) not in str(raised.value)


def test_a_file_may_begin_with_a_byte_order_mark(file: Path) -> None:
    """Windows editors write one."""
    file.write_bytes(b"\xef\xbb\xbf" + b'mail_domain = "example.com"\n')
    assert Settings.load(file, env={}).mail_domain == "example.com"
    assert Essentials.load({"SESQ_CONFIG": str(file)}).mail_domain == "example.com"


def test_a_user_without_a_home_needs_none_where_all_is_set(tmp_path: Path, nobody: None) -> None:
    """A container's user, without a name and without HOME."""
    env = {"SESQ_REDIS_URL": "redis://h/1", "SESQ_DATA_DIR": str(tmp_path)}
    for load in (Settings.load, Essentials.load):
        assert load(env=env).data_dir == tmp_path
        assert load(env={"SESQ_REDIS_URL": "redis://h/1"}).redis_url == "redis://h/1"
    with pytest.raises(SettingsError, match=r"SESQ_CONFIG: ~/sesq\.toml: there is no such home directory"):
        Settings.load(env={"SESQ_CONFIG": "~/sesq.toml"})


def test_such_a_user_is_told_what_the_embedded_redis_needs(
    nobody: None, monkeypatch: pytest.MonkeyPatch, short_path: Path
) -> None:
    (short_path / "file").touch()
    monkeypatch.setattr(
        places, "NO_HOME", short_path / "file"
    )  # nothing can be kept there, as under /nonexistent
    with pytest.raises(SettingsError, match="set SESQ_DATA_DIR to a folder of yours, or SESQ_REDIS_URL"):
        connect(settings=Settings.load(env={}))


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process runs as a user of whom the system knows nothing."""

    def unknown(_: object) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_every_error_is_told_at_once(file: Path) -> None:
    file.write_text("concurrency = 0\nkeep_days = -1\n")
    with pytest.raises(SettingsError) as raised:
        Settings.load(file, env={})
    assert len(str(raised.value).splitlines()) == 2


def test_a_file_that_is_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such settings file"):
        Settings.load(env={"SESQ_CONFIG": str(tmp_path / "gone.toml")})


def test_what_kubernetes_adds_for_a_service_called_sesq_is_no_setting() -> None:
    env = {"SESQ_SERVICE_HOST": "10.0.0.1", "SESQ_PORT": "tcp://10.0.0.1:80", "SESQ_PORT_80_TCP_PROTO": "tcp"}
    assert Settings.load(env=env) == Settings()


def test_an_account_that_is_not_configured_names_those_that_are() -> None:
    settings = Settings(accounts={"shop": AccountSettings()})
    with pytest.raises(
        SettingsError, match=re.escape("'news' is not configured; known accounts: default, shop")
    ):
        settings.account("news")


@pytest.mark.parametrize(
    ("smtp", "said"),
    [
        ({"tls": "none", "host": "mail.example.com"}, "for a relay on this machine"),
        ({"tls": "none"}, "for a relay on this machine"),
        ({"password": "hush", "password_file": "/x"}, "give one of them"),
        ({"pasword": "hush"}, "did you mean password?"),
        ({"port": 0}, "accounts.default.smtp.port = 0: "),
        ({"password": ["hush"]}, "accounts.default.smtp.password: "),
    ],
)
def test_smtp_is_safe_and_its_password_is_in_no_error(file: Path, smtp: dict[str, Any], said: str) -> None:
    file.write_text("".join([f"accounts.default.smtp.{k} = {json.dumps(v)}\n" for k, v in smtp.items()]))
    with pytest.raises(SettingsError) as raised:
        Settings.load(file, env={})
    assert said in str(raised.value)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_relay_on_this_machine_needs_no_tls(host: str) -> None:
    assert SmtpSettings(host=host, tls="none", port=25).secret() == ""


def test_the_smtp_password_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    password = {"SESQ_ACCOUNTS__DEFAULT__SMTP__PASSWORD": "12345"}
    smtp = Settings.load(env=password).account().smtp
    assert smtp.secret() == "12345"
    assert "12345" not in repr(smtp)
    (tmp_path / "secret").write_text("hush\n")
    assert SmtpSettings(password_file=tmp_path / "secret").secret() == "hush"
    with pytest.raises(SettingsError, match="cannot be read"):
        SmtpSettings(password_file=tmp_path / "gone").secret()


def test_settings_are_frozen_and_their_repr_has_no_password() -> None:
    settings = Settings(redis_url="redis://:secret@h")
    with pytest.raises(ValidationError):
        settings.concurrency = 1
    assert "secret" not in repr(settings)


def test_the_example_as_it_is_shipped_changes_nothing() -> None:
    assert Settings.load(EXAMPLE, env={}) == Settings()


def test_the_example_has_every_key_and_no_other(file: Path) -> None:
    # Given the example with every key taken into use
    file.write_text(re.sub(r"^#(\w+ = |\[)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE))
    # When it is loaded, Then it is right
    settings = Settings.load(file, env={})
    # And its keys are all there are
    assert settings.model_fields_set == set(Settings.model_fields)
    assert settings.retry.model_fields_set == set(RetrySettings.model_fields)
    assert settings.account().model_fields_set == set(AccountSettings.model_fields)
    assert settings.account().smtp.model_fields_set == set(SmtpSettings.model_fields)
    assert settings.account().events.model_fields_set == set(EventSettings.model_fields)
    assert settings.account().webhooks["app"].model_fields_set == set(WebhookSettings.model_fields)


def test_a_default_in_the_example_is_the_default(file: Path) -> None:
    file.write_text(re.sub(r"^#(\w+ = |\[)", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE))
    examples_without_default = {
        "redis_url",
        "mail_domain",
        "redirect_to",
        "region",
        "profile",
        "role_arn",
        "endpoint_url",
        "rate",
        "daily",
        "burst",
        "margin",
        "reserve",
        "bulk_window",
        "smtp",
        "events",
        "tenant",
        "endpoint_id",
        "identity_arns",
        "webhooks",
    }

    def comparable(settings: Settings) -> dict[str, Any]:
        values = settings.model_dump()
        return {
            k: v
            for k, v in {**values, **values["accounts"]["default"]}.items()
            if k not in {*examples_without_default, "accounts"}
        }

    loaded = Settings.load(file, env={})
    assert comparable(loaded) == comparable(Settings())
    assert loaded.account().events.on_reputation == EventSettings().on_reputation
    webhook = loaded.account().webhooks["app"]
    assert (webhook.recipients, webhook.allow_private, webhook.timeout_seconds) == (False, False, 10)
    assert (loaded.account().smtp.port, loaded.account().smtp.tls) == (587, "starttls")


def test_a_connection_by_url_does_not_load_the_settings_library() -> None:
    code = (
        "import sys; from sesq.config.connection import connect; connect('redis://localhost:1');"
        "sys.exit(any(name.startswith('pydantic') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
