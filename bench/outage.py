"""An ERP that is down for four hours, time compressed: backlog, drain rate, order kept.

`python -m bench.outage --rate 40 --hours 4 --compress 240` places what would come in four hours
(rate an hour) while the ERP refuses connections, then lets it come back and times the drain.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from bench.ordering import erp_at, open_shop
from portal_db import server
from sync.context import Context
from sync.deliver import deliver_due


def main() -> int:
    """Exit code 0 where every order arrived once and each dealer's in order."""
    parser = argparse.ArgumentParser(prog="python -m bench.outage", description=__doc__)
    parser.add_argument("--erp", default="birch", choices=("anvil", "birch", "cedar"))
    parser.add_argument("--rate", type=float, default=120.0, help="orders an hour")
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--compress", type=float, default=480.0, help="hours become seconds/…")
    parser.add_argument("--threads", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waybill-outage-") as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103  the server may run as another account
        found = outage(given, Path(folder))
    print(json.dumps(found))
    return 0 if found["in_order"] and found["arrived_once"] == found["placed"] else 1


def outage(given: argparse.Namespace, folder: Path) -> dict[str, object]:
    """The figures of one outage."""
    shop = open_shop(given.erp, folder)
    account = shop.erp_server.connection()
    port = int(account["port"])
    keys = {
        name: getattr(shop.erp_server, f"{name}_text")
        for name in ("host_key", "private_key")
        if given.erp == "cedar"  # its client knows it by these
    }
    sign_in = (
        account.get("login") or account["extra"]["client_id"],
        account.get("password") or account["extra"]["client_secret"],
    )
    rows = shop.erp_server.dataset
    shop.erp_server.stop()
    down = given.hours * 3600 / given.compress
    orders = int(given.rate * given.hours)
    placed: list[tuple[int, str]] = []
    sends = 0
    with Context.open(shop.settings) as ctx, psycopg.connect(shop.url, autocommit=True) as portal:
        began = time.monotonic()
        while (passed := time.monotonic() - began) < down or len(placed) < orders:
            while len(placed) < orders and len(placed) <= orders * passed / down:
                dealer, _ = shop.one_order(len(placed))
                placed.append((dealer, shop.place(portal, len(placed)).reference))
            sends += deliver_due(ctx, erp=given.erp, threads=given.threads).attempts
            time.sleep(0.05)
        incidents = portal.execute(
            "SELECT times FROM sync.incident WHERE closed_at IS NULL"
        ).fetchall()
        book = folder / "orders.jsonl"
        shop.erp_server = erp_at(given.erp, rows, sign_in, folder, book, port, **keys)
        shop.erp_server.book._stock = {}  # noqa: SLF001  an ERP that never runs out
        shop.erp_server.start()
        back = time.monotonic()
        while _waiting(portal):
            deliver_due(ctx, erp=given.erp, threads=given.threads, limit=100_000)
            time.sleep(0.02)
        drained = time.monotonic() - back
    taken = [order.reference for order in shop.erp_server.book.orders]
    dealers = {dealer for dealer, _ in placed}
    in_order = all(
        [one for one in taken if one in mine] == mine
        for dealer in dealers
        for mine in [[reference for d, reference in placed if d == dealer]]
    )
    shop.erp_server.stop()
    server.stop(shop.settings.home)
    return {
        "erp": given.erp,
        "down_seconds": round(down, 1),
        "stands_for_hours": given.hours,
        "placed": len(placed),
        "backlog": len(placed),
        "sends_while_down": sends,
        "incidents": [times for (times,) in incidents],
        "drain_seconds": round(drained, 2),
        "drained_a_second": round(len(placed) / drained, 1),
        "arrived_once": len(taken) if len(set(taken)) == len(taken) else -1,
        "in_order": in_order,
    }


def _waiting(portal: psycopg.Connection[tuple[object, ...]]) -> bool:
    row = portal.execute(
        "SELECT count(*) FROM sync.outbox WHERE awaits_answer OR state NOT IN "
        "('delivered','dead','cancelled')"
    ).fetchone()
    return row is not None and row[0] != 0


if __name__ == "__main__":
    sys.exit(main())
