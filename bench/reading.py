"""Reading prices: one statement for N products of one dealer, beside as many plain key look-ups.

Makes its own embedded server and price list, asks through pgbench (several baskets, interleaved
rounds), and first holds every shape of the question against the others, row by row. Must not touch
an installation.

    python -m bench.reading --rows 10000000 --json FILE
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from bench.baskets import COLUMNS, Basket, by_or, by_probe, candidates, keys, portal
from bench.price_list import DAY, ERP, PriceList
from bench.priority import before_others
from mappings.pricing import Pricing
from portal_db import server
from portal_db.migrate import migrate
from portal_db.resolver import Ask, Market, resolve_for

BASKETS = 30
_COMPARED = 10
"""Baskets whose every candidate is compared with the obvious way, which takes seconds for each."""


class Reading:
    """One run over one price list."""

    def __init__(self, url: str, prices: PriceList, folder: Path, seconds: float) -> None:
        self._url = url
        self._prices = prices
        self._folder = folder
        self._seconds = seconds
        self._db = psycopg.connect(url, autocommit=True)
        draw = random.Random(7)
        self._small = [self._basket(draw, 50) for _ in range(BASKETS)]
        self._large = [self._basket(draw, 2000) for _ in range(5)]

    def _basket(self, draw: random.Random, n: int) -> Basket:
        dealer = draw.randint(1, self._prices.dealers)
        own = self._prices.products_of(dealer)
        products = draw.sample(own, min(n // 2, len(own)))
        others = [self._prices.product(i) for i in range(1, self._prices.products + 1)]
        chosen = set(products)
        products += draw.sample([one for one in others if one not in chosen], n - len(products))
        draw.shuffle(products)
        return Basket(dealer, tuple(products), tuple(self._prices.headers(draw, n)))

    def check(self) -> None:
        """Every shape gives the same rows. Raises RuntimeError at the first basket that differs."""
        for basket in self._small[:_COMPARED]:
            rows = [
                sorted(self._db.execute(text).fetchall())  # type: ignore[call-overload]
                for text in (
                    f"SELECT {COLUMNS} FROM ({candidates(basket, every=True)}) x",
                    by_probe(basket),
                    by_or(basket),
                )
            ]
            if not rows[0] or any(one != rows[0] for one in rows[1:]):
                message = f"the shapes differ for dealer {basket.dealer}"
                raise RuntimeError(message)
        for basket in self._small:
            short = self._priced(basket, detail=False)
            if short != self._priced(basket, detail=True):
                message = f"stopping early changed a price of dealer {basket.dealer}"
                raise RuntimeError(message)

    def _priced(self, basket: Basket, *, detail: bool) -> list[object]:
        key = f"D{basket.dealer:06d}"
        market = Market(ERP, ERP, key, ERP, "EUR", date.fromisoformat(DAY), Pricing())
        asks = [Ask(one, Decimal(1), "PCE") for one in basket.products]
        answers = resolve_for(self._db, market, asks, detail=detail)
        return [(one.status, one.unit, one.line_net, one.won) for one in answers]

    def run(self, rounds: int) -> list[dict[str, Any]]:
        """Interleaved rounds; returns an item per case."""
        small: dict[str, Callable[[Basket], str]] = {
            "keys_50": keys,
            "resolve_50": candidates,
            "resolve_50_every_level": lambda basket: candidates(basket, every=True),
            "resolve_50_portal": portal,
            "probes_50": by_probe,
            "or_50": by_or,
        }
        large: dict[str, Callable[[Basket], str]] = {
            "keys_2000": keys,
            "resolve_2000": candidates,
            "resolve_2000_every_level": lambda basket: candidates(basket, every=True),
        }
        found: dict[str, list[list[float]]] = {name: [] for name in (*small, *large)}
        found["resolve_50_with_choice"] = []
        for number in range(rounds + 1):
            for name, text in small.items():
                found[name].append(self._ask(text, self._small, number))
            for name, text in large.items():
                found[name].append(self._ask(text, self._large, number))
            found["resolve_50_with_choice"].append(self._in_python())
        items = [self._item(name, kept[1:], found) for name, kept in found.items()]  # 1st: warm-up
        cpu = {
            name: self._cpu(text, self._small) for name, text in small.items() if name != "or_50"
        }
        cpu |= {name: self._cpu(text, self._large) for name, text in large.items()}
        for one in items:
            mine = cpu.get(one["case"])
            if mine is not None:
                limit = cpu["keys_2000" if "2000" in one["case"] else "keys_50"]
                one["cpu_ms"] = round(mine, 3)
                one["cpu_ratio"] = round(mine / limit, 2) if limit else None
        return items

    def _cpu(self, text: Callable[[Basket], str], baskets: list[Basket]) -> float | None:
        """Milliseconds of the server's processor a statement: what neighbours do not blur much.

        The statements run inside the server, so neither output nor the client counts. None where
        the kernel does not tell.
        """
        row = self._db.execute("SELECT pg_backend_pid()").fetchone()
        told = Path(f"/proc/{row[0] if row else 0}/schedstat")
        if not told.exists():
            return None
        self._db.execute("SET app.dealer = '1'")
        loops = "".join(f"FOR r IN {text(one)} LOOP END LOOP; " for one in baskets)
        body = f"DECLARE r record; BEGIN FOR i IN 1..20 LOOP {loops} END LOOP; END"
        taken: list[float] = []
        for _ in range(5):
            before = int(told.read_text(encoding="ascii").split()[0])
            self._db.execute(f"DO $do$ {body} $do$")  # type: ignore[call-overload]
            after = int(told.read_text(encoding="ascii").split()[0])
            taken.append((after - before) / 1e6 / 20 / len(baskets))
        return statistics.median(taken)

    def _item(
        self, name: str, rounds: list[list[float]], found: dict[str, list[list[float]]]
    ) -> dict[str, Any]:
        limit = found["keys_2000" if "2000" in name else "keys_50"][1:]
        ratios = [
            statistics.median(mine) / statistics.median(theirs)
            for mine, theirs in zip(rounds, limit, strict=True)
        ]
        every = sorted(one for part in rounds for one in part)
        return {
            "case": name,
            "rows": self._prices.rows,
            "p50_ms": round(statistics.median(every), 3),
            "p95_ms": round(every[int(len(every) * 0.95)], 3),
            "ratio": round(statistics.median(ratios), 2),
            "tps": round(1000 * len(every) / sum(every), 1),
        }

    def _ask(
        self, text: Callable[[Basket], str], baskets: list[Basket], number: int
    ) -> list[float]:
        """Milliseconds of each transaction, by pgbench, or by psycopg where there is none."""
        program = shutil.which("pgbench")
        seconds = self._seconds if number else 1
        if program is None:
            return self._without_pgbench([text(one) for one in baskets], seconds)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            files: list[str] = []
            for index, basket in enumerate(baskets):
                path = Path(folder) / f"{index}.sql"
                path.write_text(text(basket) + ";\n", encoding="ascii")
                files += ["-f", str(path)]
            log = f"{folder}/log"
            setup = {"PGOPTIONS": "-c app.dealer=1 -c role=waybill_portal_app"}
            environment = {**os.environ, **(setup if text is portal else {})}
            command = [program, "-n", "-M", "prepared", "-c", "1", "-T", f"{seconds:g}", "-l"]
            done = subprocess.run(
                [*command, "--log-prefix", log, *files, self._url],
                capture_output=True,
                check=False,
                env=environment,
            )
            if done.returncode:
                message = done.stderr.decode(errors="replace")[-500:]
                raise RuntimeError(message)
            lines = [line for one in Path(folder).glob("log*") for line in one.open()]
        return [int(line.split()[2]) / 1000 for line in lines]

    def _without_pgbench(self, texts: list[str], seconds: float) -> list[float]:
        taken: list[float] = []
        until = time.perf_counter() + seconds
        with psycopg.connect(self._url, prepare_threshold=0) as connection:
            connection.execute("SET app.dealer = '1'")
            while time.perf_counter() < until:
                for text in texts:
                    start = time.perf_counter()
                    connection.execute(text).fetchall()  # type: ignore[call-overload]
                    taken.append((time.perf_counter() - start) * 1000)
        return taken

    def _in_python(self) -> list[float]:
        taken: list[float] = []
        for basket in self._small:
            start = time.perf_counter()
            self._priced(basket, detail=False)
            taken.append((time.perf_counter() - start) * 1000)
        return taken


def show(items: list[dict[str, Any]]) -> None:
    """A table for people."""
    columns = ("p50_ms", "p95_ms", "ratio", "tps", "cpu_ms", "cpu_ratio")
    print(f"{'case':28}" + "".join(f"{name:>11}" for name in columns))
    for one in items:
        print(f"{one['case']:28}" + "".join(f"{one.get(name) or '-':>11}" for name in columns))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.reading")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seconds", type=float, default=4, help="of each case and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--home", type=Path, help="keep the server and the price list here")
    parser.add_argument("--priority", action="store_true", help="before other work (root only)")
    given = parser.parse_args()
    if shutil.which("pgbench") is None:
        print("pgbench is not on the PATH: measured by psycopg instead, its own time included")
    with tempfile.TemporaryDirectory(prefix="waybill-reading-") as temporary:
        home = given.home or Path(temporary) / "home"
        home.mkdir(parents=True, exist_ok=True)
        url = server.start(home, fsync=False)
        try:
            with before_others(home, wanted=given.priority) as granted:
                migrate(url)
                prices = PriceList(url, given.rows)
                built = prices.make()
                print(json.dumps(built))
                reading = Reading(url, prices, Path(temporary), given.seconds)
                reading.check()
                print("every shape gives the same rows")
                items = [*built["items"], *reading.run(given.rounds)]
            items.append({"case": "about", "before_others": granted})
        finally:
            server.stop(home)
    show([one for one in items if "p50_ms" in one])
    if given.json:
        given.json.write_text(json.dumps(items, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
