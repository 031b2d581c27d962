"""Message tags, by each of their ways: none is lost, and none is taken from a list that is wrong."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

HEAD = "From: shop@example.com\r\nTo: ada@example.org\r\n"
TWICE = [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}, {"Name": "a", "Value": "3"}]
REFUSAL = "Tag <a>: this simulator does not imitate what two tags of one name do."
TEMPLATE = {"Template": {"TemplateContent": {"Subject": "s", "Text": "t"}}}


def raw(tags: str) -> bytes:
    return f"{HEAD}X-SES-MESSAGE-TAGS: {tags}\r\n\r\nHi".encode()


def refusal(call, **given) -> str:
    with pytest.raises(ClientError) as refused:
        call(**given)
    return refused.value.response["Error"]["Message"]


@pytest.mark.parametrize("values", [("1", "2"), ("1", "1")], ids=["other value", "same value"])
def test_two_tags_of_one_name_are_refused_by_every_way(ses, sesv2, client_for, mail, values):
    tags = [{"Name": "a", "Value": value} for value in values]
    v1 = client_for("ses")
    simple = {
        "Source": "shop@example.com",
        "Destination": {"ToAddresses": ["ada@example.org"]},
        "Message": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}},
    }
    found = [
        refusal(sesv2.send_email, **mail() | {"EmailTags": tags}),
        refusal(v1.send_email, **simple, Tags=tags),
        refusal(v1.send_raw_email, RawMessage={"Data": raw("x=1")}, Tags=tags),
        refusal(v1.send_raw_email, RawMessage={"Data": raw(", ".join(f"a={value}" for value in values))}),
    ]
    v1.close()
    assert found == [REFUSAL] * 4
    assert ses.report()["refused"] == {"not_imitated": 4}


def test_names_that_differ_in_case_are_two(ses, sesv2, mail):
    sesv2.send_email(**mail(tags={"a": "1", "A": "2"}))
    assert ses.messages()[0]["tags"] == {"a": "1", "A": "2"}


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("a:b=1", "Invalid tag name <a:b>: only alphanumeric ASCII characters, '_',  '-' are allowed."),
        ("a", "The tag value must be specified."),
        ("a=1, a=2", REFUSAL),
    ],
)
def test_tags_of_the_header_have_to_be_right_beside_the_calls(sesv2, header, text):
    given = {"Content": {"Raw": {"Data": raw(header)}}, "EmailTags": [{"Name": "x", "Value": "y"}]}
    assert refusal(sesv2.send_email, **given) == text


def test_the_calls_tags_win(ses, sesv2):
    sesv2.send_email(Content={"Raw": {"Data": raw("a=1")}}, EmailTags=[{"Name": "b", "Value": "2"}])
    assert ses.messages()[0]["tags"] == {"b": "2"}


def bulk(sesv2, default, replacement):
    (result,) = sesv2.send_bulk_email(
        FromEmailAddress="shop@example.com",
        DefaultContent=TEMPLATE,
        DefaultEmailTags=default,
        BulkEmailEntries=[
            {"Destination": {"ToAddresses": ["ada@example.org"]}, "ReplacementTags": replacement}
        ],
    )["BulkEmailEntryResults"]
    return result


def test_a_replacement_takes_the_place_of_the_default_tag_of_its_name(ses, sesv2):
    default = [{"Name": "a", "Value": "1"}, {"Name": "b", "Value": "2"}]
    assert bulk(sesv2, default, [{"Name": "a", "Value": "3"}])["Status"] == "SUCCESS"
    assert ses.messages()[0]["tags"] == {"a": "3", "b": "2"}


@pytest.mark.parametrize(("default", "replacement"), [(TWICE, []), ([], TWICE), (TWICE, TWICE[:1])])
def test_two_of_one_name_in_one_list_of_a_bulk_call_are_refused(sesv2, default, replacement):
    result = bulk(sesv2, default, replacement)
    assert (result["Status"], result["Error"]) == ("INVALID_PARAMETER", REFUSAL)
