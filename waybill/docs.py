"""`python -m waybill.docs`: writes docs/feeds.md and docs/dags.md from the declarations.

A test compares, so that neither can go out of date. Must not: hold text that is not generated
from feeds and mappings, save the headings.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from dags import pages
from mappings.feeds import FEEDS
from mappings.messages import KINDS
from mappings.reading import read_mappings
from mappings.settings import REPOSITORY
from mappings.spec import ErpMapping
from mappings.trust import sweep_schedule
from mappings.vocabulary import Field, Part

_MADE = "<!-- Made by `python -m waybill.docs`; change mappings/, not this file. -->\n"
_LEGEND = """What the portal needs, as declared in `mappings/feeds/`. Types are those of the
database:
`qty` and `price` NUMERIC(18,6), `money` NUMERIC(18,4), `pct` NUMERIC(9,6) with 10 for 10 %,
`instant` timestamptz in UTC, `date` a day in the ERP's time zone. Need: R required, C required
under a condition, - optional. Every table also has `erp`, `batch_id`, `record_no`, `row_hash`,
`as_of`, `deleted_at` and `stale_since`.
"""


def feeds_page() -> str:
    """docs/feeds.md: every feed, its parts, their fields and checks."""
    lines = [
        "# The feeds\n",
        _MADE,
        _LEGEND,
    ]
    for feed in FEEDS.values():
        requires = ", ".join(feed.requires) or "nothing"
        lines += [
            f"## {feed.name}\n",
            f"{feed.meaning}\n",
            f"Schedule `{feed.schedule}` unless the mapping says otherwise; requires {requires};",
            f"late after {feed.promise_minutes} minutes. Main part: {feed.main}.\n",
            "A batch is held when:\n",
            *(f"- {line}" for line in pages.guard_lines(feed, feed.guards)),
            "",
        ]
        for part in feed.parts:
            lines += _part(part)
    return "\n".join(lines).rstrip() + "\n"


def dags_page(folders: Iterable[tuple[str, Path]]) -> str:
    """docs/dags.md: every DAG of the mappings in the titled folders."""
    lines = ["# The DAGs\n", _MADE]
    for title, folder in folders:
        found = read_mappings([folder])
        if found.broken:
            raise next(iter(found.broken.values()))
        lines += [f"## {title}\n", *_dags(found.mappings.values())]
    return "\n".join(lines).rstrip() + "\n"


def written() -> dict[Path, str]:
    """File → its text as it should be."""
    docs, mappings = REPOSITORY / "docs", REPOSITORY / "mappings"
    folders = (
        ("Practice ERPs (mappings/erps)", mappings / "erps"),
        ("Wide World Importers (mappings/wwi)", mappings / "wwi"),
    )
    return {docs / "feeds.md": feeds_page(), docs / "dags.md": dags_page(folders)}


def main() -> int:
    """Write the files that differ; names them."""
    for path, text in written().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path}\n")
    return 0


def _part(part: Part) -> list[str]:
    where = f"Lives and dies with its {part.parent}. " if part.parent else ""
    owned = "Dealer-owned: under row-level security. " if part.owned else ""
    key = ", ".join(f"`{name}`" for name in part.key)
    lines = [
        f"### `portal.{part.name}`\n",
        f"{part.meaning} {where}{owned}Key: `erp`, {key}.\n",
        "| field | type | need | meaning |",
        "|---|---|---|---|",
        *(_field(field) for field in part.fields),
        "",
    ]
    checks = [f"- `{check.id}`: {check.says}" for check in part.checks]
    checks += [f"- `{check.id}`: {check.says}" for check in part.sums]
    checks += [f"- `{check.id}` (change check): {check.says}" for check in part.changes]
    checks += [f"- `{one.field}` must name a live row of `{one.to}`" for one in part.references]
    return [*lines, *(["Checks beyond need and codes:\n", *checks, ""] if checks else [])]


def _field(field: Field) -> str:
    meaning = field.meaning
    if field.codes:
        meaning += ": " + ", ".join(f"`{code}`" for code in field.codes)
    if field.copied_from:
        meaning += f" (copied from {field.copied_from[0]})"
    if field.absent is not None:
        meaning += f" (absent: `{field.absent}`)"
    return f"| `{field.name}` | {field.type} | {field.need} | {meaning.replace('|', '/')} |"


def _dags(mappings: Iterable[ErpMapping]) -> list[str]:
    lines = [
        "| DAG | schedule | time zone | sends | source | requires | sweep | ask |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for erp in mappings:
        for name, mapping in erp.feeds.items():
            feed = FEEDS[name]
            cells = (
                f"`{pages.dag_id(erp.erp, name)}`",
                f"`{pages.schedule(feed, mapping)}`",
                erp.time_zone,
                mapping.mode,
                pages.source_line(mapping.source),
                ", ".join(feed.requires) or "–",
                _sweep(erp, name),
                erp.owner,
            )
            lines.append(f"| {' | '.join(cells)} |")
        kinds = [kind.noun for kind in KINDS.values() if erp.outbound(kind.name) is not None]
        if kinds:
            out = (f"`{pages.delivery_dag_id(erp.erp)}`", "`* * * * *`", "UTC", "–",
                   f"delivers: {', '.join(kinds)}", "–", "–", erp.owner)  # fmt: skip
            lines.append(f"| {' | '.join(out)} |")
    return [*lines, ""]


def _sweep(erp: ErpMapping, name: str) -> str:
    """When a sweep makes up for what the cursor misses, and what that is."""
    cron = sweep_schedule(erp, name)
    if cron is None:
        return "–"
    misses = ", ".join(erp.feeds[name].misses) or "nothing known"
    return f"`{pages.sweep_dag_id(erp.erp, name)}` `{cron}`: {misses}"


if __name__ == "__main__":
    sys.exit(main())
