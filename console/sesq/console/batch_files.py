"""Files of `sesq batch`: the rows that come in, and the report that goes out."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from sesq.config.batches import Batches
from sesq.console.times import utc
from sesq.producer.batch.rows import SourceRow

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


class Digest:
    """The same for the same rows, whatever file they come from: it sees them as they are read."""

    def __init__(self) -> None:
        self._made = hashlib.sha256()

    def of(self, rows: Iterable[SourceRow]) -> Iterator[SourceRow]:
        """The rows themselves."""
        for row in rows:
            self._made.update(f"{row.values or row.problem!r}\n".encode("utf-8", "surrogatepass"))
            yield row

    def hexdigest(self) -> str:
        return self._made.hexdigest()


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
