"""SFTP through the engine: files known, changed, missing, empty, packed (3, 11, 13, 15)."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from mappings.errors import BatchRefused
from tests.sync.far_side import csv_feed, csv_source, price
from tests.sync.world import World, counted


def drops(**source: object) -> dict[str, Any]:
    """Prices as a delta of numbered files."""
    return csv_feed(
        "prices", (), mode="delta", source={**csv_source("price"), "pick": "all", **source}
    )


def told(world: World, run: int) -> dict[str, str]:
    """What the run's record says was odd."""
    rows = world.sql(
        "SELECT check_id, says FROM sync.check_result WHERE run_id = %s AND judge = 'batch' "
        "AND check_id LIKE 'read:%%'",
        run,
    )
    return dict(rows)


def test_SFTP_3_content_tells_files_apart_and_names_do_not(world: World) -> None:
    world.map("mill", {"prices": drops(again=5)})
    first = world.mill.put("price", [price("A"), price("B")])
    assert counted(world.run("mill", "prices")) == {"read": 2, "inserted": 2}
    # the same content under a new name: left out, and the record says so
    twin = world.mill.put("price", [price("A"), price("B")])
    assert twin.read_bytes() == first.read_bytes()
    again = world.run("mill", "prices")
    assert counted(again) == {}
    assert told(world, again.run_id) == {
        "read:known_file": f"{first.name} was applied with batch 1",
        "read:same_content": f"{twin.name} has the content of the file before it",
    }
    # new content under an old name: read
    first.write_bytes(first.read_bytes().replace(b"10.00", b"11.00"))
    first.with_name(first.name + ".done").touch()
    changed = world.run("mill", "prices")
    assert counted(changed) == {"read": 2, "updated": 2}
    assert "read:changed_file" in told(world, changed.run_id)


def test_SFTP_3_a_snapshot_is_known_by_its_content_alone(world: World) -> None:
    world.map("mill", {"prices": csv_feed("prices", ())})
    first = world.mill.put("price", [price("A")])
    world.run("mill", "prices")
    world.mill.put("price", [price("A")])
    assert world.run("mill", "prices").same_bytes
    last = world.mill.put("price", [price("A")])
    last.write_bytes(first.read_bytes().replace(b"10.00", b"12.00"))
    last.with_name(last.name + ".done").touch()
    assert counted(world.run("mill", "prices")) == {"read": 1, "updated": 1}


def test_SFTP_11_SFTP_12_files_are_taken_in_order_by_our_own_ledger_and_a_gap_stops(
    world: World,
) -> None:
    world.map("mill", {"prices": drops(gapless=True)})
    world.mill.put("price", [price("A", unit_price="10.00")])
    second = world.mill.put("price", [price("A", unit_price="10.10")])
    assert counted(world.run("mill", "prices")) == {"read": 2, "inserted": 1, "superseded": 1}
    assert [str(p) for p in world.rows("price", "unit_price", "header_key").values()] == [
        "10.100000"
    ]
    assert counted(world.run("mill", "prices")) == {}  # nothing is read twice, nothing was moved
    assert second.exists()
    third = world.mill.put("price", [price("A", unit_price="10.20")])
    fourth = world.mill.put("price", [price("A", unit_price="10.30")])
    hidden = third.rename(third.with_name("late"))
    with pytest.raises(BatchRefused) as gap:
        world.pull("mill", "prices")
    assert gap.value.code == "gap"
    assert "number 3 is missing" in str(gap.value)
    assert [str(p) for p in world.rows("price", "unit_price", "header_key").values()] == [
        "10.100000"
    ]
    hidden.rename(third)
    assert counted(world.run("mill", "prices"))["read"] == 2
    assert fourth.exists()
    assert [str(p) for p in world.rows("price", "unit_price", "header_key").values()] == [
        "10.300000"
    ]


def test_SFTP_13_empty_and_header_only_files_are_told_apart_and_delete_nothing(
    world: World,
) -> None:
    plain = {key: word for key, word in csv_source("price").items() if key != "format"}
    form = {"kind": "csv", "delimiter": ";"}
    world.map("mill", {"prices": csv_feed("prices", (), source={**plain, "format": form})})
    world.mill.put("price", [price("A"), price("B")], trailer=False)
    world.run("mill", "prices")
    for content, code in ((b"", "empty_file"), (None, "empty")):
        path = world.mill.put("price", [], trailer=False)
        if content is not None:
            path.write_bytes(content)
            path.with_name(path.name + ".done").touch()
        outcome = world.run("mill", "prices")
        assert outcome.state == "held"
        assert [stop["guard"] for stop in outcome.stops] == [code]
        assert world.keys("price", "header_key") == {"A", "B"}


def zipped(files: dict[str, bytes], password: bool = False) -> bytes:  # noqa: FBT001, FBT002
    text = io.BytesIO()
    with zipfile.ZipFile(text, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    data = text.getvalue()
    if password:  # the flag of both headers; what follows is then no deflate stream
        data = data.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01")
        data = data.replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    return data


Packer = Callable[[bytes], bytes]
BOMB = b"0" * 30_000_000
WRONG: dict[str, tuple[str, Packer]] = {
    "password": ("encrypted", lambda plain: zipped({"p.csv": plain}, password=True)),
    "nested": ("nested_archive", lambda plain: zipped({"p.csv": zipped({"p.csv": plain})})),
    "ratio": ("too_large", lambda plain: zipped({"p.csv": plain + BOMB})),
    "entries": (
        "too_large",
        lambda plain: zipped({"p.csv": plain} | {f"{n}.txt": b"" for n in range(30)}),
    ),
    "bytes": ("too_large", lambda plain: zipped({"p.csv": plain + os.urandom(3_000_000)})),
    "cut": ("archive", lambda plain: zipped({"p.csv": plain})[:-40]),
    "none": ("archive", lambda plain: zipped({"p.txt": plain})),
    "plain": ("archive", lambda plain: plain),
}


def test_SFTP_15_zip_and_gzip_are_read_and_bombs_and_passwords_refused(world: World) -> None:
    def source(kind: str, **words: object) -> dict[str, Any]:
        packed = {"kind": kind, "member": "*.csv", "most": 2, "most_entries": 20, **words}
        unpack = {key: word for key, word in packed.items() if kind == "zip" or key == "kind"}
        return csv_feed("prices", (), source={**csv_source("price"), "unpack": unpack})

    world.map("mill", {"prices": source("zip", most_bytes=2_000_000)})

    def export(pack: Packer) -> None:
        path = world.mill.put("price", [price("A"), price("B")])
        path.write_bytes(pack(path.read_bytes()))
        path.with_name(path.name + ".done").touch()

    export(lambda plain: zipped({"p.csv": plain, "read.me": b"x"}))
    assert counted(world.run("mill", "prices")) == {"read": 2, "inserted": 2}
    for name, (code, pack) in WRONG.items():
        export(pack)
        outcome = world.run("mill", "prices")
        assert outcome.state == "held", name
        assert [stop["guard"] for stop in outcome.stops] == [code], name
    assert world.keys("price", "header_key") == {"A", "B"}
    world.map("mill", {"prices": source("gzip")})
    export(gzip.compress)
    assert counted(world.run("mill", "prices")) == {"read": 2, "unchanged": 2}
    for code, pack in (
        ("truncated", lambda plain: gzip.compress(plain)[:-6]),
        ("too_large", lambda plain: gzip.compress(plain + BOMB)),
        ("nested_archive", lambda plain: gzip.compress(gzip.compress(plain))),
    ):
        export(pack)
        assert [stop["guard"] for stop in world.run("mill", "prices").stops] == [code]
