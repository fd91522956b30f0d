"""What every connector is to the engine: pages of bytes with what the ERP said about them.

A connector speaks one *protocol*, knows no feed and no database, and translates every failure of
its wire into a class of `mappings.errors`. It must not parse values and must not retry for ever.
A *sender* is the way out: one message, one answer, and an exact word about what may have happened.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, Self, runtime_checkable

from mappings.sources import Source


@dataclass(frozen=True, slots=True)
class Page:
    """Bytes exactly as the ERP sent them; `content` is read once, in order."""

    name: str
    """File name on the server, or a running number: unique within the part's pages."""
    media_type: str
    content: Iterable[bytes]
    records: int | None = None
    """Records in this page where the connector had to count them; None where it did not look."""
    declared: int | None = None
    """How many records the ERP said there are in all, where this page says so."""
    restart: bool = False
    """The walk began anew with this page: forget the pages of this read before it."""
    same: str | None = None
    """SHA-256 of the content without what the ERP makes anew for each answer (search ids, time
    stamps); None where that is the whole content."""
    after: str | None = None
    """Where a read goes on behind this page (`Resumable`); None where this protocol cannot."""


@dataclass(frozen=True, slots=True)
class End:
    """How a read ended. Returned by `read` when its pages are exhausted."""

    complete: bool
    """End of paging or end marker seen, every declared count met, no movement while paging."""
    reason: str
    """Why it is or is not complete, for the manifest and for operators."""
    cursor: str | None = None
    """Largest cursor value actually read, the ERP's own text; None where nothing was read."""
    declared: int | None = None
    server_at: datetime | None = None
    """The ERP's clock when the read began, where the protocol tells it."""
    notes: tuple[str, ...] = field(default=())


class Connector(Protocol):
    """One open session with one ERP. Use as a context manager; `close` logs out."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def check(self) -> str:
        """Sign in and look; returns one line about the server.

        Raises Misconfigured (sign-in, host key, address) or Transient.
        """
        ...

    def read(self, source: Source, since: str | None) -> Generator[Page, None, End]:
        """Yield pages; `since` is the cursor text to start from (None: everything).

        Raises Transient, RateLimited, NotNow, Misconfigured, SourceChanged, BatchRefused.
        """
        ...

    def fetch(self, location: str) -> Iterator[bytes]:
        """The bytes of one document. Raises Refused (code `not_found`) where there is none."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """A connector that can go on where another session of it was interrupted."""

    def resume(self, source: Source, since: str | None, after: str) -> Generator[Page, None, End]:
        """As `read`, behind the page that said `after`; the end speaks for all pages.

        Raises SourceChanged or Misconfigured before the first page where the ERP has forgotten
        the place: then the source is read from its beginning.
        """
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """What is owed to an ERP, already in its words: paths and texts, typed by nobody any more."""

    reference: str
    """Ours, made before the first try and sent with every one."""
    fields: Mapping[str, str]
    """Their path → text; a field without a value is not there."""
    lines: tuple[Mapping[str, str], ...] = ()
    lines_path: str = ""
    """Their path of the repeated line, where the format has one."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """An answer that the ERP gave and that was understood: it has the message."""

    fields: Mapping[str, str | None] = field(default_factory=dict)
    """Their path → text, of the paths that the mapping's `answer` names."""
    lines: tuple[Mapping[str, str | None], ...] = ()
    again: bool = False
    """The ERP had it before this try ("already exists")."""
    handed_over: bool = False
    """It lies with the ERP, which has said nothing yet: a file in its inbox."""


@dataclass(slots=True)
class Exchange:
    """The last request and answer of a sender, cleared of every secret: what an attempt keeps."""

    request: str = ""
    answer: str = ""
    detail: dict[str, str] = field(default_factory=dict)


class Sender(Protocol):
    """One open session for messages of one target. Use as a context manager; not thread-safe."""

    exchange: Exchange

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def ready(self) -> None:
        """Prepare what can be prepared before a message is held (a WSDL, a connection).

        Raises as `find`; nothing of a message has left.
        """
        ...

    def send(self, message: Message) -> Receipt:
        """Give the ERP one message, with one try.

        Raises Transient, RateLimited, NotNow, Misconfigured or SourceChanged only where it provably
        did not go out or was declared unprocessed; Refused where the ERP understood and said no;
        Uncertain for everything else once a byte may have left.
        """
        ...

    def find(self, reference: str) -> Receipt | None:
        """What the ERP has under our reference; None where it says that it has nothing.

        Changes nothing. Raises Refused where it has it and said no to it; Transient, Misconfigured
        … where it did not answer: no answer is never None.
        """
        ...
