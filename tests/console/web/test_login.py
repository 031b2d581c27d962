"""Beyond loopback nobody gets in without a name: passwords, tokens, a proxy's word; and view is not operate."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from sesq.config.errors import SettingsError
from sesq.console.web.people import People, TooManyTries, hash_token
from sesq.console.web.site import SESSION_SECONDS
from sesq.producer.submission.users import User, Users, hash_password
from sesq.queue.messages import Messages
from sesq.queue.policy import Policy
from sesq.queue.states import State

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


@pytest.fixture
def people(users: Path) -> People:
    return People.read(users, "")


def guess(people: People, name: str, address: str, password: str = "wrong") -> str:
    try:
        return "right" if people.log_in(name, password, address) else "wrong"
    except TooManyTries:
        return "wait"


def test_right_logins_lock_nobody_out(people: People) -> None:
    # Given somebody who logs in more often than wrong passwords may be tried
    found = {guess(people, "ada", "192.0.2.1", "secret of ada") for _ in range(21)}
    # Then each is let in, and one wrong try is no more than that
    assert found == {"right"}
    assert guess(people, "ada", "192.0.2.1") == "wrong"
    assert guess(people, "ada", "192.0.2.1", "secret of ada") == "right"


def test_names_tried_without_end_from_one_address_are_stopped(people: People) -> None:
    found = [guess(people, f"name {number}", "192.0.2.1") for number in range(22)]
    assert found == ["wrong"] * 20 + ["wait"] * 2
    assert guess(people, "ada", "192.0.2.1", "secret of ada") == "wait"
    # And people elsewhere need not wait
    assert guess(people, "ada", "192.0.2.2", "secret of ada") == "right"


def test_ipv4_addresses_written_as_ipv6_are_counted_each_for_itself(people: People) -> None:
    # Given an address from which names were tried without end
    for number in range(21):
        guess(people, f"name {number}", "::ffff:192.0.2.1")
    # Then another need not wait
    assert guess(people, "ada", "::ffff:192.0.2.1", "secret of ada") == "wait"
    assert guess(people, "ada", "::ffff:192.0.2.2", "secret of ada") == "right"


@pytest.mark.parametrize(
    ("addresses", "stopped"),
    [
        (["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1:ffff::"], True),
        (["2001:db8:0:1::1", "2001:db8:0:2::1"], False),
        (["unknown", "_hidden"], True),
    ],
)
def test_tries_are_counted_where_one_machine_may_have_many_addresses(
    people: People, addresses: list[str], stopped: bool
) -> None:
    for number in range(5):
        guess(people, "ada", addresses[number % (len(addresses) - 1)])
    assert (guess(people, "ada", addresses[-1]) == "wait") is stopped


def test_tries_leave_no_name_and_nothing_once_their_address_is_stopped(people: People) -> None:
    for number in range(21):
        guess(people, f"{number}" * 100_000, "192.0.2.1")
    tracemalloc.start()
    try:
        for number in range(200):
            assert guess(people, f"{number}" + "x" * 100_000, "192.0.2.1") == "wait"
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
    assert all(len(key) < 200 for key in people._tries.storage.events)  # type: ignore[attr-defined]


def test_many_tries_at_once_do_not_pass_the_limit_together(people: People) -> None:
    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(lambda _: guess(people, "ada", "192.0.2.1"), range(20)))
    assert found.count("wrong") == 5


def test_a_logout_ends_the_session_for_whoever_copied_its_cookie(
    console: Console, users: Path, redis: Redis
) -> None:
    visit, thief = console(users), console(users)
    visit.log_in("ada", "secret of ada")
    thief.session.cookies.update(visit.session.cookies)
    assert thief.get("overview").url.endswith("/overview")
    # And a session is not kept for ever
    (key,) = redis.scan_iter("sesq:console:session:*")
    assert 0 < redis.ttl(key) <= SESSION_SECONDS
    # When its owner logs out
    visit.post("/logout")
    # Then the copy is good for nothing
    assert thief.get("overview").url.startswith(f"{thief.site}/login")
    assert list(redis.scan_iter("sesq:console:session:*")) == []


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (set(), "198.51.100.7", "127.0.0.1"),
        ({"10.0.0.2"}, "198.51.100.7", "127.0.0.1"),
        ({"127.0.0.1"}, "198.51.100.7", "198.51.100.7"),
        ({"127.0.0.1"}, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ({"127.0.0.1"}, "", "127.0.0.1"),
    ],
)
def test_what_a_hop_says_of_the_client_counts_from_a_proxy_of_ours_alone(
    console: Console,
    users: Path,
    caplog: pytest.LogCaptureFixture,
    proxies: set[str],
    forwarded: str,
    address: str,
) -> None:
    visit = console(users, proxies=frozenset(proxies))
    form = {"name": "ada", "password": "wrong"}
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert visit.post("/login", form, headers=headers).status_code == 403
    assert f"from {address}" in caplog.text


def test_who_is_not_let_in_is_not_read_much_of(console: Console, users: Path, redis: Redis) -> None:
    visit = console(users)
    long = "[" * 100_000
    for path, options in {
        "/login": {"data": {"name": long}},
        "/accounts/default/quota/pause": {"data": {"reason": long}},
        PAUSE: {"data": long, "headers": {"Content-Type": "application/json"}},
        "/nothing": {"data": long},
    }.items():
        # a program is told that it needs a token
        expected = 401 if path == PAUSE else 413
        assert visit.session.post(visit.site + path, timeout=20, **options).status_code == expected, path
    # Who is let in may send a long mail
    visit.log_in("ada", "secret of ada")
    mail = {
        "kind": "formatted",
        "sender": "a@example.com",
        "to": "b@example.org",
        "text": long,
        "subject": "x",
    }
    assert visit.post("test", mail).status_code == 200
    assert Messages(redis).counts()[State.QUEUED] == 1


def test_who_may_only_look_changes_nothing(console: Console, users: Path, redis: Redis) -> None:
    visit = console(users)
    answer = visit.log_in("bob", "secret of bob")
    assert "view only" in answer.text
    for path, form in {
        "quota/pause": {"reason": "x"},
        "quota/set": {"rate": "1/second"},
        "quota/preview": {"rate": "1/second"},
        "quota/ramp": {"from": "5", "to": "9", "over": "2d"},
        "quota/ramp/stop": {},
        "messages/act": {"verb": "cancel", "ids": "x"},
        "test": {"kind": "formatted", "sender": "a@example.com", "to": "b@example.com", "text": "x"},
        "identities/verify": {"name": "example.com"},
        "suppression/add": {"address": "x@example.com"},
        "webhooks/disable": {"name": "x"},
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
    users.write_text(users.read_text().replace(hashes["ada"], hash_password("another secret")))
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


def test_a_name_that_nobody_has_costs_as_much_as_one_that_somebody_has(
    users: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a count of what scrypt is asked to do
    asked: list[tuple[int, int, int]] = []
    scrypt = hashlib.scrypt

    def counting(*words: Any, n: int, r: int, p: int, **options: Any) -> bytes:
        asked.append((n, r, p))
        return scrypt(*words, n=n, r=r, p=p, **options)

    monkeypatch.setattr(hashlib, "scrypt", counting)
    # When somebody tries a wrong password for a user, and for nobody
    web, submission = (
        People.read(users, "ops"),
        Users({"ada": User("ada", hash_password("secret of ada"), ())}),
    )
    asked.clear()
    for name in ("ada", "nobody"):
        assert web.log_in(name, "wrong", "127.0.0.1") is None
        assert submission.find(name, "wrong") is None
    # Then each try costs the same
    assert len(asked) == 4
    assert len(set(asked)) == 1
