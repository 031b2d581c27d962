"""Draws plots and gauges as SVG without script and style, as the strict content policy of the pages needs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from markupsafe import Markup

WIDTH, HEIGHT = 600, 100
GAP = 0.18
"""Share of a column's place that stays empty."""


def amount(value: float, noun: str, each: str) -> str:
    """Returns words such as `1 recipient a minute`, `1,200 recipients a minute`, `1,200 recipients`."""
    return f"{value:,.10g} {noun}{'s' if noun and value != 1 else ''} {each}".replace("  ", " ").strip()


def plot(
    name: str,
    values: Sequence[float | None],
    times: Sequence[str],
    unit: tuple[str, str],
    kind: str,
    style: str,
) -> Markup:
    """Draws one series over time, the newest at the right. None: not measured. `kind`: bars or line.

    The pointer over a column shows its value and time. `unit`: what is counted, and in which time.
    """
    highest = max((value for value in values if value is not None), default=0)
    draw = _bars if kind == "bars" else _line
    shapes = draw(values, highest or 1) if highest else ""
    label = f"{name}: at most {amount(highest, *unit)}"
    return Markup(  # noqa: S704  (numbers, and names of ours)
        f'<svg class="plot {escape(style)}" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}">{shapes}{_columns(values, times, unit)}'
        f'<line class="ground" x1="0" x2="{WIDTH}" y1="{HEIGHT}" y2="{HEIGHT}"/></svg>'
    )


def _columns(values: Sequence[float | None], times: Sequence[str], unit: tuple[str, str]) -> str:
    """Draws invisible columns as high as the plot, which show their value under the pointer."""
    place = WIDTH / len(values)
    return "".join(
        f'<rect class="column" x="{number * place:.2f}" y="0" width="{place:.2f}" height="{HEIGHT}">'
        f"<title>{escape(time)}: {escape(amount(value, *unit)) if value is not None else 'not known'}</title></rect>"
        for number, (value, time) in enumerate(zip(values, times, strict=True))
    )


def _bars(values: Sequence[float | None], highest: float) -> str:
    place = WIDTH / len(values)
    return "".join(
        f'<rect x="{number * place + place * GAP / 2:.2f}" y="{HEIGHT - tall:.2f}" width="{place * (1 - GAP):.2f}" '
        f'height="{tall:.2f}"/>'
        for number, value in enumerate(values)
        if value and (tall := max(1.5, value / highest * HEIGHT))
    )


def _line(values: Sequence[float | None], highest: float) -> str:
    """Draws steps, since a count holds until the next one, and fills the area below."""
    place = WIDTH / len(values)
    return "".join(
        f'<rect x="{number * place:.2f}" y="{HEIGHT - value / highest * HEIGHT:.2f}" width="{place + 0.3:.2f}" '
        f'height="{value / highest * HEIGHT:.2f}"/>'
        for number, value in enumerate(values)
        if value
    )


def gauge(name: str, parts: Sequence[tuple[str, float]], whole: float | None) -> Markup:
    """Draws a bar of coloured parts (style, amount) of a whole; it stays empty without a whole."""
    shapes, at = "", 0.0
    for style, amount in parts:
        wide = max(0.0, min(amount / whole * 100, 100 - at)) if whole else 0.0
        if wide:
            shapes += f'<rect class="{escape(style)}" x="{at:.3f}%" width="{wide:.3f}%" height="100%"/>'
        at += wide
    return Markup(  # noqa: S704  (numbers, and names of ours)
        f'<svg class="gauge" role="img" aria-label="{escape(name)}">'
        f'<rect class="room" width="100%" height="100%"/>{shapes}</svg>'
    )
