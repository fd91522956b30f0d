"""No behaviour of the list is dropped in silence, and the page says what really ran."""

from __future__ import annotations

from tests.conformance import page
from tests.conformance.battery import behaviours, carriers, outcomes


def test_every_behaviour_has_a_test_or_says_whose_work_it_is() -> None:
    known = carriers()
    assert [one.id for one in behaviours() if not known.get(one.id) and not one.later] == []


def test_every_id_that_a_test_carries_is_on_the_list() -> None:
    assert sorted(carriers().keys() - {one.id for one in behaviours()}) == []


def test_no_recorded_outcome_is_a_failure_or_of_a_test_that_is_gone() -> None:
    told = outcomes()
    there = {test.node for tests in carriers().values() for test in tests}
    assert sorted(told.keys() - there) == [], "run `make conformance`"
    assert {test: end for test, end in told.items() if end.startswith("failed")} == {}


def test_the_page_is_what_the_battery_says() -> None:
    assert page.PATH.read_text(encoding="utf-8") == page.text(), "run `make conformance`"


def test_the_list_is_whole() -> None:
    numbers: dict[str, list[int]] = {}
    for one in behaviours():
        group, _, number = one.id.partition("-")
        numbers.setdefault(group, []).append(int(number))
    assert {group: found[-1] for group, found in numbers.items()} == {
        "CUR": 14, "SOAP": 14, "REST": 27, "ORD": 10, "SFTP": 17, "CSV": 17, "XML": 9, "EDI": 13,
        "DLQ": 12, "AUD": 3, "DQ": 2,
    }  # fmt: skip
    assert all(found == list(range(1, len(found) + 1)) for found in numbers.values())
