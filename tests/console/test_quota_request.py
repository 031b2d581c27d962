"""`sesq quota request`: the real client, over a socket, before what stands in for Service Quotas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quota_service import HANG_UP, TAKEN, QuotaService, quota_service
from sesq.simulator import Simulator

Run = Callable[..., Any]
REQUEST = ("quota", "request", "--rate", "50/second", "--daily", "500000/day")


@pytest.fixture
def ses(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr("sesq.worker.account.CONTROL_SPACING_MS", 1)
    with Simulator(
        control_rate=None, production=True, max_send_rate=14, max_24_hour_send=50_000
    ) as simulator:
        monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__ENDPOINT_URL", simulator.endpoint_url)
        yield simulator


@pytest.fixture
def quotas(ses: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[QuotaService]:
    with quota_service() as service:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", service.url)
        yield service


def test_both_quotas_are_asked_for_after_a_yes(run: Run, run_json: Run, quotas: QuotaService) -> None:
    told = run_json(*REQUEST, "--yes")
    assert [(quota["name"], quota["wanted"], quota["status"], quota["case_id"]) for quota in told] == [
        ("rate", 50.0, "PENDING", "c-1"),
        ("daily", 500_000.0, "PENDING", "c-1"),
    ]
    asked = [(each["ServiceCode"], each["QuotaCode"], each["DesiredValue"]) for each in quotas.asked]
    assert asked == [("ses", "L-CDEF9B6B", 50.0), ("ses", "L-804C8AE8", 500_000.0)]
    assert "rate: pending, support case c-1" in run(*REQUEST, "--yes").stdout


def test_nothing_is_asked_without_a_yes_in_the_sandbox_or_for_less(
    run: Run, ses: Simulator, quotas: QuotaService
) -> None:
    assert run(*REQUEST).exit_code == 2
    for words, said in (
        (("--rate", "14/second"), "has 14/second already"),
        (("--daily", "unlimited"), "not unlimited"),
        ((), "give --rate"),
    ):
        ran = run("quota", "request", *words, "--yes")
        assert (ran.exit_code, said in ran.stderr) == (2, True), ran.stderr
    ses.set_account(production_access=False)
    ran = run(*REQUEST, "--yes")
    assert (ran.exit_code, "sandbox leave" in ran.stderr) == (2, True)
    assert quotas.asked == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            (400, "ResourceAlreadyExistsException", "Only one open request is allowed"),
            "Only one open request",
        ),
        ((400, "AccessDeniedException", "not authorized"), "not authorized"),
        ((500, "ServiceException", "Something went wrong"), "Something went wrong"),
        (HANG_UP, "request_service_quota_increase"),
    ],
)
def test_what_aws_says_instead_is_told_and_it_is_asked_once(
    run: Run, quotas: QuotaService, answer: tuple[int, str, str], said: str
) -> None:
    # a request of which the answer was lost may be open already
    quotas.answers.append(answer)
    ran = run(*REQUEST, "--yes")
    assert (ran.exit_code, said in ran.stderr) == (1, True), ran.stderr
    assert len(quotas.asked) == 1


def test_what_was_asked_before_a_refusal_is_told(run: Run, quotas: QuotaService) -> None:
    for json in ((), ("--json",)):
        quotas.answers += [TAKEN, (400, "ResourceAlreadyExistsException", "Only one open request is allowed")]
        ran = run(*REQUEST, "--yes", *json)
        assert (ran.exit_code, "Only one open request" in ran.stderr) == (1, True)
        assert "c-1" in ran.stdout
