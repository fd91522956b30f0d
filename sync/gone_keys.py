"""Keys of known records that did not come again, read from the bytes of the batch they came in.

Each of their rows has changed or vanished. Only the columns of the key are read. Must not judge.
"""

from __future__ import annotations

from dataclasses import replace

from connectors.formats.csv_lines import NotLineByLine
from mappings.plans import Supply
from mappings.spec import Absent, ErpMapping, FieldMapping
from mappings.vocabulary import Part
from portal_db.ledger import PageRow
from portal_db.staging import Staging
from sync.chosen_records import read_gone
from sync.context import Context
from sync.known_records import Known
from sync.sources import supplied
from transforms.mapping import Mapper


def stage_gone(
    ctx: Context,
    mapping: ErpMapping,
    staging: Staging,
    known: Known,
    pages: list[PageRow],
) -> None:
    """Fill `_gone` from `pages` of the old batch; nothing is asked of the database.

    Raises NotLineByLine where a key cannot be read now, Misconfigured where the evidence is gone.
    """
    part = staging.feed.part(known.plan.part)
    if not len(known.gone):
        return
    supply = _key_alone(part, supplied(staging.feed, mapping.feeds[staging.feed.name])[part.name])
    mapper = Mapper(part, supply, mapping)
    narrow = replace(known, plan=replace(known.plan, paths=supply.paths))
    count = 0
    for chunk in read_gone(ctx, narrow, pages):
        table = mapper.map(chunk).table.select([*part.key])
        if any(table[name].null_count for name in part.key):
            raise NotLineByLine
        count += staging.copy_gone(part, table)
    if count != len(known.gone):
        raise NotLineByLine


def _key_alone(part: Part, supply: Supply) -> Supply:
    """The supply with every field absent that the key does not come from."""
    needed = {part.field(name).derived_from or name for name in part.key}
    fields: dict[str, FieldMapping | Absent] = {
        name: given if name in needed else "absent" for name, given in supply.fields.items()
    }
    return replace(supply, fields=fields, version=None, source=None)
