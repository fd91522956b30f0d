"""What an ERP answered, as values: the texts of a receipt through the steps of the mapping.

The same steps, lookups and strict typing as a feed's fields, for one document. A text that cannot
be read is a fault and its value None: an answer is never a reason to send again. Must not guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mappings.fields import FieldMapping
from mappings.messages import ANSWER, ANSWER_LINES
from mappings.outbound import AnswerMapping
from mappings.spec import ErpMapping
from mappings.vocabulary import Field
from transforms.column import column_of, constant
from transforms.registry import SAYS, StepContext

Texts = Mapping[str, str | None]


@dataclass(slots=True)
class Answered:
    """Typed values by the names of `mappings/messages.py`; None where nothing readable came."""

    fields: dict[str, Any] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def read_answer(
    erp: ErpMapping, how: AnswerMapping, fields: Texts, lines: tuple[Texts, ...]
) -> Answered:
    """The answer to one message."""
    found = Answered()
    found.fields = _values(erp, ANSWER, how.fields, fields, "", found.faults)
    for number, line in enumerate(lines, 1):
        where = f"answered line {number}: "
        values = _values(erp, ANSWER_LINES, how.lines, line, where, found.faults)
        if values.get("line_no") is not None:
            found.lines.append(values)
    return found


def outcome_of(line: Mapping[str, Any], ordered: Decimal, price: Decimal | None) -> str | None:
    """What became of a line: as said, else by what was confirmed; None where nothing says."""
    if line.get("outcome") is not None:
        return str(line["outcome"])
    confirmed, asked = line.get("qty_confirmed"), line.get("unit_price")
    if confirmed is None and asked is None:
        return None
    if confirmed is not None and confirmed <= 0:
        return "rejected"
    changed = confirmed is not None and confirmed != ordered
    dearer = asked is not None and price is not None and asked != price
    return "changed" if changed or dearer else "accepted"


def _values(
    erp: ErpMapping,
    known: Mapping[str, Field],
    mapped: Mapping[str, FieldMapping],
    texts: Texts,
    where: str,
    faults: list[str],
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, given in mapped.items():
        one = known[name]
        if given.const is not None:
            values[name] = constant(one, given.const).as_py()
            continue
        columns = [pa.array([texts.get(path)], pa.string()) for path in given.paths]
        lookup = None if given.lookup is None else erp.lookups[given.lookup]
        context = StepContext(erp.time_zone, given.paths)
        column = column_of(one, columns, given.through, lookup, context)
        for code, mask in column.bad:
            if pc.any(mask).as_py():
                shown = " | ".join(str(texts.get(path)) for path in given.paths)
                faults.append(f"{where}{name}: {shown!r}: {SAYS[code]}")
        values[name] = column.values[0].as_py()
    return values
