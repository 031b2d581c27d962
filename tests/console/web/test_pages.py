"""Pages say what is wrong, and never show a traceback; what a change would do; reports that harm no spreadsheet."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from redis import Redis

from batch import template
from sesq.config.errors import InvalidPolicy
from sesq.console.audit import Audit
from sesq.console.overview import read_overview
from sesq.console.web import render
from sesq.console.web.outlook import changed, look_ahead, read_series
from sesq.console.web.plots import gauge, plot
from sesq.console.web.render import hidden_token
from sesq.console.why import sentences
from sesq.producer import Message, Outbox
from sesq.producer.batch.batch_intake import numbered, take
from sesq.producer.batch.request import batch_request
from sesq.queue.batches import Batches
from sesq.queue.policy import Policy, Setting
from sesq.queue.ramp import start_ramp
from sesq.queue.results import SendResult
from sesq.queue.states import State
from sesq.queue.suppression import Suppressed, SuppressionList
from sesq.queue.tenant_limits import TenantLimits
from sesq.worker.events import Feedback
from sesq.worker.verdicts import Kind
from stage import Stage, says

Console = Callable[..., Any]
PAGES = (
    "overview",
    "messages",
    "batches",
    "quota",
    "identities",
    "test",
    "suppression",
    "reputation",
    "sandbox",
    "activity",
)


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_there_before_anything_has_happened(console: Console, page: str) -> None:
    answer = console().get(page)
    assert answer.status_code == 200
    assert "<h1" in answer.text


NEWER = {"v": "99"}
FOR_NOBODY = {"sender": "", "to": "[]"}
"""Of a recipient whose chunk Redis has lost."""


@pytest.mark.parametrize("fields", [NEWER, FOR_NOBODY])
def test_a_message_that_nobody_can_read_hides_no_other(
    console: Console, redis: Redis, fields: dict[str, str]
) -> None:
    stage = Stage(redis)
    ids = [stage.queue(), stage.queue()]
    redis.hset(stage.keys.message(ids[0]), mapping=fields)
    visit = console()
    page = visit.get("messages").text
    assert (ids[0] in page, ids[1] in page) == (True, True)
    assert ("(its envelope cannot be read)" in page) is (fields is NEWER)
    assert visit.get(f"messages/{ids[0]}").status_code == 200


def test_of_a_mail_in_a_thousand_parts_the_first_are_shown(console: Console, redis: Redis) -> None:
    part = "--x\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nHi\r\n"
    head = (
        "From: shop@example.com\r\nTo: ada@example.org\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    )
    id = Outbox(redis).send(Message.from_bytes(f"{head}{part * 1000}--x--\r\n".encode()))
    assert console().get(f"messages/{id}").text.count("<bdi>a.txt</bdi>") == 199


def test_times_are_the_viewers(console: Console, redis: Redis) -> None:
    stage = Stage(redis)  # it is 22:13:20 in Greenwich
    stage.queue()
    visit = console()
    for zone, hour in (("Asia/Tokyo", "07:13:2"), ("America/New_York", "17:13:2"), ("Etc/UTC", "22:13:2")):
        visit.session.cookies.set("sesq_zone", zone.replace("/", "%2F"))
        assert hour in visit.get("messages").text, zone
    for zone in ("../../etc/passwd", "No/Such", "%00", "x" * 300):
        visit.session.cookies.set("sesq_zone", zone)
        assert visit.get("messages").status_code == 200


def test_a_batchs_page_leads_to_those_who_are_held_and_to_the_unknown(console: Console, redis: Redis) -> None:
    stage = Stage(redis)
    request = batch_request(template(), "shop@example.com", "k")
    taken = take(redis, request, numbered({"email": f"p{i}@example.org", "name": "P"} for i in range(2)))
    stage.redis.hset(stage.keys.batch(taken.id), mapping={"n:waiting": 0, "n:held": 1, "n:unknown": 1})
    held, unknown = stage.queue("held@example.org"), stage.queue("unknown@example.org")
    _, started = stage.claim(2)
    states = zip(started, (State.HELD, State.UNKNOWN), strict=True)
    stage.gate.settle([SendResult(each.grant, state) for each, state in states])
    visit = console()
    (link,) = re.findall(
        r'href="[^"]*/(messages[^"]*)">2 held or unknown', visit.get(f"batches/{taken.id}").text
    )
    page = visit.get(html.unescape(link)).text
    assert (held in page, unknown in page) == (True, True)


def test_mail_of_a_stopped_tenant_says_why_it_waits(console: Console, redis: Redis) -> None:
    stage = Stage(redis)
    id = stage.queue(tenant="acme")
    why = "SES has stopped the tenant acme in eu-west-1: its sending status is DISABLED."
    stage.transport.answer(says(Kind.CONFIGURATION, "tenant:acme", why))
    stage.work()
    visit = console()
    assert why in visit.get(f"messages/{id}").text
    assert why in visit.get("overview").text


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/accounts/nobody/overview", 404, "no account is called nobody"),
        ("messages/none", 404, "no message none"),
        ("batches/none", 404, "no batch none"),
        ("messages?state=lost", 422, "allowed: scheduled"),
        ("messages?after=x", 422, "is not where a page ended"),
        ("messages?after=nan:x", 422, "is not where a page ended"),
        ("suppression?cursor=" + "9" * 23, 422, "not as it should be"),
        ("identities/example.com", 502, "no SES here"),
        ("batches?skip=x", 422, "not as it should be"),
        ("/nothing", 404, "there is no such page"),
    ],
)
def test_what_cannot_be_shown_says_why(console: Console, path: str, status: int, words: str) -> None:
    answer = console().get(path)
    assert answer.status_code == status
    assert words in answer.text


def test_without_redis_it_says_so(console: Console, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = console()
    assert visit.get("overview").status_code == 200
    pool = redis.connection_pool
    monkeypatch.setattr(pool, "get_connection", _refuse)
    answer = visit.get("overview")
    assert answer.status_code == 503
    assert "Start Redis" in answer.text
    assert visit.get("/api/v1/accounts/default/overview").status_code == 503
    assert visit.get("/metrics").status_code == 503


def _refuse(*_: Any, **__: Any) -> None:
    from redis.exceptions import ConnectionError as Refused

    raise Refused("connection refused")


HOSTILE = {
    "a subject that is no base64": b"Subject: =?utf-8?b?a?=",
    "a name in parts that do not fit": b"""Content-Disposition: attachment; filename*="''"; filename*0*=x""",
    "a type that is none": b"Content-Type: multipart/mixed; boundary*0*=x; boundary*=\"''\"",
}


@pytest.mark.parametrize("header", HOSTILE.values(), ids=HOSTILE)
def test_hostile_mail_has_a_page_all_the_same(console: Console, redis: Redis, header: bytes) -> None:
    raw = b"From: shop@example.com\r\nTo: ada@example.com\r\n" + header + b"\r\n\r\nHello \xff\r\n"
    id = Outbox(redis).send(Message.from_bytes(raw))
    visit = console()
    assert "Download the mail as it is" in visit.get(f"messages/{id}").text
    assert visit.get(f"messages/{id}/html").status_code == 200
    assert b"Hello" in visit.get(f"messages/{id}/raw").content


def test_an_attachment_with_an_unreadable_name_is_still_one(console: Console, redis: Redis) -> None:
    header = HOSTILE["a name in parts that do not fit"]
    raw = b"From: shop@example.com\r\nTo: ada@example.com\r\n" + header + b"\r\n\r\nHello\r\n"
    id = Outbox(redis).send(Message.from_bytes(raw))
    assert "unnamed" in console().get(f"messages/{id}").text


def test_what_a_change_would_do(redis: Redis) -> None:
    # Given a hundred messages at 100 a second
    stage = Stage(redis)
    Outbox(redis).send_many(
        Message(sender="shop@example.com", to="ada@example.org", text="x") for _ in range(100)
    )
    view = read_overview(redis, "default")
    now = look_ahead(redis, view)
    assert now.waiting == 100
    assert now.empty_at == pytest.approx(stage.now + 1, abs=0.1)
    # When the rate were a tenth, ten times as long; more than SES allows would count for nothing
    slower = look_ahead(redis, view, changed(view, {"rate": "10/second"}, force=False))
    assert slower.empty_at == pytest.approx(stage.now + 10, abs=0.1)
    assert changed(view, {"rate": "1000/second"}, force=False).rate == 100
    assert changed(view, {"rate": "1000/second"}, force=True).rate == 1000
    assert changed(view, {"daily": "unlimited"}, force=False).daily == 50_000
    assert changed(view, {"reserve": "10%"}, force=False).reserve == 5000
    # and with a day of forty, a third of them would go after two more days
    small = look_ahead(redis, view, changed(view, {"daily": "40"}, force=False))
    assert small.empty_at is not None
    assert small.empty_at - stage.now == pytest.approx(2 * 86_400, rel=0.01)
    with pytest.raises(InvalidPolicy):
        changed(view, {"rate": "fast"}, force=False)
    assert Policy(redis).history() == []


def test_the_recipients_of_a_batch_wait_once_and_not_while_it_is_paused(redis: Redis) -> None:
    # Given a message, and a batch of a thousand at 100 a second
    stage = Stage(redis)
    stage.queue(lane="bulk")
    request = batch_request(template(), "shop@example.com", "k")
    taken = take(redis, request, numbered({"email": f"p{i}@example.org", "name": "P"} for i in range(1000)))
    now = look_ahead(redis, read_overview(redis, "default"))
    assert now.waiting == 1001
    assert now.empty_at == pytest.approx(stage.now + 10, abs=0.5)
    # When it is paused, Then only the message waits in its lane, and it is said what the others wait for
    Batches(redis).pause(taken.id, "a wrong link")
    view = read_overview(redis, "default")
    assert look_ahead(redis, view).waiting == 1
    (said,) = [line for line in sentences(view) if taken.id in line]
    assert "a wrong link. 1,000 of it wait until" in said


def test_nobody_can_tell_when_bulk_mail_will_have_gone_that_is_paused(redis: Redis) -> None:
    stage = Stage(redis)
    stage.policy.pause("a look", by="ada", bulk_only=True)
    stage.queue()
    assert look_ahead(redis, read_overview(redis, "default")).empty_at is not None
    stage.queue(lane="bulk")
    assert look_ahead(redis, read_overview(redis, "default")).empty_at is None


def test_the_last_hour_and_day_are_counted_from_what_is_there(redis: Redis) -> None:
    stage = Stage(redis)
    for _ in range(3):
        stage.queue()
    stage.work(2)
    stage.pass_time(600)
    stage.work(5)
    series = read_series(redis, "default", stage.now, 7)
    assert (sum(series["hour"].sent), sum(series["day"].sent)) == (3, 3)
    assert series["hour"].sent[-1] >= 1
    assert [value for value in series["hour"].waiting if value is not None] == [7]
    stage.pass_time(3600)
    later = read_series(redis, "default", stage.now, 0)
    assert (sum(later["hour"].sent), sum(later["day"].sent)) == (0, 3)


def test_undo_ends_a_pause_of_bulk_mail_and_brings_it_back(console: Console, redis: Redis) -> None:
    policy, visit = Policy(redis), console()
    policy.pause("a look", by="ada", bulk_only=True)
    for paused in ("", "a look"):
        visit.post("quota/undo", {"at": json.dumps(policy.history()[0]["at"])})
        assert (policy.bulk_paused, policy.paused) == (paused, "")


def test_undo_puts_back_what_was_forced(console: Console, redis: Redis) -> None:
    Stage(redis).sync(rate=10.0)
    policy, visit = Policy(redis), console()
    policy.set({"rate": "20", "daily": "100"}, by="ada", force=True)
    policy.set({"rate": "5"}, by="bob")
    assert visit.post("quota/undo", {"at": json.dumps(policy.history()[0]["at"])}).status_code == 200
    assert (policy.show()["rate"].value, policy.show()["rate"].forced) == ("20.0", True)
    # and what was not forced is not, whatever replaced it
    policy.set({"rate": "5"}, by="ada")
    policy.set({"rate": "20"}, by="bob", force=True)
    assert visit.post("quota/undo", {"at": json.dumps(policy.history()[0]["at"])}).status_code == 200
    assert (policy.show()["rate"].value, policy.show()["rate"].forced) == ("5.0", False)


def test_undo_ends_a_ramp_and_brings_it_back_where_it_was(console: Console, redis: Redis) -> None:
    stage, visit = Stage(redis), console()

    def undo() -> None:
        visit.post("quota/undo", {"at": json.dumps(stage.policy.history()[0]["at"])})

    visit.post("quota/ramp", {"from": "100", "to": "1600", "over": "4d"})
    page = visit.get("quota").text
    assert "The ramp allows 100 recipients in 24 hours, on day 1 of 4; 200 from" in page
    assert "ramp: not set → 100/day to 1600/day in 4 days" in page
    stage.pass_time(86_400 * 1.5)
    visit.post("quota/ramp/stop", {})
    assert stage.gate.usage().ramp is None
    stage.pass_time(86_400 * 5)
    undo()
    ramp = stage.gate.usage().ramp
    assert ramp is not None
    assert (ramp.cap, ramp.steps[0]) == (200, (pytest.approx(stage.now + 86_400 / 2), 400))
    stage.pass_time(1)
    undo()
    assert stage.gate.usage().ramp is None
    answer = visit.post("quota/ramp", {"from": "100", "to": "1600", "over": "soon"})
    assert answer.status_code == 422
    assert "over: &#39;soon&#39; is no duration" in answer.text


def test_undo_of_a_tenants_limits_changes_that_tenant_alone(console: Console, redis: Redis) -> None:
    stage, visit, limits = Stage(redis), console(), TenantLimits(redis)

    def undo(number: int) -> None:
        visit.post("quota/undo", {"at": json.dumps(stage.policy.history()[number]["at"])})

    limits.set("acme", {"rate": "3"}, by="ada")
    stage.pass_time(1)
    limits.set("acme", {"rate": "5", "daily": "90"}, by="ada")
    stage.pass_time(1)
    start_ramp(redis, "default", 100, 1600, 86_400 * 4, by="ada", tenant="acme")
    assert "tenant acme: rate: 3/second → 5/second; daily: not set → 90/day" in visit.get("quota").text
    stage.pass_time(1)
    undo(1)
    assert (limits.of("acme").rate, limits.of("acme").daily) == (3.0, None)
    stage.pass_time(1)
    undo(2)
    assert limits.of("acme").ramp is None
    assert stage.gate.usage().ramp is None
    limits.pause("acme", "a look", by="ada")
    stage.pass_time(1)
    limits.resume("acme", by="ada")
    stage.pass_time(1)
    undo(0)
    assert (limits.of("acme").paused, stage.policy.bulk_paused) == ("a look", "")
    assert stage.policy.show()["rate"].origin == "SES"


def test_undo_puts_back_a_limit_for_the_rest_of_its_time(console: Console, redis: Redis) -> None:
    # Given a limit that stays, and another one over it for ten minutes
    visit, stage = console(), Stage(redis)
    stage.policy.set({"rate": "5"}, by="ada")
    stage.policy.set({"rate": "3"}, by="ada", for_seconds=600)
    ends = stage.policy.show()["rate"].until
    # When both are replaced, and that is undone a minute later
    stage.policy.set({"rate": "4"}, by="ada")
    assert "rate: 3/second → 4/second" in visit.get("quota").text
    stage.pass_time(60)
    at = json.dumps(next(each["at"] for each in stage.policy.history() if each["new"] == {"rate": "4.0"}))
    visit.post("quota/undo", {"at": at})
    # Then both hold again, the second one until its time
    assert stage.policy.show()["rate"] == Setting("3.0", "set", ends)
    stage.pass_time(600)
    assert stage.policy.show()["rate"] == Setting("5.0", "set")


def test_an_undo_that_is_refused_changes_nothing(console: Console, redis: Redis) -> None:
    # Given a limit for a time that is replaced by a lower one, and SES, which then allows less than the first
    visit, stage = console(), Stage(redis)
    stage.policy.set({"rate": "5"}, by="ada", for_seconds=600)
    stage.policy.set({"rate": "2"}, by="ada")
    at = json.dumps(next(each["at"] for each in stage.policy.history() if each["new"] == {"rate": "2.0"}))
    stage.sync(rate=3.0)
    # When somebody undoes the lower one, Then that is refused, and it still holds
    assert visit.post("quota/undo", {"at": at}).status_code == 422
    assert stage.policy.show()["rate"] == Setting("2.0", "set")


def test_undo_puts_back_what_was(console: Console, redis: Redis) -> None:
    visit, policy = console(), Policy(redis)
    policy.set({"rate": "3", "burst": "2"}, by="ada")
    policy.set({"rate": "5", "reserve": "10%"}, by="bob")
    assert visit.post("quota/undo", {"at": json.dumps(policy.history()[0]["at"])}).status_code == 200
    settings = {name: setting.value for name, setting in policy.show().items()}
    assert (settings["rate"], settings["burst"], settings["reserve"]) == ("3.0", "2.0", None)
    policy.pause("a review", by="ada")
    policy.resume(by="bob")
    visit.post("quota/undo", {"at": json.dumps(policy.history()[0]["at"])})
    assert policy.paused == "a review"
    assert visit.post("quota/undo", {"at": "1.5"}).status_code == 422


def test_unknown_messages_are_resolved_by_hand(console: Console, redis: Redis) -> None:
    stage, visit = Stage(redis), console()
    id = stage.queue()
    claim, _ = stage.claim()
    stage.gate.settle([SendResult(claim.grants[0], State.UNKNOWN, "a lost reply")])
    assert "Resolve as sent" in visit.get(f"messages/{id}").text
    visit.post("messages/act", {"verb": "resolve as sent", "ids": id})
    record = stage.status(id)
    assert (record.state, record.reason) == (State.SENT, "resolved as sent by ops@here (console)")
    assert visit.post("messages/act", {"verb": "explode", "ids": id}).status_code == 422
    assert visit.post("messages/act", {"verb": "cancel"}).status_code == 422
    many = visit.post("messages/act", {"verb": "cancel", "ids": [f"{number}" for number in range(501)]})
    assert (many.status_code, "at most 500 messages at once" in many.text) == (422, True)


EVIL = '"><script>alert(1)</script><b onclick="x">&'
"""Whoever writes it into a page as it is has written markup."""


def is_text(page: str) -> bool:
    """Whether the page shows EVIL, and none of it is markup."""
    return "<script>alert" not in page and "<b onclick" not in page and "&lt;script&gt;alert(1)" in page


def test_what_people_and_mail_say_is_text_on_every_page(
    console: Console, redis: Redis, tmp_path: Path
) -> None:
    # Given a queue in which everything that can be named bears markup in its name
    stage = Stage(redis)
    id = stage.queue("ada@example.org", subject=EVIL, tags={"k": "v"}, text=EVIL, headers={"X-Note": EVIL})
    claim, _ = stage.claim()
    stage.gate.settle([SendResult(claim.grants[0], State.HELD, EVIL, hold=f"recipient:{EVIL}")])
    Policy(redis).set({"rate": "1/second"}, by=EVIL)
    Policy(redis).pause(EVIL, by=EVIL)
    Audit(redis, "default").note(EVIL, EVIL)
    SuppressionList(redis, "default").add([Suppressed("eve@example.org", "manual", stage.now, EVIL)])
    visit = console()
    # Then each page that shows any of it shows it as text
    for path in ("overview", "messages", f"messages/{id}", "quota", "identities", "activity", "suppression"):
        assert is_text(visit.get(path).text), path
    # And what somebody types is text in what answers it
    assert is_text(visit.post("test", {"kind": "formatted", "sender": EVIL, "subject": EVIL}).text)
    assert is_text(visit.get("messages", params={"q": EVIL}).text)
    assert is_text(visit.get("/login", params={"next": f"/accounts/{EVIL}"}).text)
    account = quote(EVIL.replace("/", ""))
    assert is_text(visit.get(f"/accounts/{account}/overview").text)
    assert is_text(visit.post("quota/pause", {"reason": EVIL}).text)


def test_the_page_of_a_message_says_why_its_delivery_is_delayed(console: Console, redis: Redis) -> None:
    stage = Stage(redis)
    id = stage.queue("ada@example.org")
    stage.work()
    delayed = [{"emailAddress": "ada@example.org", "diagnosticCode": EVIL}]
    delay = {"delayType": "MailboxFull", "delayedRecipients": delayed}
    mail = {"messageId": "m-1", "destination": ["ada@example.org"], "tags": {"sesq-id": [id]}}
    visit = console()
    assert "Delayed because" not in visit.get(f"messages/{id}").text
    told = {"eventType": "DeliveryDelay", "mail": mail, "deliveryDelay": delay}
    Feedback(redis, "default").handle(json.dumps(told))
    page = visit.get(f"messages/{id}").text
    assert (
        "<dt>Delayed because</dt><dd><bdi>delayed to ada@example.org (MailboxFull): the mailbox is full"
        in page
    )
    assert is_text(page)
    api = visit.get(f"/api/v1/accounts/default/messages/{id}").json()
    assert api["delayed_because"].startswith("delayed to ada@example.org (MailboxFull)")


def test_what_we_say_is_safe_is() -> None:
    # The places in which markup is made by code, and not by a template
    for made in (
        gauge(EVIL, [("used", 1)], 2),
        gauge("The day", [(EVIL, 1)], 2),
        plot(EVIL, [1], ["now"], ("mail", "a minute"), "bars", "sent"),
        plot("Sent", [1], ["now"], ("mail", "a minute"), "line", EVIL),
        plot("Sent", [1], [EVIL], ("mail", EVIL), "bars", "sent"),
        hidden_token(EVIL),
    ):
        assert "<script>" not in made
        assert 'onclick="' not in made
        assert "&lt;script&gt;" in made
    # And no template says so of anything
    for file in (Path(str(render.__file__)).parent / "templates").iterdir():
        assert not re.search(r"\|\s*safe|autoescape", file.read_text()), file.name


def test_a_plot_is_text_of_ours_alone() -> None:
    times = ["22:00", "22:01", "22:02"]
    drawn = plot('<b>"', [0, None, 3.5], times, ("mail", "a minute"), "bars", "sent")
    assert "<b>" not in drawn
    assert drawn.count("<rect") == 1 + len(times)  # one to see, and each place to point at
    assert "at most 3.5 mails a minute" in drawn
    told = ["22:00: 0 mails a minute", "22:01: not known", "22:02: 3.5 mails a minute"]
    assert re.findall("<title>([^<]*)</title>", drawn) == told
    assert "style=" not in drawn
