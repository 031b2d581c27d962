"""The simulator's page in a browser: what was sent is looked at, the account changed, and hostile mail does nothing."""

from __future__ import annotations

from browser import chromium

HOSTILE = '<b>hello</b><script>parent.document.title="hurt"</script><img src="{site}/_sim/report">'


def test_a_person_looks_at_mail_and_changes_the_account(ses, sesv2, mail, tmp_path):
    hostile = mail("ada@example.org")
    hostile["Content"]["Simple"] = {
        "Subject": {"Data": "<i>Hi</i> & welcome"},
        "Body": {"Html": {"Data": HOSTILE.format(site=ses.endpoint_url)}},
    }
    sesv2.send_email(**hostile)
    with chromium(ses.endpoint_url) as browser:
        # Given a mail that was taken, it is in the list with its subject as text
        browser.open("/")
        browser.until_says("<i>Hi</i> & welcome")
        assert browser.find("#mode").text == "sandbox"
        browser.find("#messages tr").click()
        browser.until_says("Accepted as")
        # Then its HTML is framed without scripts, and nothing of it was fetched
        frame = browser.find("#frame iframe")
        assert frame.get_attribute("sandbox") == ""
        browser.driver.switch_to.frame(frame)
        browser.until_says("hello")
        browser.driver.switch_to.default_content()
        assert browser.driver.title == "SES simulator"
        assert not any(each.endswith("/_sim/report") for each in browser.fetched())
        browser.look("simulator")
        # When an address is verified, production access granted and the quota set
        browser.fill(name="bob@example.net")
        browser.find("#verify button").click()
        browser.until_says("bob@example.net: SUCCESS")
        browser.find("#production").click()
        browser.until(lambda: browser.find("#mode").text == "production", "the account is in production")
        browser.fill(max_send_rate="7", max_24_hour_send="900")
        browser.find("#quota button").click()
        browser.until_says("of 900")
        # Then that is how it is for programs
        told = sesv2.get_account()
        assert told["ProductionAccessEnabled"]
        assert (told["SendQuota"]["MaxSendRate"], told["SendQuota"]["Max24HourSend"]) == (7.0, 900.0)
        # When the clock is moved by a day, the day is free again
        assert told["SendQuota"]["SentLast24Hours"] == 1.0
        browser.find("[data-seconds='86400']").click()
        browser.until_says("0 of 900")
        # and what cannot be says so on the page
        browser.fill(plan="{")
        browser.find("#faults button").click()
        browser.until(lambda: browser.find("#problem").is_displayed(), "the problem is shown")
