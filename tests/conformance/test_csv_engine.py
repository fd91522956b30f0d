"""CSV through the engine: bad rows, totals, duplicates, keys that look alike (6, 9, 13, 14)."""

from __future__ import annotations

from typing import Any

from tests.sync.far_side import csv_feed, csv_source, dealer, price, product
from tests.sync.world import World, counted

TOTAL = {"starts_with": "TRL", "count": "2", "total": "3", "total_of": "unit_price"}


def totalled(**more: Any) -> dict[str, Any]:
    form = {**csv_source("price")["format"], "trailer": TOTAL}  # type: ignore[dict-item]  # pyright: ignore[reportGeneralTypeIssues]  a dict
    return csv_feed("prices", (), source={**csv_source("price"), "format": form}, **more)


def export(
    world: World, rows: list[dict[str, object]], total: str, loose: tuple[str, ...] = ()
) -> None:
    path = world.mill.put("price", rows, loose=loose)
    text = path.read_text().rstrip("\n")
    path.write_text(f"{text};{total}\n")
    path.with_name(path.name + ".done").touch()


def test_CSV_9_CSV_13_a_bad_row_is_quarantined_alone_where_the_count_agrees(world: World) -> None:
    world.map("mill", {"prices": csv_feed("prices", (), guards={"rejected_share": "1"})})
    world.mill.put("price", [price("A"), price("B")], loose=("short;row", "too;" * 20))
    outcome = world.run("mill", "prices")
    assert outcome.state == "done"
    assert counted(outcome) == {"read": 4, "inserted": 2, "quarantined": 2}
    items = world.items()
    assert {item["code"] for item in items.values()} == {"too_few_columns", "too_many_columns"}
    assert {item["record_no"] for item in items.values()} == {3, 4}
    assert "short;row" in {item["raw"] for item in items.values()} or any(
        "short;row" in str(item["raw"]) for item in items.values()
    )


def test_CSV_13_a_total_holds_the_file_where_it_does_not_add_up_or_cannot(world: World) -> None:
    world.map("mill", {"prices": totalled(guards={"rejected_share": "1"})})
    two = [price("A", unit_price="10.00"), price("B", unit_price="2.50")]
    export(world, two, "12.50")
    assert counted(world.run("mill", "prices")) == {"read": 2, "inserted": 2}

    def held(rows: list[dict[str, object]], total: str, loose: tuple[str, ...] = ()) -> str:
        export(world, rows, total, loose)
        outcome = world.run("mill", "prices")
        assert (outcome.state, [stop["guard"] for stop in outcome.stops]) == ("held", ["trailer"])
        assert world.keys("price", "header_key") == {"A", "B"}
        return str(outcome.stops[0]["says"])

    assert "declares a total of 12.60 for unit_price, 12.5 came" in held(two, "12.60")
    # the number of one row cannot be read: nobody can prove the total, and the row is named
    bad = [*two, price("C", unit_price="ABC")]
    assert "unit_price of record 3 is 'ABC' (not_a_number)" in held(bad, "12.50")
    says = held(two, "12.50", loose=("short;row",))
    assert "record 3 cannot be read (2 columns instead of" in says
    # what is wrong with another field changes nothing: the total is proven, the row quarantined
    export(world, [*two, price("C", unit_price="1.00", currency="??")], "13.50")
    outcome = world.run("mill", "prices")
    assert outcome.state == "done"
    assert counted(outcome) == {"read": 3, "unchanged": 2, "quarantined": 1}


def test_CSV_13_a_missing_trailer_or_a_wrong_count_holds_the_file(world: World) -> None:
    world.map("mill", {"prices": csv_feed("prices", ())})
    for words in ({"trailer": False}, {"count": 3}):
        world.mill.put("price", [price("A"), price("B")], **words)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        outcome = world.run("mill", "prices")
        assert (outcome.state, [stop["guard"] for stop in outcome.stops]) == ("held", ["trailer"])
    assert world.keys("price", "header_key") == set()


def test_CSV_14_the_same_key_twice_goes_by_the_declared_policy_and_is_counted(world: World) -> None:
    three = [price("A", unit_price="1.00"), price("A", unit_price="2.00"), price("B")]
    world.map("mill", {"prices": csv_feed("prices", (), guards={"rejected_share": "1"})})
    world.mill.put("price", [*three, price("B")])
    snapshot = world.run("mill", "prices")  # a list of what is: two truths are none
    assert counted(snapshot) == {"read": 4, "inserted": 1, "superseded": 1, "quarantined": 2}
    assert {item["code"] for item in world.items().values()} == {"duplicate_key"}
    source = {**csv_source("price"), "pick": "all"}
    world.map("mill", {"prices": csv_feed("prices", (), mode="delta", source=source)})
    world.mill.put("price", three)  # a list of what happened: the last word counts
    delta = world.run("mill", "prices")
    assert delta.counts.superseded >= 1
    assert str(world.rows("price", "unit_price", "header_key")["A"]) == "2.000000"


def test_CSV_6_keys_that_differ_by_a_turkish_letter_stay_two_and_are_reported(world: World) -> None:
    world.map(
        "mill", {"customers": csv_feed("customers", ()), "products": csv_feed("products", ())}
    )
    world.mill.put("dealer", [dealer("IŞIK1"), dealer("ışık1"), dealer("D2"), dealer("d3")])
    outcome = world.run("mill", "customers")
    assert counted(outcome) == {"read": 4, "inserted": 4}
    assert world.keys("dealer") == {"IŞIK1", "ışık1", "D2", "d3"}
    told = world.sql(
        "SELECT says, failed FROM sync.check_result WHERE run_id = %s "
        "AND check_id = 'read:similar_keys'",
        outcome.run_id,
    )
    assert told == [("IŞIK1 and ışık1 differ by letters' case alone", 1)]
    # a new key like one of the portal's
    world.mill.put("dealer", [dealer("IŞIK1"), dealer("ışık1"), dealer("D2"), dealer("D3")])
    world.mill.put("product", [product("X-İ")])
    outcome = world.run("mill", "customers")
    assert world.one(
        "SELECT says FROM sync.check_result WHERE run_id = %s AND check_id = 'read:similar_keys'",
        outcome.run_id,
    ).startswith("D3 and d3 differ")
