"""Our suppression list beside SES's own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from redis import Redis

from sesq.queue.suppression import Suppressed, SuppressionList
from sesq.simulator import Simulator
from sesq.worker.account import ControlCalls, SesAccount
from sesq.worker.control import ControlRefused, SesControl
from sesq.worker.suppression import LEASE_SECONDS, OVERLAP_SECONDS, PULL_SECONDS, SesSuppression
from sesq.worker.sync import AccountSync
from sesq.worker.transports.client import AwsClient, ClientSettings
from stage import START, Stage


@pytest.fixture
def ses(aws_environment: None) -> Iterator[Simulator]:
    with Simulator(control_rate=None, production=True) as ses:
        yield ses


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


@pytest.fixture
def aws(ses: Simulator) -> Iterator[AwsClient]:
    client = AwsClient(ClientSettings(region="us-east-1", endpoint_url=ses.endpoint_url))
    yield client
    client.close()


@pytest.fixture
def client(aws: AwsClient) -> Any:
    return aws.api


@pytest.fixture
def calls(stage: Stage) -> ControlCalls:
    return ControlCalls(stage.redis, "default", sleep=lambda _: stage.redis.delete(stage.keys.control))


@pytest.fixture
def theirs(stage: Stage, aws: AwsClient, calls: ControlCalls) -> SesSuppression:
    return SesSuppression(stage.redis, "default", SesControl(aws, calls))


def at_ses(client: Any) -> list[str]:
    return [
        each["EmailAddress"]
        for each in client.list_suppressed_destinations()["SuppressedDestinationSummaries"]
    ]


def entry(address: str, reason: str = "manual") -> Suppressed:
    return Suppressed(address, reason, START, "a test")


def test_an_address_is_known_by_the_case_of_its_local_part_alone(redis: Redis) -> None:
    ours = SuppressionList(redis)
    assert ours.add([entry("Ada@EXAMPLE.org"), entry("Ada@example.ORG")]) == 1
    assert set(ours.among(["Ada@Example.org", "ada@example.org"])) == {"Ada@Example.org"}
    assert ours.among([]) == {}
    assert ours.remove(["ada@example.org"]) == 0
    assert ours.remove(["Ada@eXample.org"]) == 1


def test_the_first_reason_stays(redis: Redis) -> None:
    ours = SuppressionList(redis)
    ours.add([entry("ada@example.org", "complaint")])
    assert ours.add([entry("ada@example.org", "bounce"), entry("bob@example.org")]) == 1
    assert {each.address: each.reason for each in ours} == {
        "ada@example.org": "complaint",
        "bob@example.org": "manual",
    }


def test_thousands_fit(redis: Redis) -> None:
    ours = SuppressionList(redis)
    assert ours.add(entry(f"p{i}@example.org") for i in range(2500)) == 2500
    assert (len(ours), sum(1 for _ in ours)) == (2500, 2500)


def test_what_ses_lists_is_read_once_an_hour(stage: Stage, client: Any, theirs: SesSuppression) -> None:
    # Given addresses on SES's list
    client.put_suppressed_destination(EmailAddress="ada@example.org", Reason="BOUNCE")
    client.put_suppressed_destination(EmailAddress="bob@example.org", Reason="COMPLAINT")
    # When it is time, then they are on ours, with their reasons
    assert theirs.pull_if_due() == 2
    assert {each.address: each.reason for each in SuppressionList(stage.redis)} == {
        "ada@example.org": "bounce",
        "bob@example.org": "complaint",
    }
    # And not before an hour has passed again
    client.put_suppressed_destination(EmailAddress="eve@example.org", Reason="BOUNCE")
    assert theirs.pull_if_due() == 0
    stage.pass_time(PULL_SECONDS)
    assert theirs.pull_if_due() == 1


def test_what_no_message_here_could_be_for_is_left_out(
    redis: Redis, theirs: SesSuppression, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime.fromtimestamp(START, timezone.utc)
    entries = [
        {"EmailAddress": each, "Reason": "BOUNCE", "LastUpdateTime": at}
        for each in ("a..b@docomo.example", "nobody", "ada@example.org")
    ]
    monkeypatch.setattr(SesControl, "pages", lambda *_, **__: iter(entries))
    assert theirs.pull() == 1
    assert [each.address for each in SuppressionList(redis)] == ["ada@example.org"]


def test_the_next_reading_asks_for_what_is_new(
    stage: Stage, theirs: SesSuppression, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(SesControl, "pages", lambda self, *_, **given: asked.append(given) or ())
    theirs.pull_if_due()
    first = stage.now
    stage.pass_time(PULL_SECONDS)
    theirs.pull_if_due()
    assert [given.get("StartDate") and given["StartDate"].timestamp() for given in asked] == [
        None,
        pytest.approx(first - OVERLAP_SECONDS, abs=1),
    ]


def test_where_ses_does_not_let_it_be_read_nothing_is_lost(
    stage: Stage, client: Any, theirs: SesSuppression, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ControlRefused("list_suppressed_destinations", "AccessDeniedException", "no")

    # Given an entry that is made while SES does not answer
    client.put_suppressed_destination(EmailAddress="ada@example.org", Reason="BOUNCE")
    with monkeypatch.context() as patch:
        patch.setattr(SesControl, "call", refuse)
        assert theirs.pull_if_due() == 0
    # When it does again, then that is read all the same
    assert theirs.pull_if_due() == 0
    stage.pass_time(PULL_SECONDS)
    assert theirs.pull_if_due() == 1


def test_after_a_reading_that_failed_the_next_one_asks_for_what_that_one_would_have_brought(
    stage: Stage, theirs: SesSuppression, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    refuses = [False]

    def pages(*_: Any, **given: Any) -> Any:
        asked.append(given)
        if refuses[0]:
            raise ControlRefused("list_suppressed_destinations", "AccessDeniedException", "no")
        return ()

    monkeypatch.setattr(SesControl, "pages", pages)
    # Given a reading that came through, and one an hour later that did not
    theirs.pull_if_due()
    read_at = stage.now
    for refused in (True, False):
        refuses[0] = refused
        stage.pass_time(PULL_SECONDS)
        theirs.pull_if_due()
    # Then both ask for what is new since the first one
    since = pytest.approx(read_at - OVERLAP_SECONDS, abs=1)
    assert [given["StartDate"].timestamp() for given in asked[1:]] == [since, since]


def test_what_a_person_changes_is_told_to_ses(client: Any, theirs: SesSuppression, ses: Simulator) -> None:
    assert theirs.put(["ada@example.org", "bob@example.org"], "complaint") == ""
    assert at_ses(client) == ["ada@example.org", "bob@example.org"]
    assert theirs.delete(["ada@example.org", "never@example.org"]) == ""
    assert at_ses(client) == ["bob@example.org"]
    ses.set_account(production_access=False)
    assert "sandbox" in theirs.put(["eve@example.org"], "manual")


@pytest.mark.parametrize("production", [True, False])
def test_account_sync_reads_it_out_of_the_sandbox(
    production: bool, stage: Stage, ses: Simulator, aws: AwsClient, client: Any, calls: ControlCalls
) -> None:
    client.put_suppressed_destination(EmailAddress="ada@example.org", Reason="BOUNCE")
    ses.set_account(production_access=production)
    AccountSync(stage.redis, "default", SesAccount(aws, calls), "us-east-1", 60.0).run_if_due()
    assert len(SuppressionList(stage.redis)) == production


def test_a_process_that_dies_while_it_reads_the_list_leaves_it_to_others_soon(
    stage: Stage, client: Any, calls: ControlCalls, theirs: SesSuppression, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process ends here."""

    def die(_since: float) -> int:
        raise Killed

    client.put_suppressed_destination(EmailAddress="ada@example.org", Reason="BOUNCE")
    with monkeypatch.context() as patch:
        patch.setattr(theirs, "pull", die)
        with pytest.raises(Killed):
            theirs.pull_if_due()
    assert theirs.pull_if_due() == 0
    stage.pass_time(LEASE_SECONDS)
    assert theirs.pull_if_due() == 1


def test_a_clock_that_is_set_back_hides_nothing_of_the_list(
    stage: Stage, client: Any, theirs: SesSuppression
) -> None:
    assert theirs.pull_if_due() == 0
    stage.pass_time(-86_400)
    asked: list[float] = []
    pull = theirs.pull
    theirs.pull = lambda since=0.0: (asked.append(since), pull(since))[1]  # type: ignore[method-assign]
    theirs.pull_if_due()
    assert asked == [stage.now]
    theirs.pull_if_due()
    assert asked == [stage.now]
