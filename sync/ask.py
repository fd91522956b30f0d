"""Ask an ERP while somebody waits: its credit, price or stock of now, or what was synced of it.

Never hangs: an ask has a time budget, an ERP has a bounded number of threads, and an ERP that does
not answer is not asked for a while. Keeps no value and writes none; must not decide anything.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from connectors import open_connector
from connectors.budget import Budget
from connectors.protocol import Connector
from mappings.asks import ASKS
from mappings.errors import Misconfigured, NotNow, RateLimited, Transient, WaybillError
from mappings.live import LiveAsk, What
from mappings.spec import ErpMapping
from portal_db.failures import as_waybill_error
from portal_db.synced import synced
from sync.ask_line import Line, Pending, late
from sync.ask_reading import Row, read_answer
from sync.budget import erp_budget
from sync.connection import resolve
from sync.context import Context
from sync.windows import closed_until

log = logging.getLogger(__name__)

WITHIN = timedelta(seconds=3)
"""What one ask may take in all, signing in included."""
WARM = timedelta(seconds=30)
_BUDGET_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """What is known now. `live`: the ERP said it just now; else `why` says why not, as a code.

    `rows` are typed (Decimal, date, datetime in UTC), by our field names; none: there is no such
    record. `as_of` is when it was known to hold, None where nothing ever was synced.
    """

    rows: tuple[Row, ...]
    as_of: datetime | None
    live: bool
    why: str | None = None
    says: str | None = None
    seconds: float = 0.0

    def age(self, now: datetime) -> timedelta | None:
        """How old the answer is at `now`; None where there is none."""
        return None if self.as_of is None else max(timedelta(), now - self.as_of)


class Asker:
    """Asks ERPs for one process. Thread-safe; use as a context manager, or call `close`.

    `concurrent` asks of one ERP run at once, `queue` more wait; all others are answered from what
    was synced. After `failures` in a row an ERP is left alone for `pause` seconds, then one ask
    tries it. `budgets` gives the limits of an ERP's account (default: its mapping's, lane "now").
    """

    def __init__(
        self,
        ctx: Context,
        *,
        concurrent: int = 8,
        queue: int = 8,
        failures: int = 5,
        pause: float = 3.0,
        budgets: Callable[[str], Budget] | None = None,
    ) -> None:
        self._ctx = ctx
        self._concurrent = concurrent
        self._queue = queue
        self._failures = failures
        self._pause = pause
        self._budgets = budgets or self._own_budget
        self._lines: dict[str, Line] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Log out everywhere; asks under way end when their time does."""
        with self._lock:
            lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            line.threads.shutdown(wait=False, cancel_futures=True)
            for sessions in line.idle.values():
                for session in sessions:
                    session.__exit__(None, None, None)

    def ask(
        self, erp: str, what: What, keys: Mapping[str, str], within: timedelta = WITHIN
    ) -> LiveAnswer:
        """The ERP's answer, or what was synced, no later than `within` plus a query of ours.

        `keys`: our names (`account_key`; `dealer_key`, `product_key`, `qty`; `product_key`,
        `warehouse_key`). Raises Misconfigured for an unknown ERP or a missing key.
        """
        began = time.monotonic()
        try:
            pending = self.begin(erp, what, keys, within)
            return self.answered(pending, self.wait(pending))
        except WaybillError as error:
            if isinstance(error, Misconfigured) and error.code in {"mapping", "keys"}:
                raise
            return self.instead(erp, what, keys, error, time.monotonic() - began)

    def begin(self, erp: str, what: What, keys: Mapping[str, str], within: timedelta) -> Pending:
        """Start an ask; comes back at once. Raises what `ask` answers from what was synced."""
        mapping = self._ctx.erp(erp)
        _complete(what, keys)
        ask = mapping.live.ask(what)
        if ask is None:
            raise NotNow(f"{erp} cannot be asked for {what}", erp=erp, code="not_offered")
        until = closed_until(mapping.windows, mapping.time_zone, datetime.now(UTC))
        if until is not None:
            raise NotNow(f"{erp} is closed until {until:%H:%M}", erp=erp, code="window")
        if within <= timedelta():
            raise NotNow(f"no time is left to ask {erp}", erp=erp, code="busy")
        line = self._line(erp)
        pending = Pending(time.monotonic() + within.total_seconds())
        with line.lock:
            if time.monotonic() < line.closed_until or (
                line.failures >= self._failures and line.trying
            ):
                raise NotNow(f"{erp} has not answered lately", erp=erp, code="circuit")
            if line.waiting >= self._concurrent + line.most_waiting:
                raise NotNow(f"{erp} is asked by too many at once", erp=erp, code="busy")
            line.waiting += 1
            line.trying = line.failures >= self._failures
        line.threads.submit(self._run, line, mapping, ask, what, dict(keys), pending, within)
        return pending

    def wait(self, pending: Pending) -> tuple[Row, ...]:
        """The rows of an ask under way. Raises Transient (`timeout`) when its time is over."""
        try:
            return pending.future.result(pending.left)
        except FutureTimeoutError:
            pending.give_up()
            raise late() from None

    def answered(self, pending: Pending, rows: tuple[Row, ...]) -> LiveAnswer:
        """A live answer out of what came; it holds for when it was asked for."""
        seconds = time.monotonic() - pending.began
        asked_at = datetime.now(UTC) - timedelta(seconds=seconds)
        return LiveAnswer(rows, asked_at, live=True, seconds=seconds)

    def instead(
        self,
        erp: str,
        what: What,
        keys: Mapping[str, str],
        error: WaybillError,
        seconds: float = 0.0,
        ctx: Context | None = None,
    ) -> LiveAnswer:
        """What was synced, and why the ERP did not answer. A price is not synced: no rows.

        `ctx`: whose connections to read by (default: those that ERPs are asked with).
        """
        part = ASKS[what].part
        if not isinstance(error, NotNow):
            log.warning("%s", error.located(erp, None), extra={"erp": erp})
        if what == "price":
            return LiveAnswer(
                (), None, live=False, why=error.code, says=str(error), seconds=seconds
            )
        with (ctx or self._ctx).connection() as connection:
            found = synced(connection, erp, part.name, dict(keys))
        return LiveAnswer(
            found.rows,
            found.as_of,
            live=False,
            why=error.code,
            says=str(error.located(erp, None)),
            seconds=seconds,
        )

    def warm(self, within: timedelta = WARM) -> list[str]:
        """Sign in where something can be asked, so that the first ask finds it done.

        Wire libraries load, WSDLs are read, tokens fetched. Returns the ERPs that answered.
        """
        ready = []
        for erp, mapping in self._ctx.mappings.mappings.items():
            asks = [ask for what in ASKS if (ask := mapping.live.ask(what)) is not None]
            for protocol in dict.fromkeys(ask.source.protocol for ask in asks):
                try:
                    session = self._opened(mapping, protocol, within)
                    session.check()
                except WaybillError as error:
                    log.warning("%s", error.located(erp, None), extra={"erp": erp})
                    continue
                with session:
                    ready.append(erp)
        return ready

    def states(self) -> dict[str, str]:
        """ERP → `closed` (it answers), `open` or `half_open`, of every ERP that was asked."""
        now = time.monotonic()
        with self._lock:
            lines = dict(self._lines)
        return {
            erp: "closed"
            if line.failures < self._failures
            else ("open" if now < line.closed_until else "half_open")
            for erp, line in lines.items()
        }

    # --- one ask, in a thread of its line ---

    def _own_budget(self, erp: str) -> Budget:
        return erp_budget(self._ctx, erp, "now", patience=_BUDGET_PATIENCE)

    def _line(self, erp: str) -> Line:
        with self._lock:
            if erp not in self._lines:
                threads = ThreadPoolExecutor(self._concurrent, thread_name_prefix=f"ask-{erp}")
                self._lines[erp] = Line(threads, self._queue)
            return self._lines[erp]

    def _run(
        self,
        line: Line,
        mapping: ErpMapping,
        ask: LiveAsk,
        what: What,
        keys: dict[str, str],
        pending: Pending,
        within: timedelta,
    ) -> None:
        try:
            rows = self._asked(line, mapping, ask, what, keys, pending, within)
        except WaybillError as error:
            # the session was closed under it when its time was over: however that looks on the wire
            cut_off = pending.left <= 0 and isinstance(error, Transient)
            told = late() if cut_off and not isinstance(error, RateLimited) else error
            line.failed(told, pending, self._failures, self._pause)
            pending.future.set_exception(told)
        except Exception as error:  # noqa: BLE001  a closed session fails in its library's own ways
            log.info(
                "an ask ended: %s: %s", type(error).__name__, error, extra={"erp": mapping.erp}
            )
            broken = as_waybill_error(error)  # our own database says nothing about the ERP
            if broken is None:
                broken = late() if pending.left <= 0 else Transient("the ask broke", code="broken")
                line.failed(broken, pending, self._failures, self._pause)
            pending.future.set_exception(broken)
        else:
            with line.lock:
                line.failures = 0
            pending.future.set_result(rows)
        finally:
            with line.lock:
                line.waiting -= 1
                line.trying = False

    def _asked(
        self,
        line: Line,
        mapping: ErpMapping,
        ask: LiveAsk,
        what: What,
        keys: dict[str, str],
        pending: Pending,
        within: timedelta,
    ) -> tuple[Row, ...]:
        if not pending.started(within.total_seconds()):  # it waited for a thread all the while
            raise NotNow("no thread was free in time", code="busy")
        protocol = ask.source.protocol
        with line.lock:
            sessions = line.idle.setdefault(protocol, [])
            session = sessions.pop() if sessions else None
        if session is None:
            session = self._opened(mapping, protocol, within)
        try:
            pending.hold(session)
            rows = read_answer(session, mapping, ask, what, keys)
        except BaseException:
            pending.let_go()
            session.__exit__(None, None, None)
            raise
        if pending.let_go():
            with line.lock:
                line.idle.setdefault(protocol, []).append(session)
        return rows

    def _opened(self, mapping: ErpMapping, protocol: str, within: timedelta) -> Connector:
        session = open_connector(
            resolve(self._ctx.settings, mapping.connection),
            protocol,
            mapping.erp,
            cache=self._ctx.settings.cache,
            budget=self._budgets(mapping.erp),
            # later asks by this session may have more time than the one that opens it
            within=max(within, WITHIN).total_seconds(),
        )
        session.__enter__()
        return session


def ask(
    ctx: Context,
    erp: str,
    what: What,
    keys: Mapping[str, str],
    within: timedelta = WITHIN,
) -> LiveAnswer:
    """One ask by itself; a process that asks often keeps an `Asker`. See `Asker.ask`."""
    with Asker(ctx, concurrent=1) as asker:
        return asker.ask(erp, what, keys, within)


def _complete(what: What, keys: Mapping[str, str]) -> None:
    missing = [name for name in ASKS[what].needed if not keys.get(name)]
    if missing:
        raise Misconfigured(f"{what} is asked by {', '.join(missing)}", code="keys")
