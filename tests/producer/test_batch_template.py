"""Templates: what they print, and that none can harm or hang whoever prints it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batch import template, write_template
from sesq.config.errors import InvalidMessage, InvalidTemplate
from sesq.producer.batch import Template
from sesq.queue.envelope import Envelope

ENVELOPE = Envelope(sender="shop@example.com", to=("ada@example.org",), kind="row")
VALUES = {"email": "ada@example.org", "name": "Ada & <Co>"}


def test_variables_are_escaped_in_html_alone() -> None:
    content = template(html="<p>{{ name }}</p>").renderer.content(VALUES)
    assert (content.subject, content.text) == ("News for Ada & <Co>", "Hello Ada & <Co>.")
    assert content.html == "<p>Ada &amp; &lt;Co&gt;</p>"


def test_a_folder_becomes_a_template_and_survives_redis(tmp_path: Path) -> None:
    headers = (
        'List-Unsubscribe = "<https://shop.example/stop?who={{ email }}>"\nReply-To = "help@example.com"\n'
    )
    folder = write_template(tmp_path / "news", body__html="<b>{{ name }}</b>", headers__toml=headers)
    (folder / "attachments").mkdir()
    (folder / "attachments" / "terms.txt").write_text("Terms.")
    # Given a folder with everything, When it is read and has been through Redis
    read = Template.read(folder)
    back = Template.from_bytes(read.to_bytes())
    # Then it is the same, and prints a whole mail
    assert (back, back.digest, back.name) == (read, read.digest, "news")
    assert back.reply_to == ("help@example.com",)
    mail = back.renderer.mail(ENVELOPE, back.renderer.content(VALUES))
    assert isinstance(mail, bytes)
    assert b"List-Unsubscribe: <https://shop.example/stop?who=ada@example.org>" in mail
    assert b"terms.txt" in mail
    assert back.renderer.needed == {"name"}


@pytest.mark.parametrize("part", ["subject", "text", "html", "headers"])
def test_another_template_has_another_digest(part: str) -> None:
    other = {"X-Kind": "news"} if part == "headers" else "Other {{ name }}"
    assert template(**{part: other}).digest != template().digest


def test_a_copy_has_the_same_digest() -> None:
    assert template(name="copy").digest == template().digest


def test_variables_may_be_optional() -> None:
    renderer = template(text="{{ a|default('x') }} {% if b is defined %}{{ b }}{% endif %} {{ c }}").renderer
    assert (renderer.needed, renderer.used) == ({"name", "c"}, {"name", "a", "b", "c"})
    assert renderer.content({**VALUES, "c": 1}).text == "x  1"
    # and one that is used without its default as well is not
    assert template(text="{{ n|default('x') }} {{ n }}").renderer.needed == {"name", "n"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("one\n{{ name", "body.txt, line 2"),
        ("{% for i in range(9999999) %}x{% endfor %}", "line 1: it calls a function"),
        ("\n\n{% macro m() %}{% endmacro %}", "line 3: it defines a macro"),
        ("{% include 'x' %}", "line 1: it includes another template"),
        ("{{ 9 ** 9 ** 9 }}", "line 1: it computes a power"),
        ("\n{% if vip %}{{ name|nosuch }}{% endif %}", "line 2: No filter named 'nosuch'"),
        ("{% if vip is nosuch %}{% endif %}", "line 1: No test named 'nosuch'"),
        ("{% filter upper %}x{% endfilter %}", "line 1: it filters a block"),
        ("{{ name|center(999999999) }}", "No filter named 'center'"),
        ("{{ name.__class__.mro() }}", "line 1: it calls a function"),
        (
            "\n" + "{% for a in name %}" * 25 + "{% endfor %}" * 25,
            "line 2: it is nested too deeply",
        ),
        ("{% if name %}" * 120 + "{% endif %}" * 120, "line 1: it is nested too deeply"),
        ("{% if name %}" * 3000 + "{% endif %}" * 3000, "line 1: it is nested too deeply"),
        ("\n{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "line 2: it is nested too deeply"),
        ("{{ " + "[" * 300 + "1" + "]" * 300 + " }}", "line 1: it is nested too deeply"),
        ("{{ " + "+".join(["name"] * 5000) + " }}", "line 1: it is nested too deeply"),
        ("{{ name" + "|upper" * 5000 + " }}", "line 1: it is nested too deeply"),
        ("\n{{ " + "9" * 5000 + " }}", "line 2: a number has too many digits"),
        ("{{ 0x" + "f" * 9000 + " }}", "line 1: a number has too many digits"),
        ("{{ {[1]: 2} }}", "line 1: TypeError: .*unhashable"),
        ("{{ name|default(a=1, a=2) }}", "line 1: keyword argument repeated"),
    ],
)
def test_what_a_template_may_not_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(InvalidTemplate, match=told):
        template(text=text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ name * 999999999 }}", "is for numbers"),
        ("{{ '%0999999999d' % 1 }}", "is for numbers"),
        (
            "{% for a in many %}{% for b in many %}{% for c in many %}{% endfor %}{% endfor %}{% endfor %}",
            "rounds",
        ),
        ("{% for a in many %}{{ long }}{% endfor %}", "characters"),
        ("{{ 1|round(-999999999) }}", "round is for up to 30 digits"),
        ("{% set a = 9 %}" + "{% set a = a * a %}" * 40 + "{{ a }}", "too many digits"),
        ("{% set a = 'xx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}", "too many characters"),
        ("{% set a = 'xx' %}" + "{% set a = a + a %}" * 40 + "{{ a }}", "too many characters"),
        ("{% set a = [1] %}" + "{% set a = [a, a] %}" * 40 + "{{ a }}", "too many characters"),
        ("{% set a = {1: 2} %}" + "{% set a = {1: a, 2: a} %}" * 40 + "{{ a }}", "too many characters"),
        ("{% set a = 'xx' %}" + "{% set a = a|replace('', a) %}" * 5 + "{{ a }}", "too many characters"),
        (
            "{% set a = 'xx' %}" + "{% set a %}{{ a }}{{ a }}{% endset %}" * 40 + "{{ a }}",
            "too many characters",
        ),
        ("{{ many|join(long) }}", "too many characters"),
        ("{{ many|map('replace', '', long)|map('replace', '', long)|list }}", "too many characters"),
        ("{% set a %}{% for b in many %}" + "x" * 9_999 + "{% endfor %}{% endset %}", "too many characters"),
        ("{{ [1]|tojson(indent=999999999) }}", "indent"),
        ("{{ [[1]]|sum(start=[]) }}", "start"),
        ("{% set a = [] %}" + "{% set a = [a] %}" * 5000 + "{{ a }}", "too many characters"),
        ("{{ name.__class__ }}", "unsafe"),
        ("{{ many.there_is_no_such }}", "there_is_no_such"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ 1e999 }}", "NameError"),
        ("{{ name|truncate(-5) }}", "AssertionError"),
    ],
)
def test_what_has_no_end_or_goes_too_far_stops(text: str, told: str) -> None:
    values = {**VALUES, "many": list(range(5000)), "long": "x" * 20_000}
    with pytest.raises(InvalidMessage, match=told):
        template(text=text).renderer.content(values)


@pytest.mark.parametrize(
    ("text", "one_more"),
    [
        (
            "{% for a in many %}{% for b in few %}{% endfor %}{% endfor %}",
            "{% for a in many %}{% for b in few %}{% endfor %}{% endfor %}{% for a in [1] %}{% endfor %}",
        ),
        ("{{ 1|round(30) }}", "{{ 1|round(31) }}"),
        ("{{ 1|round(-30) }}", "{{ 1|round(-31) }}"),
    ],
)
def test_exactly_the_bound_is_made_and_one_more_is_not(text: str, one_more: str) -> None:
    values = {**VALUES, "many": list(range(5000)), "few": [1]}
    template(text=text).renderer.content(values)
    with pytest.raises(InvalidMessage):
        template(text=one_more).renderer.content(values)


def test_what_is_nested_deep_is_printed_whole_or_refused() -> None:
    # Given lists in lists: Python before 3.13 prints fewer than this, newer ones print all of them
    nested = template(text="{% set a = [] %}" + "{% set a = [a] %}" * 3000 + "{{ a }}").renderer
    try:
        printed = nested.content(VALUES).text
    except InvalidMessage as error:
        printed = str(error)
    assert printed == "[" * 3001 + "]" * 3001 or "RecursionError" in printed


def test_what_is_weighed_stays_what_it_is() -> None:
    text = (
        "{% for a, b in [(1, 2), (3, 4)] %}{{ a * b }} {{ loop.index }}{% endfor %} {{ 'x' ~ name ~ 1.5|round }} "
        "{{ [3, 1]|sort|map('string')|join('+') }} {% set c|upper %}{{ name }}{% endset %}{{ c }} "
        "{% set d, e = 7, 8 %}{{ e - d }} {{ name|replace('A', 'a') }} {{ {'k': 1}|tojson }} {{ [1, 2]|sum }}"
    )
    content = template(text=text, html="{{ '<i>' ~ name ~ ('<b>'|safe) }}").renderer.content(VALUES)
    assert content.text == '2 112 2 xAda & <Co>2.0 1+3 ADA & <CO> 1 ada & <Co> {"k": 1} 3'
    assert content.html == "&lt;i&gt;Ada &amp; &lt;Co&gt;<b>"


def test_a_row_cannot_add_headers() -> None:
    with pytest.raises(InvalidMessage, match="subject: contains a line break"):
        template().renderer.content({**VALUES, "name": "x\r\nBcc: all@example.org"})


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"subject__txt": None}, "there is no subject.txt"),
        ({"body__txt": None}, "there is no body"),
        ({"body__txt": b"one\ntwo \xff"}, "body.txt, line 2: is not UTF-8"),
        ({"headers__toml": b"X-Kind = 7"}, "X-Kind is not text"),
        ({"headers__toml": b"X-Kind"}, "headers.toml"),
        ({"headers__toml": b'Subject = "x"'}, "give subject="),
    ],
)
def test_folders_that_are_no_template(tmp_path: Path, files: dict[str, bytes | None], told: str) -> None:
    folder = write_template(tmp_path / "news")
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.unlink(missing_ok=True) if content is None else path.write_bytes(content)
    with pytest.raises(InvalidTemplate, match=told):
        Template.read(folder)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidTemplate, match="is no folder"):
        Template.read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["body.txt", "attachments/secret.txt", "attachments"])
def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path, name: str) -> None:
    # Given a template in which a link leads to a file elsewhere
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret.txt").write_text("a password")
    folder = tmp_path / "news"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "subject.txt").write_text("Hi")
    (folder / name).symlink_to(elsewhere if name == "attachments" else elsewhere / "secret.txt")
    if name != "body.txt":
        (folder / "body.txt").write_text("Hello")
    # When it is read, Then that is refused, and the file is named
    with pytest.raises(InvalidTemplate, match=f"{name}: is a link out of the template's folder"):
        Template.read(folder)


def test_a_text_without_end_is_refused_unread(tmp_path: Path) -> None:
    folder = write_template(tmp_path / "news")
    os.truncate(folder / "body.txt", 10 * 1024 * 1024 + 1)
    with pytest.raises(InvalidTemplate, match=r"body\.txt: is larger than 10,485,760 bytes"):
        Template.read(folder)


def test_what_has_the_name_of_a_text_and_is_no_file_is_told(tmp_path: Path) -> None:
    # Given a template whose HTML is a link to nothing, so that the mail would go without it
    folder = write_template(tmp_path / "news")
    (folder / "body.html").unlink(missing_ok=True)
    (folder / "body.html").symlink_to("body.htm")
    # When it is read, Then that is said
    with pytest.raises(InvalidTemplate, match=r"body\.html: is no file, or a link to none"):
        Template.read(folder)
    # And nobody waits for who would write into a pipe
    (folder / "body.html").unlink()
    os.mkfifo(folder / "body.html")
    with pytest.raises(InvalidTemplate, match=r"body\.html: is no file"):
        Template.read(folder)


def test_a_link_within_the_folder_and_a_linked_folder_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "news"
    folder.mkdir()
    (folder / "subject.txt").write_text("Hi")
    (folder / "body.txt").write_text("Hello")
    (folder / "body.html").symlink_to(folder / "body.txt")
    (tmp_path / "link").symlink_to(folder)
    assert Template.read(tmp_path / "link").html == "Hello"
