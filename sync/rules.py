"""Make it a rule: a correction that worked becomes a change of the mapping, by two people.

One proposes it out of a finished fix job, with a day until which it shall count; another approves
the diff; somebody commits it, since a mapping is a file under version control and nothing edits it
behind git's back. Whether a rule is in force is what the mapping says. Past its day it goes on
counting (no judgement reads the clock) and is overdue until it is taken out. Must not write a file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import psycopg

from mappings.errors import Misconfigured
from mappings.feeds import FEEDS
from mappings.reading import MappingSet, parse_mapping
from mappings.settings import REPOSITORY
from portal_db import rules as kept
from portal_db.audit import record
from sync.context import Context
from sync.fix_jobs import audited
from sync.fix_preview import Place, judge_texts, record_texts
from sync.fix_rules import Rule
from sync.mapping_text import mapping_text
from sync.rule_text import diff_of, with_correction

Row = dict[str, Any]
Status = Literal[
    "proposed", "lapsed", "refused", "to be committed", "in force", "overdue", "removed"
]

LONGEST = timedelta(days=366)
TRIED = 10_000
"""So many of the job's records are tried, the newest first."""


@dataclass(frozen=True, slots=True)
class Change:
    """A mapping's text with a rule in it. `file`: its path for git; `sha256`: of what it was."""

    file: str
    path: Path
    text: str
    diff: str
    sha256: str

    @property
    def seen(self) -> str:
        """Names exactly this change: what a person saw."""
        return hashlib.sha256(self.diff.encode()).hexdigest()


def propose(ctx: Context, job_id: int, *, until: date, reason: str, actor: str) -> int:
    """Propose the correction of a job that worked; returns the rule's id.

    Raises Misconfigured (`reason`, `not_found`, `state`, `until`, `mapping`, `rule_text`).
    """
    _reasoned(reason)
    today = datetime.now(UTC).date()
    if not today < until <= today + LONGEST:
        raise Misconfigured(
            f"a rule counts until a day after today, at most {LONGEST.days} days from now",
            code="until",
            remedy="By then the ERP shall be right, or somebody decides anew.",
        )
    with ctx.connection() as connection:
        job = connection.execute(
            "SELECT erp, feed, correction, succeeded FROM sync.fix_job WHERE id = %s", (job_id,)
        ).fetchone()
        items = kept.items_of_job(connection, job_id, TRIED)
    if job is None:
        raise Misconfigured(f"there is no job {job_id}", code="not_found")
    erp, feed, correction, worked = job
    if not worked or correction is None or correction["kind"] == "edit":
        raise Misconfigured(
            f"job {job_id} is no correction of a column that worked for a record",
            code="state",
            remedy="Correct a group first, then make that a rule.",
        )
    rule, part = Rule.of(correction), Place.of(items[0]).part
    change = _change(ctx, erp, feed, part, rule, until, 0)  # can it be written at all?
    before, after = _tried(ctx, erp, feed, items, change)
    try:
        with ctx.connection() as connection, connection.transaction():
            row = connection.execute(
                "INSERT INTO sync.mapping_rule (erp, feed, part, correction, until, job_id, "
                "records, passed_before, passed_with, proposed_by, reason) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
                (
                    erp, feed, part, json.dumps(correction), until, job_id, len(items), before,
                    after, actor, reason.strip(),
                ),
            ).fetchone()  # fmt: skip
            number = int(row[0]) if row else 0
            record(connection, actor, "rule proposed", f"rule {number}", {
                "erp": erp, "feed": feed, "correction": audited(ctx, erp, feed, rule),
                "until": until, "job": job_id, "reason": reason.strip(),
                "records": len(items), "passed_before": before, "passed_with": after,
            })  # fmt: skip
    except psycopg.errors.UniqueViolation:
        raise Misconfigured(
            "this very rule is proposed already", code="state", remedy="See the page of rules."
        ) from None
    return number


def decide(
    ctx: Context, rule_id: int, *, approve: bool, seen: str, reason: str, actor: str
) -> None:
    """Approve or refuse a proposed rule. Who proposed it may take it back, and not approve it.

    `seen`: the change that the person saw. Raises Misconfigured (`reason`, `not_found`, `state`,
    `two_people`, `until`, `seen`).
    """
    _reasoned(reason)
    with ctx.connection() as connection, connection.transaction():
        row = kept.rule(connection, rule_id, lock=True)
        if row is None:
            raise Misconfigured(f"there is no rule {rule_id}", code="not_found")
        if row["state"] != "proposed":
            raise Misconfigured(
                f"rule {rule_id} is {row['state']} already, by {row['decided_by']}",
                code="state",
                remedy="Nothing was changed by you.",
            )
        change = change_of(ctx, row) if approve else None
        if change is not None:
            _may_approve(row, change, seen, actor)
        connection.execute(
            "UPDATE sync.mapping_rule SET state = %s, decided_by = %s, decided_at = now(), "
            "decided_reason = %s, mapping_sha256 = %s, diff = %s WHERE id = %s",
            (
                "approved" if change else "refused", actor, reason.strip(),
                change.sha256 if change else None, change.diff if change else None, rule_id,
            ),
        )  # fmt: skip
        detail: Row = {"reason": reason.strip(), "proposed_by": row["proposed_by"]}
        if change is not None:
            detail |= {"mapping": change.sha256, "diff_sha256": change.seen}
        done = "rule approved" if change else "rule refused"
        record(connection, actor, done, f"rule {rule_id}", detail)


def change_of(ctx: Context, row: Row) -> Change:
    """The change of the mapping that a rule is, on the mapping as it stands now."""
    rule = Rule.of(row["correction"])
    return _change(ctx, row["erp"], row["feed"], row["part"], rule, row["until"], row["id"])


def found(ctx: Context, rule_id: int) -> Row:
    """One rule. Raises Misconfigured (`not_found`)."""
    with ctx.connection() as connection:
        row = kept.rule(connection, rule_id)
    if row is None:
        raise Misconfigured(
            f"there is no rule {rule_id}", code="not_found", remedy="See `waybill rule list`."
        )
    return row


def to_apply(ctx: Context, rule_id: int) -> Change:
    """The change of an approved rule that its mapping does not hold yet.

    Raises Misconfigured (`not_found`, `state`).
    """
    row = found(ctx, rule_id)
    now = status(row, ctx.mappings)
    if now != "to be committed":
        raise Misconfigured(
            f"rule {rule_id} is {now}",
            code="state",
            remedy="Only an approved rule that its mapping does not hold can be applied.",
        )
    return change_of(ctx, row)


def status(row: Row, mappings: MappingSet, today: date | None = None) -> Status:
    """How far a rule is, as its row and the mappings of now say."""
    over = row["until"] < (today or datetime.now(UTC).date())
    if row["state"] == "refused":
        return "refused"
    if row["state"] == "proposed":
        return "lapsed" if over else "proposed"
    erp = mappings.mappings.get(row["erp"])
    feed = erp.feeds.get(row["feed"]) if erp else None
    if feed is not None and any(one.rule == row["id"] for one in feed.corrections):
        return "overdue" if over else "in force"
    if row["was_in_force"]:
        return "removed"
    return "lapsed" if over else "to be committed"


def overdue(mappings: MappingSet, today: date | None = None) -> list[Row]:
    """Corrections of mappings that are past their day, those too that nobody approved here."""
    now = today or datetime.now(UTC).date()
    return [
        {"erp": erp, "feed": feed, "column": one.column, "until": one.until, "rule": one.rule}
        for erp, feed in mappings.pairs()
        for one in mappings.mappings[erp].feeds[feed].corrections
        if one.until < now
    ]


def _may_approve(row: Row, change: Change, seen: str, actor: str) -> None:
    if actor == row["proposed_by"]:
        raise Misconfigured(
            "who proposed a rule cannot approve it",
            code="two_people",
            remedy="Ask somebody else to look at it.",
        )
    if row["until"] <= datetime.now(UTC).date():
        raise Misconfigured(
            f"it was to count until {row['until']}: that is over",
            code="until",
            remedy="Refuse it; propose it anew if it is still needed.",
        )
    if seen != change.seen:
        raise Misconfigured(
            f"the mapping of {row['erp']} has changed since you opened this page",
            code="seen",
            remedy="Nothing was changed by you. Look at the change as it is now.",
        )


def _change(
    ctx: Context, erp: str, feed: str, part: str, rule: Rule, until: date, number: int
) -> Change:
    text, sha256 = mapping_text(ctx, erp)
    path = ctx.mappings.files[erp].resolve()
    inside = path.is_relative_to(REPOSITORY)
    file = str(path.relative_to(REPOSITORY)) if inside else path.name
    given = None if part == FEEDS[feed].main else part
    made = with_correction(text, path.name, feed, given, rule, until=until, number=number)
    return Change(file, path, made, diff_of(text, made, file), sha256)


def _tried(ctx: Context, erp: str, feed: str, items: list[Row], change: Change) -> tuple[int, int]:
    """How many of the records pass their own checks under the mapping of now, and with it."""
    places = [Place.of(one) for one in items]
    texts = record_texts(ctx, places, erp, feed)
    with_it = parse_mapping(change.text, change.path)
    found = [0, 0]
    for part in {one.part for one in places}:
        own = [texts[p.item_id] for p in places if p.part == part and p.item_id in texts]
        for n, mapping in enumerate((ctx.erp(erp), with_it)):
            found[n] += sum(not one.reasons for one in judge_texts(mapping, feed, part, own))
    return found[0], found[1]


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise Misconfigured("a reason is needed", code="reason", remedy="Say why.")
