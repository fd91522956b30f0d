"""What one try to send or to find a message means: the error, or the receipt, as the next move.

The table of the error classes for messages out. Plain functions over plain data; must not reach an
ERP or a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import tenacity

from connectors.protocol import Exchange, Receipt
from mappings.errors import (
    Misconfigured,
    NotNow,
    RateLimited,
    Refused,
    SourceChanged,
    Transient,
    WaybillError,
)
from mappings.outbound import Outbound
from mappings.spec import ErpMapping
from portal_db.failures import as_waybill_error
from portal_db.outbox import Claim
from portal_db.outcomes import Move
from transforms.answers import outcome_of, read_answer

LONGEST_RETRY_AFTER = 3600.0
"""An ERP that asks for more than this many seconds is taken to mean this."""
PAUSE_FACTOR = 30
"""A lane that waits for a person is probed this many times more seldom than one that is down."""
_CLEARED_BY_KEY = "native key: the ERP refuses a second one by itself"
_CLEARED_BY_FINDS = "asked twice, the ERP has nothing"


def payload_of(claim: Claim) -> dict[str, Any]:
    """What to write; a cancellation with the ERP's key and number that came after it was made."""
    if claim.kind != "order_cancel":
        return claim.payload
    return {
        **claim.payload,
        "order_key": claim.payload.get("order_key") or claim.order_key,
        "order_number": claim.payload.get("order_number") or claim.order_number,
    }


def jittered(first: float, attempt: int, longest: float) -> float:
    """Seconds to wait after the `attempt`-th try (1 = first): full jitter, doubling to a limit."""
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = max(attempt, 1)
    return float(tenacity.wait_random_exponential(multiplier=first, max=longest)(state))


def probe_wait(how: Outbound, openings: int, *, pause: bool) -> float:
    """Seconds until an ERP that is down is tried with one message."""
    longest = how.retry.probe_seconds * (PAUSE_FACTOR if pause else 1)
    if pause:
        return longest
    return max(longest / 10, jittered(longest / 16, openings + 1, longest))


def counts_as_outage(error: BaseException, move: Move) -> bool:
    """Does this failure say something about the ERP and not about the message?"""
    if isinstance(error, RateLimited | NotNow):
        return False
    return isinstance(error, Transient) or move.outcome == "uncertain"


def pauses(error: BaseException) -> bool:
    """A person must change something before anything can be sent."""
    return isinstance(error, Misconfigured | SourceChanged)


def after_send(claim: Claim, how: Outbound, error: Exception, *, canary: bool, began: bool) -> Move:
    """The move for an error of a send. `began`: the sender had been called."""
    says = _says(error)
    if isinstance(error, Refused):
        return Move(
            "refused", "dead", code=error.code, says=says, says_to_dealer=error.what, left=True
        )
    if isinstance(error, RateLimited):
        wait = min(error.retry_after or 0.0, LONGEST_RETRY_AFTER)
        return _not_sent(claim, how, error, max(wait, _backoff(claim, how)), strike=not canary)
    if isinstance(error, Misconfigured | SourceChanged | NotNow):
        return _not_sent(claim, how, error, how.retry.probe_seconds, strike=False)
    if isinstance(error, Transient):
        return _not_sent(claim, how, error, _backoff(claim, how), strike=not canary)
    if not began:
        return _not_sent(claim, how, error, _backoff(claim, how), strike=True)
    return Move(
        "uncertain",
        "uncertain",
        delay=how.settle,
        code=_code(error),
        says=says,
        not_found=0,
        left=True,
    )


def unwritable(faults: list[str]) -> Move:
    """The mapping cannot write this message: nothing went out, a person corrects one of the two."""
    shown = "; ".join(faults[:5])
    return Move("not_sent", "dead", code="unwritable", says=f"{shown}. Correct the mapping or the "
                "message, then retry it.")  # fmt: skip


def before_find(claim: Claim, how: Outbound) -> Move | None:
    """The move of an uncertain message that needs no look-up, or cannot have one."""
    if claim.waiting:
        return None
    if how.target.native_key is not None:
        return Move("retry", "retryable", code="uncertain", cleared_by=_CLEARED_BY_KEY,
                    says="sent again: the ERP refuses a second one by itself")  # fmt: skip
    if how.target.find == "cannot":
        return Move(
            "uncertain",
            "dead",
            code="cannot_find",
            says="it may have arrived, and this ERP cannot be asked. Look there for "
            f"{claim.reference}, then say what you found: `waybill outbox settle`.",
        )
    return None


def nothing_found(claim: Claim, how: Outbound) -> Move:
    """The ERP says that it has nothing: believed when it says so twice, `settle` apart."""
    if claim.waiting:
        return Move("not_found", None, delay=how.acknowledge_minutes * 60, code="vanished",
                    says="handed over, and now the ERP shows it nowhere: ask there")  # fmt: skip
    times = claim.not_found + 1
    if times < 2:  # noqa: PLR2004  the rule: twice
        return Move("not_found", None, delay=how.settle, not_found=times)
    return Move("not_found", "retryable", not_found=times, cleared_by=_CLEARED_BY_FINDS,
                code="not_found", says="it did not arrive and is sent again")  # fmt: skip


def after_find(claim: Claim, how: Outbound, error: Exception) -> Move:
    """The move for an error of a look-up: no answer is never a no."""
    if isinstance(error, Refused):
        state = None if claim.waiting else "dead"
        return Move("refused", state, code=error.code, says=_says(error), left=True,
                    says_to_dealer=error.what, awaits_answer=False)  # fmt: skip
    wait = error.retry_after if isinstance(error, RateLimited) and error.retry_after else 0.0
    return Move("uncertain", None, delay=max(how.settle, min(wait, LONGEST_RETRY_AFTER)),
                code=_code(error), says=_says(error))  # fmt: skip


def arrived(claim: Claim, how: Outbound, erp: ErpMapping, receipt: Receipt, *, found: bool) -> Move:
    """The ERP has it: what it said about the whole and about each line."""
    outcome = "found" if found else "delivered"
    if receipt.handed_over:
        return Move(outcome, "delivered" if not claim.waiting else None, awaits_answer=True,
                    delay=how.acknowledge_minutes * 60 if claim.waiting else how.settle,
                    left=True)  # fmt: skip
    read = read_answer(erp, how.answer, receipt.fields, receipt.lines)
    ordered = {int(one["line_no"]): one for one in claim.payload.get("lines") or ()}
    lines: list[dict[str, Any]] = []
    for line in read.lines:
        mine: Mapping[str, Any] = ordered.get(int(line["line_no"]), {})
        outcome_said = outcome_of(line, _number(mine.get("qty")), _number(mine.get("unit_price")))
        lines.append({**line, "outcome": outcome_said})
    answer = {name: value for name, value in read.fields.items() if value is not None}
    every = [line["outcome"] for line in lines]
    if every and len(every) >= len(ordered) > 0 and all(one == "rejected" for one in every):
        answer.setdefault("status", "rejected")
        reasons = dict.fromkeys(str(line["reason"]) for line in lines if line.get("reason"))
        answer.setdefault("reason", "; ".join(reasons) or "no line was accepted")
    answer |= {"lines": lines} if lines else {}
    if receipt.again:
        answer["again"] = True
    return Move(outcome, "delivered" if not claim.waiting else None, answer=answer,
                awaits_answer=False, left=True,
                says="; ".join(read.faults) or None)  # fmt: skip


def with_exchange(move: Move, exchange: Exchange | None, seconds: float) -> Move:
    """The move with what went over the wire."""
    if exchange is None:
        return replace(move, seconds=seconds)
    return replace(move, request=exchange.request, answered=exchange.answer,
                   detail=dict(exchange.detail), seconds=seconds)  # fmt: skip


def _not_sent(claim: Claim, how: Outbound, error: Exception, delay: float, *, strike: bool) -> Move:
    code = _code(error)
    if strike and claim.strikes + 1 >= how.retry.tries:
        says = f"given up after {how.retry.tries} tries: {_says(error)}"
        return Move("not_sent", "dead", code="gave_up", says=says, strike=True)
    return Move("not_sent", "retryable", delay=delay, code=code, says=_says(error), strike=strike)


def _backoff(claim: Claim, how: Outbound) -> float:
    return jittered(how.first_wait, claim.strikes + 1, float(how.retry.hours) * 3600)


def _code(error: Exception) -> str:
    known = error if isinstance(error, WaybillError) else as_waybill_error(error)
    return "bug" if known is None else known.code


def _says(error: Exception) -> str:
    known = error if isinstance(error, WaybillError) else as_waybill_error(error)
    if known is not None:
        return str(known)
    return f"{type(error).__name__}: unforeseen, see the log"


def _number(value: object) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
