"""The words of the real-time lane: parameters in a source, and what a mapping may not say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.errors import Misconfigured
from mappings.live import with_parameters
from mappings.reading import parse_mapping
from mappings.settings import REPOSITORY
from mappings.sources import ODataSource, RestSource, SftpSource, SoapSource

BIRCH = (REPOSITORY / "mappings" / "erps" / "birch.yaml").read_text(encoding="utf-8")


def test_soap_takes_parameters_as_request_elements_beside_its_fixed_ones() -> None:
    source = SoapSource.model_validate(
        {"protocol": "soap", "operation": "Get", "records": "R", "request": {"LANG": "D"}}
    )
    asked = with_parameters(source, {"KUNNR": "account_key"}, {"account_key": "7"}, set())
    assert isinstance(asked, SoapSource)
    assert asked.request == {"LANG": "D", "KUNNR": "7"}


def test_odata_takes_them_as_a_filter_with_quotes_where_they_belong() -> None:
    source = ODataSource.model_validate(
        {"protocol": "odata", "entity": "Quotes", "filter": "Open eq true or Draft eq true"}
    )
    names = {"No": "product_key", "Qty": "qty", "Site": "warehouse_key"}
    asked = with_parameters(source, names, {"product_key": "o'x", "qty": "2.5"}, {"qty"})
    assert isinstance(asked, ODataSource)
    assert asked.filter == "(Open eq true or Draft eq true) and No eq 'o''x' and Qty eq 2.5"


@given(st.text())
def test_no_key_gets_out_of_its_quotes(key: str) -> None:
    """Every quote of the key is doubled: the literal ends where it should."""
    source = ODataSource.model_validate({"protocol": "odata", "entity": "X"})
    asked = with_parameters(source, {"A": "account_key"}, {"account_key": key}, set())
    assert isinstance(asked, ODataSource)
    assert asked.filter is not None
    literal = asked.filter.removeprefix("A eq ")
    assert literal[0] == literal[-1] == "'"
    assert literal[1:-1].replace("''", "").count("'") == 0
    assert literal[1:-1].replace("''", "'") == key


def test_rest_takes_them_in_the_query_and_files_cannot_be_asked() -> None:
    rest = RestSource.model_validate({"protocol": "rest", "path": "credit", "records": "."})
    asked = with_parameters(rest, {"customer": "account_key"}, {"account_key": "7"}, set())
    assert isinstance(asked, RestSource)
    assert asked.parameters == {"customer": "7"}
    files = SftpSource.model_validate(
        {"protocol": "sftp", "files": "x*.csv", "format": {"kind": "csv"}}
    )
    with pytest.raises(ValueError, match="cannot be asked"):
        with_parameters(files, {}, {}, set())
    odata = ODataSource.model_validate({"protocol": "odata", "entity": "X"})
    with pytest.raises(ValueError, match="is no number"):
        with_parameters(odata, {"Q": "qty"}, {"qty": "1 or 1 eq 1"}, {"qty"})


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{BillToCustomerNo: account_key}", "{BillToCustomerNo: acount_key}",
         "unknown key 'acount_key'; did you mean account_key?"),
        ("{ItemNo: product_key, LocationCode: warehouse_key}", "{LocationCode: warehouse_key}",
         "must ask for product_key"),
        ("    SalesOrders: order_status", "    SalesOrders: orders", "has no feed 'orders'"),
        ("  proof: client_state", "  proof: trust", "must be 'client_state' or 'hmac_sha256'"),
        ("      unit_price:  {from: UnitPrice}\n", "", "unit_price: not mentioned"),
    ],
)  # fmt: skip
def test_a_wrong_word_of_the_real_time_lane_is_refused_with_its_remedy(
    old: str, new: str, says: str
) -> None:
    at = BIRCH.index("# What it answers at once.")
    text = BIRCH[:at] + BIRCH[at:].replace(old, new, 1)
    assert text != BIRCH
    with pytest.raises(Misconfigured) as caught:
        parse_mapping(text, Path("birch.yaml"))
    assert says in str(caught.value)


def test_credit_rules_have_safe_defaults_and_refuse_nonsense() -> None:
    rules = parse_mapping(BIRCH, Path("birch.yaml")).credit
    assert (rules.action, rules.hard_pct, rules.cache_minutes) == ("route", None, 15)
    with pytest.raises(Misconfigured):
        parse_mapping(BIRCH + "\ncredit: {action: approve}\n", Path("birch.yaml"))
