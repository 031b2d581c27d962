"""Templates hold plain variables, written as SES writes them; the rest of Handlebars is refused at the door."""

from __future__ import annotations

import json

import pytest

from refused import refusal

NOT_RENDERED = [
    "{{#if a}}x{{/if}}",
    "{{#each a}}x{{/each}}",
    "{{#unless a}}x{{/unless}}",
    "{{#with a}}x{{/with}}",
    "{{^a}}x{{/a}}",
    "{{~#if a}}",
    "{{else}}",
    "{{ else }}",
    "{{else-a}}",
    "{{> part}}",
    "{{!-- x --}}",
    "{{! x }}",
    "{{&a}}",
    "{{~a~}}",
    "{{~a}}",
    "{{a~}}",
    "{{this}}",
    "{{this.a}}",
    "{{a.this}}",
    "{{./a}}",
    "{{../a}}",
    "{{a/b}}",
    "{{@root.a}}",
    "{{lookup a b}}",
    "{{log}}",
    "{{amazonSESUnsubscribeUrl}}",
    "{{if}}",
    "{{a b}}",
    "{{a b=c}}",
    "{{(a)}}",
    '{{"a"}}',
    "{{1}}",
    "{{a.0}}",
    "{{true}}",
    "{{null}}",
    "{{a.[b]}}",
    "{{[a]}}",
    "{{a.}}",
    "{{.a}}",
    "{{a..b}}",
    "{{}}",
    "{{ }}",
    "{{a",
    "{{a}",
    "{{",
    "{{a {{a}}",
    "{{{a}}",
    "{{{a}",
    "{{{{a}}}}",
    "{{{~a}}}",
    r"\{{a}}",
    r"\\{{a}}",
]


def template_mail(mail, **template):
    return mail() | {"Content": {"Template": template}}


@pytest.fixture(autouse=True)
def fast(ses):
    ses.set_account(max_send_rate=100)
    ses.advance(1)


def bulk(content):
    return {
        "FromEmailAddress": "shop@example.com",
        "DefaultContent": {"Template": {"TemplateContent": content, "TemplateData": "{}"}},
        "BulkEmailEntries": [{"Destination": {"ToAddresses": ["ada@example.org"]}}],
    }


@pytest.mark.parametrize("text", NOT_RENDERED)
def test_a_template_with_more_than_variables_is_refused(ses, sesv2, mail, text):
    def told(call, **arguments):
        code, text = refusal(call, **arguments)
        assert code == "BadRequestException"
        return text

    sesv2.create_email_template(TemplateName="t", TemplateContent={"Subject": "s", "Text": "{{a}}"})
    words = "this simulator does not imitate more than plain variables in templates"
    content = {"Subject": "s", "Html": f"Hello {text}"}
    assert words in told(sesv2.create_email_template, TemplateName="u", TemplateContent=content)
    assert words in told(sesv2.update_email_template, TemplateName="t", TemplateContent={"Subject": text})
    # Inline, SES itself takes no blocks
    words = "Template contains unsupported operations." if text.startswith("{{#") else words
    assert words in told(sesv2.send_email, **template_mail(mail, TemplateContent=content, TemplateData="{}"))
    assert words in told(sesv2.send_bulk_email, **bulk(content))
    assert [each["accepted"] for each in ses.messages()] == [False, False]


@pytest.mark.parametrize("content", [{"Text": "t"}, {"Subject": "", "Html": "h"}, {}])
def test_a_stored_template_has_a_subject(sesv2, content):
    told = ("BadRequestException", "The subject must be specified.")
    sesv2.create_email_template(TemplateName="t", TemplateContent={"Subject": "s"})
    assert refusal(sesv2.create_email_template, TemplateName="u", TemplateContent=content) == told
    assert refusal(sesv2.update_email_template, TemplateName="t", TemplateContent=content) == told


def test_variables_in_headers_of_a_template_are_not_imitated(sesv2, mail):
    wanted = {"TemplateContent": {"Subject": "s"}, "TemplateData": '{"a": "x"}'}
    headers = [{"Name": "X-A", "Value": "{{a}}"}]
    code, text = refusal(sesv2.send_email, **template_mail(mail, **wanted, Headers=headers))
    assert (code, text) == (
        "BadRequestException",
        "Headers: this simulator does not imitate variables in the headers of a template.",
    )
    simple = mail()
    simple["Content"]["Simple"]["Headers"] = headers
    sesv2.send_email(**simple)


@pytest.mark.parametrize(
    ("text", "data", "rendered"),
    [
        ("{{a}}", {"a": "x"}, "x"),
        ("{{ a }}{{\n a\t}}", {"a": "x"}, "xx"),
        ("{{{a}}}{{{ a }}}", {"a": "<b>"}, "<b><b>"),
        ("{{a}}", {"a": '<b> & "c"'}, '<b> & "c"'),
        ("{{a.b_c.d-e}}", {"a": {"b_c": {"d-e": "x"}}}, "x"),
        ("{{order.if}}", {"order": {"if": "x"}}, "x"),
        ("{{größe}}", {"größe": "x"}, "x"),
        ("p{color:{{c}}}", {"c": "red"}, "p{color:red}"),
        ("{ {{a}} } }}", {"a": "x"}, "{ x } }}"),
        ("{{a}}", {"a": "{{b}}"}, "{{b}}"),
        ("{{a}} {{b}} {{c}} {{d}}", {"a": 7, "b": -1.5, "c": True, "d": 0}, "7 -1.5 true 0"),
    ],
)
def test_variables_are_filled_in(ses, sesv2, mail, text, data, rendered):
    content = {"Subject": text}
    sesv2.create_email_template(TemplateName="t", TemplateContent=content)
    sesv2.send_email(**template_mail(mail, TemplateName="t", TemplateData=json.dumps(data)))
    sesv2.send_email(**template_mail(mail, TemplateContent=content, TemplateData=json.dumps(data)))
    assert [each["subject"] for each in ses.messages()] == [rendered, rendered]


@pytest.mark.parametrize("value", [[], ["x"], {}, {"b": "x"}, 1.0, 1e30])
def test_values_that_handlebars_writes_in_several_ways_are_refused(ses, sesv2, mail, value):
    wanted = {"TemplateContent": {"Subject": "{{a}}"}, "TemplateData": json.dumps({"a": value})}
    code, text = refusal(sesv2.send_email, **template_mail(mail, **wanted))
    assert code == "BadRequestException"
    assert text.startswith("{{a}}: this simulator does not imitate how ")
    assert ses.report()["refused"] == {"not_imitated": 1}


def test_members_of_what_is_no_object_are_not_imitated(sesv2, mail):
    for value in ("x", ["x"], 7):
        wanted = {"TemplateContent": {"Subject": "{{a.length}}"}, "TemplateData": json.dumps({"a": value})}
        assert "does not imitate" in refusal(sesv2.send_email, **template_mail(mail, **wanted))[1]


@pytest.mark.parametrize(
    ("data", "missing"), [({}, "a.b"), ({"a": {}}, "a.b"), ({"a": {"b": None}}, "a.b"), ({"a": None}, "a.b")]
)
def test_a_missing_variable_is_accepted_and_fails_later(ses, sesv2, mail, data, missing):
    wanted = {"TemplateContent": {"Subject": "{{a.b}}"}, "TemplateData": json.dumps(data)}
    sesv2.send_email(**template_mail(mail, **wanted))
    (message,) = ses.messages()
    assert message["accepted"]
    assert message["rendering_error"] == f"Attribute '{missing}' is not present in the rendering data."


@pytest.mark.parametrize("data", ['{"a": NaN}', '{"a": Infinity}', "[]", "{", '{"a": "x", "a": "y"}'])
def test_template_data_is_a_json_object(sesv2, mail, data):
    wanted = template_mail(mail, TemplateContent={"Subject": "{{a}}"}, TemplateData=data)
    assert refusal(sesv2.send_email, **wanted)[0] == "BadRequestException"
