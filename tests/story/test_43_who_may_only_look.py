"""The web console beyond loopback's trust: over TLS, behind a login, in a browser; who may look may not change."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from browser import chromium
from sesq.producer.submission.users import hash_password
from sesq.queue.policy import Policy
from submitting import certificate_files
from system import System, eventually

USERS = """
[ada]
password = "{ada}"
role = "operate"
[bob]
password = "{bob}"
"""


def test_one_logs_in_to_operate_and_another_to_look(system: Any, tmp_path: Path) -> None:
    s: System
    users = tmp_path / "users.toml"
    users.write_text(USERS.format(ada=hash_password("ada's secret"), bob=hash_password("bob's secret")))
    certificate, key = certificate_files(tmp_path)
    with system(production=True, max_send_rate=20, max_24_hour_send=500) as s:
        options = ("--users", str(users), "--tls-cert", str(certificate), "--tls-key", str(key))
        s.start("sesq.console", "console", "--port", "0", *options, PYTHONUNBUFFERED="1")
        site = eventually(lambda: re.search(r"listening on (\S+)", s.log()), "the console listens")[1]
        assert site.startswith("https://")
        with chromium(site, "--ignore-certificate-errors") as browser:
            # When a page is asked for by nobody, there is the login; and a wrong password is none
            browser.open("quota")
            browser.look("login")
            browser.fill(name="bob", password="ada's secret")
            browser.press("Log in")
            assert "wrong name or password" in browser.text
            browser.look("login-refused")
            # Who may look sees the page, and no button that changes anything
            browser.fill(name="bob", password="bob's secret")
            browser.press("Log in")
            assert "bob (view only)" in browser.text
            browser.open("quota")
            browser.look("quota-view-only")
            assert browser.driver.find_elements("css selector", "main button") == []
            # Who may operate does
            browser.driver.delete_all_cookies()
            browser.open("quota")
            browser.fill(name="ada", password="ada's secret")
            browser.press("Log in")
            browser.open("quota/pause")
            browser.fill(reason="a look around")
            browser.press("Pause all mail")
            eventually(lambda: Policy(s.redis).paused, "it is paused")
            assert Policy(s.redis).history()[0]["by"] == "ada (console)"
            # and the session's cookie goes over TLS alone, and no script reads it
            cookie = next(each for each in browser.driver.get_cookies() if each["name"] == "sesq_session")
            assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
