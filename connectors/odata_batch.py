"""OData's $batch in JSON: many operations in one request, each with its own result.

Operations of one group are one transaction there: where one fails, none of its group happened.
Must not decide what an operation means, and must not send by itself.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

from mappings.errors import Uncertain

LARGEST: Final = 100
"""Operations in one $batch; Business Central takes no more."""

_SUCCESS: Final = range(200, 300)
_FAILED_DEPENDENCY: Final = 424
EXACT: Final = msgspec.json.Decoder(dict[str, Any], float_hook=str)


@dataclass(frozen=True, slots=True)
class Operation:
    """One request inside a $batch; `url` relative to the service root, `body` a JSON value.

    `after`: the id of the operation whose entity `url` begins with (`$1/OrderLines`).
    """

    id: str
    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    url: str
    body: object = None
    group: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one operation. `rolled_back`: it was right, but its group was not."""

    id: str
    status: int
    body: object
    rolled_back: bool = False

    @property
    def is_done(self) -> bool:
        """True where it happened."""
        return self.status in _SUCCESS and not self.rolled_back


def request_body(operations: Sequence[Operation]) -> bytes:
    """The $batch request. ValueError: none, too many, an id twice, a group torn apart."""
    must_be_sound(operations)
    return msgspec.json.encode({"requests": [_written(one) for one in operations]})


def must_be_sound(operations: Sequence[Operation]) -> None:
    """ValueError: none, too many, an id twice, a group torn apart."""
    ids = [one.id for one in operations]
    if not 0 < len(operations) <= LARGEST:
        message = f"a $batch holds 1 to {LARGEST} operations, not {len(operations)}"
        raise ValueError(message)
    if len(set(ids)) < len(ids):
        message = "two operations of a $batch have the same id"
        raise ValueError(message)
    groups = [one.group for one in operations if one.group is not None]
    runs = [g for n, g in enumerate(groups) if n == 0 or groups[n - 1] != g]
    if len(set(runs)) < len(runs):
        message = "the operations of a group must stand together"
        raise ValueError(message)


def results(operations: Sequence[Operation], content: bytes, what: str) -> list[Result]:
    """The result of every operation, in their order.

    Raises Uncertain where the answer does not tell of each: some may have happened.
    """
    try:
        answers = EXACT.decode(content)["responses"]
        by_id = {str(one["id"]): one for one in answers}
        found = [
            Result(one.id, int(by_id[one.id]["status"]), by_id[one.id].get("body"))
            for one in operations
        ]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        raise untold(what) from None
    return with_victims(operations, found)


def untold(what: str) -> Uncertain:
    """An answer that leaves an operation out: it may have happened."""
    return Uncertain(
        f"{what}: the answer does not tell what became of each operation", code="batch"
    )


def with_victims(operations: Sequence[Operation], found: Sequence[Result]) -> list[Result]:
    """The same results, those marked that were right in a group that was rolled back."""
    failed = {
        one.group
        for one, result in zip(operations, found, strict=True)
        if one.group is not None and result.status not in _SUCCESS
    }
    return [
        Result(result.id, result.status, result.body, rolled_back=_is_victim(one, result, failed))
        for one, result in zip(operations, found, strict=True)
    ]


def _is_victim(one: Operation, result: Result, failed: Container[str | None]) -> bool:
    """True where the operation itself was right, whatever status the server gave it."""
    return one.group in failed and (
        result.status in _SUCCESS or result.status == _FAILED_DEPENDENCY
    )


def _written(one: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {"id": one.id, "method": one.method, "url": one.url}
    if one.group is not None:
        found["atomicityGroup"] = one.group
    if one.after is not None:
        found["dependsOn"] = [one.after]
    headers = dict(one.headers)
    if one.body is not None:
        headers.setdefault("Content-Type", "application/json")
        found["body"] = one.body
    if headers:
        found["headers"] = headers
    return found
