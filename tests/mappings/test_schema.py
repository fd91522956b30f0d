"""The committed JSON schema is the generated one, and takes what the reader takes."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from mappings.reading import read_mapping
from mappings.schema import PATH, schema, text

MAPPINGS = sorted((PATH.parent).glob("*/*.yaml"))
GOOD = """
erp: acme
connection: acme
time_zone: UTC
catalogue: open
feeds:
  stock:
    mode: snapshot
    source: {protocol: odata, entity: Stock}
    fields:
      product_key: {from: [A, B], through: [strip, join_key]}
      warehouse_key: {const: 10}
      on_hand: {from: Q}
      reserved: absent
      available: absent
      low_level: absent
      changed_at: absent
    parts: {warehouse: absent, stock_expected: absent}
"""


def test_the_committed_schema_is_the_generated_one() -> None:
    assert PATH.read_text(encoding="utf-8") == text(), "run: python -m mappings.schema"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_schema_takes_a_good_mapping_and_refuses_typos(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(GOOD)
    assert read_mapping(tmp_path / "acme.yaml")
    validator = jsonschema.Draft202012Validator(schema())
    validator.validate(yaml.safe_load(GOOD))
    for wrong, right in (
        ("on_hand:", "onhand:"),
        ("stock:", "stok:"),
        ("[strip, ", "[stripp, "),
        ("on_hand: {from: Q}", "on_hand: absent"),
        ("warehouse: absent, ", ""),
        ("mode: snapshot", "mode: snap"),
    ):
        assert not validator.is_valid(yaml.safe_load(GOOD.replace(wrong, right, 1))), right


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: path.stem)
def test_every_mapping_here_is_read_and_fits_the_schema(path: Path) -> None:
    assert read_mapping(path).erp == path.stem
    tree = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    jsonschema.Draft202012Validator(schema()).validate(tree)
