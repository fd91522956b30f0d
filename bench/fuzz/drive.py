"""Feeds a reader spoiled documents until its time is over, and says how each case ended.

A case may end as rows, as broken records or as a named error. Anything else is a find and is kept
as a file: another exception, more than ten seconds of the processor, records that do not add up,
a place that lies outside the page. Must not know a format.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.fuzz.mutate import one
from connectors.formats import locate, plain, read_page
from connectors.formats.raw import Broken, RawChunk, ReadPlan
from mappings.errors import WaybillError

_HANG_SECONDS = 10
"""Of the processor: a busy machine is no hang."""

_WAIT_SECONDS = 120
"""By the clock, for what waits and does nothing."""

Also = Callable[[bytes, ReadPlan], None]
"""What else looks into the same bytes: it ends well or raises a WaybillError."""

_KEPT = 3
"""So many cases of one find are kept; the others are counted."""


@dataclass
class Tally:
    """How the cases ended."""

    cases: int = 0
    rows: int = 0
    broken: int = 0
    finds: collections.Counter[str] = field(default_factory=collections.Counter)
    errors: collections.Counter[str] = field(default_factory=collections.Counter)


class HangError(Exception):
    """A case took longer than any page of its size may."""


def _hung(*_: object) -> None:
    raise HangError


def case(data: bytes, plan: ReadPlan) -> tuple[int, int, str | None]:
    """Rows, broken records and the code of a named error. Raises whatever is a find."""
    first: dict[str, int] = {}
    rows = broken = children = 0
    code: str | None = None
    try:
        for item in read_page(io.BytesIO(data), plan, 1, first):
            if isinstance(item, RawChunk):
                item.columns.validate(full=True)
                if item.part == plan.part:
                    rows += len(item.record_no)
                else:
                    children += len(item.record_no)
            elif isinstance(item, Broken):
                broken += 1
                item.raw.encode()
    except WaybillError as error:
        code = error.code
        str(error).encode()
    if rows + broken != first.get(plan.part, 1) - 1:
        message = f"{rows} rows and {broken} broken, but numbered to {first.get(plan.part, 1) - 1}"
        raise AssertionError(message)
    if code is None:
        _places(data, plan, rows + broken)
    return rows, broken, code


def _places(data: bytes, plan: ReadPlan, records: int) -> None:
    """The first and the last record have a place inside the page."""
    length = len(plain(io.BytesIO(data), plan).read())
    for number in sorted({1, records} & set(range(1, records + 1))):
        start, end = locate(io.BytesIO(data), plan, plan.part, number)
        if not 0 <= start <= end <= length:
            message = f"record {number} stands at {start} to {end} of {length}"
            raise AssertionError(message)


def run(
    name: str,
    plans: Sequence[tuple[ReadPlan, Sequence[bytes]]],
    words: Sequence[bytes] = (),
    also: Also | None = None,
) -> int:
    """Fuzz for the seconds of the command line. `plans`: each with its valid documents."""
    asked = argparse.ArgumentParser(description=f"spoils {name} files, byte by byte")
    asked.add_argument("--seconds", type=float, default=60.0)
    asked.add_argument("--seed", default="1")
    asked.add_argument("--case", help="run this one case again, as a find is called")
    asked.add_argument("--finds", type=Path, default=Path("var/fuzz"))
    given = asked.parse_args()
    signal.signal(signal.SIGALRM, _hung)
    signal.signal(signal.SIGPROF, _hung)
    if given.case is not None:
        plan, documents = plans[int(given.case.split("-")[0]) % len(plans)]
        print(case(one(documents, given.case, words), plan))
        return 0
    tally = Tally()
    end = time.monotonic() + given.seconds
    while time.monotonic() < end:
        plan, documents = plans[tally.cases % len(plans)]
        seed = f"{tally.cases}-{given.seed}"
        _one(name, plan, one(documents, seed, words), seed, tally, given.finds, also)
    ends = ", ".join(f"{code} {count:,}" for code, count in tally.errors.most_common())
    print(
        f"{name}: {tally.cases:,} cases in {given.seconds:.0f} s "
        f"({time.process_time():.0f} s of the processor), {len(tally.finds)} finds; "
        f"{tally.rows:,} rows, {tally.broken:,} broken records; named errors: {ends or 'none'}"
    )
    return 1 if tally.finds else 0


def _one(
    name: str,
    plan: ReadPlan,
    data: bytes,
    seed: str,
    tally: Tally,
    finds: Path,
    also: Also | None,
) -> None:
    tally.cases += 1
    signal.setitimer(signal.ITIMER_PROF, _HANG_SECONDS)
    signal.alarm(_WAIT_SECONDS)
    try:
        rows, broken, code = case(data, plan)
        if also is not None:
            with contextlib.suppress(WaybillError):
                also(data, plan)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  a find is whatever nobody expected
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
        tally.finds[place] += 1
        if tally.finds[place] > _KEPT:
            return
        finds.mkdir(parents=True, exist_ok=True)
        path = finds / f"{name}-{seed}"
        path.write_bytes(data)
        print(f"FIND {path}: {place}: {error}", file=sys.stderr)
        return
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    tally.rows += rows
    tally.broken += broken
    if code is not None:
        tally.errors[code] += 1
