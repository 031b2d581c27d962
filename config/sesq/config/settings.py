"""Loads the settings: `SESQ_*` variables over `sesq.toml` over defaults. `config/sesq.example.toml` explains every key.

The file is the one that $SESQ_CONFIG names, else ./sesq.toml, else ~/.config/sesq/sesq.toml. It may be missing. A
nested key is written with two underscores in the environment: SESQ_ACCOUNTS__SHOP__RATE="14/second".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sesq.config.account_names import ACCOUNT_NAME, LONGEST_ACCOUNT_NAME
from sesq.config.errors import InvalidPolicy, SettingsError
from sesq.config.essentials import LONGEST_KEEP_DAYS, LONGEST_TIMEOUT_SECONDS
from sesq.config.places import default_data_dir, expand, find_file
from sesq.config.quotas import parse_daily, parse_rate
from sesq.config.redis_url import parse_redis_url
from sesq.config.send_windows import parse_window
from sesq.config.sources import checked, read_settings
from sesq.config.webhook_settings import WebhookSettings, is_loopback

UNLIMITED = -1.0
"""A day without a limit of ours, as SES writes it."""


def _rate(value: str | float) -> float:
    try:
        return parse_rate(value)
    except InvalidPolicy as error:
        raise ValueError(str(error)) from error


def _daily(value: str | float) -> float | None:
    try:
        daily = parse_daily(value)
        return UNLIMITED if daily is None else daily
    except InvalidPolicy as error:
        raise ValueError(str(error)) from error


def _reserve(value: int | str) -> int | str:
    """Checks a number of recipients, or a share of the day such as `10%`."""
    number = str(value).removesuffix("%")
    share = number != str(value)
    if not number.isascii() or not number.isdigit() or (share and int(number) > 100):
        raise ValueError('allowed: a number of recipients, or a share of the day from "0%" to "100%"')
    return value if share else int(number)


def _window(value: str) -> str:
    try:
        return str(parse_window(value))
    except InvalidPolicy as error:
        raise ValueError(str(error)) from error


def _redis_url(value: str) -> str:
    parse_redis_url(value)
    return value


Rate = Annotated[float, BeforeValidator(_rate)]
Daily = Annotated[float | None, BeforeValidator(_daily)]
Reserve = Annotated[int | str, AfterValidator(_reserve)]
BulkWindow = Annotated[str, AfterValidator(_window)]
RedisUrl = Annotated[str, AfterValidator(_redis_url)]
AccountName = Annotated[str, Field(pattern=f"^{ACCOUNT_NAME}$", max_length=LONGEST_ACCOUNT_NAME)]
WebhookName = AccountName
MailDomain = Annotated[str, Field(pattern=r"^[^@\s.]+(\.[^@\s.]+)+$")]
Address = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]


Word = Annotated[str, Field(pattern=r"^\S(.*\S)?$")]
Region = Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
RoleArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\S+:role/\S+$")]
TopicArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sns:\S+$")]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]\S*$")]
IdentityArn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:ses:[a-z0-9-]+:\d{12}:identity/[^\s/]+$")]
HostLabels = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")]
SesName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""A name that SES accepts for a configuration set or a tenant."""


class SmtpSettings(BaseModel):
    """Holds the server and the user with which an account with `transport = "smtp"` sends."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: Word | None = None
    """None: SES's own in the account's region."""
    port: int = Field(default=587, ge=1, le=65_535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: Path | None = None
    user: Word | None = None
    password: SecretStr | None = None
    password_file: Path | None = None

    @model_validator(mode="after")
    def _nothing_in_the_clear(self) -> SmtpSettings:
        if self.tls == "none" and not is_loopback(self.host or ""):
            raise ValueError(
                'tls = "none" is for a relay on this machine: set host to 127.0.0.1, ::1 or localhost'
            )
        if self.password and self.password.get_secret_value() and self.password_file:
            raise ValueError("password and password_file: give one of them")
        return self

    def secret(self) -> str:
        """Returns the password, from its file if one is set. Raises SettingsError."""
        if self.password_file is None:
            return self.password.get_secret_value() if self.password else ""
        try:
            return expand(self.password_file).read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"smtp.password_file: {self.password_file} cannot be read: {error}"
            ) from error


class EventSettings(BaseModel):
    """Says how events of SES reach sesq. `sesq events setup` creates what these settings name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    configuration_set: SesName | None = None
    """For mail that names none: SES tells nothing about mail without one."""
    queue_url: HttpUrl | None = None
    """The SQS queue that `sesq events` reads."""
    topic_arn: TopicArn | None = None
    """The SNS topic whose notifications the HTTPS endpoint takes."""
    on_reputation: Literal["warn", "pause_bulk"] = "pause_bulk"
    suppress_possible_complainers: bool = False
    """Whether all possible complainers are suppressed if SES names several and cannot tell which one complained."""


class AccountSettings(BaseModel):
    """Holds the settings of one account. For what is not set, AWS's own settings or SES's limits count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: Region | None = None
    profile: Word | None = None
    role_arn: RoleArn | None = None
    endpoint_url: HttpUrl | None = None
    endpoint_id: HostLabels | None = None
    """The id of a Global endpoint of SES, which sends through two regions."""
    dual_stack: bool = False
    """Whether SES is reached over IPv6 where this host has it."""
    transport: Literal["ses", "smtp"] = "ses"
    smtp: SmtpSettings = SmtpSettings()
    events: EventSettings = EventSettings()
    tenant: SesName | None = None
    """The SES tenant of mail that names no tenant."""
    identity_arns: tuple[IdentityArn, ...] = ()
    """Identities that other accounts let this one use. Each is used for all mail from its addresses."""
    webhooks: dict[WebhookName, WebhookSettings] = Field(default_factory=dict)
    """Endpoints that get events about the account's messages."""
    rate: Rate | None = None
    """Recipients a second; None: SES's rate."""
    daily: Daily = None
    """Recipients in any 24 hours; None: SES's quota; -1: unlimited."""
    burst: float | None = Field(default=None, ge=1, allow_inf_nan=False)
    """Recipients that may go at once; None: half of what SES lets through."""
    margin: float | None = Field(default=None, ge=0.0, le=0.5)
    """The share of the rate that is left unused; None: the gate's default, a little more than the drift of clocks."""
    reserve: Reserve | None = None
    """Recipients of the day, or a share of it ("10%"), kept for transactional mail."""
    bulk_window: BulkWindow | None = None
    """The send window outside which no bulk mail goes."""

    @model_validator(mode="after")
    def _by_the_api_alone(self) -> AccountSettings:
        if self.transport == "smtp" and (self.endpoint_id or self.dual_stack):
            name = "endpoint_id" if self.endpoint_id else "dual_stack"
            raise ValueError(f'{name} works only with SES\'s API: leave it out, or set transport = "ses"')
        if self.dual_stack and self.endpoint_url:
            raise ValueError(
                "dual_stack and endpoint_url: leave one of them out, since each names SES's host"
            )
        names = [arn.rpartition("/")[2].lower() for arn in self.identity_arns]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"identity_arns: {twice} is there twice: keep the one whose owner lets you send")
        return self


class RetrySettings(BaseModel):
    """Says how often a message is tried while SES or the network fails."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: int = Field(default=10, ge=1, le=1_000_000)


class Settings(BaseSettings):
    """Holds all settings. `Settings.load()` reads file and environment; `Settings(...)` takes only its arguments."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="SESQ_", env_nested_delimiter="__", hide_input_in_errors=True
    )

    redis_url: RedisUrl | None = Field(default=None, repr=False)
    """None: the embedded Redis. Not in the repr: it may hold a password."""
    redis_timeout_seconds: float = Field(default=5.0, gt=0, le=LONGEST_TIMEOUT_SECONDS)
    data_dir: Path = Field(default_factory=lambda: default_data_dir(os.environ))
    mail_domain: MailDomain | None = None
    """The domain that sesq-sendmail adds to a name without one; None: that of /etc/mailname, else the host's own."""
    sync_seconds: float = Field(default=60.0, ge=1, le=86_400)
    lease_seconds: float = Field(default=30.0, ge=5, le=60)
    keep_days: float = Field(default=14.0, gt=0, le=LONGEST_KEEP_DAYS)
    keep_content: bool = False
    on_unverified: Literal["hold", "refuse", "redirect"] = "hold"
    redirect_to: Address | None = None
    on_unknown: Literal["hold", "resend"] = "hold"
    on_restore: Literal["hold", "send"] = "hold"
    concurrency: int = Field(default=16, ge=1, le=10_000)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"
    retry: RetrySettings = RetrySettings()
    accounts: dict[AccountName, AccountSettings] = Field(default_factory=dict, validate_default=True)

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("data_dir", mode="before")
    @classmethod
    def _not_empty(cls, value: object) -> object:
        if value == "":  # else it would be the working directory
            raise ValueError("allowed: the path of a folder")
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return expand(value).absolute()

    @field_validator("accounts")
    @classmethod
    def _with_default(cls, accounts: dict[str, AccountSettings]) -> dict[str, AccountSettings]:
        return {"default": AccountSettings(), **accounts}

    @model_validator(mode="after")
    def _redirect_has_a_target(self) -> Settings:
        if self.on_unverified == "redirect" and not self.redirect_to:
            raise ValueError('on_unverified = "redirect" needs redirect_to, a verified address')
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leaves only the arguments: `load` reads file and environment, so that an error can name the wrong one."""
        return (init_settings,)

    @classmethod
    def load(cls, path: Path | str | None = None, env: Mapping[str, str] | None = None) -> Settings:
        """Reads `path`, or the file that is found, and the variables of `env` (os.environ). Raises `SettingsError`."""
        env = os.environ if env is None else env
        file = Path(path) if path is not None else find_file(env)
        return checked(cls, *read_settings(cls, file, env), file)

    @property
    def smtp_accounts(self) -> frozenset[str]:
        """The accounts that send by SMTP."""
        return frozenset(name for name, account in self.accounts.items() if account.transport == "smtp")

    def account(self, name: str = "default") -> AccountSettings:
        """Returns the settings of one account. Raises `SettingsError` for a name that is not configured."""
        try:
            return self.accounts[name]
        except KeyError:
            known = ", ".join(sorted(self.accounts))
            raise SettingsError(f"account {name!r} is not configured; known accounts: {known}") from None
