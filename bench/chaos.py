"""`make chaos`: orders against each practice ERP while everything breaks; every one arrives once.

At random: the answer is lost after the ERP has committed, 503, reset, truncated, slow; a message is
handed to two workers at once; a worker is killed (SIGKILL) every few seconds; the database is
restarted. Ends with a count: orders in the ERP, doubled, lost. The seed decides the faults; what
the scheduler makes of them it does not.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.ordering import ERPS, Ordering, open_shop, patiently
from mappings.settings import REPOSITORY, Settings, child_environment
from portal_db import server
from sync.context import Context
from sync.deliver import deliver_due

RATES = {
    "lost_answer": 0.04,
    "reset": 0.03,
    "maintenance": 0.03,
    "truncated": 0.01,
    "drop": 0.02,
    "slow": 0.02,
}
SLOW_SECONDS = 0.3
AGAIN = 0.5
"""Share of the sweeps after which one open message is taken by name as well."""
WORKERS = 3
KILL_EVERY = (1.5, 5.0)
RESTART_EVERY = (20.0, 40.0)


@dataclass(slots=True)
class Result:
    """What one ERP's run ended with."""

    erp: str
    placed: int
    in_erp: int
    doubled: int
    lost: int
    seconds: float
    seed: int


def worker(erp: str, seed: int) -> None:
    """Deliver until killed; now and then take one message by name, as a second notice would."""
    settings = Settings.read()
    dice = random.Random(seed)
    while True:
        try:
            with Context.open(settings) as ctx:
                while True:
                    report = deliver_due(ctx, erp=erp, limit=200, threads=2)
                    with ctx.connection() as connection:
                        row = connection.execute(
                            "SELECT id FROM sync.outbox WHERE erp = %s AND state IN "
                            "('pending','sending','retryable','uncertain') "
                            "ORDER BY random() LIMIT 1",
                            (erp,),
                        ).fetchone()
                    if row is not None and dice.random() < AGAIN:
                        deliver_due(ctx, erp=erp, message_id=int(row[0]), limit=2)
                    if report.attempts == 0:
                        time.sleep(0.05)
        except Exception as error:  # noqa: BLE001  a database that restarts; try again
            sys.stderr.write(f"{type(error).__name__}: {str(error)[:200]}\n")
            time.sleep(0.1)


def foreman(erp: str) -> None:
    """Imports everything once, then forks a worker for each line with a seed; answers its pid."""
    for name in ("soap_send", "odata_send", "sftp_send"):  # a killed worker is replaced at once
        importlib.import_module(f"connectors.{name}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            worker(erp, int(line))
            os._exit(0)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


class Crew:
    """Worker processes; one is killed every few seconds and replaced."""

    def __init__(self, shop: Ordering, seed: int, folder: Path) -> None:
        self._dice = random.Random(seed)
        self._log = (folder / "workers.log").open("ab")
        self._foreman = subprocess.Popen(
            [sys.executable, "-m", "bench.chaos", "--foreman", shop.erp],
            cwd=REPOSITORY,
            env=child_environment(shop.settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.killed = 0
        self.people = [self._hire() for _ in range(WORKERS)]

    def _hire(self) -> int:
        wish, answer = self._foreman.stdin, self._foreman.stdout
        if wish is None or answer is None:
            raise BrokenPipeError
        wish.write(f"{self._dice.randrange(2**31)}\n")
        wish.flush()
        return int(answer.readline())

    def kill_one(self) -> None:
        """As a power cut."""
        place = self._dice.randrange(len(self.people))
        os.kill(self.people[place], signal.SIGKILL)
        self.killed += 1
        self.people[place] = self._hire()

    def dismiss(self) -> None:
        """Everybody goes home."""
        for pid in self.people:
            os.kill(pid, signal.SIGKILL)
        self._foreman.kill()
        self._foreman.wait()
        self._log.close()


class Placing:
    """Places all orders, one after the other, in a thread; again where the database was away."""

    def __init__(self, shop: Ordering, orders: int, until: float) -> None:
        self.references: dict[int, str] = {}
        self.stop = threading.Event()
        self._shop, self._orders, self._until = shop, orders, until
        self._connection: psycopg.Connection[Any] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Is every order placed?"""
        return len(self.references) == self._orders

    def _run(self) -> None:
        for number in range(self._orders):
            self.references[number] = patiently(
                lambda number=number: self._one(number), until=self._until, now=time.monotonic
            )
            if self.stop.is_set():
                return

    def _one(self, number: int) -> str:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(self._shop.url, autocommit=True)
        try:
            return self._shop.place(self._connection, number).reference
        except psycopg.OperationalError:
            self._connection.close()  # asked again with the same key: the same order
            raise


def run(erp: str, orders: int, seed: int, folder: Path, limit_seconds: float) -> Result:
    """One ERP from the first order to the last answer."""
    shop = open_shop(erp, folder)
    where = {"anvil": "CreateOrder", "birch": "POST", "cedar": ""}[erp]
    shop.erp_server.faults.shake(RATES, seed=seed, where=where, seconds=SLOW_SECONDS)
    crew = Crew(shop, seed, folder)
    began = time.monotonic()
    placing = Placing(shop, orders, began + limit_seconds)
    try:
        restarts = _storm(shop, crew, placing, random.Random(seed), began + limit_seconds)
    finally:
        placing.stop.set()
        crew.dismiss()
    seconds = time.monotonic() - began
    sys.stderr.write(
        f"{erp}: {crew.killed} workers killed, database restarted {restarts} times, faults shown "
        f"{len(shop.erp_server.faults.taken)}, {_states(shop)}\n"
    )
    books = shop.books()
    shop.erp_server.stop()
    server.stop(shop.settings.home)
    references = set(placing.references.values())
    return Result(
        erp=erp,
        placed=len(references),
        in_erp=sum(books.values()),
        doubled=sum(times - 1 for times in books.values()),
        lost=len(references - books.keys()),
        seconds=round(seconds, 1),
        seed=seed,
    )


def _storm(shop: Ordering, crew: Crew, placing: Placing, dice: random.Random, until: float) -> int:
    """Kill workers and restart the database until everything has arrived; how many restarts."""
    began = shown = time.monotonic()
    kill_at = began + dice.uniform(*KILL_EVERY)
    restart_at = began + dice.uniform(*RESTART_EVERY)
    restarts = 0
    while (now := time.monotonic()) < until:
        if now > kill_at:
            crew.kill_one()
            kill_at = now + dice.uniform(*KILL_EVERY)
        if now > restart_at:
            server.stop(shop.settings.home)
            server.start(shop.settings.home)
            restarts += 1
            restart_at = time.monotonic() + dice.uniform(*RESTART_EVERY)
        if now > shown + 5:
            shown, states = now, _states(shop)
            done = len(placing.references)
            sys.stderr.write(f"{shop.erp} {now - began:6.1f} s: placed {done}, {states}\n")
            if placing.done and states and not _open(states):
                break
        time.sleep(0.05)
    return restarts


def _states(shop: Ordering) -> dict[str, int]:
    try:
        with psycopg.connect(shop.url, autocommit=True) as connection:
            return dict(
                connection.execute(
                    "SELECT CASE WHEN awaits_answer THEN 'awaiting' ELSE state END, count(*) "
                    "FROM sync.outbox GROUP BY 1"
                ).fetchall()
            )
    except (psycopg.OperationalError, ConnectionError):
        return {}


def _open(states: dict[str, int]) -> int:
    return sum(n for state, n in states.items() if state not in ("delivered", "dead", "cancelled"))


def main() -> int:
    """Exit code 0 where every order is in its ERP once."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000, help="against each ERP")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--erp", choices=ERPS, action="append", help="only this one; may repeat")
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds an ERP at most")
    parser.add_argument("--foreman", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.foreman:
        foreman(given.foreman)
        return 0
    results: list[dict[str, Any]] = []
    for erp in given.erp or ERPS:
        seed = given.seed + ERPS.index(erp)  # the same whether it runs alone or with the others
        with tempfile.TemporaryDirectory(prefix="waybill-chaos-") as folder:
            os.chmod(folder, 0o755)  # noqa: PTH101, S103  the server may run as another account
            done = run(erp, given.orders, seed, Path(folder), given.limit)
        results.append({name: getattr(done, name) for name in Result.__slots__})
        print(json.dumps(results[-1]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    good = all(
        r["in_erp"] == r["placed"] == given.orders and not r["doubled"] and not r["lost"]
        for r in results
    )
    print(f"seed {given.seed}: {'every order once' if good else 'NOT every order once'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
