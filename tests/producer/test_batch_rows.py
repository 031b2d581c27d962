"""Files of recipients, good and bad: every problem has its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batch import template
from sesq.config.errors import InvalidRows
from sesq.producer.batch.csv_rows import Wanted
from sesq.producer.batch.row_validator import LeftOut, RowValidator
from sesq.producer.batch.rows import read_rows
from sesq.queue.chunks import Row, pack_rows, unpack_rows


def rows_of(path: Path, content: bytes, **options: Any) -> list[tuple[int, dict[str, object], str]]:
    path.write_bytes(content)
    return [(row.line, dict(row.values), row.problem) for row in read_rows(path, **options)]


def nested(levels: int) -> list[object]:
    made: list[object] = []
    for _ in range(levels - 1):
        made = [made]
    return made


ADA = {"email": "ada@example.org", "name": "Adá"}


@pytest.mark.parametrize(
    "content",
    [
        "email,name\nada@example.org,Adá\n".encode(),
        "email,name\r\nada@example.org,Adá".encode(),
        "\ufeffemail,name\nada@example.org,Adá\n".encode(),
        "email;name\nada@example.org;Adá\n".encode(),
        "Email\tname\nada@example.org\tAdá\n".encode(),
        "email,name\nada@example.org,Adá\n".encode("utf-16"),
        'email,name\n\n"ada@example.org","Adá"\n'.encode(),
        "email,name\rada@example.org,Adá\r".encode(),
        "email,name\rada@example.org,Adá".encode(),
    ],
    ids=["plain", "crlf", "bom", "semicolon", "tab", "utf-16", "quoted", "cr", "cr-open"],
)
def test_csv_as_programs_write_it(tmp_path: Path, content: bytes) -> None:
    assert [row[1:] for row in rows_of(tmp_path / "rows.csv", content)] == [(ADA, "")]


@pytest.mark.parametrize(
    "content",
    [
        "email,name,,\r\nada@example.org,Adá,,\r\n",
        "email,name,,\nada@example.org,Adá\n",
        "email,name\nada@example.org,Adá,,\n",
        "sep=;\r\nemail;name\r\nada@example.org;Adá\r\n",
        '"sep=;"\r\nemail;name\r\nada@example.org;Adá\r\n',
        "sep=|\nemail|name\nada@example.org|Adá\n",
        "sep=\t\r\nemail\tname\r\nada@example.org\tAdá\r\n",
        "\n\nemail,name\nada@example.org,Adá\n",
        "email,name\n,\nada@example.org,Adá\n , \n,,,,\n",
        "Email Address,name\nada@example.org,Adá\n",
        "E-Mail;name\nada@example.org;Adá\n",
        "name,EMAIL_ADDRESS\nAdá,ada@example.org\n",
    ],
)
def test_csv_as_excel_and_newsletter_services_write_it(tmp_path: Path, content: str) -> None:
    assert [row[1:] for row in rows_of(tmp_path / "rows.csv", content.encode())] == [(ADA, "")]


def test_columns_of_one_name_disturb_nobody_who_does_not_use_them(tmp_path: Path) -> None:
    content = b"email,name,Notes,Notes\nada@example.org,Ada,x,y\n"
    ((_, values, problem),) = rows_of(tmp_path / "rows.csv", content)
    assert (values, problem) == ({"email": "ada@example.org", "name": "Ada", "Notes": "x"}, "")
    with pytest.raises(InvalidRows, match="line 1: the column 'Notes', which is used, is there twice"):
        rows_of(tmp_path / "rows.csv", content, wanted=Wanted(used=frozenset({"Notes"})))


def test_a_cell_that_nobody_uses_may_be_large(tmp_path: Path) -> None:
    content = f"email,name,page\nada@example.org,Ada,{'x' * 200_000}\n".encode()
    ((_, values, _),) = rows_of(tmp_path / "rows.csv", content)
    assert (values["name"], len(str(values["page"]))) == ("Ada", 200_000)


def test_commas_within_a_quoted_heading_part_no_columns(tmp_path: Path) -> None:
    content = b'"Last, first, and middle name";"email"\n"Lovelace, Ada";ada@example.org\n'
    ((_, values, _),) = rows_of(tmp_path / "rows.csv", content)
    assert values == {"Last, first, and middle name": "Lovelace, Ada", "email": "ada@example.org"}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_another_column_is_named(tmp_path: Path, suffix: str) -> None:
    kunde = {"email": "old@example.org", "Kunde": "ada@example.org"}
    csv = "email,Kunde\nold@example.org,ada@example.org\n"
    content = csv if suffix == ".csv" else json.dumps(kunde)
    path = tmp_path / f"rows{suffix}"
    ((_, values, _),) = rows_of(path, content.encode(), wanted=Wanted("Kunde"))
    assert values["email"] == "ada@example.org"


def test_a_named_column_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    said = "line 1: there is no column 'Mail', which email_column= names; there are: 'email', 'name'"
    with pytest.raises(InvalidRows, match=said):
        rows_of(tmp_path / "rows.csv", b"email,name\n", wanted=Wanted("Mail"))
    with pytest.raises(
        InvalidRows, match="there twice, as 'e-mail' too; name the right one with email_column="
    ):
        rows_of(tmp_path / "rows.csv", b"Email Address,e-mail\n")


@pytest.mark.parametrize(
    ("columns", "told"), [(20, "'c19'$"), (21, "'c19' and 1 more$"), (22, "'c19' and 2 more$")]
)
def test_of_many_columns_an_error_names_some_and_counts_the_rest(
    tmp_path: Path, columns: int, told: str
) -> None:
    heading = ",".join(f"c{number}" for number in range(columns))
    with pytest.raises(InvalidRows, match=told):
        rows_of(tmp_path / "rows.csv", f"{heading}\n".encode())


def test_another_encoding_is_named(tmp_path: Path) -> None:
    content = "email,name\nada@example.org,Adá\n".encode("cp1252")
    assert rows_of(tmp_path / "rows.csv", content, encoding="cp1252")[0][1] == ADA
    with pytest.raises(InvalidRows, match="line 2: is not utf-8; say which it is with encoding="):
        rows_of(tmp_path / "rows.csv", content)


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf8", "U8"])
def test_a_byte_order_mark_is_no_part_of_a_name_however_the_encoding_is_called(
    tmp_path: Path, encoding: str
) -> None:
    content = "\ufeffemail,name\nada@example.org,Adá\n".encode()
    assert rows_of(tmp_path / "rows.csv", content, encoding=encoding)[0][1] == ADA


@pytest.mark.parametrize("line", ["1" * 5_000, '{"a": NaN}', '{"a": -Infinity}'])
def test_what_json_has_not_is_told_of_its_row(tmp_path: Path, line: str) -> None:
    found = rows_of(tmp_path / "rows.jsonl", f"{line}\n{json.dumps(ADA)}".encode())
    assert [(number, problem.partition(":")[0]) for number, _, problem in found] == [
        (1, "is not JSON"),
        (2, ""),
    ]


def test_of_very_many_columns_the_first_are_named(tmp_path: Path) -> None:
    heading = ",".join(f"c{i}" for i in range(100_000)).encode()
    with pytest.raises(InvalidRows, match=r"no column `email`; .* and 99,980 more$"):
        rows_of(tmp_path / "rows.csv", heading + b"\n")


def test_what_is_nested_without_end_is_told_with_its_line(tmp_path: Path) -> None:
    lines = [
        '{"email": "a@x.org", "v": ' + "[" * depth + "]" * depth + "}" for depth in (20, 21, 900, 90_000)
    ]
    found = rows_of(tmp_path / "rows.jsonl", "\n".join(lines).encode())
    assert [bool(problem) for _, _, problem in found] == [False, True, True, True]


def test_what_is_written_beyond_the_heading_is_told(tmp_path: Path) -> None:
    content = b"email,name\na@x.org,one, ,\nb@x.org,two,three\n"
    assert rows_of(tmp_path / "rows.csv", content) == [
        (2, {"email": "a@x.org", "name": "one"}, ""),
        (3, {}, "has 3 columns, and the heading has 2"),
    ]


def test_a_row_begins_where_its_line_does(tmp_path: Path) -> None:
    content = b'email,name\na@x.org,"one\ntwo"\nb@x.org\nc@x.org,three\n'
    assert rows_of(tmp_path / "rows.csv", content) == [
        (2, {"email": "a@x.org", "name": "one\ntwo"}, ""),
        (4, {}, "has 1 columns, and the heading has 2"),
        (5, {"email": "c@x.org", "name": "three"}, ""),
    ]


def test_a_file_of_old_line_ends_may_be_long(tmp_path: Path) -> None:
    for end in ("\r", "\r\n", "\n"):
        lines = ["email,name", *(f"p{i}@x.org,{'x' * 100}" for i in range(20_000)), ""]
        found = rows_of(tmp_path / "rows.csv", end.join(lines).encode())
        assert (len(found), found[-1][0], found[-1][1]["email"]) == (20_000, 20_001, "p19999@x.org")
    lines = [json.dumps({"email": f"p{i}@x.org"}) for i in range(3)]
    assert len(rows_of(tmp_path / "rows.jsonl", "\r".join(lines).encode())) == 3


def test_a_heading_may_have_several_lines(tmp_path: Path) -> None:
    found = rows_of(tmp_path / "rows.csv", b'email,"a\nname"\na@x.org,b\n')
    assert found == [(3, {"email": "a@x.org", "a\nname": "b"}, "")]


@pytest.mark.parametrize(
    "encoding", ["undefined", "base64", "rot13", "hex", "zip", "x\0y", "\ud800", "klingon"]
)
def test_what_is_no_encoding_of_text(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(InvalidRows, match="is not known"):
        rows_of(tmp_path / "rows.csv", b"email\na@x.org\n", encoding=encoding)


@pytest.mark.parametrize("encoding", ["idna", "punycode", "utf-16", "utf-32", "ascii", "hz"])
def test_another_encoding_is_told_with_its_line(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(InvalidRows, match=r"line [12]: "):
        rows_of(tmp_path / "rows.csv", "email,name\na@x.org,Adá\n".encode(), encoding=encoding)


def test_lines_of_other_machines(tmp_path: Path) -> None:
    content = "email,name\nada@example.org,Adá\n".encode("cp037")
    assert rows_of(tmp_path / "rows.csv", content, encoding="cp037") == [(2, ADA, "")]


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        json.dumps({"email": "ada@example.org", "name": "Adá", "items": [1, {"a": 2}]}),
        "",
        "{nonsense",
        "[1]",
    ]
    found = rows_of(tmp_path / "rows.jsonl", "\n".join(lines).encode())
    assert found[0] == (1, {**ADA, "items": [1, {"a": 2}]}, "")
    assert [(line, problem.partition(":")[0]) for line, _, problem in found[1:]] == [
        (3, "is not JSON"),
        (4, "is not a JSON object"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("rows.csv", b"", "line 1: the file is empty"),
        ("rows.csv", b"\n", "line 1: the file is empty"),
        ("rows.csv", b"name,mail\nAda,ada@example.org\n", "line 1: there is no column `email`"),
        ("rows.csv", b"email,name\na@x.org,b\nc@x.org,\xff\xfe\n", "line 3: is not utf-8"),
        ("rows.csv", b'email,name\na@x.org,b\nc@x.org,"open\nd@x.org,e\n', "line 3: unexpected end of data"),
        ("rows.csv", b'email,name\na@x.org,"b"c\n', "line 2: .* expected after"),
        (
            "rows.csv",
            b"email,name\na@x.org,b\nc@x.org," + b"x" * 10_000_000 + b"\n",
            "line 3: is longer than",
        ),
        (
            "rows.csv",
            b'email,name\na@x.org,"' + (b"x" * 500_000 + b"\n") * 3 + b'"\n',
            "line 2: field larger than",
        ),
        ("rows.csv", b'email,"name\na@x.org,b\n', "line 1: unexpected end of data"),
        ("rows.csv", b"email,name\ra@x.org,b\rc@x.org,\xff\r", "line 3: is not utf-8"),
        ("rows.csv", b"\xff\xfee\x00", "is not utf-16|no column"),
        ("rows.jsonl", b"", "line 1: it is empty"),
        ("rows.jsonl", b"{}\n" + b"x" * 10_000_000, "line 2: is longer than"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    with pytest.raises(InvalidRows, match=told):
        rows_of(tmp_path / name, content)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidRows, match="cannot be read"):
        list(read_rows(tmp_path / "nowhere.csv"))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"name": "Ada"}, "has no email"),
        ({"email": " ", "name": "Ada"}, "has no email"),
        ({"email": 7, "name": "Ada"}, "has no email"),
        ({"email": "ada", "name": "Ada"}, "has no domain"),
        ({"email": "ada@example.org"}, "has no name"),
        ({"email": "ada@example.org", "name": "x\0"}, "NUL"),
        ({"email": "ada@example.org", "name": "x" * 20_001}, "more than"),
        ({"email": "ada@example.org", "name": "\ud800"}, "half a character"),
        ({"email": "ada@example.org", "name": {1, 2}}, "no JSON"),
        ({"email": "ada@example.org", "name": 10**5000}, "no JSON"),
        ({"email": "ada@example.org", "name": nested(21)}, "more than 20 lists or objects within"),
        ({"email": "ada@example.org", "name": {"a": nested(970)}}, "more than 20 lists or objects within"),
        ({"email": "first@example.org", "name": "x"}, "was there before"),
        ({"email": "FIRST@example.org", "name": "x"}, "was there before"),
    ],
)
def test_rows_that_become_no_recipient(values: dict[str, object], told: str) -> None:
    validator = RowValidator(template().renderer)
    validator.look({"email": "first@example.org", "name": "First", "unused": object()})
    with pytest.raises(LeftOut, match=told):
        validator.look(values)


@pytest.mark.parametrize(
    "value",
    ["x" * 20_000, "é" * 20_000, ["x" * 19_996], nested(20)],
    ids=["ascii", "letters", "json", "deep"],
)
def test_the_largest_value_is_taken_and_a_larger_one_is_not(value: Any) -> None:
    validator = RowValidator(template(subject="News").renderer)
    assert validator.look({"email": "ada@example.org", "name": value}).values["name"] == value
    larger = (
        [value[0] + "x"] if value == ["x" * 19_996] else [value] if isinstance(value, list) else f"{value}x"
    )
    with pytest.raises(LeftOut, match="more than 20"):
        validator.look({"email": "bob@example.org", "name": larger})


def test_a_chunk_keeps_what_the_template_uses() -> None:
    rows = [
        Row("a@x.org", {"name": "Å", "n": None}),
        Row("b@x.org", {"name": {"first": "B"}}),
        Row("c@x.org", {}),
    ]
    assert unpack_rows(pack_rows(rows, ["n", "name"])) == rows
