"""Alerts: each problem once, with a link or a button that leads to its cure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from sesq.console.checkup import Check, Status
from sesq.console.overview import Overview
from sesq.console.why import tell
from sesq.queue.keys import Keys


@dataclass(frozen=True, slots=True)
class Way:
    """A link to a page of the account. With `fields` it is a button, which posts them there."""

    label: str
    path: str
    fields: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """A check that found something, and what to do about it."""

    check: Check
    ways: tuple[Way, ...] = field(default=())


def read_alerts(view: Overview, checks: Iterable[Check]) -> tuple[list[Alert], list[str]]:
    """Returns the alerts, and the reasons why mail waits that no alert names already."""
    found = [each for each in checks if each.status is not Status.OK]
    said = {each.about for each in found}
    said |= {"damaged" for about in said if about.startswith("damaged:")}
    said |= {about.replace("tenant_stopped:", "held:tenant:") for about in said}
    others = [told.text for told in tell(view) if told.about not in said]
    return [Alert(each, ways_of(view.account, each)) for each in found], others


def ways_of(account: str, check: Check) -> tuple[Way, ...]:
    """Returns the links and buttons of a check. Every check has one."""
    kind, _, rest = check.about.partition(":")
    return WAYS[kind](account, rest) if kind in WAYS else (Way("Messages", "messages"),)


def _resume(mail: str, label: str) -> Callable[[str, str], tuple[Way, ...]]:
    return lambda _account, _rest: (Way(label, "quota/resume", {"mail": mail, "back": "overview"}),)


def _resume_tenant(_account: str, tenant: str) -> tuple[Way, ...]:
    if not tenant:
        return (Way("Quota", "quota"),)
    fields = {"tenant": tenant, "back": "overview"}
    return (Way(f"Resume bulk mail of {tenant}", "quota/resume", fields),)


def _page(label: str, path: str) -> Callable[[str, str], tuple[Way, ...]]:
    return lambda _account, _rest: (Way(label, path),)


def _waiting(kind: str = "") -> Callable[[str, str], tuple[Way, ...]]:
    """Leads to the messages that wait for the check's subject."""
    return lambda _account, rest: (
        Way(
            "The messages that wait",
            f"messages?{urlencode({'waiting': ':'.join(filter(None, (kind, rest)))})}",
        ),
    )


def _batch(_account: str, batch: str) -> tuple[Way, ...]:
    return (Way("The batch", f"batches/{quote(batch)}"),) if batch else (Way("Quota", "quota"),)


def _damaged(account: str, key: str) -> tuple[Way, ...]:
    """Leads to the batch, the message or the account to which a damaged key belongs."""
    for kind, label, page in (
        (Keys(account).batch(""), "The batch", "batches/"),
        (Keys(account).message(""), "The message", "messages/"),
    ):
        if key.startswith(kind):
            return (Way(label, page + quote(key.removeprefix(kind))),)
    return (Way("Limits and history", "quota"),)


ASK_SES = Way("Ask SES now", "quota/sync", {})
WAYS: Mapping[str, Callable[[str, str], tuple[Way, ...]]] = {
    "suspended": _page("Workers", "overview#workers"),
    "paused": _resume("all", "Resume all mail"),
    "bulk_paused": _resume("bulk", "Resume bulk mail"),
    "tenant_paused": _resume_tenant,
    "tenant_stopped": _waiting("tenant"),
    "ses_paused": lambda _account, _rest: (ASK_SES, Way("What SES says", "sandbox")),
    "unsynced": lambda _account, _rest: (ASK_SES,),
    "ramp_stands_still": _page("The ramp", "quota"),
    "workers": _page("The messages that wait", "messages?state=queued"),
    "lane": _page("The messages that wait", "messages?state=queued"),
    "held": _waiting(),
    "permissions": _page("What SES allows", "sandbox"),
    "restored": lambda _account, _rest: _waiting()("", "restore"),
    "damaged": _damaged,
    "batch": _batch,
    "send window": _page("Quota", "quota"),
    "unknown": _page("Settle them", "messages?state=unknown"),
    "webhooks": _page("Webhooks", "webhooks"),
    "reputation": _page("Where they come from", "reputation"),
}
"""What an alert is about -> its links and buttons."""
