"""The mapping language the other way round: how one ERP takes a kind of message.

Ours stands on the left as it does for feeds; every field of the kind is mapped or `unsent`, so that
what an ERP does not get is said. Declares only.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from mappings.fields import FieldMapping
from mappings.sources.base import Strict
from mappings.targets import Target

Unsent = Literal["unsent"]


class OutField(Strict):
    """Ours: theirs."""

    to: str = Field(description="path in the message, with / between nested elements")
    through: tuple[str, ...] = Field(
        (), description="named out-steps of mappings/out_steps.py, left to right"
    )
    lookup: str | None = Field(
        None, description="name of a table in `lookups`, read from right to left: ours to theirs"
    )


class OutLines(Strict):
    """The lines of a message, each a repeated element."""

    records: str = Field("", description="path of the repeated element; files need none")
    fields: dict[str, OutField | Unsent]
    constants: dict[str, str] = Field(default_factory=dict, description="their path: text")


class AnswerMapping(Strict):
    """What the ERP says back, read with the words of a feed."""

    fields: dict[str, FieldMapping] = Field(default_factory=dict)
    lines: dict[str, FieldMapping] = Field(default_factory=dict)


class Retry(Strict):
    """How often and how long a message that did not go out is tried: full jitter, growing."""

    tries: int = Field(12, ge=1)
    hours: Decimal = Field(Decimal(24), gt=0, description="over which the tries are spread")
    probe_seconds: float = Field(
        60.0, gt=0, description="how often, at most, one message tries an ERP that is down"
    )


class Outbound(Strict):
    """How one ERP takes one kind of message."""

    target: Target
    fields: dict[str, OutField | Unsent]
    constants: dict[str, str] = Field(default_factory=dict, description="their path: text")
    lines: OutLines | None = None
    answer: AnswerMapping = Field(default_factory=AnswerMapping)
    release: Literal["approved", "pending"] = Field(
        "approved", description="when the message is written: once approved, or when placed"
    )
    hold_stock: bool = Field(
        default=True, description="an order keeps its stock until the ERP has acknowledged it"
    )
    settle_seconds: float | None = Field(
        None,
        gt=0,
        description="how long after a try the ERP can be asked for it; default 2 x timeout_seconds",
    )
    acknowledge_minutes: float = Field(
        15.0, gt=0, description="how often what was handed over without an answer is asked for"
    )
    retry: Retry = Field(
        default_factory=lambda: Retry(tries=12, hours=Decimal(24), probe_seconds=60)
    )
    windows: tuple[str, ...] = Field(
        (), description="further hours without service, local, e.g. 02:00-02:30"
    )

    @property
    def settle(self) -> float:
        """Seconds between a try and its look-up, and between two look-ups."""
        return self.settle_seconds or 2 * self.target.timeout_seconds

    @property
    def lease(self) -> float:
        """Seconds after which a worker that says nothing is taken to be gone."""
        return 2 * self.target.timeout_seconds + 5

    @property
    def first_wait(self) -> float:
        """Seconds of the first full-jitter wait, doubled each time: all of them make `hours`."""
        doublings = float(2 ** max(self.retry.tries - 1, 1) - 1)
        return 2 * float(self.retry.hours) * 3600 / doublings
