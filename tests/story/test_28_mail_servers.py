"""Postfix, Exim, msmtp, Symfony Mailer and Laravel send through the queue, set up as the how-tos say: to the server on
loopback, then to one that wants a password and TLS.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from arrived import arrived
from listening import servers_of_the_how_tos
from pages import code_on
from sesq.queue.states import State
from system import System, eventually

IN_CI = os.environ.get("CI") == "true"  # there, a program that is missing is a failure
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/sendmail"
POSTFIX, MSMTP, PHP = (shutil.which(name, path=PATH) for name in ("postfix", "msmtp", "php"))
EXIM = os.environ.get("SESQ_TEST_EXIM") or shutil.which("exim4", path=PATH)
SYMFONY = Path("/usr/share/php/Symfony/Component/Mailer/autoload.php")
LARAVEL = Path(os.environ.get("SESQ_TEST_LARAVEL") or "/usr/share/php/Illuminate/Mail/autoload.php")
SASL = next(Path("/usr/lib").glob("*/sasl2/libplain.so"), None)  # without it Postfix logs in nowhere
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


def block(page: str, language: str, about: str) -> str:
    """The first block of that language on the page that has these words in it."""
    return next(block for block in code_on(page, language) if about in block)


def assert_arrived(s: System, count: int = 1) -> None:
    """So many mails have arrived, the newest in ASCII headers that say what it said."""
    s.wait_for(State.SENT, count)
    sent = arrived(s.ses)[-1]
    assert sent.raw.partition(b"\r\n\r\n")[0].isascii()
    assert sent.mail["Subject"] == "Grüße aus der Bücherei"
    assert sent.mail["From"].addresses[0].display_name == "Jörg Bücher"
    assert sent.mail["To"].addresses[0].display_name == "Ada Łovelace"
    assert sent.bytes_of("text/plain").decode().replace("\r\n", "\n") == "Schöne Grüße\n.\nbis bald\n"
    assert sent.recipients == ["ada@example.org"]
    assert sent.call["tags"]["kind"] == "receipt"
    assert len(arrived(s.ses)) == count


def users_in(log: str) -> list[str]:
    """Who gave each mail to a submission server, by its log."""
    return re.findall(r"(no user|shop): \d+ bytes to", log)


PAGE = "how-to/mail-servers.md"
MASTER_CF = """
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
tlsmgr unix - - n 1000? 1 tlsmgr
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
smtp_host_lookup = native
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


@needs(found=POSTFIX and SASL and ROOT)
def test_postfix_as_it_comes_with_the_queue_as_its_relayhost(system: Any, folder: Path, postfix: Any) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given Postfix with its defaults and the line of the how-to
        s.start_workers(1)
        servers = servers_of_the_how_tos(s, folder)
        settings = postfix(servers.fill_in(block(PAGE, "ini", "[127.0.0.1]:2525")))
        # When a program of the host sends mail with headers in UTF-8
        sendmail = shutil.which("sendmail.postfix", path=PATH) or "/usr/sbin/sendmail"
        words = (sendmail, "-C", settings, "-i", "-f", "shop@example.com", "ada@example.org")
        run(*words)
        # Then it arrives
        assert_arrived(s)
        # When its settings become those for a server with a password and TLS, Then mail arrives by that one
        passwords = folder / "sasl_password"
        passwords.write_text(servers.fill_in(block(PAGE, "password", "shop:")))
        passwords.chmod(0o600)
        how_to = servers.fill_in(block(PAGE, "ini", "[mail.example.com]:587"))
        how_to = how_to.replace("/etc/postfix/sasl_password", str(passwords))
        (settings / "main.cf").write_text(MAIN_CF.format(folder=folder, how_to=how_to))
        run(str(POSTFIX), "-c", settings, "reload")
        run(*words)
        assert_arrived(s, 2)
        assert users_in(s.log()) == ["no user", "shop"]
        # and Postfix has nothing left
        log = folder / "log"
        eventually(lambda: log.read_text().count(": removed") == 2, "Postfix is rid of the mail")
        assert "bounced" not in log.read_text()


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
        servers = servers_of_the_how_tos(s, folder)
        owner = pwd.getpwnam("Debian-exim")
        spool = folder / "spool"
        spool.mkdir()
        os.chown(spool, owner.pw_uid, owner.pw_gid)
        settings = folder / "exim.conf"

        def send(about: str, for_localhost: str = "") -> None:
            how_to = servers.fill_in(block(PAGE, "exim", about))
            how_to = how_to.replace("\nbegin transports", f"{for_localhost}\nbegin transports")
            settings.write_text(EXIM_CONF.format(exim=EXIM, spool=spool, how_to=how_to))
            run(str(EXIM), "-C", settings, "-odf", "-i", "-f", "shop@example.com", "ada@example.org")

        # When a program of the host sends mail with headers in UTF-8, Then it arrives
        send("127.0.0.1::2525")
        assert_arrived(s)
        # When its settings become those for a server with a password and TLS, Then mail arrives by that one
        send("mail.example.com::587", "  self = send\n")
        assert_arrived(s, 2)
        assert users_in(s.log()) == ["no user", "shop"]
        assert (spool / "mainlog").read_text().count("Completed") == 2


@needs(found=MSMTP)
def test_msmtp(system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given msmtp, which trusts the certificate
        s.start_workers(1)
        servers = servers_of_the_how_tos(s, tmp_path)
        settings = tmp_path / "msmtprc"
        trust = f"--tls-trust-file={servers.certificate}"

        def send(how_to: str) -> None:
            settings.write_text(servers.fill_in(how_to))
            settings.chmod(0o600)
            run(str(MSMTP), f"--file={settings}", trust, "-t", "-i", HOME=str(tmp_path))

        # When it has the settings of the how-to and is called as sendmail is, Then the mail arrives
        send(block(PAGE, "msmtp", "port 2525"))
        assert_arrived(s)
        # and with those for a server with a password and TLS, by STARTTLS and from the first byte
        with_a_password = block(PAGE, "msmtp", "port 587")
        send(with_a_password)
        send(with_a_password.replace("port 587", "port 465").replace("tls_starttls on", "tls_starttls off"))
        assert_arrived(s, 3)
        assert users_in(s.log()) == ["no user", "shop", "shop"]


PHP_PAGE = "how-to/symfony-and-laravel.md"
# What Laravel's MailManager makes of its settings, from version 9 on
AS_LARAVEL_DOES = r"""
use Symfony\Component\Mailer\{Mailer, Transport, Transport\Dsn, Transport\SendmailTransport};
$lines = parse_ini_string($argv[1], false, INI_SCANNER_RAW);
$lines = array_map(fn ($value) => $value === 'null' ? null : $value, $lines);
$mailer = new Mailer(match ($lines['MAIL_MAILER']) {
    'smtp' => (new Transport\Smtp\EsmtpTransportFactory())->create(new Dsn(
        $lines['MAIL_SCHEME'] ?? ($lines['MAIL_PORT'] == 465 ? 'smtps' : 'smtp'),
        $lines['MAIL_HOST'],
        $lines['MAIL_USERNAME'],
        $lines['MAIL_PASSWORD'],
        $lines['MAIL_PORT'],
    )),
    'sendmail' => new SendmailTransport($lines['MAIL_SENDMAIL_PATH']),
});
"""
AS_SYMFONY_DOES = r"""
use Symfony\Component\Mailer\{Mailer, Transport};
$mailer = new Mailer(Transport::fromDsn(trim(explode('=', $argv[1], 2)[1])));
"""


class Php:
    """PHP programs beside the servers of the how-tos."""

    def __init__(self, s: System, folder: Path) -> None:
        self.s, self.folder = s, folder
        self.servers = servers_of_the_how_tos(s, folder)
        self.program = folder / "sesq-sendmail"
        self.program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sesq.producer.sendmail "$@"\n')
        self.program.chmod(0o755)
        self.mails = 0

    def ways(self, *about: str) -> list[str]:
        """The settings of the how-to that have these words in them, as this host needs them."""
        blocks = (self.servers.fill_in(block(PHP_PAGE, "ini", words)) for words in about)
        return [text.replace("/opt/sesq/bin/sesq-sendmail", str(self.program)) for text in blocks]

    def send(self, *words: str | Path) -> None:
        """Runs that script, whose mail then has arrived once."""
        trust = f"openssl.cafile={self.servers.certificate}"
        run(str(PHP), "-d", trust, *words, **{**self.s.environment, "HOME": str(self.folder)})
        self.mails += 1
        self.s.wait_for(State.SENT, self.mails)
        assert len(arrived(self.s.ses)) == self.mails
        assert self.s.messages.counts()[State.QUEUED] == 0
        sent = arrived(self.s.ses)[-1]
        assert sent.mail["Subject"] == "Grüße"
        assert sent.mail["From"].addresses[0].display_name == "Bücherei"
        assert sent.bytes_of("text/plain").decode().splitlines() == ["Danke.", ".", "Bis bald."]
        assert sent.bytes_of("Rechnung ü.pdf") == b"PDF"
        assert (sent.call["to"], sent.call["bcc"]) == (["ada@example.org"], ["archive@example.com"])
        assert sent.call["tags"]["kind"] == "receipt"
        assert sent.mail["Bcc"] is None


@needs(found=PHP and SYMFONY.exists())
@pytest.mark.parametrize(
    ("transport", "settings"),
    [
        (AS_SYMFONY_DOES, ["MAILER_DSN=smtp:", "MAILER_DSN=smtps:", "MAILER_DSN=sendmail:"]),
        (AS_LARAVEL_DOES, ["MAIL_PORT=2525", "MAIL_PORT=465", "MAIL_MAILER=sendmail"]),
    ],
    ids=["Symfony", "Laravel"],
)
def test_symfony_mailer(transport: str, settings: list[str], system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given the mail and each of the settings of the how-to
        s.start_workers(1)
        php = Php(s, tmp_path)
        script = tmp_path / "mail.php"
        mail = code_on(PHP_PAGE, "php")[0].replace("<?php\n", f"<?php\nrequire '{SYMFONY}';\n")
        for setting in php.ways(*settings):
            # When Symfony Mailer sends it, and again as a job that is tried again does, Then it arrives once
            script.write_text(
                mail.replace("order-7", f"order-{php.mails}")
                + transport
                + "$mailer->send($email);\n$mailer->send($email);\n"
            )
            php.send(script, setting)
        assert users_in(s.log()) == ["no user", "no user", "shop", "shop"]


@needs(found=PHP and LARAVEL.exists())
def test_laravel(system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given each of the settings of the how-to
        s.start_workers(1)
        php = Php(s, tmp_path)
        here, elsewhere, without = php.ways("MAIL_PORT=2525", "MAIL_PORT=465", "MAIL_MAILER=sendmail")
        for setting in (here, elsewhere + "MAIL_ENCRYPTION=ssl\n", without):
            # When Laravel's own MailManager sends a mail, and again, Then it arrives once
            php.send(Path(__file__).with_name("laravel_mail.php"), LARAVEL, setting, f"order-{php.mails}")
        assert users_in(s.log()) == ["no user", "no user", "shop", "shop"]
