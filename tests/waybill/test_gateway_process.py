"""`waybill gateway` as a process: it serves, delivers, subscribes, and ends in good order."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from mappings.private_files import gateway_tokens
from mappings.settings import child_environment
from sandbox.dataset import load as load_dataset
from tests.gateway.till import ERP, Till


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_gateway_alone_takes_an_order_to_the_erp_and_ends_well(
    database: str, tmp_path: Path
) -> None:
    till = Till(load_dataset("tiny"), database, tmp_path / "home")
    till.start()
    port = 18090 + os.getpid() % 500
    url = f"http://127.0.0.1:{port}"
    environment = child_environment(till.settings, WAYBILL_GATEWAY_URL=url)
    command = (sys.executable, "-m", "waybill.gateway_process", "--port", str(port))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            (*command, "--public-url", url), env=environment, stderr=log, stdout=log
        )
        try:
            _until(lambda: httpx.get(f"{url}/ready").status_code == 200)
            headers = {"Authorization": f"Bearer {gateway_tokens(till.settings)['portal']}"}
            line = {"product": "P1", "qty": "1", "uom": "PCE", "unit_price": "10"}
            body = {"erp": ERP, "dealer": "D1", "currency": "EUR", "lines": [line]}
            credit = f"{url}/credit/D1?erp={ERP}"
            _until(lambda: httpx.get(credit, headers=headers).json()["accounts"][0]["live"])
            headers["Idempotency-Key"] = "k1"
            placed = httpx.post(f"{url}/orders", json=body, headers=headers, timeout=20).json()
            assert placed.get("error") == "price_changed"  # nobody synced a price: it is not taken
            _price(till)
            placed = httpx.post(f"{url}/orders", json=body, headers=headers, timeout=20).json()
            shown = f"{url}/orders/{placed['reference']}"
            _until(
                lambda: (
                    re.match("confirmed as SO-", httpx.get(shown, headers=headers).json()["says"])
                    is not None
                )
            )
            _until(lambda: len(till.erp.subscriptions.known) == 7)
            assert till.erp.subscriptions.notify("Inventory") == [202]
            wanted = "SELECT count(*) FROM sync.cursor WHERE wanted_at IS NOT NULL"
            _until(lambda: till.one(wanted) == 1)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
            till.stop()
    assert code == 0
    lines = [json.loads(one) for one in (tmp_path / "log").read_text().splitlines()]
    assert any("serves" in one["says"] for one in lines)
    assert all({"at", "level", "logger", "says"} <= one.keys() for one in lines)


def _price(till: Till) -> None:
    from tests.orders.shop import put  # noqa: PLC0415

    till.db.execute("SELECT portal.ensure_price_partition('birch')")
    put(
        till.db, "price", erp=ERP, header_key="L1", level="list", dealer_scope="all",
        product_scope="product", product_key="P1", currency="EUR", uom="PCE", per=1, min_qty=1,
        unit_price="10", valid_from="0001-01-01", dealer_erp=ERP, product_erp=ERP,
    )  # fmt: skip


def _until(true: Callable[[], bool], seconds: float = 110) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except (httpx.TransportError, KeyError):
            pass
        assert time.monotonic() < end
        time.sleep(0.1)
