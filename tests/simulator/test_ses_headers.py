"""X-SES- headers of raw mail: what they ask for is done, or refused by name, and nothing passes in silence."""

from __future__ import annotations

import smtplib
import ssl

import pytest

from sesq.simulator import Simulator

HEAD = "From: shop@example.com\r\nTo: ada@example.org\r\n"
TENANT = "X-SES-TENANT: shop\r\n"


@pytest.fixture
def known(ses, sesv2):
    """A set, and a tenant that may use everything; sends are not held up."""
    ses.set_account(max_send_rate=1000)
    ses.advance(1)
    sesv2.create_configuration_set(ConfigurationSetName="news")
    ses.add_tenant("shop")


def send(sesv2, headers: str, **given):
    sesv2.send_email(Content={"Raw": {"Data": f"{HEAD}{headers}\r\n\r\nHi".encode()}}, **given)


NOT_IMITATED = [
    "X-SES-SOMETHING-NEW: x",
    "X-SES-CONFIGURATION-SET: news\r\nX-SES-CONFIGURATION-SET: news",
    "X-SES-CONFIGURATION-SET: news\r\nX-Ses-Configuration-Set: other",
    "X-SES-TENANT: shop\r\nX-SES-TENANT: shop",
    "X-SES-MESSAGE-TAGS: a=b\r\nX-SES-MESSAGE-TAGS: c=d",
    "X-SES-CONFIGURATION-SET:",
    "X-SES-TENANT:  ",
    "X-SES-MESSAGE-TAGS:",
]


@pytest.mark.parametrize("headers", NOT_IMITATED)
@pytest.mark.parametrize(
    "given", [{}, {"ConfigurationSetName": "news", "TenantName": "shop"}], ids=["alone", "beside"]
)
def test_what_is_not_imitated_is_refused_by_name(ses, sesv2, known, headers, given):
    with pytest.raises(sesv2.exceptions.BadRequestException) as refused:
        send(sesv2, headers, **given)
    text = refused.value.response["Error"]["Message"]
    assert text.lower().startswith(headers.partition(":")[0].lower())
    assert "this simulator does not imitate what " in text
    assert ses.report()["refused"] == {"not_imitated": 1}


FORMS = {
    "plain": "{0}: {1}",
    "space after": "{0}: {1}  ",
    "tab before": "{0}:\t{1}",
    "no space": "{0}:{1}",
    "folded": "{0}:\r\n {1}",
    "folded after": "{0}: {1}\r\n ",
    "small": "{2}: {1}",
    "space before the colon": "{0} : {1}",
}


@pytest.mark.parametrize("form", FORMS)
def test_what_a_header_names_is_found_in_every_form(ses, sesv2, known, form):
    given = {"X-SES-CONFIGURATION-SET": "news", "X-SES-TENANT": "shop", "X-SES-MESSAGE-TAGS": "a=b"}
    send(sesv2, "\r\n".join(FORMS[form].format(name, value, name.lower()) for name, value in given.items()))
    (message,) = ses.messages()
    assert (message["configuration_set"], message["tenant"], message["tags"]) == ("news", "shop", {"a": "b"})


def test_tags_may_go_on_in_the_next_line(ses, sesv2, known):
    send(sesv2, "X-SES-MESSAGE-TAGS: a=b,\r\n\tc=d ,\r\n e=f")
    assert ses.messages()[0]["tags"] == {"a": "b", "c": "d", "e": "f"}


def test_what_ses_wrote_into_a_mail_that_it_received_asks_for_nothing(ses, sesv2, known):
    send(
        sesv2,
        "X-SES-RECEIPT: x\r\nX-SES-DKIM-SIGNATURE: a\r\nX-SES-DKIM-SIGNATURE: b\r\nX-SES-Spam-Verdict: PASS",
    )
    assert ses.messages()[0]["accepted"]


def test_smtp_knows_the_same():
    with Simulator(verified=["example.com", "ada@example.org"], smtp_port=0, max_send_rate=100) as ses:
        ses.add_tenant("shop")
        with smtplib.SMTP("localhost", ses.smtp_port, timeout=10) as smtp:
            smtp.starttls(context=ssl.create_default_context(cadata=ses.certificate))
            smtp.login("AKIATEST", "anything")
            with pytest.raises(smtplib.SMTPDataError, match="does not imitate what two headers"):
                smtp.sendmail("shop@example.com", ["ada@example.org"], f"{HEAD}{TENANT}{TENANT}\r\nHi")
            smtp.sendmail(
                "shop@example.com", ["ada@example.org"], f"{HEAD}X-SES-TENANT: \r\n shop \r\n\r\nHi"
            )
        assert [message["tenant"] for message in ses.messages()] == [None, "shop"]
