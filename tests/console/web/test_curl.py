"""The lines with curl on the page about the console, typed as they are printed: with a token, and with a password."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis import Redis

from pages import code_on
from sesq.console.web.people import hash_token
from sesq.producer import Message, Outbox
from sesq.producer.submission.users import hash_password
from sesq.queue.policy import Policy

USERS = f"""
[ada]
password = "{hash_password("analytical engine")}"
role = "operate"
[deploy]
token = "{hash_token("a token")}"
role = "operate"
"""


def test_a_token_and_a_password_open_the_console_to_curl(
    console: Callable[..., Any], redis: Redis, tmp_path: Path
) -> None:
    # Given a console with a user who has a password, a program that has a token, and a mail
    users = tmp_path / "users.toml"
    users.write_text(USERS)
    at = console(users).site
    id = Outbox(redis).send(Message(sender="shop@example.com", to="ada@example.org", text="Hello."))
    blocks = [code for code in code_on("how-to/console.md", "sh") if "$at" in code]
    script = "".join(blocks).replace("sesq console --new-token", "true").replace("http://127.0.0.1:9796", at)
    assert "true " in script
    assert f"at={at}\n" in script
    # When somebody types the page's lines
    ran = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "TOKEN": "a token", "PASSWORD": "analytical engine"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    # Then the token has changed the rate, and the password has brought the messages
    overview, _ = json.JSONDecoder().raw_decode(ran.stdout)
    assert overview["account"] == "default"
    assert Policy(redis).show()["rate"].value == "0.5"
    assert id in ran.stdout.splitlines()[-1]
