"""Quotas of an account that is set up or shut, fractions, unlimited and huge: no screen falls over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from typer.testing import Result

from batch import template
from sesq.console.checkup.aws import judge_account
from sesq.producer import Message, Outbox
from sesq.producer.batch.batch_intake import numbered, take
from sesq.producer.batch.request import batch_request
from sesq.worker.account import Description
from sesq.worker.sync import AccountSync
from stage import Stage

Run = Callable[..., Result]
Console = Callable[..., Any]

QUOTAS = {
    "nothing": (0.0, 0.0, "0/second", "0/day"),
    "no rate": (0.0, 200.0, "0/second", "200/day"),
    "no day": (1.0, 0.0, "1/second", "0/day"),
    "less than one": (0.25, 0.5, "1 per 4 seconds", "0.5/day"),
    "next to nothing": (5e-324, 1e-9, "4.94066e-324/second", "1e-09/day"),
    "unlimited": (-1.0, -1.0, "unlimited", "unlimited"),
    "an unlimited day": (14.0, -1.0, "14/second", "unlimited"),
    "huge": (1e300, 1e300, "1e+300/second", "1e+300/day"),
}
COMMANDS = [
    "quota show",
    "quota show --json",
    "status",
    "status --json",
    "messages list",
    "messages list --json",
    "messages show MESSAGE",
    "messages show MESSAGE --json",
    "batch list",
    "batch show BATCH",
    "batch show BATCH --json",
    "sandbox status",
    "sandbox status --json",
    "quota set --burst 5 --margin 0.1 --reserve 10%",
    "quota set --rate 5/second --daily 100/day --force",
    "quota show --json",
    "quota history",
]
PAGES = [
    "overview",
    "messages",
    "messages/MESSAGE",
    "batches",
    "batches/BATCH",
    "quota",
    "identities",
    "test",
    "suppression",
    "reputation",
    "sandbox",
    "activity",
    "/metrics",
    "/api/v1/accounts/default/overview",
    "/api/v1/accounts/default/quota",
    "/api/v1/accounts/default/messages/MESSAGE",
    "/api/v1/accounts/default/batches/BATCH",
    "/api/v1/accounts/default/waiting",
]


class Told:
    """SES, as far as an account says: a description for account sync, and the answers of control calls."""

    client: Any = None
    may_lack_keys = False

    def __init__(self, rate: float, daily: float, production: bool) -> None:
        self.quota = {"MaxSendRate": rate, "Max24HourSend": daily, "SentLast24Hours": 0.0}
        self.description = Description(
            rate, daily, 0.0, production, rate != 0, "HEALTHY", {"example.com": True}
        )

    def describe(self, asking: Callable[[], None]) -> Description:
        asking()
        return self.description

    def call(self, operation: str, **_parameters: Any) -> dict[str, Any]:
        assert operation == "get_account"
        return {"SendQuota": self.quota, "ProductionAccessEnabled": self.description.production}

    def pages(self, operation: str, items: str, **_parameters: Any) -> list[dict[str, Any]]:
        assert (operation, items) == ("list_email_identities", "EmailIdentities")
        return []


@pytest.fixture(params=QUOTAS)
def odd(request: pytest.FixtureRequest, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An account with such quotas; a message and a batch wait in it. What is shown of the quotas, and the two ids."""
    rate, daily, shown_rate, shown_daily = QUOTAS[request.param]
    told = Told(rate, daily, production=False)
    AccountSync(redis, "default", told, "eu-west-1", 60.0).run()  # type: ignore[arg-type]
    monkeypatch.setattr("sesq.worker.aws_clients.open_control", lambda *_: told)
    request = batch_request(template(), "a@example.com", "news")
    rows = numbered({"email": f"p{number}@example.com", "name": "x"} for number in range(3))
    mail = Message(
        sender="shop@example.com", to=["ada@example.com", "b@example.com"], subject="Hi", text="Hello"
    )
    return {
        "BATCH": take(redis, request, rows).id,
        "MESSAGE": Outbox(redis).send(mail),
        "rate": shown_rate,
        "daily": shown_daily,
    }


def filled(text: str, odd: dict[str, str]) -> str:
    return text.replace("MESSAGE", odd["MESSAGE"]).replace("BATCH", odd["BATCH"])


def test_no_command_falls_over_them(run: Run, odd: dict[str, str]) -> None:
    for command in COMMANDS:
        result = run(*filled(command, odd).split())
        assert result.exit_code == 0, (command, result.output)


def test_what_ses_tells_is_shown_as_it_is(run: Run, odd: dict[str, str]) -> None:
    shown = run("sandbox", "status").stdout
    assert odd["rate"] in shown
    assert odd["daily"] in shown


def test_no_page_falls_over_them(console: Console, odd: dict[str, str]) -> None:
    visit = console()
    for page in PAGES:
        answer = visit.get(filled(page, odd))
        assert answer.status_code == 200, (page, answer.status_code, answer.text[:500])
    for changes in ({"rate": "5/second"}, {"daily": "unlimited"}, {"reserve": "10%"}):
        answer = visit.session.post(
            f"{visit.site}/api/v1/accounts/default/quota/preview", json={**changes, "force": True}, timeout=20
        )
        assert answer.status_code == 200, (changes, answer.text)


@pytest.mark.parametrize("quota", QUOTAS)
def test_the_doctor_judges_them(quota: str) -> None:
    rate, daily, shown_rate, shown_daily = QUOTAS[quota]
    checks = {
        check.name: check for check in judge_account(Told(rate, daily, production=True).description, None)
    }
    assert shown_rate in checks["quota"].detail
    assert shown_daily in checks["quota"].detail
    assert checks["sending"].status == ("fail" if rate == 0 else "ok")


@pytest.mark.parametrize(("rate", "count"), [(0.0, 0), (-1.0, 30), (1e300, 30), (0.25, 1)])
def test_mail_goes_where_there_is_a_rate(redis: Redis, rate: float, count: int) -> None:
    stage = Stage(redis)
    stage.sync(rate=rate, daily=-1.0, sending=int(rate != 0))
    for _ in range(30):
        stage.queue()
    stage.pass_time(10)
    assert len(stage.claim(want=30)[0].ids) == count
