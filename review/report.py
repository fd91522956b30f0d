"""The report that a person reads: one HTML page without scripts, charts drawn as SVG.

Fed with rows while they are exported, so that it shows exactly what the files hold. Must not
query anything, and every text that came from elsewhere is escaped.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from html import escape
from typing import Any

Row = Mapping[str, Any]
_WORST = 20


@dataclass(slots=True)
class Summary:
    """What the report tells of a period; its parts are counted row by row."""

    since: datetime
    until: datetime
    runs: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    broken_law: list[int] = field(default_factory=list)
    disagreeing: list[Row] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    days: dict[date, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    failing: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    exceptions: dict[tuple[str, str, str], Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    oldest: list[Row] = field(default_factory=list)
    decisions: Counter[str] = field(default_factory=Counter)

    def sees(self, table: str) -> Callable[[Row], None] | None:
        """What counts the rows of a table; None for those that are only exported."""
        return {
            "runs": self._run,
            "totals": self._total,
            "pass_rates": self._check,
            "exceptions": self._exception,
            "decisions": self._decision,
        }.get(table)

    def _run(self, row: Row) -> None:
        told = self.runs[row["erp"], row["feed"]]
        told[row["state"]] += 1
        for name in ("read", "inserted", "updated", "unchanged", "superseded", "quarantined",
                     "deferred", "deleted"):  # fmt: skip
            told[name] += row[name]
        parts = ("inserted", "updated", "unchanged", "superseded", "quarantined", "deferred")
        if row["state"] in {"done", "held"} and row["read"] != sum(row[p] for p in parts):
            self.broken_law.append(row["id"])

    def _total(self, row: Row) -> None:
        kind = {True: "agree", False: "differ", None: "nothing to compare"}[row["agrees"]]
        self.totals[kind] += 1
        if row["agrees"] is False and len(self.disagreeing) < _WORST:
            self.disagreeing.append(row)

    def _check(self, row: Row) -> None:
        day = self.days[row["day"]]
        day["evaluated"] += row["evaluated"]
        day["failed"] += row["failed"]
        if row["failed"]:
            key = (row["erp"], row["feed"], row["part"], row["check_id"])
            self.failing[key] += row["failed"]

    def _exception(self, row: Row) -> None:
        self.exceptions[row["erp"], row["feed"], row["code"]][row["state"]] += 1
        if row["state"] == "open":
            self.oldest.append(row)
            self.oldest.sort(key=lambda r: r["age_days"], reverse=True)
            del self.oldest[_WORST:]

    def _decision(self, row: Row) -> None:
        self.decisions[f"{row['actor']}: {row['action']}"] += 1


def render(summary: Summary, counts: Mapping[str, int], chain: Mapping[str, Any]) -> str:
    """The page."""
    runs = [
        (erp, feed, n["done"], n["held"], n["failed"], n["read"], n["inserted"], n["updated"],
         n["unchanged"], n["superseded"], n["quarantined"], n["deferred"], n["deleted"])
        for (erp, feed), n in sorted(summary.runs.items())
    ]  # fmt: skip
    head = (
        f"<h1>Audit report</h1><p>{_day(summary.since)} to {_day(summary.until)}, the end not "
        f"included. Audit entries {chain['first']} to {chain['last']}.</p>"
    )
    parts = [
        head,
        _law(summary),
        "<h2>Runs</h2>",
        _table(
            ("ERP", "feed", "done", "held", "failed", "read", "inserted", "updated", "unchanged",
             "superseded", "quarantined", "deferred", "deleted"), runs),
        "<h2>Checks</h2>",
        _chart(summary.days),
        _table(("ERP", "feed", "part", "check", "records failed"),
               [(*key, n) for key, n in summary.failing.most_common(_WORST)]),
        "<h2>Control totals</h2>",
        _table(("result", "totals"), sorted(summary.totals.items())),
        _table(("run", "ERP", "feed", "part", "total", "sides", "left", "right"),
               [(r["run_id"], r["erp"], r["feed"], r["part"], r["name"], r["sides"],
                 r["left_value"], r["right_value"]) for r in summary.disagreeing]),
        "<h2>Exceptions</h2>",
        _table(("ERP", "feed", "reason", "open", "released", "discarded", "superseded"),
               [(*key, n["open"], n["released"], n["discarded"], n["superseded"])
                for key, n in sorted(summary.exceptions.items())]),
        "<h3>Open the longest</h3>" if summary.oldest else "",
        _table(("item", "ERP", "feed", "part", "key", "reason", "days"),
               [(r["id"], r["erp"], r["feed"], r["part"], r["key"], r["code"], r["age_days"])
                for r in summary.oldest]),
        "<h2>What people did</h2>",
        _table(("who: what", "times"), summary.decisions.most_common()),
        "<h2>Files</h2>",
        _table(("file", "rows"), [(f"{name}.csv", n) for name, n in counts.items()]),
    ]  # fmt: skip
    return _PAGE.format(title=escape("Audit report"), body="\n".join(p for p in parts if p))


def _law(summary: Summary) -> str:
    if summary.broken_law:
        named = ", ".join(map(str, summary.broken_law[:_WORST]))
        return f'<p class="bad">Runs whose records do not add up: {named}.</p>'
    return (
        '<p class="good">Every run adds up: read = inserted + updated + unchanged + superseded '
        "+ quarantined + deferred.</p>"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return '<p class="none">None.</p>'
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _cell(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td class="n">{value:,}</td>'
    return f"<td>{escape('–' if value is None else str(value))}</td>"


def _chart(days: Mapping[date, Counter[str]]) -> str:
    """Share of failed judgements per day, as bars; the scale is said."""
    if not days:
        return '<p class="none">No check was evaluated.</p>'
    shares = [
        (day, float(n["failed"]) / float(n["evaluated"]) if n["evaluated"] else 0.0)
        for day, n in sorted(days.items())
    ]
    top = max((share for _, share in shares), default=0.0) or 1.0
    width, height = 720, 120
    step = width / len(shares)
    bars = "".join(
        f'<rect x="{n * step + step * 0.1:.1f}" y="{height - height * share / top:.1f}" '
        f'width="{step * 0.8:.1f}" height="{height * share / top:.1f}">'
        f"<title>{day}: {share:.4%}</title></rect>"
        for n, (day, share) in enumerate(shares)
    )
    return (
        f'<figure><svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" '
        f'aria-label="share of failed judgements per day">{bars}</svg><figcaption>Share of '
        f"judgements that failed, per day, {shares[0][0]} to {shares[-1][0]}; the highest bar is "
        f"{top if any(s for _, s in shares) else 0:.4%}.</figcaption></figure>"
    )


def _day(at: datetime) -> str:
    return escape(at.isoformat(sep=" ", timespec="minutes"))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; color: #1a1f26; margin: 2rem auto; padding: 0 1rem;
  max-width: 72rem; }}
h1 {{ font-size: 1.6rem; }} h2 {{ margin-top: 2.2rem; font-size: 1.2rem; }}
h3 {{ font-size: 1rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 13px; }}
th, td {{ padding: .25rem .6rem; border-bottom: 1px solid #d8dde3; text-align: left; }}
th {{ color: #4b5560; font-weight: 600; }} .n {{ text-align: right;
  font-variant-numeric: tabular-nums; }}
.good {{ color: #14633a; }} .bad {{ color: #a3161a; font-weight: 600; }} .none {{ color: #4b5560; }}
figure {{ margin: 1rem 0; }} svg {{ width: 100%; height: 8rem; border-bottom: 1px solid #4b5560; }}
rect {{ fill: #b4541f; }} figcaption {{ font-size: 13px; color: #4b5560; }}
</style></head><body>
{body}
</body></html>
"""
