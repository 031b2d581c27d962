"""The web console in a browser, on a live system: look, send, tune, verify, cancel; hostile mail does nothing."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from batch import write_rows, write_template
from browser import Browser, chromium
from sesq.config.embedded import EmbeddedRedis
from sesq.queue.batches import Batches
from sesq.queue.careful_redis import connect
from sesq.queue.policy import Policy
from sesq.queue.states import State
from system import System, eventually, running_system


@dataclass
class Live:
    """A simulated SES in the sandbox, a worker, the console, a browser."""

    system: System
    browser: Browser


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("console")
    with (
        EmbeddedRedis(folder / "r") as server,
        running_system(
            connect(server.url), server.url, folder, production=False, max_send_rate=20, max_24_hour_send=500
        ) as s,
    ):
        s.ses.verify("ada@example.org")
        s.start_workers(1)
        s.start("sesq.console", "console", "--port", "0", PYTHONUNBUFFERED="1")
        site = eventually(lambda: re.search(r"listening on (\S+)", s.log()), "the console listens")[1]
        eventually(lambda: s.redis.exists(s.keys.snapshot), "the account is known")
        with chromium(site) as browser:
            yield Live(s, browser)


def test_a_test_mail_is_sent_and_followed_to_its_end(live: Live) -> None:
    s, browser = live.system, live.browser
    # When a test mail is written in the browser
    browser.open("test")
    live.browser.look("test-mail")
    browser.fill(sender="shop@example.com", to="ada@example.org", subject="Does it arrive?", tag="kind=trial")
    browser.press("Send")
    assert "Does it arrive?" in browser.text
    # Then its page says by itself that it was sent, and SES has it
    browser.until_says("MessageId")
    assert [entry["subject"] for entry in s.ses.messages()].count("Does it arrive?") == 1
    browser.look("message-sent")

    # And it is found by recipient, by tag and by id
    id = browser.driver.current_url.rpartition("/")[2]
    for search in ("q=ADA@example", "tag=kind=trial", "tag=kind", "state=sent"):
        browser.open(f"messages?{search}")
        assert "Does it arrive?" in browser.text, search
    browser.open("messages?tag=kind=other")
    assert "No message matches" in browser.text
    browser.open(f"messages?q={id}")
    assert browser.driver.current_url.endswith(f"/messages/{id}")


def test_a_wrong_test_mail_says_what_is_wrong_and_keeps_what_was_typed(live: Live) -> None:
    browser = live.browser
    browser.open("test")
    browser.fill(sender="shop@example.com", to="not an address", subject="Kept")
    browser.press("Send")
    assert "to:" in browser.find("main [role=alert]").text
    assert browser.find("[name=subject]").get_attribute("value") == "Kept"


def test_a_raw_mail_goes_as_it_is(live: Live) -> None:
    browser = live.browser
    browser.open("test")
    browser.find("[value=raw]").click()
    raw = "From: shop@example.com\nTo: success@simulator.amazonses.com\nSubject: Raw one\n\nHello."
    browser.fill(raw=raw, to="")
    browser.press("Send")
    browser.until_says("MessageId")
    assert "Raw one" in browser.text


def test_a_raised_quota_changes_the_pace(live: Live) -> None:
    s, browser = live.system, live.browser
    # Given a queue that is sent slowly
    Policy(s.redis).set({"rate": "1 per 10 seconds"}, by="test")
    waiting = [s.outbox.send(s.mail("ada@example.org", lane="bulk")) for _ in range(12)]
    browser.open("overview")
    assert "to go" in browser.text
    browser.look("overview-busy")
    assert s.count(State.QUEUED) > 5

    # When the rate is raised: first it is shown what that does
    browser.open("quota")
    browser.look("quota")
    browser.fill(rate="20/second", **{"for": "1h"})
    browser.press("Show what it does")
    assert Policy(s.redis).show()["rate"].value == "0.1"
    browser.look("quota-preview")
    assert "1 per 10 seconds" in browser.text
    browser.press("Change rate")

    # Then it holds at once: what would have taken two minutes is sent
    assert "In force now, in every worker" in browser.text
    eventually(
        lambda: {s.outbox.status(id).state for id in waiting} == {State.SENT}, "all is sent", patience=30
    )
    browser.open("overview")
    browser.until_says("Both lanes are empty")

    # And who did it is written down, and can be undone
    browser.open("quota")
    assert "(console)" in browser.text
    browser.press("Undo")
    assert Policy(s.redis).show()["rate"].value == "0.1"
    Policy(s.redis).reset(by="test")


def test_above_ses_is_refused_with_a_reason(live: Live) -> None:
    browser = live.browser
    browser.open("quota")
    browser.fill(rate="1000/second")
    browser.press("Show what it does")
    assert "above the 20 a second that SES allows" in browser.find("main [role=alert]").text


def test_pause_and_resume(live: Live) -> None:
    s, browser = live.system, live.browser
    browser.open("overview")
    browser.find("a[href$='quota/pause?mail=all']").click()
    browser.until_says("Pause all mail?")
    browser.fill(reason="bounces are high")
    browser.press("Pause all mail")
    assert Policy(s.redis).paused == "bounces are high"
    browser.open("overview")
    assert "bounces are high" in browser.text
    browser.press("Resume all mail")
    assert Policy(s.redis).paused == ""


def test_what_waits_for_a_recipient_goes_once_it_is_verified(live: Live) -> None:
    s, browser = live.system, live.browser
    # Given a mail that is held
    id = s.outbox.send(s.mail("bob@example.org", subject="For Bob"))
    eventually(lambda: s.outbox.status(id).state is State.HELD, "it is held")
    browser.open("identities")
    assert "bob@example.org" in browser.text
    browser.look("identities")
    assert browser.lines("#waiting bdi") == 1
    assert browser.lines("#waiting button") == 1
    # When somebody verifies the address, and its owner clicks on the link
    browser.press("Verify")
    assert "SES sends a mail with a link to this address" in browser.text
    browser.press("Verify")
    assert "pending" in browser.text
    browser.open(f"messages/{id}")
    assert "recipient bob@example.org is not verified" in browser.text
    s.ses.verify("bob@example.org")
    # Then the page, left open, shows that it went
    browser.until_says("MessageId")
    assert s.outbox.status(id).state is State.SENT
    # And who verified whom is in the audit trail, but no address is in a log
    browser.open("activity")
    assert "verify bob@example.org" in browser.text
    assert "bob@" not in s.log()


def test_messages_are_cancelled_and_released_by_hand(live: Live) -> None:
    s, browser = live.system, live.browser
    ids = [s.outbox.send(s.mail(f"nobody{i}@example.org", subject=f"Held {i}")) for i in range(3)]
    eventually(lambda: s.count(State.HELD) == 3, "all are held")
    # When one is released that still may not go, then it is held again
    browser.open(f"messages/{ids[0]}")
    assert browser.texts("#facts button") == ["Cancel", "Release"]
    browser.press("Release")
    eventually(lambda: len(s.outbox.status(ids[0]).history) >= 6, "it was tried again")
    eventually(lambda: s.count(State.HELD) == 3, "all are held")
    # When all of the page are cancelled, then they are, by name, and cannot be sent again
    browser.open("messages?state=held")
    browser.look("messages-held")
    browser.find("[data-all]").click()
    browser.press("Cancel")
    assert "cancel: 3 done" in browser.text
    assert {s.outbox.status(id).state for id in ids} == {State.CANCELLED}
    assert all("(console)" in s.outbox.status(id).reason for id in ids)
    browser.open(f"messages/{ids[0]}")
    assert browser.texts("#facts button") == []
    # And it is in the audit trail
    browser.open("activity")
    assert "cancel 3: " in browser.text


def test_all_that_are_held_for_one_reason_are_released_in_three_clicks(live: Live) -> None:
    s, browser = live.system, live.browser
    ids = [s.outbox.send(s.mail("carl@example.org", subject=f"For Carl {i}")) for i in range(60)]
    eventually(lambda: s.count(State.HELD) == 60, "all are held")
    Policy(s.redis).pause("a look", by="test")
    browser.open("overview")
    browser.until_says("60 held")
    browser.find("#states a[href$='state=held']").click()
    browser.look("messages-held-reasons")
    browser.press("Release all 60")
    assert "Release: 60 messages?" in browser.text
    browser.look("act-question")
    browser.press("Release: 60")
    assert "release: 60 done" in browser.text
    assert browser.driver.current_url.endswith("messages?state=held")
    assert {s.outbox.status(id).state for id in ids} == {State.QUEUED}
    browser.open("activity")
    assert "release: 60 of 60 that are held" in browser.text

    # And what was released may be cancelled until it is sent
    browser.open("messages?state=queued")
    browser.press("Cancel all …")
    browser.press("Cancel: 60")
    assert {s.outbox.status(id).state for id in ids} == {State.CANCELLED}
    Policy(s.redis).resume(by="test")


def test_the_unknown_are_resolved_in_three_clicks(live: Live) -> None:
    s, browser = live.system, live.browser
    # Given 339 of which nobody knows: SES may have taken their first try, and they were cancelled before the next
    Policy(s.redis).pause("a look", by="test")
    ids = s.outbox.send_many(s.mail("ada@example.org", subject=f"Number {i}") for i in range(339))
    for id in ids:
        s.redis.hset(s.keys.message(id), "unsure", "1")
        assert s.messages.cancel(id, "test") is State.UNKNOWN
    # When somebody looks at the overview, then three clicks resolve them; the question names the number
    browser.open("overview")
    browser.until_says("339 unknown")
    browser.find("#states a[href$='state=unknown']").click()
    browser.press("Resolve as sent …")
    assert "Resolve as sent: 339 messages?" in browser.text
    browser.look("act-question-resolve")
    browser.press("Resolve as sent: 339")
    assert "resolve as sent: 339 done" in browser.text
    assert browser.driver.current_url.endswith("messages?state=unknown")
    # Then none is unknown, and it is one entry of the audit trail
    assert (s.count(State.UNKNOWN), {s.outbox.status(id).state for id in ids}) == (0, {State.SENT})
    browser.open("activity")
    assert "resolve as sent: 339 of 339 that are unknown" in browser.text
    Policy(s.redis).resume(by="test")


def test_a_search_goes_on_by_itself_also_while_somebody_types(live: Live, tmp_path: Path) -> None:
    s, browser = live.system, live.browser
    # Given more recipients than a page has time for
    rows = ({"email": f"row{n}@example.org", "name": f"R{n}"} for n in range(12_000))
    template = write_template(tmp_path / "long", subject__txt="Number {{ name }}")
    starts = datetime(2100, 1, 1, tzinfo=timezone.utc)
    batch = s.outbox.send_batch(template, rows, sender="shop@example.com", starts_at=starts)
    # When somebody looks for the last of them, then the page finds it without a click
    browser.open("messages?subject=number+r11999")
    browser.until_says("all that there are")
    assert browser.texts("#found .wide") == ["Number R11999"]
    assert browser.driver.find_elements("css selector", "#found [rel=prev]") == []  # still the first page
    browser.look("messages-found")
    # And as somebody types, it is there as well
    browser.open("messages")
    browser.fill(q="row11998@")
    browser.until_says("row11998@example.org")
    browser.until_says("all that there are")
    assert browser.driver.current_url.endswith("messages?q=row11998%40")
    Batches(s.redis).cancel(batch.id, "test")


def test_hostile_mail_does_nothing(live: Live) -> None:
    s, browser = live.system, live.browser
    # Given a mail that tries everything, and cannot leave
    mail = EmailMessage()
    mail["From"], mail["To"] = "Shop <shop@example.com>", "nobody@example.org"
    mail["Subject"] = "<script>document.title='owned'</script>\u202e" + "looooong" * 100
    mail["X-Evil"] = "<img src=x onerror=\"document.title='owned'\">"
    mail.set_content("<script>document.title='owned'</script>\n\u202egnp.exe")
    here = browser.site
    mail.add_alternative(
        f"""<html><head><script>top.document.title='owned'</script><style>@import url({here}/assets/evil.css);
        body {{ background: url({here}/assets/evil.png) }}</style><meta http-equiv=refresh content="0;url={here}/evil">
        <base href="{here}/evil/"></head><body onload="top.document.title='owned'"><img src="{here}/assets/pixel.png">
        <iframe src="{here}/evil"></iframe><form action="{here}/logout" method=post><button>x</button></form>
        <svg onload="parent.document.title='owned'"></svg><p>Hostile greetings</p></body></html>""",
        subtype="html",
    )
    mail.add_attachment(b"<script>1</script>", maintype="text", subtype="html", filename="<b>.html")
    id = s.outbox.send(type(s.mail()).from_email(mail))
    eventually(lambda: s.outbox.status(id).state is State.HELD, "it is held")
    browser.problems()
    browser.fetched()

    # When it is looked at
    browser.open(f"messages/{id}")
    frame = browser.find("iframe")
    browser.driver.switch_to.frame(frame)
    assert "Hostile greetings" in browser.text
    browser.driver.switch_to.default_content()

    # Then nothing ran, and nothing was asked for but our own pages
    assert browser.driver.title.endswith(" · default · sesq")
    assert browser.find("pre").text.startswith("<script>")
    pages = {f"{here}/accounts/default/messages/{id}{part}" for part in ("", "/html")}
    own = {f"{here}/assets/{name}" for name in ("console.css", "console.js", "icon.svg")}
    assert browser.fetched() <= pages | own | {f"{here}/accounts/default/activity"}
    browser.look("message-hostile")
    browser.open("messages?state=held")
    assert browser.driver.title == "Messages · default · sesq"
    browser.look("messages-hostile")
    s.messages.cancel(id, "test")


def test_a_batch_is_paused_resumed_and_cancelled(live: Live, tmp_path: Path) -> None:
    s, browser = live.system, live.browser
    # Given a batch that takes its time, to the mailbox simulator
    Policy(s.redis).set({"rate": "2/second"}, by="test")
    rows = write_rows(tmp_path / "rows.csv", (f"success+{i}@simulator.amazonses.com" for i in range(300)))
    folder = write_template(tmp_path / "autumn")
    send = ("sesq.console", "batch", "send", str(folder), str(rows), "--from", "shop@example.com")
    id = s.run(*send).strip()
    browser.open("batches")
    assert "autumn" in browser.text
    browser.look("batches-running")
    browser.open(f"batches/{id}")
    browser.until_says("ends")
    browser.look("batch")

    # When it is paused, resumed and cancelled in the browser
    browser.press("Pause")
    assert Batches(s.redis).get(id).state == "paused"
    browser.press("Resume")
    assert Batches(s.redis).get(id).state == "running"
    browser.driver.find_element("xpath", "//main//button[normalize-space()='Cancel']").click()
    browser.driver.switch_to.alert.accept()
    browser.until_says("cancelled")

    # Then no more of it goes, and the report says of everybody what became of the mail
    eventually(lambda: Batches(s.redis).get(id).ended, "what was on its way has ended")
    found = Batches(s.redis).get(id)
    assert 0 < found.counts[State.CANCELLED] < 300
    report = browser.driver.execute_script(
        "return fetch(location.pathname + '/report.csv').then(answer => answer.text())"
    )
    lines = list(csv.DictReader(io.StringIO(report)))
    assert Counter(line["state"] for line in lines) == {
        "sent": found.counts[State.SENT],
        "cancelled": found.counts[State.CANCELLED],
    }
    Policy(s.redis).reset(by="test")


def test_who_is_suppressed_gets_no_mail_until_taken_off_the_list(live: Live) -> None:
    s, browser = live.system, live.browser
    browser.open("suppression")
    browser.fill(address="ada@example.org")
    browser.press("Add")
    assert "1 added" in browser.text
    browser.look("suppression")

    def next_mail() -> State:
        return s.outbox.wait(s.outbox.send(s.mail("ada@example.org"))).state

    eventually(lambda: next_mail() is State.SUPPRESSED, "workers, which look once a second, have seen it")
    browser.open("suppression?q=ada@example.org")
    browser.press("Remove")
    assert "1 removed" in browser.text
    assert next_mail() is State.SENT


def test_the_sandbox_page_shows_the_request_before_it_is_sent(live: Live) -> None:
    browser = live.browser
    browser.open("sandbox")
    browser.look("sandbox")
    browser.fill(website="https://shop.example.com", use_case="Receipts for customers who asked for them.")
    browser.press("Show the request")
    assert "Receipts for customers" in browser.text
    browser.look("sandbox-preview")
    browser.press("Send this request")
    assert "Sent. A person at AWS answers" in browser.text


def test_every_page_in_every_theme_and_width_without_a_complaint(live: Live) -> None:
    browser = live.browser
    browser.problems()
    pages = "overview messages batches quota identities test suppression reputation activity"
    for page in pages.split():
        browser.open(page)
        assert browser.find("h1").text, page
        assert browser.find("nav [aria-current]").get_attribute("href").endswith(f"/{page}")
        browser.look(page)
        assert browser.problems() == []
    browser.open("messages/no-such-message")
    assert "no message no-such-message" in browser.text


def test_pages_are_used_by_keyboard_and_do_not_jump(live: Live) -> None:
    browser = live.browser
    browser.open("overview")
    # Given a link in a part that is kept fresh, with the focus on it
    focus = "document.querySelector('#states a').focus(); return document.activeElement.href"
    link = browser.driver.execute_script(focus)
    top = browser.driver.execute_script("return document.querySelector('#plots').getBoundingClientRect().top")
    # When the page has been kept fresh a few times
    count = "return performance.getEntriesByType('resource').filter(e => e.initiatorType === 'fetch').length"
    browser.until(lambda: browser.driver.execute_script(count) >= 2, "two looks")
    # Then the focus is where it was, and so is everything else
    assert browser.driver.execute_script("return document.activeElement.href") == link
    after = browser.driver.execute_script(
        "return document.querySelector('#plots').getBoundingClientRect().top"
    )
    assert abs(after - top) < 40
    zone: Any = browser.driver.get_cookie("sesq_zone")
    assert zone["sameSite"] == "Strict"


def test_esc_closes_the_menu_of_accounts(live: Live) -> None:
    s, browser = live.system, live.browser
    # Given a second account, and its menu open
    s.outbox.send(s.mail(account="shop"))
    browser.open("overview")
    browser.find("details.accounts summary").click()
    assert "shop" in browser.find("details.accounts ul").text
    # When somebody presses Esc, Then it closes, and the keyboard is where it was
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert browser.find("details.accounts").get_attribute("open") is None
    assert browser.driver.switch_to.active_element.tag_name == "summary"
    # And a click elsewhere closes it too
    browser.find("details.accounts summary").click()
    browser.find("main h1").click()
    assert browser.find("details.accounts").get_attribute("open") is None
