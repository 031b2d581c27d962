"""Envelope and content: costs, and the way through JSON and back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.config.errors import InvalidMessage
from sesq.queue.envelope import Envelope, SimpleContent
from sesq.queue.scripts import read_lua

WIRES = st.sampled_from(
    ["ada@example.org", "Ada <ada@example.org>", '"K, A" <ada@example.org>', "bounce@simulator.amazonses.com"]
)
LISTS = st.lists(WIRES, max_size=3).map(tuple)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ENVELOPES = st.builds(
    Envelope,
    sender=WIRES,
    to=LISTS,
    cc=LISTS,
    bcc=LISTS,
    reply_to=LISTS,
    subject=TEXT,
    tags=st.dictionaries(TEXT, TEXT, max_size=3),
    configuration_set=st.none() | st.just("marketing"),
    tenant=st.none() | st.just("acme"),
    feedback_to=st.none() | st.just("bounces@example.com"),
    contact_list=st.none() | st.just("news"),
    topic=st.none() | st.just("weekly"),
    track=st.sampled_from([None, "on", "off"]),
    on_unknown=st.sampled_from([None, "hold", "resend"]),
    kind=st.sampled_from(["simple", "raw"]),
)
CONTENTS = st.builds(
    SimpleContent,
    TEXT,
    st.none() | TEXT,
    st.none() | TEXT,
    st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
)


def test_every_recipient_costs_rate_and_the_simulator_costs_no_day() -> None:
    # Given a message whose recipients repeat, some of them the mailbox simulator's
    envelope = Envelope(
        sender="Shop <shop@example.com>",
        to=("Ada <ada@example.org>", "success@simulator.amazonses.com"),
        cc=("ada@example.org",),
        bcc=("Bounce <bounce+7@simulator.amazonses.com>",),
    )

    # Then each counts, in order, as bare addresses
    assert envelope.recipients == (
        "ada@example.org",
        "success@simulator.amazonses.com",
        "ada@example.org",
        "bounce+7@simulator.amazonses.com",
    )
    assert (envelope.rate_cost, envelope.day_cost) == (4, 2)
    assert envelope.sender_spec == "shop@example.com"


@given(ENVELOPES)
def test_an_envelope_comes_back_from_json(envelope: Envelope) -> None:
    assert Envelope.from_json(envelope.to_json()) == envelope
    assert Envelope.from_json(envelope.to_json().encode()) == envelope


@given(ENVELOPES)
def test_an_envelope_comes_back_from_the_fields_of_a_record(envelope: Envelope) -> None:
    fields = envelope.to_fields()
    record = dict(zip(fields[::2], fields[1::2], strict=True)) | {"state": "queued", "v": "1"}
    assert Envelope.from_fields(record) == envelope


def test_the_fields_of_a_usual_envelope_are_so_few_and_short_that_redis_packs_the_record() -> None:
    envelope = Envelope(sender="Shop <shop@example.com>", to=("ada@example.org",), subject="Your order")
    assert envelope.to_fields() == [
        *("sender", "Shop <shop@example.com>", "to", '["ada@example.org"]', "subject", "Your order")
    ]


@pytest.mark.parametrize(
    "damage",
    [
        {"to": "ada@example.org"},
        {"to": "[5]"},
        {"cc": '"a"'},
        {"bcc": "{}"},
        {"reply_to": "5"},
        {"tags": ""},
        {"tags": "7"},
        {"kind": "letter"},
        {"on_unknown": "wait"},
        {"track": "perhaps"},
    ],
)
def test_damaged_fields_are_an_error_of_ours(damage: dict[str, str]) -> None:
    with pytest.raises(InvalidMessage):
        Envelope.from_fields({"sender": "a@example.org", "to": '["b@example.org"]', **damage})


def test_a_record_without_a_sender_or_of_another_version_has_no_envelope() -> None:
    for fields in ({"to": '["b@example.org"]'}, {"sender": "a@example.org", "v": "2"}):
        with pytest.raises(InvalidMessage):
            Envelope.from_fields(fields)


def test_start_reads_all_fields_of_an_envelope() -> None:
    listed = re.search(r"NEEDED = \{([^}]*)\}", read_lua("start.lua"))
    assert listed is not None
    assert set(re.findall(r"'(\w+)'", listed[1])) >= {*Envelope.__dataclass_fields__, "rate", "attempts"}


@given(CONTENTS)
def test_content_comes_back_from_bytes(content: SimpleContent) -> None:
    assert SimpleContent.from_bytes(content.to_bytes()) == content


@pytest.mark.parametrize("version", ["2", '"1"', "null", "true", "1.5"])
def test_another_version_is_refused_by_name(version: str) -> None:
    for read in (Envelope.from_json, SimpleContent.from_bytes):
        with pytest.raises(InvalidMessage, match="knows 1") as refusal:
            read(f'{{"v": {version}, "sender": "ada@example.org"}}'.encode())
        assert refusal.value.field == "v"


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"\xff", b'{"v": 1}', b'{"v": 1, "to": 5}', b'{"v": 1, "shape": 1}', b"[" * 100_000],
)
def test_what_is_no_envelope_or_content_is_an_error_of_ours(text: bytes) -> None:
    for read in (Envelope.from_json, SimpleContent.from_bytes):
        with pytest.raises(InvalidMessage):
            read(text)


def test_json_is_small_and_can_be_read_by_eye() -> None:
    envelope = Envelope(sender="a@example.org", to=("b@example.org",), subject="Grüße")
    assert (
        envelope.to_json()
        == '{"v":1,"sender":"a@example.org","to":["b@example.org"],"subject":"Grüße","kind":"simple"}'
    )
