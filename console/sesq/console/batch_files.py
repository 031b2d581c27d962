"""Files of `sesq batch`: the rows that come in, and the report that goes out."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from sesq.config.batches import Batches
from sesq.config.errors import InputError
from sesq.console.times import utc

BYTES_AT_ONCE = 1024 * 1024
STDIN = "-"


@contextmanager
def rows_file(recipients: str) -> Iterator[Path]:
    """The file of rows: they are read twice, so stdin is kept in one for the time being."""
    if recipients != STDIN:
        yield Path(recipients)
        return
    with tempfile.TemporaryDirectory(prefix="sesq-") as folder:
        path = Path(folder) / "stdin"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        with path.open("rb") as file:
            is_json = file.read(1024).lstrip().startswith(b"{")
        yield path.rename(path.with_suffix(".jsonl" if is_json else ".csv"))


def digest(path: Path) -> str:
    """The same for the same content. Raises InputError where it cannot be read."""
    made = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while data := file.read(BYTES_AT_ONCE):
                made.update(data)
    except OSError as error:
        raise InputError(f"RECIPIENTS: {path} cannot be read: {error.strerror}") from error
    return made.hexdigest()


def write_report(batches: Batches, id: str, file: TextIO, *, jsonl: bool) -> None:
    """Each recipient's fate, as CSV or JSON lines. Raises UnknownBatch."""
    columns = ("id", "email", "state", "message_id", "at", "reason")
    rows = (
        (each.id, each.to, each.state.value, each.message_id, utc(each.at), each.reason)
        for each in batches.recipients(id)
    )
    if not jsonl:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    else:
        file.writelines(
            json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n" for row in rows
        )
