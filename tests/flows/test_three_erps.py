"""The three practice ERPs, night after night: the portal holds what the ERPs hold, field by field.

What is expected is the data set that the ERPs serve; on its way here every value has been through
a dialect, a wire, a mapping and a judge.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mappings.feeds import PARTS
from mappings.vocabulary import Field, Part
from portal_db.resolver import Ask, Market, resolve_for
from sandbox.dataset import Dataset
from sandbox.dataset import load as load_dataset
from sandbox.dataset_shape import KEYS, REFERS, SCHEMAS
from sync.landing import Landing
from sync.load import Outcome
from sync.parity import parity, side_of
from sync.parity_reasons import CLASSES
from tests.flows.practice import GENERATED, Practice

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

SYNCED = tuple(part for part in PARTS if part in SCHEMAS)


def test_every_part_is_in_the_data_set() -> None:
    assert sorted(SYNCED) == sorted(PARTS)


class Nights:
    """Three nights in one database: the first, one without a change, and the next day's."""

    def __init__(self, practice: Practice) -> None:
        self.practice = practice
        self.first = load_dataset("tiny")
        self.later = self.first.changed(7)
        self.outcomes: dict[str, list[Outcome]] = {}
        self.stored: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.unhappy: dict[str, list[tuple[Any, ...]]] = {}

    def run(self, night: str) -> None:
        """Sync everything and keep what is then in the portal."""
        self.outcomes[night] = self.practice.sync_all()
        self.stored[night] = {name: _stored(self.practice, name) for name in SYNCED}
        self.versions[night] = {name: _versions(self.practice, name) for name in SYNCED}
        self.unhappy[night] = self.practice.rows(
            "SELECT erp, part, key, code FROM sync.quarantine WHERE state = 'open' UNION ALL "
            "SELECT r.erp, part, name, sides FROM sync.reconciliation c "
            "JOIN sync.run r ON r.id = c.run_id WHERE agrees IS FALSE"
        )


@pytest.fixture(scope="module")
def nights(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    """The portal after three nights, with what it held after each."""
    practice = Practice(
        load_dataset("tiny"), GENERATED, module_database, tmp_path_factory.mktemp("three")
    )
    practice.start()
    try:
        three = Nights(practice)
        three.run("first")
        three.run("second")
        practice.serve(three.later)
        three.run("next")
        yield three
    finally:
        practice.stop()


def _columns(part: Part) -> list[Field]:
    """The fields that both sides have; a document's own file is looked at elsewhere."""
    names = set(SCHEMAS[part.name].names)
    return [f for f in part.fields if f.name in names and not f.copied_from]


def _stored(practice: Practice, name: str) -> list[tuple[Any, ...]]:
    fields = ", ".join(f.name for f in _columns(PARTS[name]))
    return [
        _plain(row)
        for row in practice.rows(
            f"SELECT erp, {fields} FROM portal.{name} WHERE deleted_at IS NULL"
        )
    ]


def _versions(practice: Practice, name: str) -> Any:
    """Changes when any row of a table is written anew, even with the same values."""
    return practice.one(
        "SELECT md5(string_agg(tableoid || ' ' || ctid || ' ' || xmin, ',' "
        f"ORDER BY tableoid, ctid)) FROM portal.{name}"
    )


def _expected(dataset: Dataset, name: str) -> list[tuple[Any, ...]]:
    fields = _columns(PARTS[name])
    rows = dataset[name].select(["erp", *(f.name for f in fields)]).to_pylist()
    return [_plain((row["erp"], *(_value(f, row[f.name]) for f in fields))) for row in rows]


def _value(field: Field, value: Any) -> Any:
    """A value as the portal holds it: an absent start of validity is the first of all days.

    A list without an element is a blank text on every wire, and blank becomes NULL when typed.
    """
    if value == []:
        return None
    if value is None and field.absent is not None:
        return date.fromisoformat(field.absent) if field.type == "date" else field.absent
    if field.type == "json" and value is not None:
        return json.loads(value)
    return value


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(json.dumps(v, sort_keys=True) if isinstance(v, list | dict) else v for v in row)


@pytest.mark.parametrize("night", ["first", "second", "next"])
@pytest.mark.parametrize("part", SYNCED)
def test_the_portal_holds_what_the_erps_hold(nights: Nights, night: str, part: str) -> None:
    dataset = nights.later if night == "next" else nights.first
    expected, found = Counter(_expected(dataset, part)), Counter(nights.stored[night][part])
    names = ["erp", *(f.name for f in _columns(PARTS[part]))]
    extra = [dict(zip(names, row, strict=True)) for row in list(found - expected)[:2]]
    lacking = [dict(zip(names, row, strict=True)) for row in list(expected - found)[:2]]
    assert (extra, lacking) == ([], [])


@pytest.mark.parametrize("night", ["first", "second", "next"])
def test_every_run_is_done_and_nothing_is_left_over(nights: Nights, night: str) -> None:
    assert {o.state for o in nights.outcomes[night]} == {"done"}
    assert nights.unhappy[night] == []


def test_seven_feeds_come_and_three_or_more_from_two_erps_at_once(nights: Nights) -> None:
    feeds = Counter(o.feed for o in nights.outcomes["first"])
    assert len(feeds) == 7
    assert sum(count >= 2 for count in feeds.values()) >= 3
    assert {feeds["prices"], feeds["stock"]} == {3}


@pytest.mark.parametrize("part", SYNCED)
def test_a_night_without_a_change_writes_no_row(nights: Nights, part: str) -> None:
    assert nights.versions["second"][part] == nights.versions["first"][part]


def test_a_night_without_a_change_counts_everything_as_unchanged(nights: Nights) -> None:
    for o in nights.outcomes["second"]:
        assert o.counts.read == o.counts.unchanged + o.counts.superseded, (o.erp, o.feed)
        assert o.counts.deleted == 0


def test_what_an_erp_no_longer_has_is_deleted_softly(nights: Nights) -> None:
    gone = 0
    for name in SYNCED:
        key = ["erp", *KEYS[name]]
        before = {tuple(r.values()) for r in nights.first[name].select(key).to_pylist()}
        after = {tuple(r.values()) for r in nights.later[name].select(key).to_pylist()}
        fields = [PARTS[name].field(k) for k in KEYS[name]]
        wanted = {
            (row[0], *(_value(f, v) for f, v in zip(fields, row[1:], strict=True)))
            for row in before - after
        }
        deleted = set(
            nights.practice.rows(
                f"SELECT {', '.join(key)} FROM portal.{name} WHERE deleted_at IS NOT NULL"
            )
        )
        assert deleted == wanted, name
        gone += len(wanted)
    assert gone > 0


def test_each_row_names_the_erp_whose_keys_it_uses(nights: Nights) -> None:
    for name in ("price", "invoice", "payment", "document"):
        for erp, dealer_erp in nights.practice.rows(
            f"SELECT DISTINCT erp, dealer_erp FROM portal.{name}"
        ):
            assert dealer_erp == REFERS.get(erp, {}).get("dealer", erp), name
    assert nights.practice.rows("SELECT DISTINCT dealer_erp FROM portal.invoice WHERE erp='cedar'")


def test_who_pays_is_copied_to_everything_a_dealer_owns(nights: Nights) -> None:
    parents = {
        "dealer_group": ("dealer", "key", "dealer_key"),
        "dealer_address": ("dealer", "key", "dealer_key"),
        "dealer_contact": ("dealer", "key", "dealer_key"),
        "invoice_line": ("invoice", "key", "invoice_key"),
        "payment_allocation": ("payment", "key", "payment_key"),
        "sales_order_line": ("sales_order", "key", "order_key"),
        "order_event": ("sales_order", "key", "order_key"),
        "shipment": ("sales_order", "key", "order_key"),
    }
    for child, (parent, key, names) in parents.items():
        astray = nights.practice.rows(
            f"SELECT c.erp, c.{names} FROM portal.{child} c LEFT JOIN portal.{parent} p "
            f"ON p.erp = c.erp AND p.{key} = c.{names} "
            "WHERE c.deleted_at IS NULL AND c.account_key IS DISTINCT FROM p.account_key LIMIT 3"
        )
        assert astray == [], child
    astray = nights.practice.rows(
        "SELECT o.erp, o.key FROM portal.sales_order o LEFT JOIN portal.dealer d "
        "ON d.erp = o.dealer_erp AND d.key = o.dealer_key "
        "WHERE o.account_key IS NULL OR o.account_key <> d.account_key LIMIT 3"
    )
    assert astray == []


def test_every_document_is_here_under_the_hash_of_its_bytes(nights: Nights) -> None:
    landing = Landing(nights.practice.settings.landing)
    rows = nights.practice.rows(
        "SELECT state, sha256, bytes, format, erp, location FROM portal.document "
        "WHERE deleted_at IS NULL"
    )
    assert len(rows) == nights.later["document"].num_rows
    assert {state for state, *_ in rows} == {"present"}
    folder = nights.practice.sftp
    for _, sha256, size, form, erp, location in rows:
        with landing.open_document(sha256) as file:
            content = file.read()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (sha256, size)
        assert content.startswith(b"%PDF" if form == "pdf" else b"<?xml")
        if erp == "cedar":
            assert content == (Path(folder.folder) / location.lstrip("/")).read_bytes()


@pytest.mark.parametrize("erp", GENERATED)
def test_parity_resolves_every_line_as_the_portal_would(nights: Nights, erp: str) -> None:
    """The set-based way over all invoices and the portal's own statement give the same price.

    The generator invoices at prices of its own, so how many lines are explained says nothing here.
    """
    ctx = nights.practice.ctx
    side = side_of(ctx, erp)
    mapping = ctx.erp(side.price_erp)
    found = parity(ctx, erp, every_line=True)
    assert found.lines == nights.practice.one(
        "SELECT count(*) FROM portal.invoice_line WHERE erp = %s AND kind = 'item' "
        "AND deleted_at IS NULL", erp,
    )  # fmt: skip
    assert found.lines == found.explained + found.unexplained == len(found.items) > 0
    assert set(found.reasons) <= set(CLASSES)
    compared = 0
    for item in found.items:
        market = Market(
            side.price_erp, side.dealer_erp, item["dealer_key"], side.product_erp,
            item["currency"], item["priced_on"], mapping.pricing,
        )  # fmt: skip
        ask = Ask(item["product_key"], abs(item["qty"]), item["uom"])
        (told,) = resolve_for(nights.practice.db, market, [ask])
        if told.status not in {"priced", "price_on_request"}:
            continue  # an invoice may name what the portal would no longer offer
        compared += 1
        won = (told.won.level, told.won.header_key, told.won.min_qty) if told.won else (None,) * 3
        assert (item["level"], item["header_key"], item["min_qty"]) == won
        net = item["resolved_net"]
        assert (None if net is None else abs(net)) == told.line_net
    assert compared > len(found.items) // 2
