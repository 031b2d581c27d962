"""Postfix, Exim, msmtp and Symfony Mailer send through the queue, set up as the how-tos say."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arrived import arrived
from listening import listening
from pages import code_on
from sesq.queue.states import State
from system import System, eventually

IN_CI = os.environ.get("CI") == "true"  # there, a program that is missing is a failure
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/sendmail"
POSTFIX, MSMTP, PHP = (shutil.which(name, path=PATH) for name in ("postfix", "msmtp", "php"))
EXIM = os.environ.get("SESQ_TEST_EXIM") or shutil.which("exim4", path=PATH)
SYMFONY = Path("/usr/share/php/Symfony/Component/Mailer/autoload.php")
ROOT = os.geteuid() == 0
MAIL = """From: Jörg Bücher <shop@example.com>
To: Ada Łovelace <ada@example.org>
Subject: Grüße aus der Bücherei
X-Sesq-Tags: kind=receipt

Schöne Grüße
.
bis bald
"""


def needs(*, found: object) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not found and not IN_CI, reason="the program is missing, or this is not root")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the users of mail servers may enter."""
    made = Path(tempfile.mkdtemp(prefix="sesq-mail-server-", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def run(*words: str | Path, text: str = MAIL, **environment: str) -> None:
    ran = subprocess.run(
        [str(word) for word in words],
        input=text.encode(),
        env={"PATH": PATH, **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, (ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))


def block(page: str, language: str, port: int) -> str:
    """The first block of that language on the page, for a server on this port."""
    return code_on(page, language)[0].replace("2525", str(port))


def assert_arrived(s: System) -> None:
    """The one mail has arrived, in ASCII headers that say what it said."""
    s.wait_for(State.SENT, 1)
    (sent,) = arrived(s.ses)
    assert sent.raw.partition(b"\r\n\r\n")[0].isascii()
    assert sent.mail["Subject"] == "Grüße aus der Bücherei"
    assert sent.mail["From"].addresses[0].display_name == "Jörg Bücher"
    assert sent.mail["To"].addresses[0].display_name == "Ada Łovelace"
    assert sent.bytes_of("text/plain").decode().replace("\r\n", "\n") == "Schöne Grüße\n.\nbis bald\n"
    assert sent.recipients == ["ada@example.org"]
    assert sent.call["tags"]["kind"] == "receipt"


MASTER_CF = """
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
scache unix - - n - 1 scache
"""
MAIN_CF = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = /dev/stdout
myhostname = web1.example.com
mydestination =
inet_protocols = ipv4
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8
{how_to}
"""


@pytest.fixture
def postfix(folder: Path) -> Iterator[Any]:
    """`postfix(how_to)` starts one of its own, with these lines in main.cf; returns its folder of settings."""
    started: list[subprocess.Popen[bytes]] = []
    settings, data = folder / "etc", folder / "data"

    def start(how_to: str) -> Path:
        for made in (settings, data, folder / "queue"):
            made.mkdir()
        owner = pwd.getpwnam("postfix")
        os.chown(data, owner.pw_uid, owner.pw_gid)
        (settings / "main.cf").write_text(MAIN_CF.format(folder=folder, how_to=how_to))
        (settings / "master.cf").write_text(MASTER_CF)
        with (folder / "log").open("wb") as log:
            words = [str(POSTFIX), "-c", str(settings), "start-fg"]
            started.append(subprocess.Popen(words, env={"PATH": PATH}, stdout=log, stderr=log))
        eventually(lambda: "daemon started" in (folder / "log").read_text(), "Postfix started")
        return settings

    yield start
    for process in started:
        # its master is in a session of its own; this returns when it has ended
        run(str(POSTFIX), "-c", settings, "stop")
        process.wait(timeout=30)


@needs(found=POSTFIX and ROOT)
def test_postfix_as_it_comes_with_the_queue_as_its_relayhost(system: Any, folder: Path, postfix: Any) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given Postfix with its defaults and the line of the how-to
        s.start_workers(1)
        settings = postfix(block("how-to/mail-servers.md", "ini", listening(s)))
        # When a program of the host sends mail with headers in UTF-8
        sendmail = shutil.which("sendmail.postfix", path=PATH) or "/usr/sbin/sendmail"
        run(sendmail, "-C", settings, "-i", "-f", "shop@example.com", "ada@example.org")
        # Then it arrives, and Postfix has nothing left
        assert_arrived(s)
        eventually(lambda: ": removed" in (folder / "log").read_text(), "Postfix is rid of the mail")
        assert "bounced" not in (folder / "log").read_text()


EXIM_CONF = """
exim_path = {exim}
primary_hostname = web1.example.com
spool_directory = {spool}
log_file_path = {spool}/%slog
keep_environment =
domainlist local_domains = localhost
{how_to}
"""


@needs(found=EXIM and ROOT)
def test_exim_with_the_queue_as_its_smarthost(system: Any, folder: Path) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given Exim with the router and the transport of the how-to
        s.start_workers(1)
        owner = pwd.getpwnam("Debian-exim")
        spool = folder / "spool"
        spool.mkdir()
        os.chown(spool, owner.pw_uid, owner.pw_gid)
        how_to = block("how-to/mail-servers.md", "exim", listening(s))
        settings = folder / "exim.conf"
        settings.write_text(EXIM_CONF.format(exim=EXIM, spool=spool, how_to=how_to))
        # When a program of the host sends mail with headers in UTF-8, Then it arrives
        run(str(EXIM), "-C", settings, "-odf", "-i", "-f", "shop@example.com", "ada@example.org")
        assert_arrived(s)
        assert "Completed" in (spool / "mainlog").read_text()


@needs(found=MSMTP)
def test_msmtp(system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given msmtp with the settings of the how-to
        s.start_workers(1)
        settings = tmp_path / "msmtprc"
        settings.write_text(block("how-to/mail-servers.md", "msmtp", listening(s)))
        settings.chmod(0o600)
        # When it is called as sendmail is, Then the mail arrives
        run(str(MSMTP), f"--file={settings}", "-t", "-i", HOME=str(tmp_path))
        assert_arrived(s)


@needs(found=PHP and SYMFONY.exists())
@pytest.mark.parametrize("way", ["smtp", "sendmail"])
def test_symfony_mailer(way: str, system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given the mail and the setting of the how-to
        s.start_workers(1)
        page = "how-to/symfony-and-laravel.md"
        program = tmp_path / "sesq-sendmail"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sesq.producer.sendmail "$@"\n')
        program.chmod(0o755)
        setting = f"sendmail://default?command={program}%20-bs"
        if way == "smtp":
            setting = block(page, "ini", listening(s)).strip().partition("=")[2]
        script = tmp_path / "mail.php"
        script.write_text(
            code_on(page, "php")[0].replace("<?php\n", f"<?php\nrequire '{SYMFONY}';\n")
            + "use Symfony\\Component\\Mailer\\{Mailer, Transport};\n"
            + "$mailer = new Mailer(Transport::fromDsn($argv[1]));\n$mailer->send($email);\n$mailer->send($email);\n"
        )
        # When Symfony Mailer sends it, and again as a job that is tried again does
        run(str(PHP), script, setting, **{**s.environment, "HOME": str(tmp_path)})
        # Then it arrives once
        s.wait_for(State.SENT, 1)
        (sent,) = arrived(s.ses)
        assert s.messages.counts()[State.QUEUED] == 0
        assert sent.mail["Subject"] == "Grüße"
        assert sent.mail["From"].addresses[0].display_name == "Bücherei"
        assert sent.bytes_of("text/plain").decode().splitlines() == ["Danke.", ".", "Bis bald."]
        assert sent.bytes_of("Rechnung ü.pdf") == b"PDF"
        assert (sent.call["to"], sent.call["bcc"]) == (["ada@example.org"], ["archive@example.com"])
        assert sent.call["tags"]["kind"] == "receipt"
        assert sent.mail["Bcc"] is None
