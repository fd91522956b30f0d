"""Out-steps as declared, and whole messages in an ERP's words."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.messages import KINDS
from mappings.out_steps import OUT_STEPS
from mappings.outbound import Outbound
from transforms.outward import OUT_FUNCTIONS, render

TARGET = {"protocol": "odata", "entity": "Orders", "find": "cannot"}


def test_every_declared_out_step_has_its_function() -> None:
    assert OUT_FUNCTIONS.keys() == OUT_STEPS.keys()


@pytest.mark.parametrize("name", list(OUT_STEPS))
def test_the_examples_are_true(name: str) -> None:
    came, goes = OUT_STEPS[name].example
    assert OUT_FUNCTIONS[name](came, "Europe/Berlin") == goes


@given(st.decimals(min_value=-(10**11), max_value=10**11, places=4))
def test_a_number_written_with_dots_and_comma_is_that_number(number: Decimal) -> None:
    text = OUT_FUNCTIONS["dotted_thousands_text"](format(number, "f"), "UTC")
    assert Decimal(text.replace(".", "").replace(",", ".")) == number


def order_mapping(**fields: object) -> Outbound:
    kind = KINDS["order"]
    unsent: dict[str, object] = dict.fromkeys((f.name for f in kind.fields), "unsent")
    lines: dict[str, object] = dict.fromkeys((f.name for f in kind.lines), "unsent")
    lines |= {"line_no": {"to": "No"}, "qty": {"to": "Qty"}, "uom": {"to": "Unit", "lookup": "u"}}
    return Outbound.model_validate(
        {"target": TARGET, "fields": unsent | fields, "constants": {"Type": "WEB"},
         "lines": {"fields": lines}}
    )  # fmt: skip


def test_values_constants_and_lookups_are_written_and_nothing_else() -> None:
    how = order_mapping(reference={"to": "Head/Ref"}, note={"to": "Note"}, net={"to": "Net"})
    line = {"line_no": "1", "qty": "2.500000", "uom": "PCE"}
    made = render(
        KINDS["order"], how, {"reference": "WB-1", "net": "1000.0000", "lines": [line]},
        {"u": {"ST": "PCE"}}, "UTC",
    )  # fmt: skip
    assert made.faults == []
    assert made.fields == {"Type": "WEB", "Head/Ref": "WB-1", "Net": "1000"}
    assert made.lines == [{"No": "1", "Qty": "2.5", "Unit": "ST"}]


def test_what_cannot_be_written_is_a_fault_with_its_place() -> None:
    how = order_mapping(reference={"to": "Ref"}, requested_on={"to": "On"})
    line = {"line_no": "1", "qty": "many", "uom": "BOX"}
    made = render(
        KINDS["order"], how, {"requested_on": "tomorrow", "lines": [line]}, {"u": {}}, "UTC"
    )
    assert [one.partition(": ")[0] for one in made.faults] == [
        "reference", "requested_on", "line 1", "line 1",
    ]  # fmt: skip
