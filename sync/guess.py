"""Which column is which field, and which listing is which part: proposals with their confidence.

By name (technical names, words of several languages) and by whether the sample's values can be
read as the field. Must not read a page or write a mapping.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from connectors.describe import Listing
from mappings.vocabulary import Field, Part
from sync.guess_steps import COMMA, Reading, reading
from sync.synonyms import CONSTANTS, KEYS, LISTINGS, TECHNICAL, WORDS
from sync.words import phrase, words

_LEAST = 0.45
"""Below this a column is not proposed for a field that may be absent."""
_SHARED_LEAST = 0.6
"""A required field may share a column of at least this score."""
_NEAR = 0.86
_KEY_WORDS = ("no", "code", "id", "key", "number", "nr", "nummer", "kodu", "numarasi", "kod")
_NAME_WORDS = ("name", "adi", "ad", "bezeichnung", "title", "unvani")
_VERBS = {"get", "list", "read", "all", "fetch", "query", "find", "out", "export"}

Values = Mapping[str, Sequence[str | None]]


@dataclass(frozen=True, slots=True)
class Guess:
    """One field's proposal. `percent`: confidence; `others`: columns that it could be instead."""

    field: str
    path: str | None = None
    through: tuple[str, ...] = ()
    lookup: Mapping[str, str] | None = None
    const: str | None = None
    percent: int = 0
    others: tuple[str, ...] = ()
    says: str = ""
    missing: bool = False
    """Required, and nothing was found: a person has to choose."""


def guesses(
    part: Part, columns: Mapping[str, str], values: Values, time_zone: str
) -> dict[str, Guess]:
    """Field → proposal, for every field that a mapping must speak about; absent ones have none."""
    fields = {one.name: one for one in part.mapped_fields}
    comma = any(COMMA.fullmatch(text) for texts in values.values() for text in _present(texts))
    read = {
        (name, path): reading(
            one,
            _present(values.get(path, ())),
            time_zone,
            comma=comma,
            blank=any(text is not None and not text.strip() for text in values.get(path, ())),
        )
        for name, one in fields.items()
        for path in columns
        if name_score(part, one, path) >= _LEAST
    }
    scores = {
        (name, path): name_score(part, fields[name], path)
        * _fit(found, fields[name], columns[path])
        for (name, path), found in read.items()
    }
    ranked = sorted(scores, key=lambda pair: (-scores[pair], fields[pair[0]].need != "R", pair))
    chosen: dict[str, str] = {}
    for name, path in ranked:
        if name not in chosen and path not in chosen.values() and scores[name, path] >= _LEAST:
            chosen[name] = path
    for name, path in ranked:  # what must be there may share a column: a dealer pays for itself
        must = fields[name].need == "R" and fields[name].absent is None
        if must and name not in chosen and scores[name, path] >= _SHARED_LEAST:
            chosen[name] = path
    found: dict[str, Guess] = {}
    for name, one in fields.items():
        others = tuple(p for n, p in ranked if n == name and p != chosen.get(name))[:2]
        if name in chosen:
            how = read[name, chosen[name]]
            percent = round(100 * scores[name, chosen[name]])
            table = how.lookup if how.coded else None
            found[name] = Guess(
                name, chosen[name], how.through, table, None, percent, others, how.says
            )
        elif name == "account_key" and one.need == "R" and (own := _payer(part, chosen)):
            says = "no account was found: the dealer pays for itself"
            found[name] = Guess(name, own, percent=40, others=others, says=says)
        elif one.need == "R" and one.absent is None:
            found[name] = _needed(one, others)
    return found


def _payer(part: Part, chosen: Mapping[str, str]) -> str | None:
    """The column of the dealer itself."""
    return chosen.get("key" if part.name == "dealer" else "dealer_key")


def _needed(one: Field, others: tuple[str, ...]) -> Guess:
    const = CONSTANTS.get(one.name)
    fits = const is not None and (not one.codes or const in one.codes)
    if fits:
        return Guess(one.name, const=const, percent=30, others=others, says="no column was found")
    return Guess(one.name, path="?", others=others, says="required, and nothing was found",
                 missing=True)  # fmt: skip


def _present(values: Sequence[str | None]) -> list[str]:
    return [value for value in values if value is not None and value.strip()][:500]


def _fit(found: Reading, one: Field, hint: str) -> float:
    """The values' fit, and whether the described type agrees with the field's."""
    wants = {
        "qty": ("number", "int"), "price": ("number", "int"), "money": ("number", "int"),
        "pct": ("number", "int"), "int": ("int", "number"), "date": ("date", "instant"),
        "instant": ("instant", "date"), "bool": ("bool",),
    }.get(one.type)  # fmt: skip
    if hint and wants is not None and hint not in wants:
        return 0.3 * found.fit
    if hint in {"date", "instant", "bool"} and wants is None:
        return 0.3 * found.fit
    return found.fit


def name_score(part: Part, one: Field, path: str) -> float:
    """How much a column's name says that it is this field of this part: 0 to 1."""
    leaf = path.removesuffix("[]").rpartition("/")[2]
    many = path.endswith("[]")
    if many != (one.type in {"texts", "codes"}):
        return 0.0
    if leaf.upper() in TECHNICAL.get(one.name, ()) and (one.name != "key"):
        return 1.0
    if one.name == "key" and leaf.upper() in KEYS.get(part.name, ()):
        return 1.0
    theirs = words(leaf)
    if not theirs:
        return 0.0
    return max((_alike(theirs, phrase_) for phrase_ in _phrases(part, one)), default=0.0)


@lru_cache(maxsize=1024)
def _phrases(part: Part, one: Field) -> frozenset[str]:
    own = {phrase(one.name), *(phrase(word) for word in WORDS.get(one.name, ()))}
    if one.name in {"key", "name"}:
        listed = {word.removesuffix("s") for word in LISTINGS.get(part.name, ())}
        endings = _KEY_WORDS if one.name == "key" else _NAME_WORDS
        own |= {f"{word} {end}" for word in (*listed, part.name) for end in endings}
        own |= {phrase(part.name)} if one.name == "key" else set()
    return frozenset(own)


@lru_cache(maxsize=65536)
def _alike(theirs: tuple[str, ...], ours: str) -> float:
    text = " ".join(theirs)
    if text == ours or text.replace(" ", "") == ours.replace(" ", ""):
        return 0.95
    mine = ours.split()
    if len(mine) > 1 and set(mine) <= set(theirs):
        return 0.6 + 0.25 * len(mine) / len(theirs)
    if len(mine) == 1 and mine[0] in theirs and len(mine[0]) > 2:  # noqa: PLR2004  "no" is in every name
        return 0.35 + 0.35 / len(theirs)
    if len(text) > 4 and len(ours) > 4:  # noqa: PLR2004  shorter ones are alike by chance
        matcher = difflib.SequenceMatcher(None, text, ours)
        if matcher.real_quick_ratio() >= _NEAR <= matcher.ratio():
            return 0.6
    return 0.0


def listing_score(part: Part, listing: Listing) -> float:
    """How much a listing looks like the records of a part: by its name and by its columns.

    One that comes in pages or says how many there are is more likely to be the list of them.
    """
    whole = (
        0.05 if {"page", "page_size"} & listing.words.keys() or "list" in words(listing.name) else 0
    )
    return whole + 0.5 * called(part.name, listing.name) + 0.5 * column_score(part, listing.columns)


def called(part: str, name: str) -> float:
    """How much a name says that it holds the records of a part."""
    theirs = tuple(word for word in words(name) if word not in _VERBS and not word.isdecimal())
    found = 0.0
    for ours in (*LISTINGS.get(part, ()), part.replace("_", " ")):
        mine = {word.removesuffix("s") for word in ours.split()}
        there = {word.removesuffix("s") for word in theirs}
        if mine == there:
            return 1.0
        if mine <= there:
            found = max(found, 0.4 + 0.4 * len(mine) / len(there))
    return found


def column_score(part: Part, columns: Mapping[str, str]) -> float:
    """The share of a part's own fields that find a column, required ones counted double."""
    weight = total = 0.0
    for one in part.mapped_fields:
        if one.name in CONSTANTS and one.codes:
            continue
        share = 2.0 if one.need == "R" else 0.5
        total += share
        weight += share * max((name_score(part, one, path) for path in columns), default=0.0)
    return weight / total if total else 0.0
