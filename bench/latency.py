"""How fast the real-time lane is: an order from commit to acknowledgement, credit asked live.

A practice ERP and the gateway run as processes of their own, as they do in production; this one
places orders and asks. Prints a line a case; `--json FILE` keeps them. Must not be run beside
anything whose figures matter.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg

from mappings.private_files import gateway_tokens, make_home
from mappings.settings import Settings, child_environment
from portal_db import server
from portal_db.migrate import migrate
from portal_db.orders import NewLine, NewOrder, as_dealer, place_order
from sync.context import Context
from sync.deliver import deliver_due
from sync.feed import sync_feed
from sync.routes import publish_routes
from waybill.ports import free_port
from waybill.practice import PracticeErps, ask_practice

ERP = "birch"
RATES = ((1, 20), (10, 20), (50, 10))
"""(orders a second, seconds)."""
ASKS_A_SECOND = 50
HANGS = 3.5
"""Seconds after which an answer that has three seconds comes too late."""


@dataclass
class Installed:
    """What a run works on."""

    settings: Settings
    url: str
    gateway: str
    dealers: list[tuple[str, int, str]] = field(default_factory=list)
    product: tuple[str, str] = ("", "")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=("orders", "sweep", "credit"))
    args = parser.parse_args()
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="waybill-latency-") as folder, ExitStack() as stack:
        one = stack.enter_context(installation(Path(folder) / "home"))
        if args.only in (None, "sweep"):
            found.append(_sweep(one))
        with _gateway(one):
            if args.only in (None, "orders"):
                found += [_orders(one, rate, seconds) for rate, seconds in RATES]
            if args.only in (None, "credit"):
                found += list(_credit(one))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0 if all(case.get("right", True) for case in found) else 1


@contextmanager
def installation(home: Path) -> Iterator[Installed]:
    """A database, the practice ERP with its dealers and products synced."""
    settings = Settings.read({}, home=home)
    make_home(settings)
    with server.serving(settings) as url:
        settings = Settings.read({}, home=home, database_url=url)
        migrate(url)
        practice = PracticeErps(settings, "tiny")
        command = practice.service().command
        with subprocess.Popen(command, env=child_environment(settings)) as erps:
            try:
                practice.connect()
                one = Installed(settings, url, f"http://127.0.0.1:{free_port(18290)}")
                _sync(one)
                yield one
            finally:
                erps.terminate()


def _sync(one: Installed) -> None:
    with Context.open(one.settings) as ctx:
        for feed in ("customers", "products", "stock", "credit"):
            sync_feed(ctx, ERP, feed)
        publish_routes(ctx)
    with psycopg.connect(one.url, autocommit=True) as db:
        rows = db.execute(
            "SELECT d.key, a.portal_dealer_id, d.currency FROM portal.dealer d "
            "JOIN portal.dealer_account a ON a.erp = d.erp AND a.dealer_key = d.key "
            "WHERE d.erp = %s AND d.status = 'active' AND d.order_block IS NOT TRUE ORDER BY 1",
            (ERP,),
        ).fetchall()
        one.dealers = [(str(key), int(number), str(currency)) for key, number, currency in rows]
        row = db.execute(
            "SELECT key, base_uom FROM portal.product WHERE erp = %s AND status = 'active' "
            "ORDER BY stocked NULLS FIRST, key LIMIT 1",
            (ERP,),
        ).fetchone()
        assert row is not None  # noqa: S101  the practice ERP has products
        one.product = (str(row[0]), str(row[1]))


@contextmanager
def _gateway(one: Installed) -> Iterator[None]:
    port = one.gateway.rpartition(":")[2]
    command = (sys.executable, "-m", "waybill.gateway_process", "--port", port)
    log = (one.settings.home / "gateway.log").open("wb")
    with (
        log,
        subprocess.Popen(
            command, env=child_environment(one.settings), stdout=log, stderr=log
        ) as process,
    ):
        try:
            _until_ready(one)
            yield
        finally:
            process.terminate()


def _until_ready(one: Installed) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            if httpx.get(f"{one.gateway}/ready", timeout=5).status_code == 200:  # noqa: PLR2004
                break
        except httpx.TransportError:
            time.sleep(0.2)
    headers = {"Authorization": f"Bearer {gateway_tokens(one.settings)['portal']}"}
    while time.monotonic() < end:  # its lines are warm
        answer = httpx.get(
            f"{one.gateway}/credit/{one.dealers[0][0]}?erp={ERP}", headers=headers, timeout=30
        ).json()
        if answer.get("accounts", [{}])[0].get("live"):
            return
        time.sleep(0.5)
    raise TimeoutError("the gateway is not ready")


# --- orders ---

_keys = itertools.count()


def place(db: psycopg.Connection[Any], one: Installed, number: int) -> tuple[str, float]:
    """One order, committed; (reference, when the commit was through)."""
    dealer, portal_dealer, currency = one.dealers[number % len(one.dealers)]
    product, uom = one.product
    line = NewLine(product, Decimal(1), uom, unit_price=Decimal(1), gross=Decimal(1))
    key = f"latency-{next(_keys)}"
    order = NewOrder(ERP, dealer, key, currency, (line,), gross=Decimal(1), backorder=True)
    with as_dealer(db, portal_dealer):
        placed = place_order(db, order)
    return placed.reference, time.time()


def _orders(one: Installed, rate: int, seconds: int) -> dict[str, Any]:
    """Orders at a rate; from each one's commit to the acknowledgement written down."""
    wanted = rate * seconds
    placed: dict[str, float] = {}
    with psycopg.connect(one.url, autocommit=True) as db:
        began = time.monotonic()
        for number in range(wanted):
            pause = began + number / rate - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            reference, at = place(db, one, number)
            placed[reference] = at
        took = time.monotonic() - began
        done = delivered(db, list(placed), 120)
        erp = [
            float(s)
            for (s,) in db.execute(
                "SELECT a.seconds FROM sync.delivery_attempt a JOIN sync.outbox o "
                "ON o.id = a.message_id WHERE a.what = 'send' AND a.event = 'ended' "
                "AND o.reference = ANY (%s) AND a.seconds IS NOT NULL",
                (list(placed),),
            ).fetchall()
        ]
    waits = [done[reference] - at for reference, at in placed.items() if reference in done]
    case = {
        "case": f"orders, {rate} a second",
        "placed": wanted,
        "placed_a_second": round(wanted / took, 1),
        "acknowledged": len(done),
        "commit_to_acknowledged": spread(waits),
        "erp_itself": spread(erp),
        "right": len(done) == wanted,
    }
    _say(case)
    return case


def _sweep(one: Installed, count: int = 200) -> dict[str, Any]:
    """What Airflow's sweep does every minute, over a backlog: how fast it drains."""
    with psycopg.connect(one.url, autocommit=True) as db, Context.open(one.settings) as ctx:
        references = [place(db, one, number)[0] for number in range(count)]
        began = time.monotonic()
        deliver_due(ctx, threads=4, limit=count * 2)
        took = time.monotonic() - began
        done = delivered(db, references, 5)
    case = {
        "case": "the sweep alone",
        "placed": count,
        "acknowledged": len(done),
        "seconds": round(took, 2),
        "messages_a_second": round(len(done) / took, 1),
        "right": len(done) == count,
    }
    _say(case)
    return case


def delivered(
    db: psycopg.Connection[Any], references: list[str], seconds: float
) -> dict[str, float]:
    """Reference → when its acknowledgement was written; those that came within the time."""
    end = time.monotonic() + seconds
    while True:
        rows = db.execute(
            "SELECT reference, extract(epoch FROM delivered_at) FROM sync.outbox "
            "WHERE reference = ANY (%s) AND state = 'delivered'",
            (references,),
        ).fetchall()
        if len(rows) == len(references) or time.monotonic() > end:
            return {str(reference): float(at) for reference, at in rows}
        time.sleep(0.1)


# --- live credit ---


def _credit(one: Installed) -> Iterator[dict[str, Any]]:
    """Credit asked live at a rate, of an ERP that is well, slow, and hung."""
    yield _asked(one, "well", None)
    yield _asked(one, "slow (1 s)", {"name": "slow", "seconds": 1.0})
    yield _asked(one, "hung", {"name": "hang"})
    ask_practice(one.settings, "/behave", {})
    yield _asked(one, "well again, from this moment on", None)


def _asked(
    one: Installed, name: str, fault: dict[str, Any] | None, seconds: int = 15
) -> dict[str, Any]:
    if fault is not None:
        ask_practice(one.settings, "/behave", {})
        wish = {"erp": ERP, "times": None, "where": "CreditAccounts", **fault}
        ask_practice(one.settings, "/fault", wish)
    headers = {"Authorization": f"Bearer {gateway_tokens(one.settings)['portal']}"}
    answers: Counter[str] = Counter()
    failed = 0
    first_live: float | None = None
    waits: list[float] = []
    lock = threading.Lock()
    limits = httpx.Limits(max_connections=400)
    with httpx.Client(base_url=one.gateway, headers=headers, timeout=60, limits=limits) as client:

        def once(number: int) -> None:
            nonlocal failed, first_live
            dealer = one.dealers[number % len(one.dealers)][0]
            asked = time.monotonic()
            body = client.get(f"/credit/{dealer}?erp={ERP}").json()
            now = time.monotonic()
            if "error" in body:
                how = str(body["error"])
            else:
                account = body["accounts"][0]
                how = "live" if account["live"] else str(account["not_live_because"])
            with lock:
                failed += "error" in body
                answers[how] += 1
                waits.append(now - asked)
                if how == "live":
                    first_live = min(first_live or now, now)

        with ThreadPoolExecutor(300) as pool:
            began = time.monotonic()
            for number in range(ASKS_A_SECOND * seconds):
                pause = began + number / ASKS_A_SECOND - time.monotonic()
                if pause > 0:
                    time.sleep(pause)
                pool.submit(once, number)
    wanted = ASKS_A_SECOND * seconds
    case = {
        "case": f"credit at {ASKS_A_SECOND} a second, ERP {name}",
        "asked": wanted,
        "answered": len(waits),
        "failed": failed,
        "live_share": round(answers["live"] / max(1, len(waits)), 3),
        "answers": dict(answers),
        "first_live_after": None if first_live is None else round(first_live - began, 2),
        "seconds": spread(waits),
        "right": len(waits) == wanted and not failed and max(waits) < HANGS,
    }
    _say(case)
    return case


def spread(values: list[float]) -> dict[str, float]:
    """p50, p95, p99 and the longest."""
    if len(values) < 2:  # noqa: PLR2004  no spread in one
        return {}
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    found = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(values)}
    return {name: round(value, 4) for name, value in found.items()}


def _say(case: dict[str, Any]) -> None:
    print(json.dumps(case), flush=True)


if __name__ == "__main__":
    sys.exit(main())
