"""Pages fetched while the caller works on earlier ones: in order, a bounded number ahead.

Must not know what a page is.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

T = TypeVar("T")
_LOOK_AGAIN = 0.2
_LAST_WAIT = 1.0


class _End:
    """What the worker puts last: how it ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Worker(Generic[T]):
    def __init__(self, pages: Iterator[T], most: int, name: str) -> None:
        self._pages = pages
        self._stop = threading.Event()
        self.queue: Queue[T | _End] = Queue(most)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(_LAST_WAIT)

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            for page in self._pages:
                if not self._hand_on(page):
                    return
        except BaseException as caught:  # noqa: BLE001  it is raised where the caller waits
            error = caught
        self._hand_on(_End(error))

    def _hand_on(self, item: T | _End) -> bool:
        while not self._stop.is_set():
            with contextlib.suppress(Full):
                self.queue.put(item, timeout=_LOOK_AGAIN)
                return True
        return False


def ahead(
    pages: Iterator[T], *, most: int, patience: float, too_late: Callable[[], Exception], name: str
) -> Generator[T, None, None]:
    """Yield what `pages` yields, in order, made by a thread that is at most `most` items ahead
    (and at work on one more).

    Its error is raised where the item would have come. `patience`: seconds that the caller may
    wait in all, its own work not counted; then `too_late()` is raised. What nobody wants any more
    is waited for a second and then left alone.
    """
    worker = _Worker(pages, most, name)
    waited = 0.0
    try:
        while True:
            began = time.monotonic()
            try:
                item = worker.queue.get(timeout=max(0.0, patience - waited))
            except Empty:
                raise too_late() from None
            waited += time.monotonic() - began
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        worker.stop()
