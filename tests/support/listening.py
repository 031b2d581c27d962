"""`sesq submission` as a process of a story."""

from __future__ import annotations

from system import System, eventually


def listening(s: System, *options: str) -> int:
    """Starts it on a free port, which is returned."""
    s.start("sesq.console", "submission", "--port", "0", *options)
    log = s.folder / f"process-{len(s.processes) - 1}.log"
    line = eventually(
        lambda: next((x for x in log.read_text().splitlines() if "listening" in x), None), s.log()
    )
    return int(line.rpartition(":")[2])
