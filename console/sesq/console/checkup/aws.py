"""Whether this host can send: credentials, region, permissions, and what SES says of the account. Sends nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from redis import Redis

from sesq.config.errors import MissingPart, SettingsError
from sesq.config.parts import part
from sesq.config.quotas import format_daily, format_rate
from sesq.config.settings import AccountSettings, Settings
from sesq.console.checkup.check import Check, fail, ok, warn
from sesq.queue.addresses import parse_address
from sesq.queue.identities import Identities

if TYPE_CHECKING:
    from sesq.worker.account import Description

CREDENTIALS_CURE = "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or profile or role_arn in sesq.toml"
REGION_CURE = "set AWS_REGION, or region in sesq.toml"
SETTINGS_CURE = "set it right in sesq.toml, or in the environment (AWS_REGION, AWS_PROFILE, …)"
NETWORK_CURE = (
    "see that this host may reach it: firewall, proxy, and AWS_ENDPOINT_URL_SESV2 or endpoint_url if set"
)
SMTP_CURE = "see host, port, tls, user and password under [accounts.NAME.smtp] in sesq.toml"
RELAY_CURE = "nothing, where it is a relay: rate and daily of sesq.toml count, else 1/second and 200/day"
CURES = (
    (r"NoRegion|InvalidRegion", "region", REGION_CURE),
    (r"Endpoint|Connect|Timeout|SSL|Proxy|OSError|gaierror", "network", NETWORK_CURE),
)
"""What the code of a failure matches -> what is wrong, and its cure. Else it is the credentials."""
GET_ACCOUNT_CURE = "allow ses:GetAccount; until then the limits of sesq.toml count, else 1/second and 200/day"
LIST_CURE = (
    "allow ses:ListEmailIdentities, and see that the proxy or endpoint on the way lets it through; until then SES "
    "refuses what sesq could have held"
)
VERIFY_CURE = "sesq identities verify ADDRESS, or its whole domain"


def check_account(redis: Redis, account: str, settings: Settings, sender: str | None) -> Iterator[Check]:
    """Asks SES twice (the account, its identities), within its one control call a second over all processes."""
    try:
        with part("worker"):
            from sesq.worker.account import AccountUnavailable, AccountUnreadable, UnknownAccount
            from sesq.worker.opening import open_account
            from sesq.worker.transports import SendFailed
    except MissingPart as error:
        yield warn("boto3", f"not installed: this host can queue mail, not send it ({error})", str(error))
        return
    try:
        opened = open_account(redis, account, settings)
        opened.sender.transport.warm_up()
        yield _connection(settings.account(account), opened.rules.region)
        if isinstance(opened.sync.ses, UnknownAccount):
            yield warn("account", opened.sync.ses.why, RELAY_CURE)
            return
        described = opened.sync.ses.describe()
    except SendFailed as error:
        yield _no_connection(settings.account(account), error.verdict.code, error.verdict.reason)
    except AccountUnreadable as error:
        yield warn("permissions", f"the account may not be read: {error}", GET_ACCOUNT_CURE)
    except AccountUnavailable as error:
        yield fail("account", f"SES did not describe it: {error}", "see what SES says, and try again")
    except MissingPart as error:
        yield fail("endpoint_id", str(error), "install it where workers run, or leave endpoint_id out")
    except SettingsError as error:
        yield fail("settings", str(error), SETTINGS_CURE)
    else:
        yield from judge_account(described, sender, opened.sync.borrowed)
        yield from capped(settings.account(account), described)


def _connection(account: AccountSettings, region: str) -> Check:
    if account.transport == "smtp":
        return ok("smtp", f"{account.smtp.host or 'SES'} answers, and takes mail from this host")
    return ok("credentials", f"found; SES answers in {region}")


def _no_connection(account: AccountSettings, code: str, why: str) -> Check:
    if account.transport == "smtp":
        return fail("smtp", why, SMTP_CURE)
    for pattern, name, cure in CURES:
        if re.search(pattern, code):
            return fail(name, why, cure)
    return fail("credentials", why, CREDENTIALS_CURE)


def judge_account(
    described: Description, sender: str | None, borrowed: Collection[str] = ()
) -> Iterator[Check]:
    """What SES's own words mean for sending. `borrowed`: identities that other accounts let this one use."""
    if described.identities is None:
        yield warn("permissions", f"{described.unlisted_because}: SES judges them by itself", LIST_CURE)
    else:
        yield ok("permissions", "the account and its identities may be read")
    yield ok("mode", "production" if described.production else "sandbox: only verified recipients get mail")
    yield _sending(described)
    yield _quota(described)
    if described.identities is not None:
        known = Identities.from_names(described.identities.items(), borrowed)
        yield _sender(known, sender, described.identities)


def _sending(described: Description) -> Check:
    if described.paused_because:
        return fail(
            "sending",
            described.paused_because,
            "see the SES console, account dashboard; mail waits meanwhile",
        )
    return ok("sending", described.enforcement.lower() or "enabled")


def _quota(described: Description) -> Check:
    limits = f"{format_rate(described.rate)}, {format_daily(described.daily)}"
    used = f"{limits}, {described.sent:,.10g} sent in 24 hours by SES's own count"
    if 0 <= described.daily <= described.sent:
        return warn(
            "quota", f"{used}: the day is spent", "mail waits until recipients free up; or ask SES for more"
        )
    return ok("quota", used)


def capped(account: AccountSettings, described: Description) -> Iterator[Check]:
    """Tells the limits of sesq.toml that do not count, since SES allows less."""
    for name, asked, allowed, written in (
        ("rate", account.rate, described.rate, format_rate),
        ("daily", account.daily, described.daily, format_daily),
    ):
        if asked is not None and allowed >= 0 and not 0 <= asked <= allowed:
            told = f"{written(asked)} in sesq.toml is above the {written(allowed)} that SES allows"
            yield ok(name, f"{told}, so SES's limit is in force")


def _sender(identities: Identities, sender: str | None, named: dict[str, bool]) -> Check:
    if sender is None:
        verified = sum(named.values())
        if verified:
            return ok("sender", f"{verified} verified identities; --from ADDRESS checks one")
        return fail("sender", "no identity is verified, so nothing can be sent", VERIFY_CURE)
    spec = parse_address(sender, "--from").spec
    if identities.covers_sender(spec):
        return ok("sender", f"{spec} may send")
    return fail("sender", f"{spec} is not verified", VERIFY_CURE)
