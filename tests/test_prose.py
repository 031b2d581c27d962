"""The check of our prose finds what is hard to read, and passes what is plain."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONG = "It " + "and then the worker reads the answer " * 6 + "at last."
PLANTED = {
    "page.md": (
        f"# A page\n\nThe mail stays there whence it came.\nEach addressee is told.\n\n{LONG}\n\n"
        "Code is not prose: `whence`.\n\n```sh\nwhence sesq\n```\n\n| the gate | waits for the the end |\n|---|---|\n"
    ),
    "code.py": '"""Says hello.\n\nThe thereof is lost."""\n\nwhence = "whence"  # set by the courier\n',
    "script.lua": "-- Takes what is left, lest it stays.\nlocal whence = 'whence'\n",
}
FOUND = {
    "page.md": ["3 hard", "4 words", "6 length", "14 repeated"],
    "code.py": ["3 hard", "5 words"],
    "script.lua": ["1 hard"],
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the check says of all the planted files."""
    folder = tmp_path_factory.mktemp("prose")
    for name, text in PLANTED.items():
        (folder / name).write_text(text)
    command = [
        sys.executable,
        str(ROOT / "docs" / "check_prose.py"),
        *(str(folder / name) for name in PLANTED),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (1, "")
    return done.stdout


@pytest.mark.parametrize("name", PLANTED)
def test_planted_sentences_are_found_where_they_stand(said: str, name: str) -> None:
    found = []
    for line in said.splitlines():
        _, _, rest = line.partition(f"{name}:")
        if rest:
            number, _, check, _ = rest.split(":", 3)
            found.append(f"{number} {check.strip().removeprefix('sesq.')}")
    assert found == FOUND[name]


def test_plain_prose_passes(tmp_path: Path) -> None:
    page = tmp_path / "plain.md"
    page.write_text("# Plain\n\nA worker sends the mail. The gate decides when it may go.\n")
    command = [sys.executable, str(ROOT / "docs" / "check_prose.py"), str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
