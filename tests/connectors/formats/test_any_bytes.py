"""Whatever bytes come, each file reader ends in rows, broken records or a named error.

The same as `bench/fuzz` does for twenty minutes a reader, in a second each. What the fuzzers found
stands here too, each with its bytes.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fuzz.documents import JSON_PLANS, ODATA, REST, csv_plan, plan, zipped
from bench.fuzz.drive import case
from bench.fuzz.json import looked
from bench.fuzz.mutate import one
from mappings.errors import WaybillError

FORMATS = ("csv", "fixed", "jsonl", "json", "edifact", "datanorm", "packed", "excel", "facturx")


def documents(name: str) -> tuple[list[Any], list[bytes]]:
    module = importlib.import_module(f"bench.fuzz.{name}")
    return module.PLANS, module.WORDS


@pytest.mark.parametrize("name", FORMATS)
def test_valid_documents_are_read_without_a_broken_record(name: str) -> None:
    for plan_, valid in documents(name)[0]:
        for data in valid:
            rows, broken, code = case(data, plan_)
            assert rows
            assert code is None
            if name not in {"excel", "csv", "fixed", "packed"}:  # theirs hold bad ones on purpose
                assert broken == 0


@settings(deadline=None, max_examples=25)
@pytest.mark.parametrize("name", FORMATS)
@given(seed=st.integers(0, 10**9), which=st.integers(0, 99))
def test_spoiled_documents_end_in_a_known_way(name: str, seed: int, which: int) -> None:
    plans, words = documents(name)
    plan_, valid = plans[which % len(plans)]
    data = one(valid, str(seed), words)
    case(data, plan_)
    if name == "json":
        with contextlib.suppress(WaybillError):
            looked(data, plan_)


@settings(deadline=None, max_examples=15)
@pytest.mark.parametrize("name", FORMATS)
@given(data=st.binary(max_size=300), which=st.integers(0, 99))
def test_any_bytes_end_in_a_known_way(name: str, data: bytes, which: int) -> None:
    plans, _ = documents(name)
    case(data, plans[which % len(plans)][0])


def test_found_utf16_without_its_mark_is_an_encoding_error() -> None:
    assert case(b"K\0O\0D\0", csv_plan(encoding="utf-16"))[2] == "encoding"


def test_found_a_byte_order_mark_behind_the_header_does_not_change_what_a_quote_means() -> None:
    data = 'KOD;AD;FİYAT\r\n\ufeff"Öz;türk ""A""";13,75\r\n'.encode()
    for newlines in (True, False):
        assert case(data, csv_plan(quoted_newlines=newlines)) == (1, 0, None)


def test_found_json_pages_that_are_odd_where_the_connector_looks() -> None:
    odata, rest = (next(p for p, d in JSON_PLANS if text.encode() in d) for text in (ODATA, REST))
    looked(ODATA.replace("1767225600000", "1" * 90).encode(), odata)  # no instant: a text
    with pytest.raises(WaybillError):
        looked(ODATA.encode().replace(b"value", b"val\xffe"), odata)
    looked(REST.replace('"key":1', '"key\\ud800":1').encode(), rest)


def test_found_a_zip_entry_without_a_name() -> None:
    data = zipped({"a.csv": b"KOD\n1\n", "b": b""})
    spoiled = data.replace(b"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", b"\0" * 10)
    words = {"kind": "zip", "member": "*.csv", "most": 3}
    central = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    nameless = data[: central + 28] + b"\0\0" + data[central + 30 :]
    for one_ in (spoiled, nameless):
        assert case(one_, plan({"kind": "csv"}, "KOD", unpack=words))[2] in {None, "archive"}
