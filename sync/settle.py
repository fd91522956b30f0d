"""Decides the fate of every staged record before anything is compared or written.

Children find their roots, documents must add up, repeated keys are settled, references must
exist. What is refused leaves staging as a whole document and becomes an item for quarantine.
Must not write to `portal`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

import xxhash

from mappings.vocabulary import Feed, Part
from portal_db import parents, repeats, totals
from portal_db.apply import drop_roots, remove_roots
from portal_db.counts import Counts
from portal_db.identifiers import plain_name
from portal_db.keys import key_text
from portal_db.quarantine import UNREADABLE, Item, past_limit
from portal_db.references import Missing, cycles, missing
from portal_db.staging import Staging
from quality.quarantine import Reason, Rejection, Stake, fingerprint, stake_fields
from sync.intake import Intake

_NO_STAKE = Stake()


@dataclass(slots=True)
class Fates:
    """What became of records that will not be written, and the items that say why."""

    items: list[Item] = field(default_factory=list)
    superseded: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    quarantined: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    deferred: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    overtaken: dict[str, list[str]] = field(default_factory=dict)
    """Root part → keys whose newer data is in the portal already."""
    refused: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Root part → numbers of records that are not accepted, whatever became of them."""
    unbalanced: dict[str, int] = field(default_factory=dict)
    """Document check → how many documents failed it."""


class Settling:
    """One run's settling, step by step; every step may take roots out of staging."""

    def __init__(
        self,
        staging: Staging,
        feed: Feed,
        intake: Intake,
        *,
        retry_until: datetime,
        selected: bool = False,
    ) -> None:
        self.staging = staging
        self.selected = selected
        """Only some records of the batch are judged: other children of its pages do not count."""
        self.feed = feed
        self.intake = intake
        self.retry_until = retry_until
        self.fates = Fates()
        for name, count in intake.repeated.items():
            self.fates.superseded[name] += count

    def before_diff(self, *, last_wins: bool) -> None:
        """Everything that needs no comparison with the portal."""
        for root in self.feed.roots:
            children = self.feed.children(root.name)
            for child in children:
                if child.name in self.intake.own_sources:
                    parents.join_to_roots(self.staging, child)
                    self._find_roots_of_failed(child)
                    self._strays(child)
            for child in children:
                gone = parents.of_deleted_roots(self.staging, child)
                parents.remove(self.staging, child, gone)
                self.fates.superseded[child.name] += len(gone)
            if last_wins:
                self._overtake(root)
            self._refuse(root, self._rejected(root))
            self._refuse(root, self._contradicting_children(children))
            self._refuse(root, self._unbalanced(root))
            if not last_wins and self.intake.roots[root.name]:
                again = repeats.of_failed_keys(self.staging, root)
                says = "the same key comes more than once in this batch, and one copy was rejected"
                self._refuse(
                    root, {n: [_reason(root.name, n, "", "duplicate_key", says)] for n in again}
                )
            if self.staging.first and root.name == self.feed.main:
                continue  # building its key finds a key that comes twice
            found = repeats.find_roots(self.staging, root, last_wins=last_wins)
            self._count(root, list(found.superseded), self.fates.superseded)
            drop_roots(self.staging, root, list(found.superseded))
            self.fates.refused[root.name].update(found.superseded)
            reason = "the same key comes more than once in this batch, with different values"
            self._refuse(
                root,
                {
                    n: [_reason(root.name, n, "", "duplicate_key", reason)]
                    for n in found.contradicting
                },
            )

    def _overtake(self, root: Part) -> None:
        """In a delta the later of a good and a bad record of one key speaks for it."""
        good, bad = repeats.overtaken_by_other(self.staging, root)
        self._count(root, good, self.fates.superseded)
        drop_roots(self.staging, root, good)
        if bad:
            kept = [r for r in self.intake.roots[root.name] if r.record_no not in bad]
            self.fates.superseded[root.name] += len(self.intake.roots[root.name]) - len(kept)
            self.intake.roots[root.name] = kept
            for child in self.feed.children(root.name):
                gone = [n for n in bad if n in self.intake.children[child.name]]
                for number in gone:
                    found = self.intake.children[child.name].pop(number)
                    self.fates.superseded[child.name] += len(found)
            self._count(root, list(bad), self.fates.superseded, roots=0)
            repeats.forget_failed(self.staging, root, list(bad))

    def _find_roots_of_failed(self, child: Part) -> None:
        """A rejected child of a source of its own refuses the document that it names."""
        alone = self.intake.children[child.name].pop(0, [])
        owners = parents.roots_of_failed(self.staging, child) if alone else {}
        for one in alone:
            root_no = owners.get(one.record_no, 0)
            if self.selected and root_no == 0:
                self.intake.read[child.name] -= 1  # of a document that is not being retried
                continue
            self.intake.children[child.name][root_no].append(one)

    def _strays(self, child: Part) -> None:
        """Children of a source of their own whose root is not accepted in this batch."""
        with_failed = parents.of_failed_roots(self.staging, child)
        parents.remove(self.staging, child, with_failed)
        self.fates.quarantined[child.name] += len(with_failed)
        alone = parents.orphans(self.staging, child)
        if self.selected:
            parents.remove(self.staging, child, [n for n, _ in alone])
            self.intake.read[child.name] -= len(alone)
            return
        if not alone:
            return
        keys = self._keys(child, [n for n, _ in alone])
        for number, parent_key in alone:
            says = f"its {child.parent} {parent_key} is not in this batch"
            reason = _reason(child.name, number, child.parent_field or "", "missing_root", says)
            key, raw_hash = keys[number]
            self.fates.items.append(self._item(child, key, None, number, [reason], "{}", raw_hash))
        parents.remove(self.staging, child, [n for n, _ in alone])
        self.fates.quarantined[child.name] += len(alone)

    def _rejected(self, root: Part) -> dict[int, list[Reason]]:
        """Roots refused by their own records' checks or by those of a child."""
        found: dict[int, list[Reason]] = {}
        for rejection in self.intake.roots[root.name]:
            found.setdefault(rejection.record_no, []).extend(rejection.reasons)
        for child in self.feed.children(root.name):
            for root_no, rejections in self.intake.children[child.name].items():
                self.fates.quarantined[child.name] += len(rejections)
                if root_no == 0:
                    self._single(child, rejections)
                    continue
                for rejection in rejections:
                    found.setdefault(root_no, []).extend(rejection.reasons)
        self.fates.quarantined[root.name] += len(self.intake.roots[root.name])
        return found

    def _single(self, child: Part, rejections: list[Rejection]) -> None:
        for one in rejections:
            key = one.key or f"{UNREADABLE}{one.raw_hash}"
            self.fates.items.append(
                self._item(
                    child,
                    key,
                    one.page,
                    one.record_no,
                    list(one.reasons),
                    one.raw,
                    one.raw_hash,
                    stake=one.stake,
                )
            )

    def _contradicting_children(self, children: tuple[Part, ...]) -> dict[int, list[Reason]]:
        found: dict[int, list[Reason]] = {}
        for child in children:
            superseded, contradicting = repeats.find_children(self.staging, child)
            parents.remove(self.staging, child, list(superseded))
            self.fates.superseded[child.name] += len(superseded)
            says = f"the same {child.name} comes more than once, with different values"
            for number in contradicting:
                found.setdefault(number, []).append(
                    _reason(child.name, number, "", "duplicate_key", says)
                )
        return found

    def _unbalanced(self, root: Part) -> dict[int, list[Reason]]:
        found: dict[int, list[Reason]] = {}
        for check in root.sums:
            rows = totals.unbalanced(self.staging, root, check)
            self.fates.unbalanced[check.id] = len(rows)
            for number, says in rows:
                found.setdefault(number, []).append(
                    _reason(root.name, number, check.field, check.id, f"{check.says}: {says}")
                )
        return found

    def _refuse(self, root: Part, reasons: dict[int, list[Reason]]) -> None:
        """Quarantine root records with all their children; rejected ones are not staged."""
        if not reasons:
            return
        self.fates.refused[root.name].update(reasons)
        rejected = {r.record_no: r for r in self.intake.roots[root.name]}
        keys = self._keys(root, [n for n in reasons if n not in rejected])
        stakes = self._stakes(root, list(keys)) | {n: one.stake for n, one in rejected.items()}
        children = self._children_of(root, list(reasons))
        self._count(root, list(reasons), self.fates.quarantined, roots=len(keys))
        for number, why in reasons.items():
            rejection = rejected.get(number)
            if rejection is not None:
                key = rejection.key or f"{UNREADABLE}{rejection.raw_hash}"
                page, raw, raw_hash = rejection.page, rejection.raw, rejection.raw_hash
            elif number in keys:
                (key, raw_hash), page, raw = keys[number], None, self._raw_of_child(root, number)
            else:
                continue  # its root was refused in an earlier step
            raw_hash ^= self._hash_of_children(root, number)
            self.fates.items.append(
                self._item(
                    root,
                    key,
                    page,
                    number,
                    why,
                    raw,
                    raw_hash,
                    children=children.get(number, {}),
                    stake=stakes.get(number, _NO_STAKE),
                )
            )
        remove_roots(self.staging, root, list(reasons))

    def overtaken(self, root: Part, record_nos: list[int]) -> None:
        """Roots that newer portal data has overtaken: superseded, with their children."""
        keys = self._keys(root, record_nos)
        self.fates.overtaken[root.name] = [key for key, _ in keys.values()]
        self._count(root, record_nos, self.fates.superseded)
        drop_roots(self.staging, root, record_nos)

    def accepted(self) -> dict[str, int]:
        """Part → staged records that have no other fate yet: what must lie in staging."""
        fates = (self.fates.superseded, self.fates.quarantined, self.fates.deferred)
        return {
            part.name: self.intake.read.get(part.name, 0)
            - self.intake.skipped[part.name]
            - sum(fate[part.name] for fate in fates)
            for part in self.feed.parts
        }

    def after_diff(self) -> None:
        """References of what would be written; a refused parent may orphan others: until stable."""
        while self._defer() | self._refuse_cycles():
            pass  # every turn takes at least one record out of staging

    def _defer(self) -> bool:
        waiting: dict[str, dict[int, list[Missing]]] = defaultdict(lambda: defaultdict(list))
        for part in self.feed.parts:
            for one in missing(self.staging, part):
                waiting[part.parent or part.name][one.root_no].append(one)
        for root_name, found in waiting.items():
            root = self.feed.part(root_name)
            keys = self._keys(root, list(found))
            children = self._children_of(root, list(found))
            late = past_limit(
                self.staging.connection, self.staging.erp, root, [key for key, _ in keys.values()]
            )
            given_up = [n for n in found if keys[n][0] in late]
            self._count(root, given_up, self.fates.quarantined)
            waits = [n for n in found if keys[n][0] not in late]
            self._count(root, waits, self.fates.deferred)
            stakes = self._stakes(root, list(found))
            for number, misses in found.items():
                reasons = [
                    _reason(
                        m.part,
                        number,
                        m.field,
                        "missing_parent",
                        f"{m.field} {m.key}: there is no such {m.to} of {m.erp} yet",
                        m.key,
                    )
                    for m in misses
                ]
                key, raw_hash = keys[number]
                item = self._item(
                    root,
                    key,
                    None,
                    number,
                    reasons,
                    "{}",
                    raw_hash,
                    children=children.get(number, {}),
                    stake=stakes.get(number, _NO_STAKE),
                )
                item.waits_for = [{"erp": m.erp, "part": m.to, "key": m.key} for m in misses]
                item.retry_until = None if key in late else self.retry_until
                self.fates.items.append(item)
            remove_roots(self.staging, root, list(found))
            self.fates.refused[root.name].update(found)
        return bool(waiting)

    def _refuse_cycles(self) -> bool:
        found = False
        for part in self.feed.roots:
            if part.name != "category":
                continue
            numbers = cycles(self.staging, part, "parent_key")
            says = "this category stands above itself"
            self._refuse(
                part, {n: [_reason(part.name, n, "parent_key", "cycle", says)] for n in numbers}
            )
            found = found or bool(numbers)
        return found

    def refuse_suspects(self, root: Part, reasons: dict[int, list[Reason]]) -> None:
        """Single suspects of a change check, too few to hold the batch."""
        self._refuse(root, reasons)

    def counts(
        self, part: Part, *, inserted: int, updated: int, tombstones: int, vanished: int
    ) -> Counts:
        """The ledger of one part; `unchanged` is counted from staging, not worked out from read."""
        staged = self.staging.count(part, "true" if part.parent is None else "root_no IS NOT NULL")
        return Counts(
            read=self.intake.read.get(part.name, 0),
            inserted=inserted,
            updated=updated + tombstones,
            unchanged=staged - inserted - updated - tombstones + self.intake.skipped[part.name],
            superseded=self.fates.superseded[part.name],
            quarantined=self.fates.quarantined[part.name],
            deferred=self.fates.deferred[part.name],
            deleted=tombstones + vanished,
        )

    def _count(
        self, root: Part, record_nos: list[int], into: dict[str, int], *, roots: int | None = None
    ) -> None:
        into[root.name] += len(record_nos) if roots is None else roots
        for child in self.feed.children(root.name):
            into[child.name] += parents.count_of_roots(self.staging, child, record_nos)

    def _children_of(self, root: Part, record_nos: list[int]) -> dict[int, dict[str, int]]:
        found: dict[int, dict[str, int]] = defaultdict(dict)
        for child in self.feed.children(root.name):
            rows = self.staging.connection.execute(
                f"SELECT root_no, count(*) FROM {self.staging.table(child.name)} "
                f"WHERE root_no = ANY(%s) GROUP BY 1",
                (record_nos,),
            ).fetchall()
            for number, n in rows:
                found[int(number)][child.name] = int(n)
            for number in record_nos:
                bad = len(self.intake.children[child.name].get(number, ()))
                if bad:
                    found[number][child.name] = found[number].get(child.name, 0) + bad
        return found

    def _keys(self, part: Part, record_nos: list[int]) -> dict[int, tuple[str, int]]:
        rows = self.staging.connection.execute(
            f"SELECT s.record_no, {key_text(part, 's')}, s.raw_hash "
            f"FROM {self.staging.table(part.name)} s WHERE s.record_no = ANY(%s)",
            (record_nos,),
        ).fetchall()
        return {int(n): (str(key), int(raw_hash)) for n, key, raw_hash in rows}

    def _stakes(self, part: Part, record_nos: list[int]) -> dict[int, Stake]:
        """Of staged records; rejected ones bring theirs."""
        names = stake_fields(part)
        if not record_nos or not any(names):
            return {}
        columns: list[LiteralString] = [f"s.{plain_name(n)}" if n else "NULL" for n in names]
        dealer, amount, currency = columns
        rows = self.staging.connection.execute(
            f"SELECT s.record_no, {dealer}, {amount}, {currency} "
            f"FROM {self.staging.table(part.name)} s WHERE s.record_no = ANY(%s)",
            (record_nos,),
        ).fetchall()
        return {int(number): Stake(*rest) for number, *rest in rows}

    def _raw_of_child(self, root: Part, number: int) -> str:
        for child in self.feed.children(root.name):
            for rejection in self.intake.children[child.name].get(number, ()):
                return rejection.raw
        return "{}"

    def _hash_of_children(self, root: Part, number: int) -> int:
        """A document's raw hash is its root's, mixed with those of its refused children."""
        mixed = 0
        for child in self.feed.children(root.name):
            for one in self.intake.children[child.name].get(number, ()):
                mixed ^= int.from_bytes(
                    xxhash.xxh3_64_digest(str(one.raw_hash).encode()), "big", signed=True
                )
        return mixed

    def _item(
        self,
        part: Part,
        key: str,
        page: int | None,
        number: int,
        reasons: list[Reason],
        raw: str,
        raw_hash: int,
        *,
        children: dict[str, int] | None = None,
        stake: Stake = _NO_STAKE,
    ) -> Item:
        shown: list[dict[str, Any]] = [
            {
                "part": r.part,
                "record_no": r.record_no,
                "field": r.field,
                "code": r.code,
                "says": r.says,
                "raw": r.raw,
            }
            for r in reasons
        ]
        shape = fingerprint(self.staging.erp, self.feed.name, reasons[0])
        page = self.intake.page_of(part.name, number) or page
        return Item(
            part.name,
            key,
            page,
            number,
            shown,
            raw,
            raw_hash,
            shape,
            children or {},
            dealer=stake.dealer,
            amount=stake.amount,
            currency=stake.currency,
        )


def _reason(
    part: str, number: int, field_name: str, code: str, says: str, raw: str | None = None
) -> Reason:
    return Reason(field_name, code, says, raw, part, number)
