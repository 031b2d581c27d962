"""`sesq identities` and `sesq sandbox`, before a simulated SES."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sesq.simulator import Simulator
from sesq.worker.control import ControlUnavailable, SesControl

Run = Callable[..., Any]


@pytest.fixture
def ses(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A sandbox with one verified domain."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr("sesq.worker.account.CONTROL_SPACING_MS", 1)
    with Simulator(control_rate=None, verified=["example.com"]) as simulator:
        monkeypatch.setenv("SESQ_ACCOUNTS__DEFAULT__ENDPOINT_URL", simulator.endpoint_url)
        yield simulator


def names(run_json: Run) -> dict[str, bool]:
    return {each["name"]: each["verified"] for each in run_json("identities", "list")}


def test_identities_are_listed(run: Run, run_json: Run, ses: Simulator) -> None:
    assert names(run_json) == {"example.com": True}
    assert "example.com" in run("identities", "list").stdout


def test_nothing_is_verified_without_a_yes(run: Run, run_json: Run, ses: Simulator) -> None:
    ran = run("identities", "verify", "ada@example.org")
    assert (ran.exit_code, "add --yes" in ran.stderr) == (2, True)
    assert names(run_json) == {"example.com": True}


def test_an_address_gets_a_mail_and_is_followed_until_it_is_verified(
    run: Run, run_json: Run, ses: Simulator
) -> None:
    ran = run("identities", "verify", "ada@example.org", "--yes")
    assert (ran.exit_code, "24 hours" in ran.stdout) == (0, True)
    assert names(run_json) == {"example.com": True, "ada@example.org": False}
    # Given a click on the link, when it is followed, then that ends at once
    ses.verify("ada@example.org")
    told = run_json("identities", "verify", "ada@example.org", "--yes", "--wait", "1h")
    assert (told["verified"], told["status"], told["kind"]) == (True, "SUCCESS", "address")


def test_waiting_in_vain_is_exit_1(run: Run, ses: Simulator) -> None:
    ran = run("identities", "verify", "ada@example.org", "--yes", "--wait", "0.01s", "--json")
    assert (ran.exit_code, json.loads(ran.stdout)["verified"]) == (1, False)


def test_a_wait_that_is_no_time_is_told_before_aws_is_asked(run: Run, run_json: Run, ses: Simulator) -> None:
    for words in (("identities", "verify", "ada@example.org"), ("sandbox", "leave", *APPLICATION)):
        ran = run(*words, "--yes", "--wait", "soon")
        assert (ran.exit_code, "--wait: 'soon'" in ran.stderr) == (2, True), ran.output
    assert names(run_json) == {"example.com": True}
    assert ses.account()["review"] is None


def test_what_is_followed_goes_on_where_aws_is_away_for_a_moment(
    run: Run, ses: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given SES that is away twice after the request
    call, trouble = SesControl.call, iter([ControlUnavailable("get_account: away")] * 2)

    def shaky(control: SesControl, operation: str, **parameters: Any) -> Any:
        reviewed = operation == "get_account" and ses.account()["review"]
        if reviewed and (error := next(trouble, None)):
            raise error
        return call(control, operation, **parameters)

    monkeypatch.setattr(SesControl, "call", shaky)
    monkeypatch.setattr("time.sleep", lambda _: ses.set_account(review="GRANTED"))
    # When it is followed, then that goes on until it is granted
    ran = run("sandbox", "leave", *APPLICATION, "--yes", "--wait", "1h")
    assert (ran.exit_code, "granted" in ran.stdout) == (0, True), ran.output
    assert ran.stderr.count("get_account: away; looking again") == 2


def test_what_is_not_followed_tells_at_once_that_aws_is_away(
    run: Run, ses: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ControlUnavailable("get_account: away")

    monkeypatch.setattr(SesControl, "call", away)
    ran = run("sandbox", "status")
    assert (ran.exit_code, "get_account: away\n" in ran.stderr) == (1, True)


def test_a_domain_shows_its_dns_records(run: Run, run_json: Run, ses: Simulator) -> None:
    told = run_json("identities", "verify", "Shop.Example", "--yes")
    assert told["name"] == "shop.example"
    records = told["records"]
    assert len(records) == 3
    assert all(r["type"] == "CNAME" and r["name"].endswith("._domainkey.shop.example") for r in records)
    assert all(r["value"].endswith(".dkim.amazonses.com") for r in records)
    assert records[0]["name"] in run("identities", "verify", "shop.example", "--yes").stdout


@pytest.mark.parametrize("name", ["ada@", "@example.org", "no domain", "localhost"])
def test_what_is_neither_address_nor_domain_is_told_at_the_door(run: Run, ses: Simulator, name: str) -> None:
    assert run("identities", "verify", name, "--yes").exit_code == 2


def test_check_says_whom_the_sandbox_would_refuse(
    run: Run, run_json: Run, here: Path, ses: Simulator
) -> None:
    (here / "rows.csv").write_text("name,email\nAda,ada@example.org\nBob,Bob <bob@example.com>\nEve,eve@\n")
    ran = run("identities", "check", "rows.csv", "--json")
    assert ran.exit_code == 1
    told = {"production": False, "checked": 3, "refused": ["ada@example.org"], "unreadable": ["eve@"]}
    assert json.loads(ran.stdout) == told
    ran = run("identities", "check", "-", stdin="bob@example.com\n\nbounce@simulator.amazonses.com\n")
    assert (ran.exit_code, "2 checked" in ran.stderr) == (0, True)
    assert run("identities", "check", "gone.csv").exit_code == 2
    # And an address that cannot be read is one to which no mail goes
    assert run("identities", "check", "-", stdin="bob@example.com\neve@\n").exit_code == 1


def test_check_believes_the_last_sync(run: Run, here: Path, ses_says: Callable[..., None]) -> None:
    ses_says(identities={"example.org": 1})
    assert run("identities", "check", "-", stdin="ada@example.org\n").exit_code == 0
    assert run("identities", "check", "-", stdin="ada@example.com\n").exit_code == 1
    ses_says(production=1)
    assert run("identities", "check", "-", stdin="ada@example.net\n").exit_code == 0


# leaving the sandbox ------------------------------------------------------------------------------------------------

APPLICATION = ("--mail-type", "transactional", "--website", "https://example.com", "--use-case", "Receipts.")


def test_status_says_what_is_missing(run: Run, run_json: Run, ses: Simulator) -> None:
    told = run_json("sandbox", "status")
    assert (told["mode"], told["rate"], told["daily"], told["review"]["status"]) == ("sandbox", 1, 200, "")
    assert told["missing"] == ["production access: sesq sandbox leave"]
    assert "sesq sandbox leave" in run("sandbox", "status").stdout


def test_nothing_is_asked_of_aws_without_a_yes(run: Run, ses: Simulator) -> None:
    ran = run("sandbox", "leave", *APPLICATION)
    assert (ran.exit_code, "add --yes" in ran.stderr) == (2, True)
    assert "https://example.com" in ran.stdout
    assert ses.account()["review"] is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("--website", "example.com"), "website: "),
        (("--mail-type", "spam"), "mail type: "),
        (("--language", "DE"), "language: "),
        (("--use-case", "@gone"), "gone cannot be read"),
        (("--contact", "nobody"), "--contact"),
    ],
)
def test_what_a_reviewer_could_not_use_is_told_at_the_door(
    run: Run, ses: Simulator, changed: tuple[str, str], said: str
) -> None:
    ran = run("sandbox", "leave", *APPLICATION, *changed, "--yes")
    assert (ran.exit_code, said in ran.stderr) == (2, True), ran.output
    assert run("sandbox", "leave", "--yes").exit_code == 2


def test_the_review_is_followed_through_all_its_answers(run: Run, run_json: Run, ses: Simulator) -> None:
    # When the request is sent, then it is pending, and a second one is not taken
    ran = run("sandbox", "leave", *APPLICATION, "--yes", "--json")
    assert (json.loads(ran.stdout)["review"]["status"], "is sent" in ran.stderr) == ("PENDING", True)
    again = run("sandbox", "leave", *APPLICATION, "--yes")
    assert (again.exit_code, "under review" in again.stderr) == (1, True)
    assert "AWS's answer" in run_json("sandbox", "status")["missing"]
    # And once granted the account is out
    ses.set_account(review="GRANTED")
    assert run_json("sandbox", "status")["mode"] == "production"
    ran = run("sandbox", "leave", *APPLICATION, "--yes")
    assert (ran.exit_code, "already" in ran.stderr) == (2, True)


def test_a_denied_review_is_exit_1_and_the_case_is_named(run: Run, ses: Simulator, monkeypatch: Any) -> None:
    # Given somebody who denies it while it is followed
    monkeypatch.setattr("time.sleep", lambda _: ses.set_account(review="DENIED"))
    ran = run("sandbox", "leave", *APPLICATION, "--yes", "--wait", "1h")
    assert (ran.exit_code, "denied" in ran.stdout) == (1, True)
