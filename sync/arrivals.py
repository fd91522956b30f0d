"""What has arrived before: files under their names, interchanges under their control references.

In a delta a file or interchange that was applied already is left out, with a remark that says so;
a snapshot is always read as a whole. A control reference that comes again with other content is
never guessed at: the batch is held. Must not read a page or change anything.
"""

from __future__ import annotations

from collections.abc import Iterator

from connectors.formats.raw import Broken, Declared, Interchange, Item, RawChunk, Remark
from mappings.errors import BatchRefused
from mappings.sources.sftp import SftpSource
from portal_db.arrivals import applied_interchanges, applied_pages
from portal_db.ledger import Batch, PageRow
from sync.context import Context
from sync.remarks import Remarks
from sync.sources import Reading

FACT = "interchange:"


def fresh_pages(
    ctx: Context, batch: Batch, reading: Reading, pages: list[PageRow], remarks: Remarks
) -> list[PageRow]:
    """The pages of a source that tell something new.

    Left out are a file that was applied under this very name, and one with the content of the file
    before it: reading it again could change nothing.
    """
    source = reading.plan.source
    if not (isinstance(source, SftpSource) and source.pick == "all" and batch.mode == "delta"):
        return pages
    with ctx.connection() as connection:
        known, last = applied_pages(connection, batch, reading.part)
    found: list[PageRow] = []
    for page in pages:
        before = known.get(page.name)
        if before is not None and before[0] == page.sha256:
            says = f"{page.name} was applied with batch {before[1]}"
            remarks.add(reading.part, "known_file", says)
        elif page.sha256 == last:
            says = f"{page.name} has the content of the file before it"
            remarks.add(reading.part, "same_content", says)
        else:
            if before is not None:
                says = f"{page.name} has other content than in batch {before[1]}, and was read"
                remarks.add(reading.part, "changed_file", says)
            found.append(page)
            last = page.sha256
    return found


def screened(
    ctx: Context, batch: Batch, part: str, items: Iterator[Item], remarks: Remarks
) -> Iterator[RawChunk | Broken | Declared]:
    """The items without those of interchanges that were applied already; remarks are kept.

    Raises BatchRefused (`interchange_reused`).
    """
    known: dict[str, str] | None = None
    skipping = False
    for item in items:
        if isinstance(item, Remark):
            remarks.add(item.part, item.code, item.says)
        elif isinstance(item, Interchange):
            if known is None:
                with ctx.connection() as connection:
                    known = applied_interchanges(connection, batch, part, FACT)
            skipping = _was_here(batch, item, known, remarks)
            known[item.control] = item.sha256
            remarks.fact(part, FACT + item.control, item.sha256)
        elif not skipping:
            yield item


def _was_here(batch: Batch, item: Interchange, known: dict[str, str], remarks: Remarks) -> bool:
    before = known.get(item.control)
    if before is None:
        return False
    if before != item.sha256:
        raise BatchRefused(
            f"the interchange {item.control} came before with other content",
            erp=batch.erp,
            feed=batch.feed,
            code="interchange_reused",
            remedy="Ask the partner which of the two is right, and for a new control reference.",
        )
    if batch.mode != "delta":
        return False
    says = f"the interchange {item.control} was read before"
    remarks.add(item.part, "repeated_interchange", says)
    return True
