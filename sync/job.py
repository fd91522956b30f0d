"""What one run is about, handed to everything that takes part in it. Must not do anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from mappings.spec import ErpMapping, FeedMapping
from mappings.vocabulary import Feed
from portal_db.counts import Counts
from portal_db.ledger import Batch
from sync.context import Context
from sync.outcome import Order, Outcome
from sync.progress import Progress
from sync.scope import Scope


@dataclass(slots=True)
class Job:
    """One run of one batch; `run_id` is drawn when it begins."""

    ctx: Context
    batch: Batch
    order: Order
    progress: Progress
    feed: Feed
    mapping: ErpMapping
    feed_mapping: FeedMapping
    scope: Scope
    observed_at: datetime
    fingerprint: str
    started: float = field(default_factory=time.monotonic)
    run_id: int = 0

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Note the seconds of one step, summed over its turns."""
        began = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - began
            self.order.timings[step] = self.order.timings.get(step, 0.0) + spent

    def outcome(
        self,
        state: Literal["done", "held"],
        parts: dict[str, Counts],
        stops: list[dict[str, Any]],
        *,
        same_bytes: bool = False,
    ) -> Outcome:
        """How the run ended."""
        return Outcome(
            run_id=self.run_id,
            batch_id=self.batch.id,
            erp=self.batch.erp,
            feed=self.batch.feed,
            state=state,
            parts=parts,
            stops=stops,
            seconds=round(time.monotonic() - self.started, 3),
            as_of=self.observed_at,
            same_bytes=same_bytes,
        )
