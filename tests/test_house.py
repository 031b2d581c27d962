"""Guards of the house itself: the namespace package, the floors, what a wheel holds, and what no file may say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.api import read_configuration

from sesq import config, console, producer, queue, simulator, worker

ROOT = Path(__file__).parents[1]
FLOORS = {
    module.__name__.removeprefix("sesq."): module
    for module in (config, queue, producer, worker, console, simulator)
}
PORTIONS = [ROOT / name / "sesq" / name for name in FLOORS]


def run(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        code,
    ]  # the directory comes first on the path, as a host application's does
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def test_every_floor_comes_from_its_own_folder() -> None:
    assert {name: Path(str(module.__file__)).parent for name, module in FLOORS.items()} == {
        portion.name: portion for portion in PORTIONS
    }


@pytest.mark.parametrize("portion", PORTIONS, ids=lambda portion: portion.name)
def test_a_portion_is_typed_and_leaves_the_namespace_open(portion: Path) -> None:
    assert (portion / "py.typed").is_file()
    found = {path.name for path in portion.parent.iterdir() if path.name != "__pycache__"}
    # `python -m sesq` is no module of a floor; it does not close the namespace, as an `__init__.py` would
    assert found - ({"__main__.py"} if portion.name == "console" else set()) == {portion.name}


def test_the_folder_of_a_floor_is_no_package() -> None:
    # A `queue/__init__.py` would hide Python's own `queue` from every process that is started in this folder, so that
    # nothing can be imported to find out: the test looks for the file alone.
    found = [name for name in FLOORS if (ROOT / name / "__init__.py").exists()]
    assert found == []


def test_the_import_contracts_know_every_floor() -> None:
    configuration = read_configuration(str(ROOT / "pyproject.toml"))
    assert set(configuration["session_options"]["root_packages"]) == {f"sesq.{name}" for name in FLOORS}
    contracts = configuration["contracts_options"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert set(layers) == {f"sesq.{name}" for name in FLOORS if name != "simulator"}


def test_a_producer_loads_nothing_that_only_others_need(tmp_path: Path) -> None:
    heavy = {"boto3", "botocore", "tenacity", "rich", "typer", "starlette", "sesq.worker", "sesq.console"}
    ran = run(f"import sys, sesq.producer; print(*({heavy} & sys.modules.keys()))", tmp_path)
    assert (ran.returncode, ran.stdout.strip()) == (0, "")


@pytest.mark.parametrize("shape", ["{}.py", "{}/__init__.py"])
def test_modules_of_a_host_application_do_not_shadow_ours(shape: str, tmp_path: Path) -> None:
    # Given an application with modules that bear the floors' names
    for name in FLOORS.keys() - {"queue"}:  # which would hide Python's own
        file = tmp_path / shape.format(name)
        file.parent.mkdir(exist_ok=True)
        file.write_text("raise RuntimeError('the host application was imported')\n")
    # When it imports sesq, Then it gets ours
    ran = run("".join(f"import sesq.{name}\n" for name in FLOORS), tmp_path)
    assert ran.returncode == 0, ran.stderr


def test_the_wheel_holds_every_portion_and_what_it_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {path for portion in PORTIONS for path in portion.rglob("*") if path.is_file()}
    wanted = {f"sesq/{path.relative_to(path_of_root(path))}" for path in sources if path.suffix != ".pyc"}
    assert any(name.endswith(".lua") for name in wanted)
    assert names >= wanted | {"sesq/config/sesq.example.toml"}
    assert "sesq/__init__.py" not in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"sesq"}


def path_of_root(path: Path) -> Path:
    """The `…/sesq` folder that `path` lies in."""
    return next(portion.parent for portion in PORTIONS if path.is_relative_to(portion))


LUA = sorted((ROOT / "queue/sesq/queue/lua").glob("*.lua"))
LUA_COLUMNS = 110


@pytest.mark.parametrize("path", LUA, ids=lambda path: path.name)
def test_lua_reads_fields_by_name_in_lines_that_can_be_read(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > LUA_COLUMNS] == []
    code = "\n".join(re.sub(r"--.*", "", line) for line in lines)
    assert re.findall(r"\b(?!ARGV|KEYS)\w+\[\d+\]", code) == []


@pytest.mark.parametrize("path", LUA, ids=lambda path: path.name)
def test_only_with_gate_opens_the_gate_to_change_it(path: Path) -> None:
    opens = "Gate.open()" in path.read_text(encoding="utf-8")
    assert opens == (path.name in {"gate.lua", "usage.lua"})


def test_no_file_names_the_host_of_a_registry() -> None:
    hosts = re.compile(
        rb"(pypi|pythonhosted|npmjs|debian|ubuntu|crates|golang)\.(org|com|io)|registry\.[a-z]+\.(com|dev|io|net|org)\b|index-url"
    )
    guilty = [str(path.relative_to(ROOT)) for path in project_files() if hosts.search(path.read_bytes())]
    assert guilty == [str(Path(__file__).relative_to(ROOT))]  # the pattern above


def project_files() -> list[Path]:
    folders = [ROOT / name for name in (*FLOORS, "tests", "docs", "benchmarks", ".ci", ".github", "deploy")]
    deep = [path for folder in folders for path in folder.rglob("*")]
    return [path for path in (*ROOT.iterdir(), *deep) if path.is_file() and "__pycache__" not in path.parts]


def test_every_page_is_in_a_list_of_the_site_and_its_links_lead_to_files() -> None:
    # `make docs` finds these too, and links to headings besides; this takes no Sphinx, and no time
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.rst")]
    pages = [page for page in pages if not page.is_relative_to(ROOT / "docs" / "examples")]
    listed = set(re.findall(r"(?:file|root): (\S+)", (ROOT / "docs" / "_toc.yml").read_text("utf-8")))
    assert {str(page.relative_to(ROOT).with_suffix("")) for page in pages} == {
        name for name in listed if not name.startswith("build/")
    }
    for page in pages:
        links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", page.read_text("utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == [], page


RETIRED = {
    "desk": "account worker",
    "station": "account worker",
    "crew": "send pool",
    "courier": "sending",
    "clearance": "send permit",
    "converse": "ScriptPipeline",
    "bell": "wake signal",
    "doors": "aws_clients",
    "door": "channel, or listener",
    "keeper": "supervisor",
    "foresight": "precheck",
    "ticket": "enqueue_arguments",
    "chronicle": "depth history",
    "sieve": "row validator",
    "taker": "batch intake",
    "untake": "refund",
    "knob": "limit",
    "reseat": "reconcile",
    "spill": "materialize",
    "spilled": "materialized",
    "unfold": "materialize_sent_row",
    "tally": "adjust_counts",
    "PLACE": "RQ_STATE",
}
"""Words of names that are no more, and what is said instead. No name may contain them."""

RETIRED_ALONE = {
    "carry": "send_message",
    "press": "row renderer",
    "printer": "template renderer",
    "orders": "sending policy",
    "Order": "BatchRequest, or Grant",
    "telling": "result_log",
    "talk": "ScriptPipeline",
    "execution": "claim_id",
    "turn": "explain",
    "explained": "explain",
    "weights": "template_limits",
    "intake": "batch intake",
    "distance": "round trip",
    "brim": "ses_burst",
    "refill": "ses_rate",
    "seat": "sync_chunk_job",
    "lent": "gone",
    "foreign": "gone",
    "strangers": "unknown_jobs",
    "arrive": "mark_delivered",
    "posted": "started_at",
    "let_pass": "acknowledge",
    "offer": "try_send_many",
}
"""The same for ordinary words, which are refused as the whole name of a module, a class or a function."""

Named = tuple[str, bool]
"""A name, and whether it is that of a module, a class or a function."""


def names_in_python(code: str) -> Iterator[Named]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, True
        elif isinstance(node, ast.arg):
            yield node.arg, False
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, False
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, False


def names_in_lua(code: str) -> Iterator[Named]:
    code = re.sub(r"--.*", "", code)
    for name in re.findall(r"\bfunction\s+([\w.]+)", code):
        yield name.rpartition(".")[2], True
    for names in re.findall(
        r"\blocal\s+((?!function\b)\w+(?:\s*,\s*\w+)*)|\bfunction\b[^(]*\(([^)]*)\)", code
    ):
        yield from ((name, False) for name in re.findall(r"\w+", " ".join(names)))


READERS = {".py": names_in_python, ".lua": names_in_lua}


def refused(name: str, *, is_whole: bool) -> str | None:
    """Finds what to say instead of a name, where it is retired."""
    bare = name.strip("_")
    words = [bare, *(word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", bare))]
    hints = (RETIRED.get(word) or RETIRED.get(word.removesuffix("s")) for word in words)
    within = next(filter(None, hints), None)
    return within or (is_whole and (RETIRED_ALONE.get(bare) or RETIRED_ALONE.get(bare.lower()))) or None


CHECKED = (".py", ".lua")
"""The languages whose names are checked."""


def test_no_name_is_one_of_those_that_are_retired() -> None:
    found = []
    for path in project_files():
        if path.suffix in CHECKED and "tests" not in path.relative_to(ROOT).parts:
            names = {(path.stem, True), *READERS[path.suffix](path.read_text(encoding="utf-8"))}
            hints = {name: hint for name, is_whole in names if (hint := refused(name, is_whole=is_whole))}
            found += [f"{path.relative_to(ROOT)}: {name}: say {hint}" for name, hint in hints.items()]
    assert found == []


@pytest.mark.parametrize(
    ("language", "code", "hints"),
    [
        (".py", "class Desk: pass", {"account worker"}),
        (".py", "class QuotaDesks: pass", {"account worker"}),
        (".py", "def _open_doors(): pass", {"aws_clients"}),
        (".py", "def explained(): pass", {"explain"}),
        (".py", "class Printer: pass", {"template renderer"}),
        (".py", "def f(knob): pass", {"limit"}),
        (".py", "self.bell = 1", {"wake signal"}),
        (".py", "def f(offer): explained, turn_away = 1, 2", set()),
        (".lua", "local function tally(n) end", {"adjust_counts"}),
        (".lua", "function gate.unfold(a, b) end", {"materialize_sent_row"}),
        (".lua", "function f(a, knob) local x, spilled = 1, 2 end", {"limit", "materialized"}),
        (".lua", "local seats = 1 -- local knob", set()),
    ],
)  # fmt: skip
def test_the_guard_of_names_finds_them(language: str, code: str, hints: set[str]) -> None:
    names = READERS[language](code)
    assert {hint for name, is_whole in names if (hint := refused(name, is_whole=is_whole))} == hints
