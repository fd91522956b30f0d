"""What the command shows: tables for people, JSON for programs. The only room that prints.

Must not: read anything; callers bring plain dictionaries.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import click

Row = Mapping[str, Any]
_STATE_STYLES = {
    "done": "green",
    "ok": "green",
    "applied": "green",
    "success": "green",
    "held": "yellow",
    "late": "yellow",
    "rejects": "yellow",
    "skipped": "yellow",
    "failed": "red",
    "error": "red",
    "refused": "red",
}


def show(
    rows: Sequence[Row], columns: Sequence[str], *, as_json: bool, empty: str = "Nothing."
) -> None:
    """Rows as a table of some columns, or all of each row as a JSON list."""
    if as_json:
        click.echo(to_json(list(rows)))
    elif not rows:
        click.echo(empty)
    else:
        print_table(rows, columns)


def to_json(value: object) -> str:
    """JSON text; decimals keep every digit as text, instants are ISO 8601."""
    return json.dumps(value, indent=2, default=_plain, ensure_ascii=False)


def print_table(rows: Iterable[Row], columns: Sequence[str], *, title: str | None = None) -> None:
    """A table on the terminal; a heading is the column's name with spaces."""
    from rich.console import Console  # noqa: PLC0415 - heavy

    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table(rows, columns, title=title))


def table(rows: Iterable[Row], columns: Sequence[str], *, title: str | None = None) -> Any:  # noqa: ANN401 - any JSON
    """The same as something that rich can draw."""
    from rich import box  # noqa: PLC0415 - heavy
    from rich.table import Table  # noqa: PLC0415 - heavy
    from rich.text import Text  # noqa: PLC0415 - heavy

    rows = list(rows)
    drawn = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for name in columns:
        numbers = all(isinstance(r.get(name), int | float | Decimal | None) for r in rows)
        drawn.add_column(
            name.replace("_", " "), justify="right" if numbers and rows else "left", overflow="fold"
        )
    for row in rows:
        cells = []
        for name in columns:
            text = cell(row.get(name))
            style = _STATE_STYLES.get(text, "") if name in {"state", "last_state"} else ""
            cells.append(Text(text, style=style))
        drawn.add_row(*cells)
    return drawn


def cell(value: object) -> str:
    """One value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | dict):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    return str(value)


def age(seconds: float | None) -> str:
    """`3 h 20 min`; `never` without a value."""
    if seconds is None:
        return "never"
    minutes, hours = int(seconds) // 60, int(seconds) // 3600
    if hours >= 48:  # noqa: PLR2004 - said right here
        return f"{hours // 24} days"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, memoryview | bytes):
        return bytes(value).hex()
    return str(value)
