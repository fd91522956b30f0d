"""The chart of docs/performance.md from the JSON of one or two runs; prints the table.

`python -m bench.page after.json [before.json] > table.md` writes docs/images/performance.svg.
Must not measure.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

GOALS = {
    "first": 2.5,
    "same_bytes": 0.2,
    "same_rows": 1.0,
    "changed_1": 1.5,
    "vanished_1": 1.5,
    "changed_20": 2.8,
}
_CHART = Path(__file__).resolve().parent.parent / "docs" / "images" / "performance.svg"
_WIDTH, _ROW, _LEFT = 720, 44, 130


def main() -> None:
    """Print the table, write the chart."""
    after = _cases(sys.argv[1])
    before = _cases(sys.argv[2]) if len(sys.argv) > 2 else {}  # noqa: PLR2004  program and file
    print("| case | rows | ratio | by CPU | goal | seconds | peak MB | WAL MB | right |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, one in after.items():
        print(
            f"| {name} | {one['rows']:,} | {_figure(one['ratio'])} | "
            f"{_figure(one.get('cpu_ratio'))} | {GOALS.get(name, '')} | "
            f"{_figure(one['seconds'])} | {_figure(one['peak_mb'], 0)} | "
            f"{_figure(one['wal_mb'], 1)} | {'yes' if one['right'] else 'NO'} |"
        )
    _CHART.parent.mkdir(parents=True, exist_ok=True)
    _CHART.write_text(_svg(before, after), encoding="utf-8")


def _cases(path: str) -> dict[str, dict[str, Any]]:
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    return {one["case"]: one for one in found if "case" in one}


def _figure(value: float | None, places: int = 2) -> str:
    return "–" if value is None else f"{value:,.{places}f}"


def _svg(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> str:
    """Bars of the ratio by time, a line for each goal."""
    names = [name for name in GOALS if name in after]
    most = max(
        [GOALS[name] for name in names]
        + [
            runs[name].get("ratio") or 0
            for runs in (before, after)
            for name in runs
            if name in GOALS
        ]
    )
    scale = (_WIDTH - _LEFT - 70) / most
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" '
            f'height="{_ROW * len(names) + 40}" font-family="sans-serif" font-size="12">'
        ),
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for row, name in enumerate(names):
        top = row * _ROW + 8
        lines.append(f'<text x="{_LEFT - 8}" y="{top + 19}" text-anchor="end">{name}</text>')
        for place, (runs, colour) in enumerate(((before, "#c9ced6"), (after, "#2f6f9f"))):
            value = runs.get(name, {}).get("ratio")
            if value is None:
                continue
            y = top + place * 15
            lines.append(
                f'<rect x="{_LEFT}" y="{y}" width="{value * scale:.1f}" height="13" '
                f'fill="{colour}"/>'
                f'<text x="{_LEFT + value * scale + 4:.1f}" y="{y + 11}">{value:.2f}</text>'
            )
        goal = _LEFT + GOALS[name] * scale
        lines.append(
            f'<line x1="{goal:.1f}" x2="{goal:.1f}" y1="{top - 2}" y2="{top + 31}" '
            'stroke="#b5442e" stroke-width="2"/>'
        )
    lines.append(
        f'<text x="{_LEFT}" y="{_ROW * len(names) + 28}">time, psql COPY = 1; '
        "grey: before, blue: now, red: the goal</text></svg>"
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
