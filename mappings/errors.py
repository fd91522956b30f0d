"""Every exception that a run or a message can end with, named by what happens next.

    WaybillError
    ├── Transient            try again by itself, with backoff
    │   └── RateLimited      later and slower; carries `retry_after`
    ├── NotNow               not an attempt: skip, the next schedule takes it
    ├── Misconfigured        a person must change something
    ├── SourceChanged        the ERP's shape is not what the mapping says
    ├── BatchRefused         a guard, or a transfer that contradicts itself: the batch is held
    ├── Uncertain            a byte may have left and no understood answer came: look it up
    └── Refused              the ERP understood and said no

A bad *record* is never an exception: it is a row in quarantine. This module must not import
anything, log anything, or know about Airflow: `dags/` turns classes into retry or fail.
"""

from __future__ import annotations

from typing import ClassVar


class WaybillError(Exception):
    """What happened, where, and what to do, in one line that an operator can act on.

    `code` is the finer name that conformance tests use (`auth`, `security`, `too_large` …).
    Pickles across processes with all its attributes. Holds no secret: callers pass texts
    that were already cleared of them.
    """

    default_remedy: ClassVar[str | None] = None
    """What to do where the one who raises it knows nothing better."""

    def __init__(
        self,
        what: str,
        *,
        erp: str | None = None,
        feed: str | None = None,
        code: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.erp = erp
        self.feed = feed
        self.code = code or _snake(type(self).__name__)
        self.remedy = remedy or self.default_remedy

    def __str__(self) -> str:
        """`acme/prices: sign-in refused (401). Update the password of connection "acme".`"""
        where = "/".join(part for part in (self.erp, self.feed) if part)
        text = (
            self.what if self.what.endswith((".", "!", "?")) or not self.remedy else f"{self.what}."
        )
        line = f"{text} {self.remedy}" if self.remedy else text
        return f"{where}: {line}" if where else line

    def located(self, erp: str | None, feed: str | None) -> WaybillError:
        """The same error with its place filled in where it was not yet known; returns itself."""
        self.erp = self.erp or erp
        self.feed = self.feed or feed
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, dict(self.__dict__)))


class Transient(WaybillError):
    """Time-out, 502, dropped session, lock, broken transfer: it may work in a moment."""

    default_remedy = "It is tried again by itself; if it stays, ask the ERP's operator."


class RateLimited(Transient):
    """The ERP asked us to come back later; `retry_after` in seconds, None where it did not say."""

    def __init__(self, what: str, *, retry_after: float | None = None, **where: str | None) -> None:
        super().__init__(what, **where)
        self.retry_after = retry_after


class NotNow(WaybillError):
    """The ERP's nightly window, or a required feed that has no done run yet."""


class Misconfigured(WaybillError):
    """A password, a host key, a mapping, a setting: retrying cannot help."""


class SourceChanged(WaybillError):
    """A column, element or operation that the mapping names is not there any more."""


class BatchRefused(WaybillError):
    """The batch as a whole cannot be trusted: it is held with this reason."""


class Uncertain(WaybillError):
    """Sent, and no understood answer: ask the ERP before sending again."""


class Refused(WaybillError):
    """The ERP's own no, with its reason."""


def _rebuild(kind: type[WaybillError], what: str, state: dict[str, object]) -> WaybillError:
    error = kind(what)
    error.__dict__.update(state)
    return error


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
