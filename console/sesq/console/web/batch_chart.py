"""The progress of a batch over time, as numbers for plots."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sesq.queue.batch_progress import Progress

COLUMNS = 60
SHORTEST_SECONDS = 60
SERIES = {
    "Sent": "sent",
    "Delivered": "delivered",
    "Bounced": "bounced",
    "Complained": "complained",
    "Failed, refused or cancelled": "failed",
}
"""Name of a plot -> the count that it shows."""


@dataclass(frozen=True, slots=True)
class BatchChart:
    """`times`: when each column ends (seconds since the epoch). `series`: name -> the count at each of these times.

    A count that was never more than 0 is left out, unless it is the first.
    """

    begin: float
    times: Sequence[float]
    series: Mapping[str, Sequence[int]]


def chart_of(seen: Sequence[Progress]) -> BatchChart:
    """Returns columns from the first time to the last. A count holds until the next one."""
    begin = seen[0].at
    width = max(seen[-1].at - begin, SHORTEST_SECONDS) / COLUMNS
    times = [begin + width * (column + 1) for column in range(COLUMNS)]
    moments = [each.at for each in seen]
    columns = [seen[max(0, bisect_right(moments, time + 1e-3) - 1)] for time in times]
    found = {name: [getattr(each, count) for each in columns] for name, count in SERIES.items()}
    shown = {name: counts for name, counts in found.items() if name == "Sent" or any(counts)}
    return BatchChart(begin, times, shown)
