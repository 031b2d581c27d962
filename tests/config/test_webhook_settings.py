"""[accounts.NAME.webhooks.X]: what is refused at the door, and that no error shows a secret."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from sesq.config.errors import SettingsError
from sesq.config.settings import Settings
from sesq.config.webhook_settings import EventName, WebhookSettings
from sesq.queue.events import STATELESS
from sesq.queue.states import State

URL = "https://app.example.com/hook"
ONE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
FIELD = "accounts.default.webhooks.app"


def load(file: Path, values: dict[str, Any], **env: str) -> WebhookSettings:
    file.write_text("".join(f"{FIELD}.{name} = {json.dumps(value)}\n" for name, value in values.items()))
    return Settings.load(file, env).account().webhooks["app"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sesq.toml"


def test_the_states_are_those_of_a_message() -> None:
    assert set(get_args(EventName)) == {*(state.value for state in State), *STATELESS}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "url"),
        ({"url": "http://app.example.com/"}, "use https://"),
        ({"url": "http://10.0.0.1/"}, "use https://"),
        ({"url": "ftp://app.example.com/"}, "allowed: https://host/path"),
        ({"url": "https:///path"}, "allowed: https://host/path"),
        ({"url": "https://hush@app.example.com/"}, "no user, no password"),
        ({"url": "https://app.example.com/#part"}, "no fragment"),
        ({"url": "https://app.example.com:0/"}, "a port from 1"),
        ({"url": "https://app.example.com:many/"}, "url"),
        ({"url": "https://app.example.com/a b"}, "no spaces"),
        ({"url": "https://app.example.com/\u00fc"}, "in ASCII"),
        ({"url": URL, "secret": "hush"}, "openssl rand -base64 32"),
        ({"url": URL, "secret": "whsec_hush"}, "openssl rand -base64 32"),
        ({"url": URL, "secret": ONE.removeprefix("whsec_")}, "openssl rand -base64 32"),
        ({"url": URL, "secret": ONE, "secret_file": "/x"}, "give one of them"),
        ({"url": URL, "events": ["delivered", "lost"]}, f"{FIELD}.events.1 = 'lost'"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "timeout_seconds": 31}, f"{FIELD}.timeout_seconds = 31: "),
        ({"url": URL, "secrets": ONE}, "did you mean secret?"),
    ],
)
def test_what_cannot_be_used_is_refused_and_no_secret_is_shown(
    file: Path, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        load(file, {"recipients": False, **values})
    assert said in str(raised.value)
    assert not any(secret in str(raised.value) for secret in ("hush", ONE, ONE[6:]))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/hook", "http://[::1]:8000/", "http://localhost:8000/"]
)
def test_an_endpoint_on_this_machine_needs_no_tls(file: Path, url: str) -> None:
    assert load(file, {"url": url}).url == url


def test_a_key_without_its_table_gets_a_hint_that_names_the_table(file: Path) -> None:
    file.write_text(f'secret = "{ONE}"\n')
    with pytest.raises(
        SettingsError, match=r"did you mean accounts\.default\.webhooks\.NAME\.secret"
    ) as raised:
        Settings.load(file, {})
    assert ONE not in str(raised.value)


def test_the_secrets_come_from_the_file_or_the_environment_or_a_file_of_their_own(
    file: Path, tmp_path: Path
) -> None:
    assert load(file, {"url": URL, "secret": f"{ONE} {OTHER}"}).secrets() == (ONE, OTHER)
    variable = {f"SESQ_{FIELD.upper().replace('.', '__')}__SECRET": OTHER}
    found = load(file, {"url": URL}, **variable)
    assert found.secrets() == (OTHER,)
    assert not any(each in repr(found) for each in (OTHER, URL))
    (tmp_path / "secret").write_text(f"{ONE}\n{OTHER}\n")
    assert load(file, {"url": URL, "secret_file": str(tmp_path / "secret")}).secrets() == (ONE, OTHER)


@pytest.mark.parametrize(("size", "is_taken"), [(23, False), (24, True), (64, True), (65, False)])
def test_a_secret_has_24_to_64_bytes(file: Path, size: int, is_taken: bool) -> None:
    secret = f"whsec_{base64.b64encode(bytes(size)).decode()}"
    if is_taken:
        assert load(file, {"url": URL, "secret": secret}).secrets() == (secret,)
    else:
        with pytest.raises(SettingsError, match="24 to 64 random bytes"):
            load(file, {"url": URL, "secret": secret})


def test_a_secret_that_is_missing_is_said_when_it_is_needed(file: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="secret is not set"):
        load(file, {"url": URL}).secrets()
    with pytest.raises(SettingsError, match=r"secret_file: .*gone.* cannot be used"):
        load(file, {"url": URL, "secret_file": str(tmp_path / "gone")}).secrets()
    (tmp_path / "wrong").write_text("hush")
    with pytest.raises(SettingsError, match=r"secret_file: .*wrong.* cannot be used") as raised:
        load(file, {"url": URL, "secret_file": str(tmp_path / "wrong")}).secrets()
    assert "hush" not in str(raised.value)
