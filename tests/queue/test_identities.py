"""Identity and sandbox rules, as tables and as properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sesq.queue.identities import BorrowedIdentities, Identities, Unverified, candidates, unverified

LABELS = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
DOMAINS = st.lists(LABELS, min_size=2, max_size=4).map(".".join)
LOCALS = st.from_regex(r"[a-zA-Z.]{1,8}", fullmatch=True)


def verified(*names: str) -> Identities:
    return Identities.from_names((name, True) for name in names)


@pytest.mark.parametrize(
    ("identity", "spec", "covered"),
    [
        ("ada@example.org", "ada@example.org", True),
        ("ada@example.org", "ada+news@example.org", True),
        ("ada@example.org", "ada+a+b@example.org", True),
        ("ada+news@example.org", "ada@example.org", False),
        ("ada+news@example.org", "ada+news@example.org", True),
        ("ada@example.org", "Ada@example.org", False),
        ("ada@EXAMPLE.org", "ada@example.org", False),
        ("ada@EXAMPLE.org", "ada@EXAMPLE.org", True),
        ("ada@example.org", "ada@mail.example.org", False),
        ("example.org", "ada@example.org", True),
        ("Example.ORG", "ada@example.org", True),
        ("example.org", "ada@EXAMPLE.org", True),
        ("example.org", "ada@a.b.example.org", True),
        ("mail.example.org", "ada@example.org", False),
        ("example.org", "ada@badexample.org", False),
        ("org", "ada@example.org", True),
    ],
)
def test_what_an_identity_covers(identity: str, spec: str, covered: bool) -> None:
    identities = verified(identity)
    assert identities.covers_sender(spec) is covered
    assert identities.covers_recipient(spec) is covered


def test_the_mailbox_simulator_may_receive_but_not_send() -> None:
    assert Identities().covers_recipient("bounce+1@simulator.amazonses.com")
    assert not Identities().covers_sender("bounce@simulator.amazonses.com")


def test_what_is_not_verified_covers_nothing() -> None:
    identities = Identities.from_names([("example.org", False), ("ada@example.org", False)])
    assert not identities.covers_sender("ada@example.org")


def test_candidates_go_from_the_most_exact_to_the_widest() -> None:
    assert candidates("ada+news@A.Example.org") == (
        "ada+news@A.Example.org",
        "ada@A.Example.org",
        "a.example.org",
        "example.org",
        "org",
    )
    assert candidates("+x@example.org") == ("+x@example.org", "example.org", "org")


def test_the_sandbox_names_each_unverified_recipient_once() -> None:
    # Given a sender that is verified, and recipients that are not all
    identities = verified("example.com", "ada@example.org")
    recipients = ["bob@x.org", "ada@example.org", "bob@x.org", "eve@x.org", "success@simulator.amazonses.com"]

    # When the account is in the sandbox, then only the unverified stand in the way, each once
    in_sandbox = unverified(identities, False, ["shop@example.com"], recipients)
    assert in_sandbox == Unverified((), ("bob@x.org", "eve@x.org"))
    assert in_sandbox

    # When it has production access, then recipients no longer matter, and the sender still does
    assert not unverified(identities, True, ["shop@example.com"], recipients)
    assert unverified(identities, True, ["shop@elsewhere.com"], recipients) == Unverified(
        ("shop@elsewhere.com",)
    )


@given(LOCALS, LABELS, DOMAINS, LABELS)
def test_a_domain_covers_all_below_it_and_nothing_above(
    local: str, label: str, domain: str, sub: str
) -> None:
    identities = verified(domain.upper())
    assert identities.covers_recipient(f"{local}@{domain}")
    assert identities.covers_recipient(f"{local}+{label}@{sub}.{domain}")
    assert not verified(f"{sub}.{domain}").covers_recipient(f"{local}@{domain}")


@given(LOCALS, LABELS, DOMAINS)
def test_an_address_covers_itself_with_any_label_in_its_own_case(local: str, label: str, domain: str) -> None:
    identities = verified(f"{local}@{domain}")
    assert identities.covers_sender(f"{local}+{label}@{domain}")
    assert not identities.covers_sender(f"{local.swapcase()}@{domain}") or local.swapcase() == local
    assert not identities.covers_sender(f"{local}@{domain.upper()}")


@given(st.lists(st.tuples(LOCALS, DOMAINS), max_size=5), LOCALS, DOMAINS)
def test_covered_means_that_a_candidate_is_verified(
    known: list[tuple[str, str]], local: str, domain: str
) -> None:
    names = {f"{name}@{at}" for name, at in known}
    spec = f"{local}@{domain}"
    assert verified(*names).covers_sender(spec) is bool(names & set(candidates(spec)))


ARN = "arn:aws:ses:eu-west-1:123456789012:identity/"


def test_what_another_account_lends_is_for_senders_alone() -> None:
    known = Identities.from_names([("example.com", True)], borrowed=["partner.example"])
    assert known.covers_sender("a@news.partner.example")
    assert not known.covers_recipient("a@partner.example")
    assert not known.covers_sender("a@other.example")


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("a@partner.example", "Partner.example"),
        ("a@news.partner.example", "Partner.example"),
        ("ada@partner.example", "ada@partner.example"),
        ("ada+x@partner.example", "ada@partner.example"),
        ("a@mail.partner.example", "mail.partner.example"),
        ("a@other.example", None),
    ],
)
def test_the_most_exact_identity_speaks_for_an_address(spec: str, name: str | None) -> None:
    borrowed = BorrowedIdentities.of(
        ARN + name for name in ("Partner.example", "ada@partner.example", "mail.partner.example")
    )
    assert borrowed.arn_of(spec) == (name and ARN + name)
