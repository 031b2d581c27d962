"""An install without an extra: whatever needs it says which one, in a line and not in a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """if True:
    import sys

    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in MISSING:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    MISSING = set(sys.argv[1].split(","))
    sys.argv[:2] = ["program"]
    sys.meta_path.insert(0, Missing())
"""
"""Runs what follows as if the modules of its first argument were not installed."""
SESQ = "\n    from sesq.console.cli import main; main()"
SIMULATOR = "\n    import runpy; runpy.run_module('sesq.simulator', run_name='__main__')"
FIXTURE = (
    "\n    import pytest; sys.exit(pytest.main(['-p', 'no:cacheprovider', '--noconftest', *sys.argv[1:]]))"
)


def run(code: str, missing: str, words: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT + code, missing, *words.split()]
    return subprocess.run(
        command, cwd=folder, env=os.environ | env, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("words", "missing", "extra"),
    [
        ("--help", "typer", "console"),
        ("demo", "honcho", "all"),
        ("demo", "boto3", "all"),
        ("demo", "uvicorn", "all"),
        ("simulator --port 0", "starlette", "simulator"),
        ("simulator --port 0 --smtp-port 0", "aiosmtpd", "simulator"),
        ("worker", "tenacity", "worker"),
        ("submission", "aiosmtpd", "submission"),
        ("events setup", "boto3", "worker"),
        ("console", "itsdangerous", "console,worker"),
        ("webhooks run", "standardwebhooks", "webhooks"),
        ("smtp-password", "boto3,botocore", "worker"),
    ],
)
def test_a_command_names_the_extra(words: str, missing: str, extra: str, tmp_path: Path) -> None:
    ran = run(SESQ, missing, words, tmp_path, SESQ_REDIS_URL="redis://127.0.0.1:1/0", HOME=str(tmp_path))
    assert ran.returncode in (1, 2), ran.stdout
    assert f"pip install 'sesq[{extra}]'" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("missing", "words"), [("uvicorn", "--port 0"), ("aiosmtpd", "--port 0 --smtp-port 0")]
)
def test_the_simulator_names_its_extra(missing: str, words: str, tmp_path: Path) -> None:
    ran = run(SIMULATOR, missing, words, tmp_path)
    assert ran.returncode == 2
    assert ran.stderr == f"sesq.simulator: the simulator needs {missing}: pip install 'sesq[simulator]'\n"


def test_the_fixture_names_its_extra(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(ses_simulator): pass\n")
    ran = run(FIXTURE, "uvicorn", "test_it.py", tmp_path)
    assert ran.returncode == 1
    assert "the simulator needs uvicorn: pip install 'sesq[simulator]'" in ran.stdout
    assert "Traceback" not in ran.stdout
