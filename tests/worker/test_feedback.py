"""What SES tells back: read, understood, and acted on once, whatever its order."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ResponseError

from agreement import assert_agreement
from batch_stage import BatchStage
from sesq.config.errors import QueueUnavailable
from sesq.queue.policy import Policy
from sesq.queue.ramp import start_ramp
from sesq.queue.reputation import LEAST_SENT, Level, Reputation, Standing
from sesq.queue.states import State
from sesq.queue.suppression import Suppressed, SuppressionList
from sesq.worker.events import Event, Feedback, Handled, NotAnEvent, read_event
from sesq.worker.events.feedback import REMEMBER_SECONDS
from sesq.worker.events.meaning import MAX_REASON
from sesq.worker.verdicts import Kind
from stage import Stage, says

BOUNCE = {"bounceType": "Permanent", "bounceSubType": "General", "feedbackId": "f-1"}
COMPLAINT = {"complaintFeedbackType": "abuse", "feedbackId": "f-2"}
DETAILS: dict[str, tuple[str, dict[str, Any]]] = {
    "Send": ("send", {}),
    "Delivery": ("delivery", {"timestamp": "t", "smtpResponse": "250 ok", "recipients": ["ada@example.org"]}),
    "Bounce": ("bounce", {**BOUNCE, "bouncedRecipients": [{"emailAddress": "ada@example.org"}]}),
    "Soft": (
        "bounce",
        {
            "bounceType": "Transient",
            "bounceSubType": "General",
            "feedbackId": "f-3",
            "bouncedRecipients": [{"emailAddress": "ada@example.org", "diagnosticCode": "smtp; 450 later"}],
        },
    ),
    "Complaint": ("complaint", {**COMPLAINT, "complainedRecipients": [{"emailAddress": "ada@example.org"}]}),
    "Reject": ("reject", {"reason": "Bad content"}),
}


def event(kind: str, id: str = "", message_id: str = "m-1", **changes: Any) -> dict[str, Any]:
    name, detail = DETAILS[kind]
    tags = {"tags": {"sesq-id": [id]}} if id else {}
    mail = {"messageId": message_id, "destination": ["ada@example.org"], **tags}
    return {"eventType": "Bounce" if kind == "Soft" else kind, "mail": mail, name: {**detail, **changes}}


def body(kind: str, id: str = "", **changes: Any) -> str:
    return json.dumps(event(kind, id, **changes))


@pytest.fixture
def stage(redis: Redis) -> Stage:
    return Stage(redis)


@pytest.fixture
def feedback(redis: Redis) -> Feedback:
    return Feedback(redis, "default")


def sent(stage: Stage) -> str:
    id = stage.queue()
    stage.work()
    return id


# reading ------------------------------------------------------------------------------------------------------------


def test_an_event_is_read_bare_wrapped_by_sns_and_through_eventbridge() -> None:
    bare = event("Delivery", "id-1")
    wrapped = {"Type": "Notification", "MessageId": "sns-1", "Message": json.dumps(bare)}
    bridged = {"source": "aws.ses", "detail-type": "Email Delivered", "detail": bare}
    read = [read_event(json.dumps(each)) for each in (bare, wrapped, bridged)]
    assert isinstance(read[0], Event)
    assert read[0] == read[1] == read[2]
    assert (read[0].type, read[0].id, read[0].message_id) == ("Delivery", "id-1", "m-1")


def test_a_notification_of_an_identity_has_no_tags() -> None:
    document = event("Bounce")
    document["notificationType"] = document.pop("eventType")
    read = read_event(json.dumps(document))
    assert isinstance(read, Event)
    assert (read.type, read.id) == ("Bounce", "")


@pytest.mark.parametrize(
    "told",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        '{"Message": "not json"}',
        '{"eventType": "Send"}',
        '{"eventType": "Send", "mail": {"messageId": 7}}',
        '{"eventType": "Bounce", "mail": {"messageId": "m"}, "bounce": {"bouncedRecipients": [{}]}}',
        '{"eventType": "Bounce", "mail": {"messageId": "m", "tags": 7}, "bounce": {}}',
        '{"eventType": "Bounce", "mail": {"messageId": "m"}, "bounce": 7}',
        body("Bounce", bouncedRecipients={"a": 1}),
        body("Bounce", bouncedRecipients=[{"emailAddress": None}]),
        body("Delivery", recipients=[7]),
        body("Complaint", complainedRecipients=[["ada@example.org"]]),
        '{"eventType": "Send", "mail": {"messageId": "m", "destination": null}}',
        '{"eventType": "Send", "mail": {"messageId": "m", "destination": [7]}}',
        '{"eventType": "Send", "mail": {"messageId": "m", "destination": "ada@example.org"}}',
        '{"eventType": "Send", "mail": {"messageId": "m", "tags": {"sesq-id": [7]}}}',
    ],
)
def test_poison_is_set_apart_and_not_logged(told: str, feedback: Feedback, caplog: Any) -> None:
    with pytest.raises(NotAnEvent):
        read_event(told)
    assert feedback.handle(told) is Handled.POISON
    (entry,) = feedback.poison()
    assert entry["body"] == told[:20_000]
    assert "not json" not in caplog.text


def test_of_very_much_poison_the_newest_is_kept(redis: Redis, feedback: Feedback) -> None:
    # Given as much poison as is kept
    redis.lpush(feedback.keys.poison, *['{"at": 1, "why": "x", "body": "old"}'] * 1000)
    # When one more comes, Then it takes the place of the oldest
    feedback.handle("no event")
    assert [entry["body"] for entry in feedback.poison()] == ["no event", *["old"] * 999]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Delivery", {"smtpResponse": "250 \ud800"}),
        ("Soft", {"bouncedRecipients": [{"emailAddress": "ada@example.org", "diagnosticCode": "\udfff"}]}),
        ("Bounce", {"bouncedRecipients": [{"emailAddress": "\ud800@example.org"}]}),
    ],
)
def test_half_of_a_surrogate_pair_stops_no_event(
    kind: str, changes: dict[str, Any], stage: Stage, feedback: Feedback
) -> None:
    id = sent(stage)
    assert feedback.handle(body(kind, id, **changes)) is Handled.APPLIED
    assert "?" in stage.status(id).history[-1].reason
    assert feedback.handle(body(kind, "\ud800", message_id="\ud800", **changes)) is Handled.STRANGER


def test_what_one_message_makes_fail_is_set_apart_but_redis_is_waited_for(
    feedback: Feedback, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Handled:
        raise error

    monkeypatch.setattr(Feedback, "apply", fails)
    error: Exception = ResponseError("ada@example.org")
    assert feedback.handle(body("Send")) is Handled.POISON
    assert [entry["why"] for entry in feedback.poison()] == ["it cannot be acted on: ResponseError"]
    error = QueueUnavailable("Redis is away")
    with pytest.raises(QueueUnavailable):
        feedback.handle(body("Send"))


@given(
    st.recursive(st.none() | st.text() | st.integers(), lambda c: st.lists(c) | st.dictionaries(st.text(), c))
)
def test_whatever_comes_is_an_event_a_notice_or_poison(document: Any) -> None:
    for told in (
        json.dumps(document),
        json.dumps({"eventType": "Bounce", "mail": document, "bounce": document}),
    ):
        with contextlib.suppress(NotAnEvent):
            read_event(told)


# a message's life ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("Send", State.SENT),
        ("Delivery", State.DELIVERED),
        ("Bounce", State.BOUNCED),
        ("Soft", State.BOUNCED),
        ("Complaint", State.COMPLAINED),
        ("Reject", State.BOUNCED),
    ],
)
def test_a_sent_message_goes_on(kind: str, state: State, stage: Stage, feedback: Feedback) -> None:
    id = sent(stage)
    assert feedback.handle(body(kind, id)) is Handled.APPLIED
    assert stage.state(id) is state
    assert_agreement(stage.redis)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Delivery", {"smtpResponse": "250\n" + "x" * 9000}),
        ("Bounce", {"bounceSubType": "x" * 9000}),
        ("Complaint", {"complaintFeedbackType": "x" * 9000}),
        ("Reject", {"reason": "x" * 9000}),
    ],
)
def test_what_others_wrote_is_cut_short(
    kind: str, changes: dict[str, Any], stage: Stage, feedback: Feedback
) -> None:
    id = sent(stage)
    feedback.handle(body(kind, id, **changes))
    reason = stage.status(id).history[-1].reason
    assert len(reason) == MAX_REASON
    assert "\n" not in reason


@pytest.mark.parametrize("keep_content", [False, True])
def test_an_event_leaves_the_content_where_it_shall_be_kept(keep_content: bool, stage: Stage) -> None:
    # Given a message whose reply was lost, and whose content is there to send it again
    id = stage.queue()
    stage.transport.answer(says(Kind.UNKNOWN))
    stage.work()
    # When an event tells that SES took it
    Feedback(stage.redis, "default", keep_content=keep_content).handle(body("Send", id))
    # Then its content stays only where keep_content is set
    assert stage.state(id) is State.SENT
    assert bool(stage.redis.exists(stage.keys.content(id))) is keep_content


def test_any_order_ends_in_the_same_state(stage: Stage, feedback: Feedback) -> None:
    for order in itertools.permutations(["Send", "Soft", "Delivery", "Bounce", "Complaint"]):
        id = sent(stage)
        for kind in order:
            feedback.handle(body(kind, id))
            feedback.handle(body(kind, id))
        assert stage.state(id) is State.COMPLAINED, order
        stage.pass_time(1)


@pytest.mark.parametrize("order", list(itertools.permutations(["Send", "Soft", "Delivery"])))
def test_an_automatic_reply_does_not_undo_a_delivery(
    order: tuple[str, ...], stage: Stage, feedback: Feedback
) -> None:
    id = sent(stage)
    for kind in order:
        feedback.handle(body(kind, id))
    assert stage.state(id) is State.DELIVERED


def test_unknown_is_settled_by_the_send_event(stage: Stage, feedback: Feedback) -> None:
    # Given a message whose reply was lost
    id = stage.queue()
    stage.transport.answer(says(Kind.UNKNOWN))
    stage.work()
    assert stage.state(id) is State.UNKNOWN
    # When SES tells that it took it
    feedback.handle(body("Send", id))
    # Then it is sent, with SES's id, its content is gone, and nothing is left that could send it
    record = stage.status(id)
    assert (record.state, record.message_id) == (State.SENT, "m-1")
    assert not stage.redis.exists(stage.keys.content(id))
    stage.pass_time(3600)
    stage.gate.promote()
    assert stage.claim()[0].ids == ()
    assert_agreement(stage.redis)


@pytest.mark.parametrize("kind", ["Delivery", "Bounce"])
def test_unknown_is_settled_by_what_comes_after_a_send_too(
    kind: str, stage: Stage, feedback: Feedback
) -> None:
    id = stage.queue()
    stage.transport.answer(says(Kind.UNKNOWN))
    stage.work()
    feedback.handle(body(kind, id))
    record = stage.status(id)
    assert (record.message_id, record.attempts) == ("m-1", 1)
    assert [event.state for event in record.history][-2:] == [State.SENT, record.state]
    assert_agreement(stage.redis)


def test_what_is_told_of_each_recipient_of_a_message_moves_it_once(stage: Stage, feedback: Feedback) -> None:
    # Given a message to two, of each of whom SES tells that it was delivered
    id = stage.queue(["ada@example.org", "bob@example.org"])
    stage.work()
    for to in ("ada@example.org", "bob@example.org"):
        assert feedback.handle(body("Delivery", id, timestamp=to, recipients=[to])) is Handled.APPLIED
    # Then it was delivered once, in its history and in the counts
    assert [event.state for event in stage.status(id).history].count(State.DELIVERED) == 1
    assert stage.redis.hget(stage.keys.counters, "delivered") == b"1"


def test_who_was_listed_before_keeps_the_first_reason(stage: Stage, feedback: Feedback) -> None:
    SuppressionList(stage.redis).add([Suppressed("ada@example.org", "manual", 5.0, "ada")])
    feedback.handle(body("Bounce", sent(stage)))
    (entry,) = SuppressionList(stage.redis)
    assert (entry.reason, entry.at, entry.source) == ("manual", 5.0, "ada")


def test_what_was_to_be_sent_again_is_not(redis: Redis) -> None:
    # Given a message that is resent after a lost reply, and waits for that
    stage, feedback = Stage(redis, on_unknown="resend"), Feedback(redis, "default")
    for state in (State.RETRYING, State.QUEUED):
        id = stage.queue()
        stage.transport.answer(says(Kind.UNKNOWN))
        stage.work()
        if state is State.QUEUED:
            stage.pass_time(3600)
            stage.gate.promote()
        assert stage.state(id) is state
        # When the event says that SES took it, then it is not sent a second time
        feedback.handle(body("Send", id))
        assert stage.state(id) is State.SENT
        assert_agreement(redis)
        stage.pass_time(3600)
        stage.gate.promote()
        assert stage.claim()[0].ids == ()
        assert_agreement(redis)


def test_an_event_before_the_worker_has_written_anything_down(stage: Stage, feedback: Feedback) -> None:
    # Given a message on its way, of which SES tells at once
    id = stage.queue()
    _, (begun,) = stage.claim()
    feedback.handle(body("Delivery", id))
    assert stage.state(id) is State.DELIVERED
    # When its worker hears of it later, or never
    outcome = stage.sender.send_message(begun)
    assert stage.gate.settle([outcome]) == [None]
    # Then that changes nothing
    assert stage.state(id) is State.DELIVERED
    assert_agreement(stage.redis)


def test_strangers_change_nothing_but_what_everybody_shares(stage: Stage, feedback: Feedback) -> None:
    assert feedback.handle(body("Send")) is Handled.STRANGER
    assert feedback.handle(body("Bounce", "0" * 32)) is Handled.STRANGER
    assert [each.address for each in SuppressionList(stage.redis)] == ["ada@example.org"]


# suppression and reputation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "reason"), [("Bounce", "bounce"), ("Complaint", "complaint")])
def test_who_bounced_for_good_or_complained_gets_no_more(
    kind: str, reason: str, stage: Stage, feedback: Feedback
) -> None:
    feedback.handle(body(kind, sent(stage)))
    (entry,) = SuppressionList(stage.redis)
    assert (entry.address, entry.reason) == ("ada@example.org", reason)


@pytest.mark.parametrize(
    ("told", "sent_to", "listed"),
    [
        ("Ada <ada@example.org>", "ada@example.org", ["ada@example.org"]),
        ("<ada@EXAMPLE.org>", "ada@example.org", ["ada@example.org"]),
        ("ada@example.org", "Ada@example.org", ["Ada@example.org"]),
        ("ADA@EXAMPLE.ORG", "Ada Lovelace <Ada@example.org>", ["Ada@example.org"]),
        ("ada@müller.example", "ada@xn--mller-kva.example", ["ada@xn--mller-kva.example"]),
        ("", "ada@example.org", []),
        ("postmaster", "ada@example.org", []),
        ("a@b@c", "ada@example.org", []),
        ("eve@example.org", "ada@example.org", ["eve@example.org"]),
    ],
)
def test_who_bounced_is_listed_as_mail_to_them_is_addressed(
    told: str, sent_to: str, listed: list[str], feedback: Feedback
) -> None:
    document = event("Bounce", bouncedRecipients=[{"emailAddress": told}])
    document["mail"]["destination"] = [sent_to]
    assert feedback.handle(json.dumps(document)) is Handled.STRANGER
    assert [each.address for each in SuppressionList(feedback.redis)] == listed


def test_who_was_taken_off_the_list_is_not_put_back_by_the_same_event(
    stage: Stage, feedback: Feedback
) -> None:
    told = body("Bounce", sent(stage))
    feedback.handle(told)
    SuppressionList(stage.redis).remove(["ada@example.org"])
    feedback.handle(told)
    assert len(SuppressionList(stage.redis)) == 0


def test_a_soft_bounce_and_the_mailbox_simulator_suppress_nobody(stage: Stage, feedback: Feedback) -> None:
    feedback.handle(body("Soft", sent(stage)))
    simulated = [{"emailAddress": "bounce@simulator.amazonses.com"}]
    feedback.handle(body("Bounce", sent(stage), bouncedRecipients=simulated, feedbackId="f-9"))
    assert len(SuppressionList(stage.redis)) == 0
    assert Reputation(stage.redis).read().bounced == 0


@pytest.mark.parametrize("kind", ["Undetermined", "", "Of another kind"])
def test_only_a_bounce_for_good_suppresses_and_counts(kind: str, stage: Stage, feedback: Feedback) -> None:
    feedback.handle(body("Bounce", sent(stage), bounceType=kind))
    assert (len(SuppressionList(stage.redis)), Reputation(stage.redis).read().bounced) == (0, 0)


@pytest.mark.parametrize("kind", ["Bounce", "Complaint"])
def test_what_ses_did_not_send_since_it_was_on_its_own_list_counts_for_nothing(
    kind: str, stage: Stage, feedback: Feedback
) -> None:
    """SES counts neither (developer guide, "account-level suppression list")."""
    subtype = {"bounceSubType": "OnAccountSuppressionList", "complaintSubType": "OnAccountSuppressionList"}
    id = sent(stage)
    feedback.handle(body(kind, id, **subtype))
    assert stage.state(id) is State.BOUNCED
    standing = Reputation(stage.redis).read()
    assert (standing.bounced, standing.complained) == (0, 0)


def test_each_event_counts_once(stage: Stage, feedback: Feedback) -> None:
    id = sent(stage)
    for told in (body("Send", id), body("Bounce", id), body("Complaint", id)):
        for _ in range(3):
            feedback.handle(told)
    assert Reputation(stage.redis).read() == Standing(1, 1, 1)
    key = stage.keys.event(read_event(body("Bounce", id)).digest)  # type: ignore[union-attr]
    assert REMEMBER_SECONDS - 60 < stage.redis.ttl(key) <= REMEMBER_SECONDS


def test_a_week_later_it_is_forgotten(stage: Stage, feedback: Feedback) -> None:
    feedback.handle(body("Bounce", sent(stage)))
    stage.pass_time(7 * 86_400 - 3600)
    assert Reputation(stage.redis).read() == Standing(0, 1, 0)
    stage.pass_time(3600)
    assert Reputation(stage.redis).read() == Standing(0, 0, 0)


@pytest.mark.parametrize(
    ("sent", "bounced", "complained", "level"),
    [
        (LEAST_SENT - 1, LEAST_SENT, 0, Level.FINE),
        (LEAST_SENT, LEAST_SENT // 20, 0, Level.WARN),
        (LEAST_SENT, LEAST_SENT * 8 // 100, 0, Level.PAUSE),
        (1000, 49, 0, Level.FINE),
        (1000, 50, 0, Level.WARN),
        (1000, 80, 0, Level.PAUSE),
        (1000, 1200, 0, Level.PAUSE),
        (1000, 0, 1200, Level.PAUSE),
        (10_000, 0, 9, Level.FINE),
        (10_000, 0, 10, Level.WARN),
        (10_000, 0, 40, Level.PAUSE),
    ],
)
def test_how_bad_it_is(sent: int, bounced: int, complained: int, level: Level) -> None:
    assert Standing(sent, bounced, complained).level is level


@pytest.mark.parametrize("pauses", [True, False])
def test_bulk_is_paused_before_amazon_pauses_the_account(pauses: bool, stage: Stage, caplog: Any) -> None:
    # Given a week of mail, of which many bounce
    feedback = Feedback(stage.redis, "default", pauses_bulk=pauses)
    hour = int(stage.now // 3600)
    stage.redis.hset(stage.keys.reputation, mapping={f"{hour}:sent": 1000, f"{hour}:bounced": 79})
    urgent, bulk = stage.queue(), stage.queue(lane="bulk")
    # When one more does
    feedback.handle(body("Bounce"))
    # Then somebody is told, and only where that is wanted bulk mail stays, and nothing else
    assert "8.00% bounces" in caplog.text
    assert bool(Policy(stage.redis).bulk_paused) is pauses
    claim, _ = stage.claim()
    assert claim.ids == ((urgent,) if pauses else (urgent, bulk))
    if not pauses:
        return
    assert stage.claim()[0].reason == "paused"
    # And once a person lets it go on, the same standing does not pause it again
    Policy(stage.redis).resume(by="ops", bulk_only=True)
    feedback.handle(body("Bounce", feedbackId="f-10"))
    assert stage.claim()[0].ids == (bulk,)


class Week:
    """A week's counts, set at will; each bounce or complaint on top of them is an event of its own."""

    def __init__(self, stage: Stage, feedback: Feedback) -> None:
        self.stage = stage
        self.policy = Policy(stage.redis)
        self._feedback = feedback
        self._number = 0

    def has(self, sent: int, bounced: int = 0, complained: int = 0) -> None:
        hour = int(self.stage.now // 3600)
        counts = {f"{hour}:sent": sent, f"{hour}:bounced": bounced, f"{hour}:complained": complained}
        self.stage.redis.hset(self.stage.keys.reputation, mapping=counts)

    def pauses_at(self, *kinds: str) -> list[bool]:
        """Whether bulk mail is paused after each such event."""
        return [self._after(kind) for kind in kinds]

    def resume(self) -> None:
        self.policy.resume(by="ops", bulk_only=True)

    def _after(self, kind: str) -> bool:
        self._number += 1
        self._feedback.handle(body(kind, feedbackId=f"week-{self._number}"))
        return bool(self.policy.bulk_paused)


@pytest.fixture
def week(stage: Stage, feedback: Feedback) -> Week:
    return Week(stage, feedback)


def test_after_a_resume_bulk_is_paused_again_once_it_is_a_step_worse(week: Week) -> None:
    # Given bulk mail paused at 8 %, and a person who lets it go on
    week.has(1000, bounced=79)
    assert week.pauses_at("Bounce") == [True]
    week.resume()
    # When the rate goes up and down around it, then it stays
    assert week.pauses_at("Bounce", "Bounce") == [False, False]
    week.has(1200, bounced=85)
    assert week.pauses_at("Bounce") == [False]
    week.has(1000, bounced=88)
    assert week.pauses_at("Bounce") == [False]
    # And at a percentage point more it is paused, each time
    assert week.pauses_at("Bounce") == [True]
    assert "9.00% bounces" in week.policy.bulk_paused
    week.resume()
    week.has(1000, bounced=98)
    assert week.pauses_at("Bounce", "Bounce") == [False, True]


def test_a_level_is_warned_of_when_it_gets_worse_and_not_with_each_event(
    week: Week, caplog: pytest.LogCaptureFixture
) -> None:
    def warnings() -> int:
        return sum("bounces (reviewed at" in record.getMessage() for record in caplog.records)

    week.has(1000, bounced=50)
    week.pauses_at("Bounce", "Bounce", "Bounce")
    assert warnings() == 1
    week.has(1000, bounced=79)
    week.pauses_at("Bounce", "Bounce")
    assert warnings() == 2


@pytest.mark.parametrize("pauses", [True, False])
def test_a_ramp_stands_still_with_the_event_that_reaches_the_line(
    pauses: bool, stage: Stage, redis: Redis
) -> None:
    """Whether or not bulk mail is paused then, and although a person lets it go on."""
    feedback = Feedback(redis, "default", pauses_bulk=pauses)
    start_ramp(redis, "default", 100, 400, 2 * 86_400, by="ada")
    hour = int(stage.now // 3600)
    redis.hset(stage.keys.reputation, mapping={f"{hour}:sent": 1000, f"{hour}:complained": 2})
    for number, still in ((1, False), (2, True)):
        feedback.handle(body("Complaint", message_id=f"m-{number}"))
        ramp = stage.gate.usage().ramp
        assert ramp is not None
        assert (ramp.still_since is not None) is still
    stage.policy.resume(by="ada", bulk_only=True)
    feedback.mind_the_reputation()
    ramp = stage.gate.usage().ramp
    assert ramp is not None
    assert "0.40% complaints" in ramp.still_because


def test_what_bounces_late_while_bulk_is_paused_is_let_pass_by_a_resume(week: Week) -> None:
    week.has(1000, bounced=79)
    week.pauses_at(*["Bounce"] * 16)
    week.resume()
    assert week.pauses_at(*["Bounce"] * 9) == [False] * 9
    assert week.pauses_at("Bounce") == [True]


def test_bounces_and_complaints_are_let_pass_apart(week: Week) -> None:
    week.has(10_000, bounced=799)
    week.pauses_at("Bounce")
    week.resume()
    week.has(10_000, bounced=800, complained=39)
    assert week.pauses_at("Complaint") == [True]
    week.resume()
    assert week.pauses_at(*["Complaint"] * 5) == [False] * 4 + [True]


def test_a_rate_that_rises_without_new_bounces_pauses_nothing_again(week: Week, feedback: Feedback) -> None:
    week.has(1000, bounced=79)
    week.pauses_at("Bounce")
    week.resume()
    week.has(800, bounced=80, complained=0)
    feedback.mind_the_reputation()
    assert week.pauses_at("Soft") == [False]
    assert week.pauses_at("Bounce") == [True]


def test_what_was_let_pass_is_forgotten_once_the_rate_was_good(week: Week) -> None:
    week.has(1000, bounced=79)
    week.pauses_at("Bounce")
    week.resume()
    week.has(10_000, bounced=100)
    assert week.pauses_at("Bounce") == [False]
    week.has(1000, bounced=79)
    assert week.pauses_at("Bounce") == [True]


def test_a_persons_own_pause_lets_nothing_pass(week: Week) -> None:
    week.policy.pause("a wrong link", by="ops", bulk_only=True)
    week.has(1000, bounced=77)
    week.pauses_at("Bounce")
    assert week.policy.bulk_paused == "a wrong link"
    week.pauses_at("Bounce", "Bounce")
    assert "8.00% bounces" in week.policy.bulk_paused


def test_a_pause_that_failed_is_made_up_for_when_the_event_comes_again(
    week: Week, feedback: Feedback, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given Redis that goes away when bulk is to be paused
    def away(*_: object, **__: object) -> None:
        raise QueueUnavailable("away")

    week.has(1000, bounced=79)
    with monkeypatch.context() as patched:
        patched.setattr(Policy, "pause", away)
        with pytest.raises(QueueUnavailable):
            feedback.handle(body("Bounce"))
    # When SQS brings the event again, then bulk is paused, and the event has counted once
    feedback.handle(body("Bounce"))
    assert "8.00% bounces" in week.policy.bulk_paused


# sending -------------------------------------------------------------------------------------------------------------


def test_a_suppressed_recipient_costs_no_quota_and_is_never_counted_as_sent(
    stage: Stage, feedback: Feedback
) -> None:
    feedback.handle(body("Bounce"))
    stage.rules.refresh()
    id = stage.queue("Ada <ada@EXAMPLE.org>")
    stage.work()
    assert stage.state(id) is State.SUPPRESSED
    assert "suppression list (bounce): ada@EXAMPLE.org" in stage.status(id).reason
    after = stage.gate.usage()
    assert (after.total, after.tokens) == (0, after.burst)
    assert stage.transport.tried == []
    assert_agreement(stage.redis)


def test_the_others_get_the_message(stage: Stage, feedback: Feedback) -> None:
    feedback.handle(body("Complaint"))
    stage.rules.refresh()
    id = stage.queue(["ada@example.org", "bob@example.org"], bcc=["cleo@example.org"])
    stage.work()
    (outgoing,) = stage.transport.sent
    assert outgoing.envelope.recipients == ("bob@example.org", "cleo@example.org")
    assert stage.state(id) is State.SENT
    assert "ada@example.org" in stage.status(id).reason


def test_mail_without_a_configuration_set_gets_the_accounts(redis: Redis) -> None:
    stage = Stage(redis, configuration_set="sesq")
    stage.queue()
    stage.queue(configuration_set="own")
    stage.work()
    assert [each.envelope.configuration_set for each in stage.transport.sent] == ["sesq", "own"]


def test_mail_without_a_tenant_is_sent_for_the_accounts(redis: Redis) -> None:
    stage = Stage(redis, tenant="acme")
    stage.queue()
    stage.queue(tenant="globex")
    stage.work()
    assert [each.envelope.tenant for each in stage.transport.sent] == ["acme", "globex"]


def test_what_is_told_of_a_row_after_its_batch_has_ended_leaves_no_key_for_ever(redis: Redis) -> None:
    # Given a batch that has ended, of whose rows only MessageIds are kept
    stage = BatchStage(redis)
    taken = stage.take(3)
    stage.send_all()
    assert stage.batch(taken).ended is not None
    # When the mail of one bounces
    bounced = body("Bounce", f"{taken.id}-0-0", message_id="recorded-1")
    assert Feedback(redis, "default").handle(bounced) is Handled.APPLIED
    # Then the row has a record, and that goes with the batch
    assert stage.counts(taken.id) == {"sent": 2, "bounced": 1}
    assert 0 < redis.ttl(stage.keys.materialized(taken.id)) <= redis.ttl(stage.keys.batch(taken.id))
    assert_agreement(redis)
