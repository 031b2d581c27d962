"""The parts of raw mail are judged as the mail itself is: their headers, and the files that they name, at any depth."""

from __future__ import annotations

import contextlib

import boto3
import pytest

from sesq.simulator import Simulator
from sesq.simulator.errors import SesError
from sesq.simulator.mail import Mail
from sesq.simulator.mime import fill_from_headers

HEAD = "From: shop@example.com\r\nTo: ada@example.org\r\n"


def part(headers: str, body: str = "x", boundary: str = "b") -> str:
    """A multipart with one part."""
    return (
        f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n"
        f"--{boundary}\r\n{headers}\r\n\r\n{body}\r\n--{boundary}--\r\n"
    )


def within(inner: str, boundary: str) -> str:
    """A multipart with a part that begins with headers of its own."""
    return (
        f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\npreamble\r\n"
        f"--{boundary}\r\n\r\nhello\r\n--{boundary}\r\n{inner}\r\n--{boundary}--\r\n"
    )


def attached(message: str) -> str:
    return part("Content-Type: message/rfc822", message)


def sent(sesv2, mail: str) -> str:
    """The answer: "" where the mail is taken, or the text of the refusal."""
    try:
        sesv2.send_email(Content={"Raw": {"Data": (HEAD + mail).encode("latin-1")}})
    except sesv2.exceptions.BadRequestException as refused:
        return refused.response["Error"]["Message"]
    return ""


@pytest.fixture(scope="module")
def sesv2():
    """One simulator for all: what a mail's parts are called changes nothing in it."""
    keys = {"aws_access_key_id": "AKIATEST", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    with Simulator(
        verified=["example.com"], production=True, max_send_rate=10_000, max_24_hour_send=-1
    ) as ses:
        client = boto3.client("sesv2", endpoint_url=ses.endpoint_url, **keys)
        yield client
        client.close()


NAMES_OF_EXE = {
    "plain": "Content-Disposition: attachment; filename=a.exe",
    "quoted": 'Content-Disposition: attachment; filename="a.exe"',
    "spaces": 'Content-Disposition: attachment; filename = "a.exe"',
    "escaped": 'Content-Disposition: attachment; filename="a.e\\xe"',
    "folded": 'Content-Disposition: attachment;\r\n\tfilename="a.exe"',
    "RFC 2231": "Content-Disposition: attachment; filename*=utf-8''a%2Eexe",
    "RFC 2231 beside another": "Content-Disposition: attachment; filename=a.txt; filename*=utf-8''a.exe",
    "RFC 2231 in pieces": "Content-Disposition: attachment; filename*1=xe; filename*0=a.e",
    "RFC 2231 in encoded pieces": "Content-Disposition: attachment; filename*0*=utf-8'en'a%2E; filename*1=exe",
    "RFC 2231 with a quote in the name": "Content-Disposition: attachment; filename*=utf-8''it's%20a.exe",
    "RFC 2231 without a charset": "Content-Disposition: attachment; filename*=''a.exe",
    "RFC 2047": 'Content-Disposition: attachment; filename="=?utf-8?q?a=2Eexe?="',
    "RFC 2047 base64": 'Content-Disposition: attachment; filename="=?utf-8?b?YS5leGU=?="',
    "RFC 2047 in part": "Content-Disposition: attachment; filename=a.=?utf-8?q?exe?=",
    "RFC 2047 in two words": 'Content-Disposition: attachment; filename="=?utf-8?q?a=2Ee?=\r\n =?utf-8?q?xe?="',
    "RFC 2047 with spaces": 'Content-Disposition: attachment; filename="=?utf-8?q?my a.exe?="',
    "RFC 2047 of an unknown charset": 'Content-Disposition: attachment; filename="=?bogus?q?a=2Eexe?="',
    "RFC 2047 that is broken": 'Content-Disposition: attachment; filename="=?utf-8?q?=FFa=2Eexe?="',
    "twice": "Content-Disposition: attachment; filename=a.txt; filename=a.exe",
    "name": "Content-Type: application/octet-stream; name=a.exe",
    "name beside filename": "Content-Type: text/plain; name=a.exe\r\nContent-Disposition: attachment; filename=a.txt",
    "behind a fault": "Content-Disposition: attachment; x y; filename=a.exe",
    "space before the colon": "Content-Disposition : attachment; filename=a.exe",
    "inline": "Content-Disposition: inline; filename=a.exe",
    "beyond 8 KB": "X-A: "
    + "y" * 900
    + ("\r\n " + "y" * 900) * 9
    + "\r\nContent-Type: text/plain; name=a.exe",
}
DEPTHS = {
    "the mail itself": "{}\r\n\r\nx",
    "a part": part("{}"),
    "a part of a part": within(part("{}", boundary="inner"), "outer"),
    "three levels": within(within(part("{}", boundary="c"), "b"), "a"),
    "an attached mail": attached("{}\r\n\r\nx"),
    "a part of an attached mail": attached("Subject: y\r\n" + part("{}", boundary="inner")),
    "a mail attached to an attached mail": attached("Content-Type: message/rfc822\r\n\r\n{}\r\n\r\nx"),
    "a mail of a digest": "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\n{}\r\n\r\nx\r\n--d--\r\n",
    "after an inner one": within(
        "Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\nx", "o"
    ).replace("--o--", "--o\r\n{}\r\n\r\nx\r\n--o--"),
    "without an end": "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{}",
}


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("form", NAMES_OF_EXE)
def test_a_refused_file_is_found_by_every_name_at_every_depth(sesv2, form, depth):
    answer = sent(sesv2, DEPTHS[depth].replace("{}", NAMES_OF_EXE[form]))
    assert answer.startswith("Illegal filename '")
    assert answer.endswith("a.exe'.")


@pytest.mark.parametrize("form", NAMES_OF_EXE)
def test_the_same_names_of_a_text_are_taken(sesv2, form):
    named = NAMES_OF_EXE[form].replace("YS5leGU=", "YS50eHQ=").replace("xe", "xt").replace("e\\xt", "t\\xt")
    assert sent(sesv2, part(named.replace(".ext", ".txt").replace("2Eext", "2Etxt"))) == ""


NO_BOUNDARY = "multipart/mixed without a boundary in ASCII: this simulator does not imitate it."
FAULTS = {
    "this is no header": "Illegal header 'this is no header'.",
    "no header: x": "Illegal header 'no header'.",
    " x": "Illegal header ' x'.",
    ": x": "Empty header names are illegal.",
    " : x": "Empty header names are illegal.",
    "Content-Type: text/plain\r\nContent-Type: text/html": "Duplicate header 'Content-Type'.",
    "Content-ID: <a>\r\nContent-Id: <b>": "Duplicate header 'Content-Id'.",
    "Content-Type: text/plain; charset=utf 8": "Expected ';', got \"8\"",
    'Content-Disposition: attachment; filename="a.exe': "Missing '\"'",
    "Content-Type: multipart/mixed": NO_BOUNDARY,
    "Content-Type: multipart/mixed; boundary=\xe9": NO_BOUNDARY,
    "Content-Type: multipart/mixed; boundary*=utf-8''%C3%A9": NO_BOUNDARY,
    "X-A: b\rX-B: c": "CR alone in headers: this simulator does not imitate what it does.",
    "Content-Type: a/b; name*x=c": "A parameter that is called '*x': this simulator does not imitate it.",
    "X-A: " + "\r\n ".join(["y" * 900] * 300): "Header section too long.",
}


@pytest.mark.parametrize("depth", sorted(DEPTHS.keys() - {"the mail itself"}))
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[:30])
def test_a_fault_in_headers_is_found_at_every_depth(sesv2, fault, depth):
    assert (
        sent(sesv2, DEPTHS[depth].replace("{}", f"X-Before: y\r\n{fault}" if fault[0] != " " else fault))
        == FAULTS[fault]
    )


TAKEN = {
    "no parts": "Content-Type: text/plain\r\n\r\n--b\r\nno header at all\r\n",
    "a text with the look of parts": part(
        "Content-Type: text/plain",
        "Content-Type: multipart/mixed; boundary=z\r\n\r\n--z\r\nno header\r\nContent-Type: a/b; name=a.exe\r\n--z--",
    ),
    "after the end": part("X-A: b") + "\r\n--b2\r\nno header\r\n",
    "preamble and epilogue": "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "no header\r\n--b\r\n\r\nx\r\n--b--\r\n--b\r\n!\r\n",
    "a part without headers": part(""),
    "a boundary with a space": part("X-A: b", boundary='"a b"').replace('--"a b"', "--a b"),
    "white space after a boundary": part("X-A: b").replace("--b\r\n", "--b \t\r\n"),
    "a boundary that another begins with": within(part("X-A: b", boundary="oo"), "o"),
    "two signatures of an attached mail": attached("DKIM-Signature: a\r\nDKIM-Signature: b\r\n\r\nx"),
    "an attached mail that is encoded": part(
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64", "RnJvbQ=="
    ),
    "a report": part("Content-Type: message/delivery-status", "Reporting-MTA: x\r\n\r\nno header"),
    "lines that end in LF alone": within(part("X-A: b", boundary="i"), "o").replace("\r\n", "\n"),
    "headers of 8 bits": part("X-A: \xe9\xff"),
}


@pytest.mark.parametrize("mail", TAKEN)
def test_what_is_no_header_of_a_part_is_not_judged_as_one(sesv2, mail):
    assert sent(sesv2, TAKEN[mail]) == ""


@pytest.mark.parametrize(
    "boundary",
    [
        "boundary=B",
        "boundary = B",
        'boundary= "B"',
        "Boundary =\r\n\tB",
        "charset=x; boundary=B",
        "boundary*=us-ascii''B",
    ],
)
def test_a_boundary_in_every_form_shows_its_parts(sesv2, boundary):
    named = "Content-Type: text/plain; name=a.exe"
    mail = f"Content-Type: multipart/mixed; {boundary}\r\n\r\n--B\r\n{named}\r\n\r\nx\r\n--B--\r\n"
    assert sent(sesv2, mail) == "Illegal filename 'a.exe'."


@pytest.mark.parametrize(("parts", "fine"), [(500, True), (501, False)])
def test_parts_are_counted_at_every_depth(sesv2, parts, fine):
    inner = "\r\n".join("--i\r\n\r\nx" for _ in range(parts - 2))
    mail = within(f"Content-Type: multipart/mixed; boundary=i\r\n\r\n{inner}", "o")
    assert sent(sesv2, mail) == ("" if fine else "MIME part count exceeds 500.")


LARGE = 500_000
TOO_MANY = "MIME part count exceeds 500."
PARTS = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n"
HOSTILE = {
    "dashes": (PARTS + "\n--" * LARGE, ""),
    "other boundaries": (PARTS + "\n--c" * LARGE, ""),
    "one boundary over and over": (PARTS + "--b\n" * LARGE, TOO_MANY),
    "deep": (
        "".join(f"Content-Type: multipart/mixed; boundary={n}\n\n--{n}\n" for n in range(9999)),
        TOO_MANY,
    ),
    "mails in mails": ("Content-Type: message/rfc822\n\n" * (LARGE // 10), TOO_MANY),
    "semicolons": ("Content-Type: text/plain" + "\n ".join([";" * 900] * 250) + "\n\nx", ""),
    "quotes": ("Content-Type: text/plain" + "\n ".join([';a="' * 200] * 250) + "\n\nx", ""),
    "pieces": ("Content-Type: text/plain" + "\n ".join(["; name*1*=%41" * 60] * 250) + "\n\nx", ""),
    "words in the subject": ("Subject: " + "\n ".join(["=?utf-8?q?a" * 80] * 250) + "\n\nx", ""),
    "words": ('Content-Type: a/b; name="' + "\n ".join(["=?utf-8?q?a" * 80] * 250) + '"\n\nx', ""),
}


@pytest.mark.parametrize("mail", HOSTILE)
def test_a_mail_that_is_made_to_take_long_has_its_answer(mail):
    # What is quadratic takes hours with so much, and the run's time limit ends it.
    text, refusal = HOSTILE[mail]
    with pytest.raises(SesError) if refusal else contextlib.nullcontext() as refused:
        fill_from_headers(Mail(""), (HEAD + text).encode())
    assert not refusal or refused.value.message == refusal
