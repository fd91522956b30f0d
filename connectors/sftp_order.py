"""The order of files: by the group of `order`, else by name, digits as numbers; gaps in it.

The server's times only part two files of the same number: they may be of any zone. Must not touch
the wire.
"""

from __future__ import annotations

import re
from itertools import pairwise

from connectors.sftp_entries import Entry
from mappings.errors import BatchRefused, Misconfigured
from mappings.sources import SftpSource

_SHOWN = 5

Natural = tuple[tuple[int, str], ...]


def in_order(source: SftpSource, matching: list[Entry]) -> tuple[list[Entry], tuple[str, ...]]:
    """The files in order, and notes on those that `order` does not match; they are left out.

    Raises Misconfigured (`order`).
    """
    if source.order is None:
        return sorted(matching, key=lambda entry: natural(entry.name)), ()
    order = _pattern(source.order)
    ranked: list[tuple[Natural, int, Natural, Entry]] = []
    notes: list[str] = []
    for entry in matching:
        found = order.search(entry.name)
        if found is None:
            notes.append(f"{entry.name} does not match `order` and was left out")
        else:
            rank = natural(found.group(1) or "")
            ranked.append((rank, entry.modified_at or 0, natural(entry.name), entry))
    ranked.sort(key=lambda one: one[:3])
    return [entry for *_, entry in ranked], tuple(notes)


def behind(source: SftpSource, ordered: list[Entry], since: str) -> list[Entry]:
    """The files behind the last one read, and as many before them as `again` says."""
    start = _rank(source, since)
    first = next(
        (i for i, entry in enumerate(ordered) if _rank(source, entry.name) > start), len(ordered)
    )
    return ordered[max(first - source.again, 0) :]


def refuse_gap(source: SftpSource, ordered: list[Entry], since: str | None) -> None:
    """Raise BatchRefused (`gap`) where a number is missing behind the last file read.

    Raises Misconfigured (`order`) where the group of `order` is no number.
    """
    if source.order is None:
        raise Misconfigured(
            "`gapless` needs `order`, whose group is the number",
            code="order",
            remedy=r"Add it to the source, such as prices_(\d+)\.csv.",
        )
    order = _pattern(source.order)
    numbers = sorted({_number(order, entry.name) for entry in ordered})
    if since is not None:
        last = _number(order, since)
        numbers = [last, *(number for number in numbers if number > last)]
    missing = [
        number
        for before, after in pairwise(numbers)
        for number in range(before + 1, min(after, before + 1 + _SHOWN))
    ]
    if missing:
        shown = ", ".join(map(str, missing[:_SHOWN]))
        raise BatchRefused(
            f"number {shown} is missing: {source.files} counts up without a gap",
            code="gap",
            remedy="Ask the ERP's owner for it; reading goes on by itself once it is there.",
        )


def natural(text: str) -> Natural:
    """Digits compare as numbers, the rest as text: 2 before 10."""
    return tuple(
        (int(part), "") if part.isascii() and part.isdigit() else (-1, part)
        for part in re.split(r"([0-9]+)", text)
    )


def _rank(source: SftpSource, name: str) -> Natural:
    if source.order is None:
        return natural(name)
    found = _pattern(source.order).search(name)
    return natural(found.group(1) or "") if found else ()


def _number(order: re.Pattern[str], name: str) -> int:
    found = order.search(name)
    text = found.group(1) if found else None
    if text is None or not (text.isascii() and text.isdigit()):
        raise Misconfigured(
            f"`gapless`: the group of `order` is no number in {name}",
            code="order",
            remedy="Let the group hold the number alone.",
        )
    return int(text)


def _pattern(order: str) -> re.Pattern[str]:
    try:
        found = re.compile(order)
    except re.error as error:
        raise Misconfigured(
            f"`order: {order}` is no regular expression: {error}",
            code="order",
            remedy="Correct it in the mapping.",
        ) from error
    if found.groups < 1:
        raise Misconfigured(
            f"`order: {order}` has no group that orders the files",
            code="order",
            remedy=r"Put the number or date in parentheses, such as prices_(\d+)\.csv.",
        )
    return found
