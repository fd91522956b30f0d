"""Our values as an ERP wants them written: the out-steps, and whole messages made with them.

One message at a time, texts in and texts out, nothing rounded and nothing cut off. What cannot be
written is a fault with its field; must not raise for any value, guess, or know a wire.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from mappings.literals import misfit
from mappings.messages import MessageKind
from mappings.outbound import Outbound, OutField, Unsent
from mappings.vocabulary import DECIMALS, Field

OutFunction = Callable[[str, str], str]
"""(text, time zone of the ERP) → text. Raises ValueError for what it cannot write."""


@dataclass(slots=True)
class Rendered:
    """A message in the ERP's words; with `faults` it must not be sent."""

    fields: dict[str, str] = field(default_factory=dict)
    lines: list[dict[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def render(
    kind: MessageKind,
    how: Outbound,
    payload: Mapping[str, Any],
    lookups: Mapping[str, Mapping[str, str]],
    time_zone: str,
) -> Rendered:
    """A payload of the outbox as the mapping `how` says. A value that is not there is left out."""
    made = Rendered(fields=dict(how.constants))
    _part(
        kind.fields, how.fields, payload, _Writer(lookups, time_zone, "", made.faults, made.fields)
    )
    if how.lines is None:
        return made
    for line in payload.get("lines") or ():
        texts = dict(how.lines.constants)
        where = f"line {line.get('line_no')}: "
        writer = _Writer(lookups, time_zone, where, made.faults, texts)
        _part(kind.lines, how.lines.fields, line, writer)
        made.lines.append(texts)
    return made


@dataclass(frozen=True, slots=True)
class _Writer:
    lookups: Mapping[str, Mapping[str, str]]
    time_zone: str
    where: str
    faults: list[str]
    texts: dict[str, str]

    def fault(self, name: str, says: str) -> None:
        self.faults.append(f"{self.where}{name}: {says}")


def _part(
    fields: Sequence[Field],
    mapped: Mapping[str, OutField | Unsent],
    values: Mapping[str, Any],
    writer: _Writer,
) -> None:
    for one in fields:
        given = mapped.get(one.name, "unsent")
        if not isinstance(given, OutField):
            continue
        value = values.get(one.name)
        text = None if value is None else _canonical(one, str(value))
        if not text:
            if one.need == "R":
                writer.fault(one.name, f"there is no value ({one.meaning})")
            continue
        said = misfit(one, text)
        if said is not None:
            writer.fault(one.name, f"{text!r} {said}")
            continue
        try:
            writer.texts[given.to] = _written(text, given, writer)
        except ValueError as error:
            writer.fault(one.name, str(error))


def _written(text: str, given: OutField, writer: _Writer) -> str:
    if given.lookup is not None:
        table = writer.lookups[given.lookup]
        theirs = [code for code, ours in table.items() if ours == text]
        if len(theirs) != 1:
            raise ValueError(f"{text!r} has no code in the lookup {given.lookup}")
        text = theirs[0]
    for name in given.through:
        text = OUT_FUNCTIONS[name](text, writer.time_zone)
    return text


def _canonical(one: Field, text: str) -> str:
    """Numbers without the zeros that a NUMERIC column adds behind the point."""
    if one.type in DECIMALS:
        try:
            number = Decimal(text)
        except InvalidOperation:
            return text
        if number.is_finite():
            plain = format(number.normalize(), "f")
            return "0" if plain == "-0" else plain
    return text


def decimal_comma_text(text: str, _: str) -> str:
    """See mappings/out_steps.py."""
    return text.replace(".", ",")


def dotted_thousands_text(text: str, _: str) -> str:
    """See mappings/out_steps.py."""
    sign, digits, rest = _parted(text)
    grouped = f"{int(digits):,}".replace(",", ".")
    return f"{sign}{grouped}{rest.replace('.', ',')}"


def trailing_minus_text(text: str, _: str) -> str:
    """See mappings/out_steps.py."""
    return f"{text[1:]}-" if text.startswith("-") else text


def two_decimals_text(text: str, _: str) -> str:
    """See mappings/out_steps.py."""
    sign, digits, rest = _parted(text)
    return f"{sign}{digits}.{rest[1:].ljust(2, '0')}"


def yyyymmdd_text(text: str, _: str) -> str:
    """See mappings/out_steps.py."""
    return text.replace("-", "")


def dotted_date_text(text: str, _: str) -> str:
    """See mappings/out_steps.py."""
    year, month, day = text.split("-")
    return f"{day}.{month}.{year}"


def sap_timestamp_text(text: str, _: str) -> str:
    """See mappings/out_steps.py."""
    return _instant(text).astimezone(UTC).strftime("%Y%m%d%H%M%S")


def local_instant_text(text: str, zone: str) -> str:
    """See mappings/out_steps.py."""
    return _instant(text).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")


def dotted_instant_text(text: str, zone: str) -> str:
    """See mappings/out_steps.py."""
    return _instant(text).astimezone(ZoneInfo(zone)).strftime("%d.%m.%Y %H:%M:%S")


def six_digits_text(text: str, _: str) -> str:
    """See mappings/out_steps.py."""
    return text.zfill(6)


def upper_text(text: str, _: str) -> str:
    """See mappings/out_steps.py; ASCII only: a Turkish i stays what it is."""
    return "".join(c.upper() if "a" <= c <= "z" else c for c in text)


def one_line_text(text: str, _: str) -> str:
    """See mappings/out_steps.py."""
    return " ".join(text.split())


OUT_FUNCTIONS: dict[str, OutFunction] = {
    one.__name__: one
    for one in (
        decimal_comma_text,
        dotted_thousands_text,
        trailing_minus_text,
        two_decimals_text,
        yyyymmdd_text,
        dotted_date_text,
        sap_timestamp_text,
        local_instant_text,
        dotted_instant_text,
        six_digits_text,
        upper_text,
        one_line_text,
    )
}
"""Out-step name → function."""


def _parted(text: str) -> tuple[str, str, str]:
    """Sign, whole digits, and the point with what follows it."""
    found = re.fullmatch(r"([+-]?)([0-9]*)((?:\.[0-9]*)?)", text)
    if found is None:
        raise ValueError(f"{text!r} is no number any more")
    return found[1], found[2] or "0", found[3]


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    return at
