"""Fuzzes pages of JSON and of XML-RPC: `python -m bench.fuzz.json --seconds 600`.

Each case is read as a landed page is, and looked into as the connectors do while they fetch.
"""

from __future__ import annotations

import sys

from bench.fuzz.documents import JSON_PLANS
from bench.fuzz.drive import run
from bench.fuzz.jsonl import WORDS as JSON_WORDS
from connectors import odata_page, rest_page
from connectors.formats.raw import ReadPlan
from connectors.http_sign_in import SignedOutError
from mappings.sources import ODataSource, RestSource

PLANS = JSON_PLANS
WORDS = [
    *JSON_WORDS, b'"@odata.nextLink":', b'"value":', b'"items":', b'"error":{"code":1}', b"/",
    b"<value>", b"</value>", b"<value/>", b"<array><data>", b"<nil/>", b"<fault>", b"<!DOCTYPE x>",
    b"<member><name>key</name>", b"<int>1</int>", b"&#1;", b"&amp;", b"<![CDATA[<value>]]>",
]  # fmt: skip


def looked(data: bytes, plan: ReadPlan) -> None:
    """What a connector sees in the page. Raises a WaybillError."""
    source = plan.source
    if isinstance(source, ODataSource):
        seen = odata_page.look(data, source.records, source.cursor, "page")
        odata_page.largest(seen.cursors)
        odata_page.look(data, source.records, source.cursor, "page", "key")
    elif isinstance(source, RestSource):
        try:
            found = rest_page.look(data, {}, source)
        except SignedOutError:
            return
        odata_page.largest(found.cursors)


if __name__ == "__main__":
    sys.exit(run("json", PLANS, WORDS, looked))
