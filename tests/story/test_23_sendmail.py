"""Programs that call sendmail: PHP's mail() and git send-email, through sesq-sendmail, a worker, and SES."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arrived import arrived
from sesq.queue.states import State
from system import System

PHP, GIT = shutil.which("php"), shutil.which("git")
IN_CI = os.environ.get("CI") == "true"  # there, a caller that is missing is a failure
PHP_SCRIPT = r"""<?php
$file = file_get_contents($argv[1]);
$text = "Grüße aus der Bücherei\n.\n" . str_repeat("lang ", 400) . "\n";
$body = "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    . chunk_split(base64_encode($text))
    . "--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n"
    . "Content-Disposition: attachment; filename=\"invoice.pdf\"\r\n\r\n"
    . chunk_split(base64_encode($file)) . "--b--\r\n";
$headers = [
    "From" => "Jörg <shop@example.com>", "Bcc" => "archive@example.com", "MIME-Version" => "1.0",
    "Content-Type" => "multipart/mixed; boundary=b", "X-Sesq-Tags" => "kind=receipt",
];
exit(mail("Ada <ada@example.org>", "Grüße", $body, $headers, "-fbounces@example.com") ? 0 : 1);
"""


def sendmail(s: System, tmp_path: Path) -> Path:
    """`sesq-sendmail` as a program, in the environment of this system."""
    s.environment |= {
        "SESQ_DATA_DIR": str(tmp_path / "data"),
        "SESQ_MAIL_DOMAIN": "example.com",
        "HOME": str(tmp_path),
    }
    program = tmp_path / "sesq-sendmail"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sesq.producer.sendmail "$@"\n')
    program.chmod(0o755)
    return program


def run(s: System, folder: Path, *words: str | Path, **environment: str) -> None:
    ran = subprocess.run(
        [str(word) for word in words],
        env={**s.environment, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, (ran.stdout, ran.stderr)


@pytest.mark.skipif(PHP is None and not IN_CI, reason="there is no php")
def test_mail_of_php_arrives_even_if_redis_was_away(system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given PHP that calls sesq-sendmail, and Redis away
        program = sendmail(s, tmp_path)
        script, file = tmp_path / "receipt.php", tmp_path / "invoice.pdf"
        script.write_text(PHP_SCRIPT)
        file.write_bytes(os.urandom(20_000))
        php = (str(PHP), "-d", f"sendmail_path={program} -t -i", script, file)
        run(s, tmp_path, *php, SESQ_REDIS_URL="redis://127.0.0.1:1/0")
        assert s.messages.counts()[State.QUEUED] == 0
        # When Redis is back, and a cron job mails its output
        s.start_workers(1)
        (tmp_path / "cron").write_text(
            "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@vm> job\n\nDone ✓\n"
        )
        run(s, tmp_path, "sh", "-c", f"{program} -i -FCronDaemon -B8BITMIME -oem root < cron")
        # Then both arrive, each once: the mail of PHP with what was in it, to the byte
        s.wait_for(State.SENT, 2)
        mails = {sent.mail["Subject"]: sent for sent in arrived(s.ses)}
        assert len(mails) == s.ses.report()["accepted"] == 2
        receipt = mails["Grüße"]
        assert receipt.bytes_of("invoice.pdf") == file.read_bytes()
        assert receipt.bytes_of("text/plain").decode().startswith("Grüße aus der Bücherei\n.\nlang lang")
        assert receipt.mail["From"].addresses[0].display_name == "Jörg"
        assert (receipt.call["to"], receipt.call["bcc"]) == (
            ["Ada <ada@example.org>"],
            ["archive@example.com"],
        )
        assert receipt.call["tags"]["kind"] == "receipt"
        assert not {"Bcc", "X-Sesq-Tags"} & set(receipt.mail.keys())
        # and cron's with domains
        cron = mails["Cron <root@vm> job"]
        assert cron.recipients == ["root@example.com"]
        assert cron.mail.get_content().strip() == "Done ✓"


def has_send_email() -> bool:
    if GIT is None:
        return False
    where = subprocess.run([GIT, "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    return Path(where, "git-send-email").exists()


@pytest.mark.skipif(not IN_CI and not has_send_email(), reason="there is no git send-email")
def test_a_patch_by_git_send_email(system: Any, tmp_path: Path) -> None:
    s: System
    with system(max_send_rate=20) as s:
        # Given a repository with a commit whose author and text are not ASCII
        program = sendmail(s, tmp_path)
        s.start_workers(1)
        repository = tmp_path / "repository"
        repository.mkdir()
        who = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        who |= {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in
                (("NAME", "Jörg Müller"), ("EMAIL", "joerg@example.com"))}  # fmt: skip
        (repository / "a.txt").write_text("Zeile mit ü\n.\nFrom hier\n")
        run(s, repository, "git", "init", "-q", **who)
        run(s, repository, "git", "add", ".", **who)
        run(s, repository, "git", "commit", "-qm", "Über Mäuse", **who)
        # When git sends it as a patch
        to = ("--to=Ada <ada@example.org>", "--cc=bob@example.org", "--suppress-cc=all", "--confirm=never")
        program_option = f"--sendmail-cmd={program}"
        run(
            s,
            repository,
            "git",
            "send-email",
            "-1",
            "--root",
            program_option,
            *to,
            "--envelope-sender=auto",
            **who,
        )
        # Then it arrives as git would apply it
        s.wait_for(State.SENT, 1)
        (sent,) = arrived(s.ses)
        assert sent.mail["Subject"] == "[PATCH] Über Mäuse"
        assert sent.mail["From"].addresses[0].display_name == "Jörg Müller"
        assert sorted(sent.recipients) == ["ada@example.org", "bob@example.org"]
        patch = tmp_path / "sent.patch"
        patch.write_bytes(sent.raw)
        run(s, repository, "git", "rm", "-q", "a.txt", **who)
        run(s, repository, "git", "commit", "-qm", "Empty", **who)
        run(s, repository, "git", "am", "-q", patch, **who)
        assert (repository / "a.txt").read_text() == "Zeile mit ü\n.\nFrom hier\n"
