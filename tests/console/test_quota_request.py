"""`sesq quota request`, with the real client before a stub: nothing that imitates Service Quotas takes requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from sesq.simulator import Simulator
from sesq.worker.transports.client import AwsClient

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
def service_quotas(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """The real client, which checks every parameter against AWS's model, before a stub."""
    client = boto3.client("service-quotas", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    monkeypatch.setattr(AwsClient, "service", lambda self, name: client)
    with Stubber(client) as stubber:
        yield stubber


def requested(code: str, value: float) -> tuple[str, dict[str, Any], dict[str, Any]]:
    asked = {"ServiceCode": "ses", "QuotaCode": code, "DesiredValue": value}
    return (
        "request_service_quota_increase",
        {"RequestedQuota": {**asked, "Id": "r-1", "CaseId": "c-1", "Status": "PENDING"}},
        asked,
    )


def test_both_quotas_are_asked_for_after_a_yes(
    run_json: Run, ses: Simulator, service_quotas: Stubber
) -> None:
    service_quotas.add_response(*requested("L-CDEF9B6B", 50.0))
    service_quotas.add_response(*requested("L-804C8AE8", 500_000.0))
    told = run_json(*REQUEST, "--yes")
    assert [(quota["name"], quota["wanted"], quota["status"]) for quota in told] == [
        ("rate", 50.0, "PENDING"),
        ("daily", 500_000.0, "PENDING"),
    ]
    service_quotas.assert_no_pending_responses()


def test_nothing_is_asked_without_a_yes_in_the_sandbox_or_for_less(
    run: Run, ses: Simulator, service_quotas: Stubber
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


def test_a_refusal_of_aws_is_told_in_its_words(run: Run, ses: Simulator, service_quotas: Stubber) -> None:
    service_quotas.add_client_error(
        "request_service_quota_increase", "ResourceAlreadyExistsException", "Only one open request is allowed"
    )
    ran = run("quota", "request", "--rate", "50", "--yes")
    assert (ran.exit_code, "Only one open request" in ran.stderr) == (1, True)
