"""What the file ERP takes: it looks into its inbox, makes orders of the files, answers with files.

A file counts once its marker is there. What was read goes to the archive, what cannot be read to
the folder of errors; the same file put there again is another order. Knows no wire.
"""

import csv
import io
import threading
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from sandbox.orders import Order, OrderBook, RefusedError
from sandbox.sftp.dialect import UNITS

ENCODING = "cp1254"
MARKER = ".done"
INBOX, CANCELS, ARCHIVE, ERROR, ANSWERS = "in/siparis", "in/iptal", "in/arsiv", "in/hata", "yanit"
FOLDERS = (INBOX, CANCELS, ARCHIVE, ERROR, ANSWERS)
_CODES = {theirs: ours for ours, theirs in UNITS.items()}
_LOOK_SECONDS = 0.02


class Intake:
    """Looks into the inbox now and then, in a thread of its own."""

    def __init__(self, folder: Path, book: OrderBook, every: float = _LOOK_SECONDS) -> None:
        self.folder = folder
        self.book = book
        self.every = every
        self.asleep = threading.Event()
        """Set: it does not look, as an ERP whose nightly job has not run yet."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sftp-intake", daemon=True)
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.wait(self.every):
            if not self.asleep.is_set():
                for inbox in (INBOX, CANCELS):
                    markers = (self.folder / inbox).glob(f"*{MARKER}")
                    for marker in sorted(markers, key=lambda one: one.stat().st_mtime_ns):
                        self._take(marker)  # as they came, not by their names

    def _take(self, marker: Path) -> None:
        file = marker.with_name(marker.name.removesuffix(MARKER))
        if not file.exists():
            return
        content = file.read_bytes()
        try:
            answer = self._made(file.parent.name, content)
        except (UnicodeDecodeError, KeyError, ValueError, InvalidOperation, IndexError):
            file.replace(self.folder / ERROR / file.name)
        else:
            beside = self.folder / ANSWERS / f".{file.name}.part"
            beside.write_bytes(answer)
            beside.replace(self.folder / ANSWERS / file.name)
            file.replace(self.folder / ARCHIVE / file.name)
        marker.unlink(missing_ok=True)

    def _made(self, inbox: str, content: bytes) -> bytes:
        records = list(
            csv.DictReader(io.StringIO(content.decode(ENCODING), newline=""), delimiter=";")
        )
        first = records[0]
        try:
            if inbox == Path(CANCELS).name:
                self.book.cancel(first["SIPARIS_REF"])
                self.book.note("cancel", first["IPTAL_REF"], first)
                return _written([{"SIPARIS_REF": first["SIPARIS_REF"], "DURUM": "KABUL"}])
            order = self.book.take(_wish(first, records))
        except RefusedError as no:
            return _written(
                [{"SIPARIS_REF": first["SIPARIS_REF"], "DURUM": "RED", "NEDEN": no.says}]
            )
        return _written(_answer(order))


def _wish(first: dict[str, str], records: list[dict[str, str]]) -> dict[str, object]:
    day = first.get("TESLIM_TARIHI")
    wanted = datetime.strptime(day, "%d.%m.%Y").date() if day else None  # noqa: DTZ007  a day
    return {
        "reference": first["SIPARIS_REF"],
        "dealer_key": first["BAYI_KODU"],
        "customer_ref": first.get("BAYI_REF") or None,
        "requested_on": wanted.isoformat() if isinstance(wanted, date) else None,
        "currency": first.get("DOVIZ") or "TRY",
        "note": first.get("NOT") or None,
        "lines": [
            {
                "line_no": one["SATIR"],
                "product_key": one["STOK_KODU"],
                "qty": str(_number(one["MIKTAR"])),
                "uom": _CODES.get(one["BIRIM"], one["BIRIM"]),
                "unit_price": str(_number(one["FIYAT"])) if one.get("FIYAT") else None,
            }
            for one in records
        ],
    }


def _answer(order: Order) -> list[dict[str, str]]:
    return [
        {
            "SIPARIS_REF": order.reference,
            "SIPARIS_NO": order.number,
            "KAYIT_NO": order.key,
            "DURUM": "KABUL",
            "SATIR": line.line_no,
            "ONAY_MIKTAR": line.confirmed.replace(".", ","),
            "FIYAT": (line.price or "").replace(".", ","),
            "NEDEN": line.reason or "",
        }
        for line in order.lines
    ]


def _written(records: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    names = [
        "SIPARIS_REF",
        "SIPARIS_NO",
        "KAYIT_NO",
        "DURUM",
        "SATIR",
        "ONAY_MIKTAR",
        "FIYAT",
        "NEDEN",
    ]
    writer = csv.DictWriter(text, names, restval="", delimiter=";", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode(ENCODING, errors="replace")


def _number(text: str) -> Decimal:
    return Decimal(text.replace(".", "").replace(",", "."))
