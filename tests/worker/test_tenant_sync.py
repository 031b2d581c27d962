"""A tenant that SES has stopped, or does not know, holds its own mail, and frees it by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from agreement import assert_agreement
from sesq.queue.states import State
from sesq.queue.tenant_states import TenantStates
from sesq.simulator import Simulator
from sesq.worker.account import ControlCalls, SesAccount
from sesq.worker.control.calls import ControlRefused, SesControl
from sesq.worker.sync import PROBE_SECONDS, AccountSync
from sesq.worker.tenant_sync import ASK_SECONDS, FORGET_SECONDS
from sesq.worker.transports import SesTransport
from sesq.worker.transports.client import AwsClient, ClientSettings
from stage import Stage

ACME = "tenant:acme"
INTERVAL = 60.0


@pytest.fixture
def ses(aws_environment: None) -> Iterator[Simulator]:
    with Simulator(production=True, control_rate=None, max_send_rate=500.0, max_24_hour_send=50_000.0) as ses:
        ses.verify("example.com", "other.example")
        yield ses


@pytest.fixture
def client(ses: Simulator) -> AwsClient:
    return AwsClient(ClientSettings(region="us-east-1", endpoint_url=ses.endpoint_url))


@pytest.fixture
def asked(client: AwsClient) -> list[str]:
    """The tenants for which SES was asked, in order."""
    names: list[str] = []
    client.api.meta.events.register(
        "provide-client-params.sesv2.GetTenant", lambda params, **_: names.append(params["TenantName"])
    )
    return names


@pytest.fixture
def stage(redis: Redis, client: AwsClient, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Its mail goes to the simulator. Its workers know at once what is written in Redis."""
    monkeypatch.setattr("sesq.worker.rules.JUST_LEARNT_SECONDS", 0.0)
    stage = Stage(redis)
    stage.transport = SesTransport(client)  # type: ignore[assignment]
    stage.sender = stage.new_sender()
    return stage


@pytest.fixture
def new_sync(stage: Stage, client: AwsClient) -> Callable[..., AccountSync]:
    def make(interval: float = INTERVAL, tenant: str | None = None) -> AccountSync:
        calls = ControlCalls(stage.redis, "default", sleep=lambda _: stage.redis.delete(stage.keys.control))
        account = SesAccount(client, calls)
        return AccountSync(stage.redis, "default", account, "us-east-1", interval, tenant=tenant)

    return make


@pytest.fixture
def sync(new_sync: Callable[..., AccountSync]) -> AccountSync:
    return new_sync()


def again(stage: Stage, sync: AccountSync, after: float = INTERVAL) -> None:
    """The next sync, and the worker's look at it."""
    stage.pass_time(after)
    sync.run()
    stage.rules.refresh()


def mail(stage: Stage, tenant: str | None = None, **options: Any) -> str:
    id = stage.queue(tenant=tenant, **options)
    stage.pass_time(1)
    return id


def work(stage: Stage) -> None:
    """Two rounds, and the worker's look in between."""
    stage.work()
    stage.rules.refresh()
    stage.work()


def states(stage: Stage, ids: list[str]) -> set[State]:
    return {stage.state(id) for id in ids}


def test_a_tenant_that_sync_knows_to_be_disabled_holds_its_mail_and_no_other(
    stage: Stage, ses: Simulator, sync: AccountSync
) -> None:
    # Given two tenants with mail, and mail of none
    ses.add_tenant("acme")
    ses.add_tenant("other")
    ses.set_tenant("acme", sending_status="DISABLED")
    held = [mail(stage, "acme") for _ in range(3)]
    free = [mail(stage, "other"), mail(stage)]
    # When a sync has asked, then nothing of the stopped one is tried
    again(stage, sync)
    work(stage)
    assert states(stage, held) == {State.HELD}
    assert states(stage, free) == {State.SENT}
    assert ses.report()["refused"] == {}
    record = stage.status(held[0])
    assert record.hold == ACME
    assert "SES has stopped the tenant acme in us-east-1: its sending status is DISABLED" in record.reason
    assert "SES has stopped the tenant acme" in stage.outbox.status(held[0]).waits_because
    # and no try is made for as long as SES says so
    again(stage, sync, PROBE_SECONDS + 1)
    work(stage)
    assert states(stage, held) == {State.HELD}
    assert ses.report()["refused"] == {}
    # When SES says that it may send again, then all of it goes
    ses.set_tenant("acme", sending_status="REINSTATED")
    again(stage, sync, ASK_SECONDS)
    work(stage)
    assert states(stage, held) == {State.SENT}
    assert not stage.redis.exists(stage.keys.blocks, stage.keys.holds)
    assert_agreement(stage.redis)


def test_a_tenant_that_is_disabled_between_two_syncs_costs_one_refusal(
    stage: Stage, ses: Simulator, sync: AccountSync
) -> None:
    ses.add_tenant("acme")
    again(stage, sync)
    ses.set_tenant("acme", sending_status="DISABLED")
    held, free = [mail(stage, "acme") for _ in range(4)], mail(stage)
    stage.work(want=1)
    stage.rules.refresh()
    work(stage)
    assert ses.report()["refused"] == {"tenant_disabled": 1}
    assert states(stage, held) == {State.HELD}
    assert stage.state(free) is State.SENT
    assert {stage.status(id).hold for id in held} == {ACME}
    # When it is enabled before a sync has asked, then one tries, and with its success all go
    ses.set_tenant("acme", sending_status="ENABLED")
    again(stage, sync)
    work(stage)
    assert [stage.state(id) for id in held].count(State.SENT) == 1
    again(stage, sync)
    work(stage)
    assert states(stage, held) == {State.SENT}
    assert ses.report()["refused"] == {"tenant_disabled": 1}
    assert_agreement(stage.redis)


def test_a_tenant_that_ses_refuses_though_it_says_enabled_is_tried_with_one_mail_at_a_time(
    stage: Stage, ses: Simulator, sync: AccountSync
) -> None:
    """As where a pause of something else comes in words that do not say of what."""
    ses.add_tenant("acme")
    again(stage, sync)
    held = [mail(stage, "acme") for _ in range(6)]
    ses.set_tenant("acme", sending_status="DISABLED")
    stage.work(want=1)
    stage.rules.refresh()
    work(stage)
    for tries in (2, 3):
        ses.set_tenant("acme", sending_status="ENABLED")
        again(stage, sync, ASK_SECONDS)
        ses.set_tenant("acme", sending_status="DISABLED")
        work(stage)
        assert ses.report()["refused"] == {"tenant_disabled": tries}
        assert states(stage, held) == {State.HELD}


def test_a_tenant_that_ses_does_not_know_holds_its_mail_until_it_is_there(
    stage: Stage, ses: Simulator, sync: AccountSync
) -> None:
    ids = [mail(stage, "acme") for _ in range(3)]
    again(stage, sync)
    work(stage)
    assert states(stage, ids) == {State.HELD}
    assert "There is no tenant acme in us-east-1" in stage.status(ids[0]).reason
    ses.add_tenant("acme")
    again(stage, sync, ASK_SECONDS)
    work(stage)
    assert states(stage, ids) == {State.SENT}


def test_a_sender_that_is_not_the_tenants_holds_the_tenants_mail_from_it_alone(
    stage: Stage, ses: Simulator, client: AwsClient, sync: AccountSync
) -> None:
    # Given a tenant that may use one of two senders
    client.api.create_tenant(TenantName="acme")
    associate(client, "example.com")
    held = [mail(stage, "acme", sender="news@other.example") for _ in range(3)]
    free = [mail(stage, "acme"), mail(stage, sender="news@other.example")]
    stage.work(want=1)
    again(stage, sync)
    # When SES has refused one mail, then that waits for the association, and all other mail goes
    work(stage)
    assert ses.report()["refused"] == {"tenant_resources": 1}
    assert states(stage, held) == {State.HELD}
    assert states(stage, free) == {State.SENT}
    reason = "The sender news@other.example is not associated with the tenant acme"
    assert reason in stage.status(held[0]).reason
    # When it is associated, then one mail tries in time, and all go
    associate(client, "other.example")
    again(stage, sync, PROBE_SECONDS + 1)
    work(stage)
    assert [stage.state(id) for id in held].count(State.SENT) == 1
    again(stage, sync)
    work(stage)
    assert states(stage, held) == {State.SENT}
    assert_agreement(stage.redis)


def associate(client: AwsClient, domain: str) -> None:
    arn = f"arn:aws:ses:us-east-1:000000000000:identity/{domain}"
    client.api.create_tenant_resource_association(TenantName="acme", ResourceArn=arn)


def test_the_tenant_of_mail_that_names_none_is_asked_for_too(
    stage: Stage, ses: Simulator, new_sync: Callable[..., AccountSync]
) -> None:
    sync = new_sync(tenant="acme")
    stage.sender = stage.new_sender(tenant="acme")
    id = mail(stage)
    again(stage, sync)
    work(stage)
    assert (stage.status(id).hold, ses.report()["refused"]) == (ACME, {})
    ses.add_tenant("acme")
    again(stage, sync, ASK_SECONDS)
    work(stage)
    assert stage.state(id) is State.SENT


def test_the_places_of_a_sync_that_one_kind_leaves_are_the_other_kinds(
    stage: Stage, ses: Simulator, new_sync: Callable[..., AccountSync], asked: list[str]
) -> None:
    # Given four places in a sync, six tenants with held mail, and one with mail in a lane
    held = [f"h{number}" for number in range(6)]
    for name in [*held, "lane", *(f"l{number}" for number in range(5))]:
        ses.add_tenant(name)
    for name in held:
        ses.set_tenant(name, sending_status="DISABLED")
        stage.redis.hset(stage.keys.holds, f"tenant:{name}", "SES has disabled it")
        stage.redis.hset(stage.keys.blocks, f"tenant:{name}", f'[{stage.now}, "why", false, ""]')
    stage.policy.pause("", by="ada")
    mail(stage, "lane")
    sync = new_sync(interval=12.0)
    again(stage, sync, after=12)
    assert asked == ["h0", "h1", "h2", "lane"]
    # When none with mail in a lane is due, Then all places are for held mail
    again(stage, sync, after=12)
    assert asked[4:] == ["h3", "h4", "h5"]
    # When none with held mail is due, Then all places are for the others
    for number in range(5):
        mail(stage, f"l{number}")
    again(stage, sync, after=12)
    assert asked[7:] == ["l0", "l1", "l2", "l3"]


def test_tenants_are_asked_for_in_turn_and_not_too_often(
    stage: Stage, ses: Simulator, new_sync: Callable[..., AccountSync], asked: list[str]
) -> None:
    # Given 30 tenants with mail, of which two are stopped
    names = [f"t{number:02}" for number in range(30)]
    for name in names:
        ses.add_tenant(name)
        mail(stage, name)
    for name in names[-2:]:
        ses.set_tenant(name, sending_status="DISABLED")
    stage.policy.pause("", by="ada")
    # When syncs come, then each of them asks for a few, and none again before its time
    sync = new_sync(interval=12.0)
    for rounds in range(1, 8):
        again(stage, sync, after=12)
        assert len(asked) == min(30, 4 * rounds)
    assert Counter(asked).most_common(1)[0][1] == 1
    again(stage, sync, after=12)
    assert sorted(asked) == names
    # When their mail is held, then half of the next places are for theirs
    stage.policy.resume(by="ada")
    work(stage)
    for _ in range(5):
        work(stage)
    stage.policy.pause("", by="ada")
    for name in names[:-2]:
        mail(stage, name)
    asked.clear()
    again(stage, sync, after=ASK_SECONDS)
    assert asked == ["t28", "t29", "t00", "t01"]


def test_nobody_is_asked_for_without_mail_and_no_block_stays(
    stage: Stage, ses: Simulator, sync: AccountSync, asked: list[str]
) -> None:
    again(stage, sync)
    assert asked == []
    id = mail(stage, "acme")
    again(stage, sync)
    assert asked == ["acme"]
    stage.outbox.cancel(id)
    stage.work()
    again(stage, sync, ASK_SECONDS + 1)
    assert asked == ["acme"]
    assert not stage.redis.exists(stage.keys.blocks)
    assert "acme" in TenantStates(stage.redis).read()
    again(stage, sync, FORGET_SECONDS)
    assert TenantStates(stage.redis).read() == {}
    assert_agreement(stage.redis)


def test_where_tenants_may_not_be_read_ses_judges(
    stage: Stage, ses: Simulator, sync: AccountSync, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ses.add_tenant("other")
    call = SesControl.call

    def denied(control: SesControl, operation: str, **parameters: Any) -> Any:
        if operation == "get_tenant":
            asked.append(parameters["TenantName"])
            raise ControlRefused(
                operation, "AccessDeniedException", "not authorized to perform ses:GetTenant"
            )
        return call(control, operation, **parameters)

    monkeypatch.setattr(SesControl, "call", denied)
    held, free = [mail(stage, "acme") for _ in range(2)], mail(stage, "other")
    # When the sync is refused for one, then it does not ask for the others
    again(stage, sync)
    assert asked == ["acme"]
    assert "ses:GetTenant" in TenantStates(stage.redis).read()["acme"].why
    # Then SES judges, and a try tells when it is over
    stage.work(want=1)
    stage.rules.refresh()
    work(stage)
    assert (states(stage, held), stage.state(free)) == ({State.HELD}, State.SENT)
    assert ses.report()["refused"] == {"tenant": 1}
    ses.add_tenant("acme")
    again(stage, sync, PROBE_SECONDS + 1)
    work(stage)
    again(stage, sync)
    work(stage)
    assert states(stage, held) == {State.SENT}


@pytest.mark.parametrize("damage", ["", "{", '"ENABLED"', '{"status": "LATER"}', '{"status": []}'])
def test_what_is_damaged_is_asked_for_again(
    stage: Stage, ses: Simulator, sync: AccountSync, asked: list[str], damage: str
) -> None:
    ses.add_tenant("acme")
    stage.redis.hset(stage.keys.tenant_states, "acme", damage)
    mail(stage, "acme")
    again(stage, sync)
    assert asked == ["acme"]
    assert TenantStates(stage.redis).read()["acme"].may_send


def test_a_sync_goes_on_where_ses_does_not_answer_about_tenants(
    stage: Stage, ses: Simulator, sync: AccountSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(type(sync.ses.client.api), "get_tenant")  # type: ignore[union-attr]
    id = mail(stage, "acme")
    again(stage, sync)
    stage.work()
    assert stage.status(id).hold == ACME
    assert TenantStates(stage.redis).read() == {}
