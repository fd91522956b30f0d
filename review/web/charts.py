"""Small charts as inline SVG: a title and a text for who cannot see them, no script, no style.

Colours come from the style sheet by class. Must not compute a figure.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

_SPARK = (98, 24)
_CHART = (640, 180)
_LEFT, _BOTTOM, _DOT = 44, 22, 4


def sparkline(values: Sequence[float], title: str, *, labels: Sequence[str] = ()) -> Markup:
    """Thin bars side by side, oldest first. `labels`: one name a bar (a day), for its tooltip."""
    width, height = _SPARK
    top = max([*values, 1])
    step = width / max(1, len(values))
    bars = []
    for index, value in enumerate(values):
        tall = 0 if value <= 0 else max(2, height * value / top)
        name = f"{labels[index]}: {_short(value)}" if index < len(labels) else _short(value)
        bars.append(
            f'<rect x="{index * step:.1f}" y="{height - tall:.1f}" width="{max(1, step - 1.5):.1f}"'
            f' height="{tall:.1f}"><title>{escape(name)}</title></rect>'
        )
    base = f'<line class="axis" x1="0" y1="{height}" x2="{width}" y2="{height}"/>'
    return _svg("spark", width, height, title, base + "".join(bars))


def bars(values: Sequence[float], labels: Sequence[str], title: str, *, unit: str = "") -> Markup:
    """A bar chart with a scale; every bar has its label and value as tooltip."""
    width, height = _CHART
    top = _round_up(max([*values, 0]))
    step = (width - _LEFT) / max(1, len(values))
    parts = [_scale(top, unit)]
    for index, value in enumerate(values):
        tall = (height - _BOTTOM) * value / top
        x, y = _LEFT + index * step + 1, height - _BOTTOM - tall
        parts.append(
            f'<rect class="bar" x="{x:.1f}" y="{y:.1f}"'
            f' width="{max(1, step - 2):.1f}" height="{tall:.1f}">'
            f"<title>{escape(labels[index])}: {_short(value)}{escape(unit)}</title></rect>"
        )
    parts.append(_names(labels, step))
    return _svg("chart", width, height, title, "".join(parts))


def line(
    series: Sequence[tuple[str, Sequence[float | None]]],
    labels: Sequence[str],
    title: str,
    *,
    unit: str = "",
) -> Markup:
    """Lines over the same labels, each with a name; a None is a gap, never a zero."""
    width, height = _CHART
    known = [value for _, values in series for value in values if value is not None]
    top = _round_up(max([*known, 0]))
    step = (width - _LEFT - _DOT) / max(1, len(labels) - 1)
    parts = [_scale(top, unit)]
    for place, (name, values) in enumerate(series):
        path, open_ = [], False
        for index, value in enumerate(values):
            if value is None:
                open_ = False
                continue
            x, y = _LEFT + index * step, (height - _BOTTOM) * (1 - value / top)
            path.append(f"{'L' if open_ else 'M'}{x:.1f} {y:.1f}")
            open_ = True
            parts.append(
                f'<circle class="line{place % 4}" cx="{x:.1f}" cy="{y:.1f}" r="2.5">'
                f"<title>{escape(name)}, {escape(labels[index])}: {_short(value)}{escape(unit)}"
                "</title></circle>"
            )
        parts.append(f'<path class="line{place % 4}" d="{" ".join(path)}" fill="none"/>')
    parts.append(_names(labels, step))
    return _svg("chart", width, height, title, "".join(parts))


def _svg(kind: str, width: int, height: int, title: str, inside: str) -> Markup:
    return Markup(  # noqa: S704 - every text in it was escaped above
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{inside}</svg>'
    )


def _scale(top: float, unit: str) -> str:
    width, height = _CHART
    found = []
    for share in (0.0, 0.5, 1.0):
        y = (height - _BOTTOM) * (1 - share)
        found.append(
            f'<line class="axis" x1="{_LEFT}" y1="{y:.1f}" x2="{width}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{max(10, y + 4):.1f}" text-anchor="end">'
            f"{_short(top * share)}{escape(unit)}</text>"
        )
    return "".join(found)


def _names(labels: Sequence[str], step: float) -> str:
    """The first, the middle and the last label: more would not be read."""
    if not labels:
        return ""
    _, height = _CHART
    chosen = {0: "start", len(labels) // 2: "middle", len(labels) - 1: "end"}
    return "".join(
        f'<text x="{_LEFT + index * step + (step / 2 if anchor == "middle" else 0):.1f}" '
        f'y="{height - 6}" text-anchor="{anchor}">{escape(labels[index])}</text>'
        for index, anchor in chosen.items()
    )


def _round_up(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten; at least 1."""
    power = 1.0
    while True:
        for first in (1, 2, 5):
            if value <= first * power:
                return first * power
        power *= 10


def _short(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}".rstrip("0")
