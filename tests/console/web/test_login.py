"""Beyond loopback nobody gets in without a name: passwords, tokens, a proxy's word; and view is not operate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from sesq.config.errors import SettingsError
from sesq.config.policy import Policy
from sesq.console.web.people import People, hash_password, hash_token

Console = Callable[..., Any]
PAUSE = "/api/v1/accounts/default/pause"


@pytest.fixture(scope="module")
def hashes() -> dict[str, str]:
    return {"ada": hash_password("secret of ada"), "bob": hash_password("secret of bob")}


@pytest.fixture
def users(tmp_path: Path, hashes: dict[str, str]) -> Path:
    file = tmp_path / "users.toml"
    file.write_text(
        f"""
        [ada]
        password = "{hashes["ada"]}"
        role = "operate"
        [bob]
        password = "{hashes["bob"]}"
        [deploy]
        token = "{hash_token("deploy's")}"
        role = "operate"
        [prometheus]
        token = "{hash_token("prometheus's")}"
        """
    )
    return file


def test_without_a_login_there_is_only_the_login(console: Console, users: Path) -> None:
    visit = console(users)
    for path in ("/", "overview", "messages/x", "messages/x/html", "batches/x/report.csv"):
        answer = visit.get(path)
        assert answer.url.startswith(f"{visit.site}/login"), path
        assert "Password" in answer.text
    assert visit.get("/metrics").status_code == 401
    assert visit.get("/api/v1/accounts/default/overview").status_code == 401
    assert visit.post("quota/pause").url.startswith(f"{visit.site}/login")


def test_who_logs_in_comes_back_to_the_page(console: Console, users: Path, redis: Redis) -> None:
    visit = console(users)
    visit.get("quota")
    answer = visit.post(
        "/login", {"name": "ada", "password": "secret of ada", "next": "/accounts/default/quota"}
    )
    assert answer.url == f"{visit.site}/accounts/default/quota"
    assert "ada" in answer.text
    # And what ada does bears her name
    assert visit.post("quota/pause", {"reason": "by hand"}).status_code == 200
    assert Policy(redis).history()[0]["by"] == "ada (console)"
    # And after the logout there is only the login
    assert visit.post("/logout").url.startswith(f"{visit.site}/login")
    assert visit.get("overview").url.startswith(f"{visit.site}/login")


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "/accounts/\\x"]
)
def test_nobody_is_sent_elsewhere_after_the_login(console: Console, users: Path, elsewhere: str) -> None:
    visit = console(users)
    answer = visit.post("/login", {"name": "ada", "password": "secret of ada", "next": elsewhere})
    assert answer.url.startswith(f"{visit.site}/accounts/default/")


def test_a_wrong_name_and_a_wrong_password_look_the_same(console: Console, users: Path) -> None:
    visit = console(users)
    answers = [visit.log_in("ada", "wrong"), visit.log_in("nobody", "wrong"), visit.log_in("deploy", "")]
    assert {answer.status_code for answer in answers} == {403}
    assert all("wrong name or password" in answer.text for answer in answers)


def test_tries_are_limited(console: Console, users: Path) -> None:
    visit = console(users)
    found = [visit.log_in("ada", f"guess {n}").status_code for n in range(6)]
    assert found == [403] * 5 + [429]
    # Even the right one has to wait then, but other people need not
    assert visit.log_in("ada", "secret of ada").status_code == 429
    assert visit.log_in("bob", "secret of bob").status_code == 200


def test_who_may_only_look_changes_nothing(console: Console, users: Path, redis: Redis) -> None:
    visit = console(users)
    answer = visit.log_in("bob", "secret of bob")
    assert "view only" in answer.text
    for path, form in {
        "quota/pause": {"reason": "x"},
        "quota/set": {"rate": "1/second"},
        "quota/preview": {"rate": "1/second"},
        "messages/act": {"verb": "cancel", "ids": "x"},
        "test": {"kind": "formatted", "sender": "a@example.com", "to": "b@example.com", "text": "x"},
        "identities/verify": {"name": "example.com"},
        "suppression/add": {"address": "x@example.com"},
        "sandbox/apply": {"sure": "yes"},
        "batches/x/cancel": {},
    }.items():
        assert visit.post(path, form).status_code == 403, path
    assert redis.keys("sesq:default:policy*") == []
    # And is shown no button for it
    for page in ("quota", "messages", "identities", "suppression", "test"):
        assert 'method="post" action="/accounts' not in visit.get(page).text, page


def test_tokens_have_roles(console: Console, users: Path, redis: Redis) -> None:
    visit = console(users)

    def call(token: str, method: str, path: str, **options: Any) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return int(
            visit.session.request(
                method, visit.site + path, headers=headers, timeout=20, **options
            ).status_code
        )

    assert call("prometheus's", "GET", "/metrics") == 200
    assert call("prometheus's", "GET", "/api/v1/accounts/default/overview") == 200
    assert call("prometheus's", "POST", PAUSE, json={}) == 403
    assert call("nobody's", "GET", "/metrics") == 401
    assert call("", "GET", PAUSE.replace("pause", "quota")) == 401
    assert Policy(redis).paused == ""
    assert call("deploy's", "POST", PAUSE, json={"reason": "deploying"}) == 200
    assert Policy(redis).paused == "deploying"


@pytest.mark.parametrize("credentials", [None, "Basic x", "Bearer", "Bearer x", "x"])
def test_a_session_is_none_for_the_api(
    console: Console, users: Path, redis: Redis, credentials: str | None
) -> None:
    visit = console(users)
    visit.log_in("ada", "secret of ada")
    headers = {"Authorization": credentials}
    assert visit.session.post(visit.site + PAUSE, json={}, headers=headers, timeout=20).status_code == 401
    assert Policy(redis).paused == ""


def test_a_new_password_ends_the_sessions(console: Console, users: Path, hashes: dict[str, str]) -> None:
    visit = console(users)
    visit.log_in("ada", "secret of ada")
    # A restart does not
    again = console(users)
    again.session.cookies.update(visit.session.cookies)
    assert again.get("overview").url.endswith("/overview")
    # Another password does
    users.write_text(users.read_text().replace(hashes["ada"], hash_password("new")))
    other = console(users)
    other.session.cookies.update(visit.session.cookies)
    assert other.get("overview").url.startswith(f"{other.site}/login")


def test_a_proxys_word_counts_from_the_proxy_alone(console: Console, users: Path, redis: Redis) -> None:
    header = {"X-Forwarded-User": "ada"}
    proxied = console(users, proxy_header="X-Forwarded-User", proxies=frozenset({"127.0.0.1"}))
    assert "ada" in proxied.get("overview", headers=header).text
    assert proxied.get("overview", headers={"X-Forwarded-User": "stranger"}).url.startswith(
        f"{proxied.site}/login"
    )
    # The browser brings it too, so in the API it is none
    basic = header | {"Authorization": "Basic x"}
    assert proxied.session.post(proxied.site + PAUSE, json={}, headers=basic, timeout=20).status_code == 401
    elsewhere = console(users, proxy_header="X-Forwarded-User", proxies=frozenset({"10.0.0.2"}))
    assert elsewhere.get("overview", headers=header).url.startswith(f"{elsewhere.site}/login")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no users"),
        ("x", "cannot be read as TOML"),
        ("ada = 1", "stands outside of a"),
        ('[ada]\npassword = "plain"', r"\[ada\] password: is no hash"),
        ('[ada]\ntoken = "plain"', r"\[ada\] token: is no hash"),
        ('[ada]\nrole = "root"', r"\[ada\] role: allowed are view, operate"),
        ("[ada]\nadmin = true", r"\[ada\] 'admin' is unknown"),
    ],
)
def test_a_wrong_users_file_names_what_is_wrong(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "users.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=problem):
        People.read(file, "")
