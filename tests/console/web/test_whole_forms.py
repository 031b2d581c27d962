"""Every form of the pages: where it leads, what is said there, and its line in the audit trail."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from busy_account import BusyAccount, read_transcript
from sesq.console.trail import read_trail
from sesq.queue.audit import audit
from visible import visible

PREVIEWS = read_transcript(Path(__file__).parent / "whole_previews.txt")
BY = "ops@here (console)"
NO_MORE = (
    "message <sent> is sent; only what is cancelled, expired, failed, refused, retrying, suppressed "
    "can become queued"
)
FORMS: list[tuple[str, dict[str, Any], str, str, str]] = [
    (
        "messages/act",
        {"verb": "cancel", "ids": "<queued>", "back": "messages/<queued>"},
        "messages/<queued>",
        "cancel: 1 done",
        "cancel: <queued>",
    ),
    (
        "messages/act",
        {"verb": "release", "ids": ["<held>"]},
        "messages",
        "release: 1 done",
        "release: <held>",
    ),
    (
        "messages/act",
        {"verb": "retry", "ids": ["<failed>", "<sent>"]},
        "messages",
        f"retry: 1 done, 1 not; {NO_MORE}",
        "retry: <failed>",
    ),
    (
        "messages/act",
        {"verb": "retry", "ids": "<failed>", "back": "//evil.example"},
        "messages",
        "retry: 1 done",
        "retry: <failed>",
    ),
    (
        "messages/act",
        {"verb": "resolve as sent", "ids": "<unknown>"},
        "messages",
        "resolve as sent: 1 done",
        "resolve as sent: <unknown>",
    ),
    (
        "acts",
        {
            "verb": "release",
            "which": '{"waiting": "recipient:bob@example.org"}',
            "number": 2,
            "at": 1_700_002_800,
            "back": "identities",
        },
        "identities",
        "release: 2 done",
        "release: 2 of 2 that are held, waiting for recipient:bob@example.org",
    ),
    (
        "batches/<batch-running>/pause",
        {"reason": "a look"},
        "batches/<batch-running>",
        "pause: done",
        "pause batch <batch-running>",
    ),
    (
        "batches/<batch-paused>/resume",
        {},
        "batches/<batch-paused>",
        "resume: done",
        "resume batch <batch-paused>",
    ),
    (
        "batches/<batch-paused>/cancel",
        {},
        "batches/<batch-paused>",
        "cancel: done",
        "cancel batch <batch-paused>",
    ),
    (
        "quota/set",
        {"rate": "2/second", "for": "1h"},
        "quota",
        "Changed: rate. In force now, in every worker.",
        "set rate",
    ),
    (
        "quota/set",
        {"daily": "500", "burst": "2", "margin": "0.1", "reserve": "5%"},
        "quota",
        "Changed: daily, burst, margin, reserve. In force now, in every worker.",
        "set daily, burst, margin, reserve",
    ),
    (
        "quota/reset",
        {"limit": "rate"},
        "quota",
        "Reset. sesq.toml or SES gives the limit again.",
        "reset rate",
    ),
    (
        "quota/reset",
        {"limit": "all"},
        "quota",
        "Reset. sesq.toml or SES gives the limit again.",
        "reset rate, daily, burst, margin, reserve",
    ),
    ("quota/undo", {"at": "1700001540.0"}, "quota", "Undone.", "reset burst"),
    (
        "quota/ramp",
        {"from": " 20 ", "to": "100/day", "over": "3d"},
        "quota",
        "The ramp is in place. In force now, in every worker.",
        "ramp",
    ),
    (
        "quota/pause",
        {"reason": " a look "},
        "quota",
        "All mail is paused until somebody resumes it. Nothing goes.",
        "pause all mail",
    ),
    ("quota/resume", {}, "quota", "All mail goes again.", "resume all mail"),
    (
        "suppression/add",
        {"address": "bob@example.org", "reason": "complaint"},
        "suppression",
        "1 added.",
        "suppress (complaint) bob@example.org",
    ),
    (
        "suppression/add",
        {"address": "eve@example.org"},
        "suppression",
        "0 added.",
        "suppress (manual) eve@example.org",
    ),
    (
        "suppression/remove",
        {"address": "eve@example.org"},
        "suppression",
        "1 removed.",
        "no longer suppress eve@example.org",
    ),
]


@pytest.fixture
def account(redis: Redis) -> BusyAccount:
    return BusyAccount(redis)


@pytest.fixture
def visit(console: Callable[..., Any]) -> Any:
    made = console()
    made.session.cookies.set("sesq_zone", "Etc%2FUTC")
    return made


def _given(account: BusyAccount, form: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(account.unnamed(json.dumps(form))))


@pytest.mark.parametrize(("path", "form", "leads_to", "said", "noted"), FORMS)
def test_a_form(
    account: BusyAccount, visit: Any, path: str, form: dict[str, Any], leads_to: str, said: str, noted: str
) -> None:
    answer = visit.post(account.unnamed(path), _given(account, form), allow_redirects=False)
    where = account.named(answer.headers["location"])
    assert (answer.status_code, where) == (303, f"/accounts/default/{leads_to}")
    page = account.named(html.unescape(visit.get(answer.headers["location"]).text))
    kind = "said bad" if " not;" in said else "said"
    assert re.findall(r'<p class="([^"]*)" role="status">(.*?)</p>', page) == [(kind, said)]
    (deed,) = read_trail(account.redis, "default", 1)
    assert (deed.at, deed.by, account.named(deed.what)) == (account.now, BY, noted)
    assert audit(account.redis, sleep=lambda _: None) == []


PREVIEWED: dict[str, dict[str, Any]] = {
    "quota/preview rate": {"rate": "1/second", "for": "2h", "force": "true"},
    "quota/preview all": {"daily": "500", "burst": "2", "margin": "0.1", "reserve": "20%"},
    "quota/preview nothing": {},
    "quota/preview wrong": {"rate": "fast", "for": "2h"},
    "quota/ramp wrong": {"from": "20", "to": "10", "over": "3d"},
    "quota/set wrong": {"rate": "fast", "for": "2h"},
    "sandbox/apply marketing": {
        "mail_type": "MARKETING",
        "website": "https://x.example",
        "use_case": "News",
        "language": "JA",
        "contacts": "ada@example.org, bob@example.org",
    },
    "sandbox/apply nothing": {},
    "test nobody": {"kind": "formatted", "sender": "shop@example.com"},
    "suppression/add nobody": {"address": "nobody"},
}


@pytest.mark.parametrize("name", PREVIEWED)
def test_what_is_asked_before_it_is_done(account: BusyAccount, visit: Any, name: str) -> None:
    answer = visit.post(name.split()[0], PREVIEWED[name])
    told = [account.named(line) for line in visible(answer.text)][2:]
    assert [str(answer.status_code), *told] == PREVIEWS[name]
    assert account.redis.llen(account.keys.audit) == 1
