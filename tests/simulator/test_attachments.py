"""Attachments of SESv2's Simple and Template content: every member is checked as SES's model and guide have it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

NOT_IMITATED = "{}: this simulator does not imitate what SES does with {}."
BAD = "BadRequestException"
FINE = {"FileName": "a.txt", "RawContent": "eA=="}
CONTENTS = {
    "Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}},
    "Template": {"TemplateContent": {"Subject": "Hi", "Text": "Hello"}},
}


def answer(ses, kind: str, attachment: dict[str, object]) -> tuple[str, str]:
    """Code and text of the refusal of a request that no SDK has checked, or ("", "")."""
    content = {kind: {**CONTENTS[kind], "Attachments": [FINE, FINE | attachment]}}
    body = {
        "FromEmailAddress": "shop@example.com",
        "Destination": {"ToAddresses": ["ada@example.org"]},
        "Content": content,
    }
    url = f"{ses.endpoint_url}/v2/email/outbound-emails"
    try:
        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=10).close()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.headers["x-amzn-errortype"], json.load(refused)["message"]
    return "", ""


def constraint(kind: str, member: str, text: str) -> str:
    path = f"content.{kind.lower()}.attachments.2.member.{member}"
    return f"1 validation error detected: Value at '{path}' failed to satisfy constraint: Member must {text}"


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize(
    ("attachment", "member", "text"),
    [
        ({"FileName": None}, "fileName", "not be null"),
        ({"FileName": "a" * 252 + ".txt"}, "fileName", "have length less than or equal to 255"),
        ({"RawContent": None}, "rawContent", "not be null"),
        ({"ContentType": ""}, "contentType", "have length greater than or equal to 1"),
        ({"ContentType": "text/" + "x" * 74}, "contentType", "have length less than or equal to 78"),
        ({"ContentId": ""}, "contentId", "have length greater than or equal to 1"),
        ({"ContentId": "x" * 79}, "contentId", "have length less than or equal to 78"),
        ({"ContentDescription": "x" * 1001}, "contentDescription", "have length less than or equal to 1000"),
        (
            {"ContentDisposition": "attachment"},
            "contentDisposition",
            "satisfy enum value set: [ATTACHMENT, INLINE]",
        ),
        (
            {"ContentTransferEncoding": "8BIT"},
            "contentTransferEncoding",
            "satisfy enum value set: [BASE64, QUOTED_PRINTABLE, SEVEN_BIT]",
        ),
    ],
)
def test_the_models_constraints(ses, kind, attachment, member, text):
    assert answer(ses, kind, attachment) == (BAD, constraint(kind, member, text))


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize(
    ("attachment", "code", "text"),
    [
        ({"FileName": ""}, BAD, "Illegal filename ''."),
        ({"FileName": "a\r\nb.txt"}, BAD, "Illegal filename 'a\r\nb.txt'."),
        ({"FileName": "a\x00.txt"}, BAD, "Illegal filename 'a\x00.txt'."),
        ({"FileName": "a.exe"}, BAD, "Illegal filename 'a.exe'."),
        ({"FileName": "a"}, BAD, NOT_IMITATED.format("FileName", "a name without an extension")),
        ({"FileName": "a."}, BAD, NOT_IMITATED.format("FileName", "a name without an extension")),
        ({"RawContent": ""}, BAD, NOT_IMITATED.format("RawContent", "an empty attachment")),
        ({"RawContent": "%%%"}, "SerializationException", "RawContent is not base64."),
        ({"RawContent": "eA="}, "SerializationException", "RawContent is not base64."),
        ({"ContentType": "text"}, BAD, "Illegal content type 'text'."),
        ({"ContentType": "/plain"}, BAD, "Illegal content type '/plain'."),
        ({"ContentType": "text/plain; charset"}, BAD, "Illegal content type 'text/plain; charset'."),
        ({"ContentType": "text/plain\r\nX-A: b"}, BAD, "Illegal content type 'text/plain\r\nX-A: b'."),
        ({"ContentType": "text/plain;\r\n a=b"}, BAD, "Illegal content type 'text/plain;\r\n a=b'."),
        ({"ContentType": "text /plain"}, BAD, "Illegal content type 'text /plain'."),
        ({"ContentType": "text/plain; name=a.exe"}, BAD, "Illegal filename 'a.exe'."),
        ({"ContentId": "a\r\nX-A: b"}, BAD, NOT_IMITATED.format("ContentId", "control characters")),
        ({"ContentDescription": "a\nb"}, BAD, NOT_IMITATED.format("ContentDescription", "control characters")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_attachment(ses, kind, attachment, code, text):
    assert answer(ses, kind, attachment) == (code, text)


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize(
    "attachment",
    [
        {},
        {"FileName": "Übersicht (1).pdf", "ContentType": "application/pdf"},
        {"FileName": "a.tar.gz", "ContentType": 'application/gzip; name="a b.tar.gz"; x=y'},
        {"FileName": "a" * 251 + ".txt", "ContentType": "text/" + "x" * 73, "ContentId": "x" * 78},
        {
            "ContentDisposition": "INLINE",
            "ContentId": "<logo@example.com>",
            "ContentDescription": "Grüße" * 200,
        },
        {"ContentType": "text/plain ; charset = utf-8 "},
        {"ContentTransferEncoding": "QUOTED_PRINTABLE", "ContentType": "application/vnd.ms-excel+xml"},
    ],
)
def test_what_is_taken(ses, kind, attachment):
    assert answer(ses, kind, attachment) == ("", "")


def test_the_template_of_a_bulk_call_is_checked_alike(ses, sesv2):
    template = CONTENTS["Template"] | {"Attachments": [{"FileName": "", "RawContent": b"x"}]}
    (result,) = sesv2.send_bulk_email(
        FromEmailAddress="shop@example.com",
        DefaultContent={"Template": template},
        BulkEmailEntries=[{"Destination": {"ToAddresses": ["ada@example.org"]}}],
    )["BulkEmailEntryResults"]
    assert (result["Status"], result["Error"]) == ("INVALID_PARAMETER", "Illegal filename ''.")
