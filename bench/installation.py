"""An installation for the benchmark alone: home, server, mapping, the files that an ERP exports.

Must not measure anything.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from bench import price_file
from mappings.feeds import FEEDS, PARTS
from mappings.settings import Settings
from portal_db import server
from portal_db.migrate import migrate

SETTINGS = (
    "server_version", "shared_buffers", "max_wal_size", "synchronous_commit", "fsync",
    "full_page_writes", "data_checksums", "wal_level", "work_mem", "maintenance_work_mem", "jit",
    "autovacuum", "max_parallel_workers_per_gather", "checkpoint_timeout",
)  # fmt: skip


class Installation:
    """Everything under one folder; `close` stops the server and leaves the files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.mappings = folder / "erps"
        for one in (self.home, self.mappings):
            one.mkdir(parents=True, exist_ok=True)
        self.settings = Settings.read({}, home=self.home, mappings=(self.mappings,))
        self.url = server.start(self.home)
        with psycopg.connect(self.url) as connection:
            listens = connection.execute("SHOW listen_addresses").fetchone()
        if listens != ("",):  # a run was killed while peers were at it
            self._listen_no_more()
        migrate(self.url)
        self._numbers: dict[str, int] = {}
        self._connections: dict[str, Any] = {}

    def close(self) -> None:
        """Stop the server."""
        server.stop(self.home)

    @contextmanager
    def listening(self) -> Iterator[str]:
        """The server's URL over TCP, with a password, for tools that know no unix socket.

        It listens on 127.0.0.1 as long as the block lasts, to one role made for it, and is started
        anew at both ends.
        """
        password = secrets.token_urlsafe(24)
        access = self.home / "postgres" / "bench_access.conf"
        access.write_text(
            "local all all trust\nhost waybill bench_peer 127.0.0.1/32 scram-sha-256\n",
            encoding="ascii",
        )
        access.chmod(0o644)
        with psycopg.connect(self.url, autocommit=True) as connection:
            if not connection.execute(
                "SELECT FROM pg_roles WHERE rolname = 'bench_peer'"
            ).fetchall():
                connection.execute("CREATE ROLE bench_peer")
            connection.execute(sql.SQL("ALTER ROLE bench_peer LOGIN PASSWORD {}").format(password))
            connection.execute("GRANT CREATE ON DATABASE waybill TO bench_peer")
            connection.execute("ALTER SYSTEM SET listen_addresses = '127.0.0.1'")
            connection.execute(
                sql.SQL("ALTER SYSTEM SET hba_file = {}").format(str(access.resolve()))
            )
        try:
            self._restart()
            with psycopg.connect(self.url) as connection:
                row = connection.execute("SHOW port").fetchone()
            yield f"postgresql://bench_peer:{password}@127.0.0.1:{row[0] if row else 5432}/waybill"
        finally:
            self._listen_no_more()

    def _listen_no_more(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM RESET listen_addresses")
            connection.execute("ALTER SYSTEM RESET hba_file")
            connection.execute("ALTER ROLE bench_peer NOLOGIN PASSWORD NULL")
        self._restart()

    def _restart(self) -> None:
        server.stop(self.home)
        self.url = server.start(self.home)

    def pg_settings(self) -> dict[str, str]:
        """The server's settings that the figures depend on."""
        with psycopg.connect(self.url) as connection:
            rows = connection.execute(
                "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)",
                (list(SETTINGS),),
            ).fetchall()
        return dict(rows)

    def add_erp(
        self,
        erp: str,
        protocol: str = "files",
        *,
        prices: dict[str, Any] | None = None,
        **more: object,
    ) -> Path:
        """A folder of exports with dealers and products in it, mapped and connected.

        `prices`: another `source` and `fields` of the prices than the file's.
        """
        top = self.folder / "exports" / erp
        (top / "out").mkdir(parents=True, exist_ok=True)
        self._connections[erp] = {"conn_type": "fs", "extra": {"path": str(top)}, **more}
        text = json.dumps(self._connections)
        self.settings.connections_file.write_text(text, encoding="utf-8")
        self.settings.connections_file.chmod(0o600)
        mapping = _mapping(erp, protocol)
        if prices is not None:
            feed = mapping["feeds"]["prices"]
            feed["source"] = prices["source"]
            feed["fields"] |= prices["fields"]
        (self.mappings / f"{erp}.yaml").write_text(json.dumps(mapping), encoding="utf-8")
        self._export(
            top,
            "dealer",
            "key;name;status;account_key;currency",
            [f"{key};Dealer {key};active;{key};EUR" for key in price_file.dealers()],
        )
        self._export(
            top,
            "product",
            "key;name;status;base_uom;tax_pct",
            [f"{key};Product {key};active;ADET;20" for key in price_file.products()],
        )
        return top

    def offer(self, erp: str, file: Path) -> None:
        """Let a file be the newest export of prices of an ERP (a hard link: nothing is copied)."""
        number = self._numbers[erp] = self._numbers.get(erp, 0) + 1
        out = self.folder / "exports" / erp / "out"
        for old in out.glob("price_[0-9]*"):
            old.unlink()
        path = out / f"price_{number:06}.csv"
        path.hardlink_to(file)
        path.with_name(path.name + ".done").touch()

    def psql_copy(self, file: Path, table: str = "bench_limit") -> list[str]:
        r"""Create the unlogged table, and the command that fills it by psql's \copy."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP TABLE IF EXISTS {table}")  # pyright: ignore[reportArgumentType, reportCallIssue]
            connection.execute(
                f"CREATE UNLOGGED TABLE {table} (header_key text, dealer_key text, "  # pyright: ignore[reportArgumentType, reportCallIssue]
                "product_key text, min_qty numeric(12,3), unit_price numeric(18,4), "
                "currency char(3), valid_from date, valid_to date, uom text)"
            )
        return [
            str(server.programs() / "psql"),
            "-qX",
            self.url,
            "-c",
            rf"\copy {table} from '{file}' with (format csv, header true)",
        ]

    def forget_prices(self, erp: str) -> None:
        """Drop an ERP's prices: the next round begins with another ERP."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP TABLE IF EXISTS portal.price_{erp}")  # pyright: ignore[reportArgumentType, reportCallIssue]
        subprocess.run(["rm", "-rf", str(self.home / "landing" / erp)], check=True)

    def _export(self, top: Path, part: str, header: str, lines: list[str]) -> None:
        path = top / "out" / f"{part}_000001.csv"
        body = "\n".join([header, *lines, f"TRL;{len(lines)}"]) + "\n"
        path.write_text(body, encoding="cp1254")
        path.with_name(path.name + ".done").touch()


def _source(part: str, protocol: str) -> dict[str, Any]:
    return {
        "protocol": protocol,
        "files": f"out/{part}_[0-9]*.csv",
        "order": rf"{part}_(\d+)\.csv$",
        "marker": ".done",
        "format": {
            "kind": "csv",
            "delimiter": ";",
            "encoding": "cp1254",
            "trailer": {"starts_with": "TRL", "count": "2"},
        },
    }


def _feed(feed: str, fields: dict[str, Any], protocol: str) -> dict[str, Any]:
    main = FEEDS[feed].main
    named = {one.name: fields.get(one.name, "absent") for one in PARTS[main].mapped_fields}
    return {
        "mode": "snapshot",
        "source": _source(main, protocol),
        "fields": named,
        "parts": {part.name: "absent" for part in FEEDS[feed].parts if part.name != main},
    }


def _mapping(erp: str, protocol: str) -> dict[str, Any]:
    def same(*names: str) -> dict[str, Any]:
        return {name: {"from": name} for name in names}

    return {
        "erp": erp,
        "connection": erp,
        "time_zone": "Europe/Istanbul",
        "catalogue": "open",
        "feeds": {
            "customers": _feed(
                "customers", same("key", "name", "status", "account_key", "currency"), protocol
            ),
            "products": _feed(
                "products", same("key", "name", "status", "base_uom", "tax_pct"), protocol
            ),
            "prices": _feed(
                "prices",
                {
                    "header_key": {"from": "KOSUL_NO"},
                    "level": {"const": "customer"},
                    "dealer_scope": {"const": "dealer"},
                    "dealer_key": {"from": "CARI_KODU"},
                    "product_scope": {"const": "product"},
                    "product_key": {"from": "STOK_KODU"},
                    "currency": {"from": "DOVIZ"},
                    "uom": {"from": "BIRIM"},
                    "per": {"const": "1"},
                    "min_qty": {"from": "MIKTAR", "through": ["decimal_comma"]},
                    "unit_price": {"from": "BIRIM_FIYAT", "through": ["decimal_comma"]},
                    "valid_from": {"from": "ILK_GUN", "through": ["dotted_date"]},
                    "valid_to": {
                        "from": "SON_GUN",
                        "through": ["dotted_date", "date_end_inclusive"],
                    },
                },
                protocol,
            ),
        },
    }
