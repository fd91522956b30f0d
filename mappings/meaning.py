"""What is wrong with what a mapping means: feeds, fields, steps, lookups, schedules, references.

Works on the tree of text and skips what has not the right shape: that is reported by the models.
Must not read files.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import cast

from pydantic import ValidationError

from mappings.asks import ASKS
from mappings.chains import chain_faults
from mappings.corrections_meaning import correction_faults
from mappings.feeds import FEEDS, PARTS
from mappings.lines import Place, Tree
from mappings.literals import misfit
from mappings.live import What
from mappings.outbound_meaning import AnswerField, outbound_faults
from mappings.schedule import cron_fault, window_fault, zone_fault
from mappings.spec import FieldMapping
from mappings.steps import ACCEPTED, STEPS, Kind
from mappings.trust import NEVER
from mappings.vocabulary import Feed, Field, Part

_VERSION = Field("version", "instant", "-", "instant of the last change")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to correct. `says` ends with its remedy."""

    place: Place
    says: str


def meaning_faults(tree: Mapping[str, Tree], stem: str) -> Iterator[Fault]:
    """Every fault of meaning in the order of the file."""
    if tree.get("erp", stem) != stem:
        yield Fault(("erp",), f"must be the file's name, {stem!r}. Rename one of the two.")
    zone = tree.get("time_zone")
    if isinstance(zone, str) and (said := zone_fault(zone)):
        yield Fault(("time_zone",), f"{said}. Write an IANA name, as Europe/Berlin.")
        zone = None
    for index, window in enumerate(_list(tree.get("windows"))):
        if isinstance(window, str) and (said := window_fault(window)):
            yield Fault(("windows", index), f"{said}.")
    yield from _limits(_dict(tree.get("limits")))
    yield from _refers(tree.get("refers"), ("refers",))
    lookups = _dict(tree.get("lookups"))
    for name, raw in _dict(tree.get("feeds")).items():
        place: Place = ("feeds", name)
        if name not in FEEDS:
            yield Fault(place, f"unknown feed{near(name, FEEDS)} Correct the word or remove it.")
        elif isinstance(raw, dict):
            yield from _feed(
                FEEDS[name], raw, place, lookups, zone if isinstance(zone, str) else None
            )
    yield from _now(tree, lookups)
    for found in outbound_faults(tree, lookups):
        if isinstance(found, AnswerField):
            yield from _field(found.field, found.given, found.place, lookups)
        else:
            yield Fault(*found)


def near(word: str, words: Iterable[str]) -> str:
    """`; did you mean unit_price?`, or a full stop where no word is near."""
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else "."


def _feed(
    feed: Feed, raw: dict[str, Tree], place: Place, lookups: dict[str, Tree], zone: str | None
) -> Iterator[Fault]:
    schedule = raw.get("schedule")
    if isinstance(schedule, str) and (said := cron_fault(schedule, zone)):
        yield Fault((*place, "schedule"), f"{said}.")
    yield from _trust(raw, place, zone)
    yield from (Fault(*found) for found in correction_faults(feed, raw, place))
    yield from _refers(raw.get("refers"), (*place, "refers"))
    yield from _guards(raw.get("guards"), (*place, "guards"))
    main = feed.part(feed.main)
    yield from _part(main, raw, place, lookups)
    yield from _scope(main, raw.get("scope"), (*place, "scope"))
    parts = _dict(raw.get("parts"))
    known = {part.name: part for part in feed.parts if part.name != feed.main}
    for name in parts:
        here = (*place, "parts", name)
        if name == feed.main:
            yield Fault(here, f"{name} is the feed's main part. Move its words up to the feed.")
        elif name not in known:
            yield Fault(here, f"unknown part{near(name, known)} Correct the word or remove it.")
    for name, part in known.items():
        here, given = (*place, "parts", name), parts.get(name)
        if given is None:
            yield Fault(here, f"not mentioned. Map it, or write `{name}: absent` under `parts`.")
        elif isinstance(given, dict):
            if part.parent and parts.get(part.parent) == "absent":
                yield Fault(here, f"cannot be there while {part.parent} is absent.")
            yield from _where(part, given, here)
            yield from _part(part, given, here, lookups)


def _trust(raw: dict[str, Tree], place: Place, zone: str | None) -> Iterator[Fault]:
    """What a delta misses, and when a sweep makes up for it."""
    if raw.get("mode") == "snapshot":
        for word in ("misses", "sweep"):
            if word in raw:
                yield Fault(
                    (*place, word), f"a snapshot reads everything each time. Remove `{word}`."
                )
        return
    sweep = raw.get("sweep")
    if isinstance(sweep, str) and sweep != NEVER and (said := cron_fault(sweep, zone)):
        yield Fault((*place, "sweep"), f"{said}; or write `never`.")


def _where(part: Part, raw: dict[str, Tree], place: Place) -> Iterator[Fault]:
    """A child is read inside its root's records, or has a source and says how it names its root."""
    has = {word for word in ("source", "records", "parent") if word in raw}
    if part.parent is None:
        if "source" not in has:
            yield Fault(place, "needs a `source` of its own.")
        for word in sorted(has - {"source"}):
            yield Fault((*place, word), f"{part.name} is no child. Remove `{word}`.")
    elif has not in ({"records"}, {"source", "parent"}):
        yield Fault(
            place,
            f"needs either `records` (inside the record of {part.parent}) or both `source` and "
            f"`parent` (how it names its {part.parent}).",
        )


def _now(tree: Mapping[str, Tree], lookups: dict[str, Tree]) -> Iterator[Fault]:
    """What belongs to the real-time lane: what is asked live, and what an ERP calls us about."""
    for name, raw in _dict(tree.get("live")).items():
        if name in ASKS and isinstance(raw, dict):
            yield from _ask(name, raw, ("live", name), lookups)
    feeds = _dict(tree.get("feeds"))
    for resource, feed in _dict(_dict(tree.get("webhooks")).get("feeds")).items():
        if isinstance(feed, str) and feed not in feeds:
            here: Place = ("webhooks", "feeds", resource)
            yield Fault(here, f"this mapping has no feed {feed!r}{near(feed, feeds)}")


def _ask(
    name: str, raw: dict[str, Tree], place: Place, lookups: dict[str, Tree]
) -> Iterator[Fault]:
    ask = ASKS[cast("What", name)]
    if _dict(raw.get("source")).get("protocol") == "sftp":
        yield Fault((*place, "source"), "files cannot be asked. Write `absent`.")
    known = [key.name for key in ask.keys]
    given = _dict(raw.get("parameters"))
    for theirs, ours in given.items():
        if isinstance(ours, str) and ours not in known:
            yield Fault((*place, "parameters", theirs), f"unknown key {ours!r}{near(ours, known)}")
    for key in ask.keys:
        if key.name in ask.needed and key.name not in given.values():
            yield Fault((*place, "parameters"), f"must ask for {key.name} ({key.meaning}).")
    yield from _part(ask.part, raw, place, lookups)


def _part(
    part: Part, raw: dict[str, Tree], place: Place, lookups: dict[str, Tree]
) -> Iterator[Fault]:
    fields = raw.get("fields")
    wanted = {field.name: field for field in part.mapped_fields}
    if isinstance(fields, dict):
        for name, given in fields.items():
            here = (*place, "fields", name)
            if name in wanted:
                yield from _field(wanted[name], given, here, lookups)
            elif any(name == field.name for field in part.fields):
                yield Fault(here, "is filled by Waybill itself. Remove the line.")
            else:
                yield Fault(
                    here, f"unknown field{near(name, wanted)} Correct the word or remove the line."
                )
        for name, field in wanted.items():
            if name not in fields:
                remedy = "Map it." if _required(field) else f"Map it, or write `{name}: absent`."
                yield Fault((*place, "fields", name), f"not mentioned ({field.meaning}). {remedy}")
    if "version" in raw:
        yield from _field(_VERSION, raw["version"], (*place, "version"), lookups)
    if "parent" in raw and part.parent_field:
        yield from _field(part.field(part.parent_field), raw["parent"], (*place, "parent"), lookups)


def _field(field: Field, given: Tree, place: Place, lookups: dict[str, Tree]) -> Iterator[Fault]:
    if given == "absent":
        if _required(field):
            yield Fault(place, f"is required and cannot be absent ({field.meaning}). Map it.")
        return
    try:
        mapping = FieldMapping.model_validate(given)
    except ValidationError:
        return  # the models report it
    if (mapping.from_ is None) == (mapping.const is None):
        yield Fault(place, "needs either `from` or `const`.")
        return
    if mapping.const is not None:
        if mapping.through or mapping.lookup:
            yield Fault(place, "a constant takes neither `through` nor `lookup`. Remove them.")
        if said := misfit(field, mapping.const):
            yield Fault((*place, "const"), f"{mapping.const!r} {said}.")
        return
    if not mapping.paths or not all(path.strip() for path in mapping.paths):
        yield Fault((*place, "from"), "names no path.")
        return
    accepted = ACCEPTED[field.type]
    if mapping.lookup is not None:
        yield from _lookup(field, mapping.lookup, (*place, "lookup"), lookups)
        accepted = (
            ("text", "number", "texts") if field.type in ("texts", "codes") else ("text", "number")
        )
    yield from _chain(mapping, place, accepted)


def _chain(mapping: FieldMapping, place: Place, accepted: tuple[Kind, ...]) -> Iterator[Fault]:
    unknown = False
    for index, name in enumerate(mapping.through):
        if name not in STEPS:
            unknown = True
            yield Fault((*place, "through", index), f"unknown step {name!r}{near(name, STEPS)}")
    if unknown:
        return
    for index, said in chain_faults(mapping.through, len(mapping.paths), accepted=accepted):
        yield Fault(place if index < 0 else (*place, "through", index), f"{said}.")


def _lookup(field: Field, name: str, place: Place, lookups: dict[str, Tree]) -> Iterator[Fault]:
    if name not in lookups:
        yield Fault(place, f"no such lookup: {name!r}{near(name, lookups)}")
        return
    for theirs, ours in _dict(lookups[name]).items():
        if isinstance(ours, str) and (said := misfit(field, ours)):
            yield Fault(
                ("lookups", name, theirs),
                f"{ours!r} {said} (as {field.name} it is used at {dotted(place)}).",
            )


def _scope(part: Part, raw: Tree | None, place: Place) -> Iterator[Fault]:
    if not isinstance(raw, dict):
        return
    name = raw.get("field")
    if isinstance(name, str):
        field = next((one for one in part.fields if one.name == name), None)
        if field is None:
            words = [one.name for one in part.fields]
            yield Fault((*place, "field"), f"{part.name} has no field {name!r}{near(name, words)}")
        elif "days" in raw and field.type not in ("date", "instant"):
            yield Fault(
                (*place, "days"), f"a window needs a date or an instant; {name} is {field.type}."
            )
    if ("values" in raw) == ("days" in raw):
        yield Fault(place, "needs either `values` or `days`.")


def _guards(raw: Tree | None, place: Place) -> Iterator[Fault]:
    for name, text in _dict(raw).items():
        if not name.endswith("_share") or not isinstance(text, str):
            continue
        try:
            inside = 0 <= Decimal(text) <= 1
        except InvalidOperation:
            continue
        if not inside:
            yield Fault((*place, name), f"must be a share between 0 and 1, not {text}.")


def _limits(raw: dict[str, Tree]) -> Iterator[Fault]:
    reserve, concurrent = str(raw.get("reserve", "0")), str(raw.get("concurrent", ""))
    if not reserve.isdecimal() or int(reserve) == 0:
        return
    if not concurrent or (concurrent.isdecimal() and int(reserve) >= int(concurrent)):
        yield Fault(
            ("limits", "reserve"),
            "must be less than `concurrent`: else the feeds would never get a turn.",
        )


def _refers(raw: Tree | None, place: Place) -> Iterator[Fault]:
    for name in _dict(raw):
        if name not in PARTS:
            yield Fault((*place, name), f"unknown part{near(name, PARTS)}")


def dotted(place: Place) -> str:
    """`feeds.prices.fields.unit_price`."""
    return ".".join(str(word) for word in place)


def _required(field: Field) -> bool:
    return field.need == "R" and field.absent is None


def _dict(tree: Tree | None) -> dict[str, Tree]:
    return tree if isinstance(tree, dict) else {}


def _list(tree: Tree | None) -> list[Tree]:
    return tree if isinstance(tree, list) else []
