"""What changes while the console runs: users, settings; and where a login leads."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from sesq.config.settings import Settings
from sesq.console.web.people import hash_token
from sesq.console.web.reread import Reread
from sesq.producer.submission.users import hash_password

Console = Callable[..., Any]
SECRET = "a secret of ada"


@pytest.fixture(scope="module")
def hashed() -> str:
    return hash_password(SECRET)


@pytest.fixture
def users(tmp_path: Path, hashed: str) -> Path:
    file = tmp_path / "users.toml"
    file.write_text(f'[ada]\npassword = "{hashed}"\nrole = "operate"\n')
    return file


def as_(visit: Any, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return int(visit.session.get(f"{visit.site}/metrics", headers=headers, timeout=20).status_code)


def test_a_new_user_comes_in_and_one_who_is_gone_stays_out(console: Console, users: Path) -> None:
    visit = console(users)
    assert (visit.log_in("ada", SECRET).status_code, as_(visit, "bob's")) == (200, 401)
    # When the file has a new user, Then nothing needs a restart
    before = users.read_text()
    users.write_text(f'{before}[bob]\ntoken = "{hash_token("bob" + chr(39) + "s")}"\n')
    assert as_(visit, "bob's") == 200
    # and a session ends with its user
    users.write_text(users.read_text().replace("[ada]", "[eve]"))
    assert visit.get("overview").url.startswith(f"{visit.site}/login")


def test_a_file_that_cannot_be_read_changes_nothing_and_is_told_once(
    console: Console, users: Path, caplog: pytest.LogCaptureFixture
) -> None:
    visit = console(users)
    visit.log_in("ada", SECRET)
    users.write_text("[ada")
    with caplog.at_level(logging.ERROR, "sesq.console"):
        for _ in range(3):
            assert visit.get("overview").url.endswith("/overview")
    (told,) = [record.message for record in caplog.records if "cannot be read as TOML" in record.message]
    assert told.endswith("its last content still counts")
    # and a file that is gone lets nobody else in
    users.unlink()
    assert visit.get("overview").url.endswith("/overview")
    assert as_(visit, "") == 401


def test_a_new_account_of_the_settings_is_there(
    console: Console, redis: Redis, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    file = tmp_path / "sesq.toml"
    file.write_text('[accounts.default]\nregion = "us-east-1"\n')
    visit = console(settings_from=Reread(file, lambda: Settings.load(file, env={})))
    assert visit.get("/accounts/shop/overview").status_code == 404
    file.write_text('[accounts.default]\nregion = "us-east-1"\n[accounts.shop]\nregion = "eu-west-1"\n')
    assert visit.get("/accounts/shop/overview").status_code == 200


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    file, reads = tmp_path / "f", [0]
    file.write_text("a")

    def read() -> str:
        reads[0] += 1
        return file.read_text()

    watched = Reread(file, read)
    assert [watched.now, watched.now, reads[0]] == ["a", "a", 1]
    # a file that is put in its place counts too
    (tmp_path / "g").write_text("b")
    (tmp_path / "g").replace(file)
    assert [watched.now, watched.now, reads[0]] == ["b", "b", 2]


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        ("messages?state=held&q=ada", "/accounts/default/messages?state=held&q=ada"),
        ("quota", "/accounts/default/quota"),
        ("/", "/accounts/default/overview"),
    ],
)
def test_a_login_leads_where_one_wanted_to_go(
    console: Console, users: Path, asked: str, leads_to: str
) -> None:
    visit = console(users)
    form = visit.get(asked)
    (wanted,) = [part.split('"')[0] for part in form.text.split('name="next" value="')[1:]]
    wrong = visit.post("/login", {"name": "ada", "password": "wrong", "next": wanted.replace("&amp;", "&")})
    assert f'name="next" value="{wanted}"' in wrong.text
    answer = visit.post("/login", {"name": "ada", "password": SECRET, "next": wanted.replace("&amp;", "&")})
    assert answer.url == visit.site + leads_to


def test_a_form_that_is_sent_too_late_leads_back_to_its_page(console: Console, users: Path) -> None:
    visit = console(users)
    page = f"{visit.site}/accounts/default/messages?state=held"
    answer = visit.post("messages/act", {"verb": "release"}, headers={"Referer": page})
    assert answer.url == f"{visit.site}/login?next=%2Faccounts%2Fdefault%2Fmessages%3Fstate%3Dheld"
    elsewhere = visit.post(
        "messages/act", {"verb": "release"}, headers={"Referer": "http://evil.example/accounts/x"}
    )
    assert elsewhere.url == f"{visit.site}/login?next=%2F"


@pytest.mark.parametrize("command", ["console", "submission"])
def test_a_short_password_is_refused(run: Callable[..., Any], command: str) -> None:
    refused = run(command, "--hash-password", stdin="eleven char\n")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "at least 12 characters" in refused.stderr
    assert run(command, "--hash-password", stdin="twelve chars\n").stdout.startswith("scrypt$")
