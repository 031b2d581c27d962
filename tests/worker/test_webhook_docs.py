"""The how-to of webhooks: its settings can be used, and its receiver takes what sesq sends and nothing else."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from pages import DOCS, code_on
from sesq.config.settings import Settings
from sesq.queue.events import MessageEvent
from sesq.queue.webhook_body import body_of
from sesq.worker.webhooks import http_client, retrying
from sesq.worker.webhooks.signing import Signer
from webhooks import SECRET

PAGE = "how-to/webhooks.md"


def test_its_settings_are_settings(tmp_path: Path) -> None:
    first, rotation = code_on(PAGE, "toml")
    file = tmp_path / "sesq.toml"
    file.write_text(re.sub("^#", "", first, flags=re.MULTILINE))
    assert Settings.load(file, {}).account().webhooks["app"].recipients
    both = rotation.replace("whsec_NEW", SECRET).replace("whsec_OLD", SECRET)
    file.write_text(f'[accounts.default.webhooks.app]\nurl = "https://app.example.com/"\n{both}')
    assert Settings.load(file, {}).account().webhooks["app"].secrets() == (SECRET, SECRET)


def test_its_receiver_takes_each_event_once_and_believes_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Given the receiver of the page, in an app
    known: set[str] = set()

    def seen(id: str) -> bool:
        return id in known or bool(known.add(id))

    app: dict[str, Any] = {"SECRET": SECRET, "seen": seen}
    exec(code_on(PAGE)[0], app)
    event = MessageEvent(
        id="1-0", account="default", at=time.time(), message="M1", was="sent", state="bounced"
    )
    body = body_of(event)
    headers = Signer([SECRET]).headers(event.id, time.time(), body)
    # When an event comes twice, Then it counts once
    for _ in range(2):
        app["receive"](headers, body.encode())
    assert capsys.readouterr().out == "M1 sent -> bounced\n"
    # And what is changed or old is refused
    with pytest.raises(WebhookVerificationError):
        app["receive"](headers, body.replace("bounced", "delivered").encode())
    with pytest.raises(WebhookVerificationError):
        app["receive"](Signer([SECRET]).headers(event.id, time.time() - 600, body), body.encode())


def test_its_numbers_are_those_of_the_code() -> None:
    text = (DOCS / PAGE).read_text()
    assert retrying.GIVE_UP_SECONDS == 24 * 3600
    assert (retrying.FIRST_PAUSE_SECONDS, retrying.LONGEST_PAUSE_SECONDS) == (2, 3600)
    assert "after 2 seconds, 4, 8 and so on up to an hour, for 24 hours" in text
    assert f"{http_client.MOST_BYTES // 1024} KiB of an answer" in text
