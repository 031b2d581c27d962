"""What SES tells of a tenant's mail: counted for the tenant too, and its own suppression list is its own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from redis import Redis

from agreement import assert_agreement
from batch_stage import BatchStage
from sesq.queue.reputation import Reputation, Standing, tenant_standings
from sesq.queue.states import State
from sesq.queue.suppression import SuppressionList
from sesq.queue.tenant_limits import TenantLimits
from sesq.queue.tenant_states import SendingStatus, TenantState, TenantStates
from sesq.simulator import Simulator
from sesq.worker.account import ControlCalls, SesAccount
from sesq.worker.events import Feedback
from sesq.worker.events.queue import QueueReader
from sesq.worker.sync import AccountSync
from sesq.worker.transports import SesTransport
from sesq.worker.transports.client import AwsClient, ClientSettings
from stage import Stage

ADA = "ada@example.org"
WEEK = 7 * 86_400
HARD = {"bounceType": "Permanent", "bounceSubType": "General"}
PREVENTED = {"bounceType": "Permanent", "bounceSubType": "OnTenantSuppressionList"}
ABUSE = {"complaintFeedbackType": "abuse"}
NO_SPAM = {"complaintFeedbackType": "not-spam"}


def told(kind: str, number: int, id: str = "", tenant: str = "", **detail: Any) -> str:
    """An event; as of SES, `tenant` is a tag of bounces and complaints."""
    tags = ({"sesq-id": [id]} if id else {}) | ({"ses:tenant-name": [tenant]} if tenant else {})
    mail = {"messageId": f"m-{number}", "destination": [ADA], "tags": tags}
    return json.dumps(
        {"eventType": kind, "mail": mail, kind.lower(): {"feedbackId": f"f-{number}", **detail}}
    )


@pytest.fixture
def stage(redis: Redis) -> BatchStage:
    return BatchStage(redis)


@pytest.fixture
def feedback(redis: Redis) -> Feedback:
    return Feedback(redis, "default")


def counts(stage: Stage) -> dict[str, tuple[int, int, int]]:
    return {
        name: (each.sent, each.bounced, each.complained)
        for name, each in tenant_standings(stage.redis, "default").items()
    }


def test_too_many_bounces_of_a_tenant_pause_its_bulk_mail_alone(stage: BatchStage) -> None:
    # Given a tenant 8 % of whose mail bounces, in an account that sends much more
    feedback, limits = Feedback(stage.redis, "default"), TenantLimits(stage.redis)
    hour = int(stage.now // 3600)
    stage.redis.hset(stage.keys.reputation, f"{hour}:sent", 100_000)
    stage.redis.hset(stage.keys.tenant_reputation("acme"), f"{hour}:sent", 500)
    for number in range(39):
        feedback.handle(told("Bounce", number, tenant="acme", **HARD))
    assert limits.of("acme").paused == ""
    # When one more comes
    feedback.handle(told("Bounce", 40, tenant="acme", **HARD))
    # Then its bulk mail waits, for a person, and no other
    assert "8.00% bounces" in limits.of("acme").paused
    assert stage.policy.bulk_paused == ""
    # and what a person has let pass pauses it only when it is a step worse
    limits.resume("acme", by="ada")
    feedback.handle(told("Bounce", 41, tenant="acme", **HARD))
    assert limits.of("acme").paused == ""
    for number in range(50, 60):
        feedback.handle(told("Bounce", number, tenant="acme", **HARD))
    assert "bounces" in limits.of("acme").paused


def test_what_a_person_lets_pass_of_a_tenant_counts_until_its_rate_was_good(stage: BatchStage) -> None:
    feedback, limits = Feedback(stage.redis, "default"), TenantLimits(stage.redis)
    numbers = itertools.count()

    def pauses_at(sent: int, bounced: int) -> bool:
        counts = {f"{int(stage.now // 3600)}:sent": sent, f"{int(stage.now // 3600)}:bounced": bounced - 1}
        stage.redis.hset(stage.keys.tenant_reputation("acme"), mapping=counts)
        feedback.handle(told("Bounce", next(numbers), tenant="acme", **HARD))
        return bool(limits.of("acme").paused)

    # Given a tenant that is paused at 8 %, and of whose mail 8.8 % has bounced by the time a person lets it go on
    assert pauses_at(500, 40)
    assert pauses_at(500, 44)
    limits.resume("acme", by="ada")
    # When hardly more bounces, Then it goes on
    assert not pauses_at(500, 46)
    # When its rate was good for a while, and is as bad as before, Then it is paused anew
    assert not pauses_at(5000, 51)
    assert pauses_at(500, 40)


def test_where_bulk_mail_is_not_to_be_paused_a_tenants_is_not_either(stage: BatchStage) -> None:
    feedback, hour = Feedback(stage.redis, "default", pauses_bulk=False), int(stage.now // 3600)
    stage.redis.hset(stage.keys.tenant_reputation("acme"), f"{hour}:sent", 500)
    for number in range(60):
        feedback.handle(told("Bounce", number, tenant="acme", **HARD))
    assert TenantLimits(stage.redis).of("acme").paused == ""


def test_events_count_for_the_account_and_for_the_tenant_of_the_mail(
    stage: BatchStage, feedback: Feedback
) -> None:
    # Given mail of two tenants, of none, and a row of a batch
    acme, other, none = stage.queue(tenant="acme"), stage.queue(tenant="other"), stage.queue()
    stage.work()
    row = f"{stage.take(1, tenant='acme').id}-0-0"
    stage.send(1)
    # When SES has taken all of it, and tells of a bounce and a complaint by the tenant's name alone
    for number, id in enumerate((acme, other, none, row, "")):
        feedback.handle(told("Send", number, id))
    feedback.handle(told("Bounce", 5, tenant="acme", **HARD))
    feedback.handle(told("Bounce", 5, tenant="acme", **HARD))  # it comes twice
    feedback.handle(told("Complaint", 6, tenant="other", **ABUSE))
    feedback.handle(told("Bounce", 7, none, **HARD))
    # Then each tenant has its own, and the account has all
    assert counts(stage) == {"acme": (2, 1, 0), "other": (1, 0, 1)}
    assert Reputation(stage.redis).read() == Standing(sent=5, bounced=2, complained=1)
    assert_agreement(stage.redis)


def test_mail_of_no_tenant_counts_for_that_of_the_account(stage: BatchStage) -> None:
    feedback = Feedback(stage.redis, "default", tenant="house")
    none, acme = stage.queue(), stage.queue(tenant="acme")
    stage.work()
    for number, id in enumerate((none, acme, "of-another-system")):
        feedback.handle(told("Send", number, id))
    assert counts(stage) == {"acme": (1, 0, 0), "house": (1, 0, 0)}


def test_a_week_later_nothing_of_it_is_left(stage: BatchStage, feedback: Feedback) -> None:
    feedback.handle(told("Bounce", 1, tenant="acme", **HARD))
    stage.pass_time(WEEK - 3600)
    feedback.handle(told("Bounce", 2, tenant="acme", **HARD))
    assert counts(stage) == {"acme": (0, 2, 0)}
    stage.pass_time(2 * 3600)
    assert counts(stage) == {"acme": (0, 1, 0)}
    stage.pass_time(WEEK)
    assert counts(stage) == {}
    assert not stage.redis.exists(stage.keys.counted_tenants)
    assert stage.redis.ttl(stage.keys.tenant_reputation("acme")) > 0


@pytest.mark.parametrize("name", ["acme:x", "a" * 65, "ac me"])
def test_what_is_no_name_of_a_tenant_is_none(stage: BatchStage, feedback: Feedback, name: str) -> None:
    feedback.handle(told("Bounce", 1, tenant=name, **HARD))
    assert counts(stage) == {}
    assert Reputation(stage.redis).read().bounced == 1


@pytest.mark.parametrize(("own_list", "listed"), [(True, set()), (False, {ADA})])
@pytest.mark.parametrize(("kind", "detail"), [("Bounce", HARD), ("Complaint", ABUSE)])
def test_a_tenants_own_list_is_not_the_accounts(
    stage: BatchStage, feedback: Feedback, own_list: bool, listed: set[str], kind: str, detail: dict[str, str]
) -> None:
    TenantStates(stage.redis).note("acme", TenantState(SendingStatus.ENABLED, stage.now, own_list=own_list))
    feedback.handle(told(kind, 1, tenant="acme", **detail))
    assert {each.address for each in SuppressionList(stage.redis)} == listed
    # and the mail of all others goes as it did
    id = stage.queue(ADA)
    stage.rules.refresh()
    stage.work()
    assert stage.state(id) is (State.SUPPRESSED if listed else State.SENT)


def test_what_is_on_a_tenants_list_suppresses_nobody_and_counts_for_nobody(
    stage: BatchStage, feedback: Feedback
) -> None:
    feedback.handle(told("Bounce", 1, tenant="acme", **PREVENTED))
    assert len(SuppressionList(stage.redis)) == 0
    assert (counts(stage), Reputation(stage.redis).read()) == ({}, Standing(0, 0, 0))


def test_a_report_about_a_tenants_mail_takes_nobody_off_the_accounts_list(
    stage: BatchStage, feedback: Feedback
) -> None:
    TenantStates(stage.redis).note("acme", TenantState(SendingStatus.ENABLED, stage.now, own_list=True))
    feedback.handle(told("Complaint", 1, **ABUSE))
    feedback.handle(told("Complaint", 2, tenant="acme", **NO_SPAM))
    assert len(SuppressionList(stage.redis)) == 1
    feedback.handle(told("Complaint", 3, **NO_SPAM))
    assert len(SuppressionList(stage.redis)) == 0


@pytest.fixture
def ses(aws_environment: None) -> Iterator[Simulator]:
    with Simulator(production=True, control_rate=None, max_send_rate=1000, verified=["example.com"]) as ses:
        yield ses


def test_a_list_of_a_tenant_at_ses_from_end_to_end(stage: BatchStage, ses: Simulator) -> None:
    # Given two tenants, of which SES keeps one's list apart, and an address that bounces
    client = AwsClient(ClientSettings(region="us-east-1", endpoint_url=ses.endpoint_url))
    stage.sender.transport = SesTransport(client)
    for name in ("acme", "other"):
        ses.add_tenant(name)
    reasons = ["BOUNCE", "COMPLAINT"]
    client.api.put_tenant_suppression_attributes(
        TenantName="acme", SuppressedReasons=reasons, SuppressionScope="TENANT"
    )
    ses.set_events(queue="events", fates={ADA: "bounce"})
    sqs = boto3.client("sqs", region_name="us-east-1", endpoint_url=ses.endpoint_url)
    reader = QueueReader(sqs, f"{ses.endpoint_url}/000000000000/events", Feedback(stage.redis, "default"))
    calls = ControlCalls(stage.redis, "default", sleep=lambda _: stage.redis.delete(stage.keys.control))
    sync = AccountSync(stage.redis, "default", SesAccount(client, calls), "us-east-1", 60.0)

    def send(tenant: str) -> str:
        id = stage.queue(ADA, tenant=tenant)
        sync.run()
        stage.pass_time(60)
        stage.rules.refresh()
        stage.work()
        reader.run(until_empty=True)
        return id

    # When it has bounced for that one, then SES sends it no more of its mail, and no list of the account knows it
    assert stage.state(send("acme")) is State.BOUNCED
    again = send("acme")
    assert "on the tenant's suppression list" in stage.status(again).reason
    assert len(SuppressionList(stage.redis)) == 0
    assert counts(stage) == {"acme": (2, 1, 0)}
    # And mail of the other one is tried, and when it bounces too, the account's list has the address
    assert "not sent" not in stage.status(send("other")).reason
    assert {each.address for each in SuppressionList(stage.redis)} == {ADA}
    assert counts(stage)["other"] == (1, 1, 0)
    sqs.close()
