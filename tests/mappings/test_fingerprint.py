"""A fingerprint changes with everything a judgement depends on, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mappings.fingerprint import fingerprint, mapping_sha256, source_sha256, versions
from mappings.spec import ErpMapping

STOCK = {
    "mode": "snapshot",
    "source": {"protocol": "odata", "entity": "Stock"},
    "fields": {"product_key": {"from": "A", "lookup": "used"}, "on_hand": {"from": "Q"}},
}
ERP: dict[str, Any] = {
    "erp": "acme",
    "connection": "acme",
    "time_zone": "UTC",
    "catalogue": "open",
    "lookups": {"used": {"1": "2"}, "unused": {"1": "2"}},
    "feeds": {"stock": STOCK, "credit": {**STOCK, "fields": {}}},
}


def of(**changes: Any) -> str:
    return fingerprint(ErpMapping.model_validate({**ERP, **changes}), "stock")


def stock(**changes: Any) -> str:
    return of(feeds={**ERP["feeds"], "stock": {**STOCK, **changes}})


def test_it_is_the_same_for_the_same() -> None:
    assert of() == of()
    assert len(of()) == 64


def test_it_changes_with_what_decides() -> None:
    found = {
        of(),
        of(time_zone="Europe/Berlin"),
        of(lookups={"used": {"1": "3"}}),
        of(refers={"product": "other"}),
        stock(mode="delta"),
        stock(fields={"product_key": {"from": "A"}}),
        stock(refers={"product": "third"}),
    }
    assert len(found) == 7


def test_it_does_not_change_with_the_rest() -> None:
    same = {
        of(),
        of(title="Acme Ltd", owner="someone", windows=["02:00-03:00"]),
        of(lookups={"used": {"1": "2"}}),
        of(feeds={"stock": STOCK}),
        stock(schedule="0 5 * * *"),
    }
    assert len(same) == 1


def test_the_source_of_the_judges_counts(tmp_path: Path) -> None:
    for folder in ("one", "two", "three"):
        (tmp_path / folder / "transforms").mkdir(parents=True)
    (tmp_path / "one/transforms/a.py").write_text("x = 1")
    (tmp_path / "two/transforms/a.py").write_text("x = 2")
    (tmp_path / "three/transforms/b.py").write_text("x = 1")
    assert len({source_sha256(tmp_path / folder) for folder in ("one", "two", "three")}) == 3
    erp = ErpMapping.model_validate(ERP)
    assert fingerprint(erp, "stock", root=tmp_path / "one") != fingerprint(
        erp, "stock", root=tmp_path / "two"
    )


def test_versions_and_text() -> None:
    assert versions()["pyarrow"]
    assert versions()["lxml"]
    assert mapping_sha256("a") != mapping_sha256("b")
    with pytest.raises(KeyError):
        fingerprint(ErpMapping.model_validate(ERP), "prices")
