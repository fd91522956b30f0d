"""What is wrong with a mapping, all of it at once, each fault at its place in the file.

Two passes: the shape, by the models of `mappings/spec.py`, and the meaning, by the declared feeds
and steps. Both look at the text as written, so that one fault hides no other. Must not read files.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mappings.credit_rules import CreditRules
from mappings.lines import Place, Tree
from mappings.live import Live, LiveAsk
from mappings.meaning import Fault, meaning_faults, near
from mappings.messages import KINDS
from mappings.outbound import AnswerMapping, Outbound, OutField, OutLines, Retry
from mappings.pricing import Pricing
from mappings.sources import ODataSource, RestSource, SftpSource, SoapSource
from mappings.sources.rest import (
    Each,
    LinkPaging,
    NumberPaging,
    OffsetPaging,
    RestErrors,
    TokenPaging,
)
from mappings.sources.sftp import CsvFormat, Trailer, XmlFormat
from mappings.sources.soap import SoapPaging
from mappings.spec import (
    ErpMapping,
    FeedMapping,
    FieldMapping,
    GuardsOverride,
    Limits,
    PartMapping,
    Scope,
)
from mappings.targets import (
    NativeKey,
    ODataFind,
    ODataTarget,
    SftpFind,
    SftpTarget,
    SoapFind,
    SoapTarget,
)
from mappings.webhooks import Subscribing, Webhooks

_SOURCES: dict[str, type[BaseModel]] = {
    "soap": SoapSource,
    "odata": ODataSource,
    "rest": RestSource,
    "sftp": SftpSource,
    "files": SftpSource,
}
_FORMATS: dict[str, type[BaseModel]] = {"csv": CsvFormat, "xml": XmlFormat}
_LISTED: dict[str, type[BaseModel]] = {
    "fields": FieldMapping,
    "feeds": FeedMapping,
    "parts": PartMapping,
    "live": LiveAsk,
}
_NESTED: dict[str, type[BaseModel]] = {
    "version": FieldMapping,
    "parent": FieldMapping,
    "scope": Scope,
    "guards": GuardsOverride,
    "limits": Limits,
    "page": SoapPaging,
    "trailer": Trailer,
    "pricing": Pricing,
    "live": Live,
    "credit": CreditRules,
    "webhooks": Webhooks,
    "subscribe": Subscribing,
    "errors": RestErrors,
    "each": Each,
}
_PAGING: dict[str, type[BaseModel]] = {
    "offset": OffsetPaging,
    "page": NumberPaging,
    "cursor": TokenPaging,
    "link": LinkPaging,
}
_WORDS: dict[str, str] = {
    "literal['absent']": "is no mapping of a field. Write `absent`, {from: PATH} or {const: TEXT}.",
    "literal['unsent']": "is no mapping of a field. Write `unsent` or {to: PATH}.",
    "literal['cannot']": "is no way to ask for a message. Write `cannot` or the words of `find`.",
}
"""Branch of a union that a single word takes → what its place may hold."""
_TARGETS: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "soap": (SoapTarget, SoapFind),
    "odata": (ODataTarget, ODataFind),
    "sftp": (SftpTarget, SftpFind),
}
_OUTWARD: dict[str, type[BaseModel]] = {
    "lines": OutLines,
    "answer": AnswerMapping,
    "retry": Retry,
    "native_key": NativeKey,
    **{kind.word: Outbound for kind in KINDS.values()},
}


def check(tree: Tree, stem: str) -> tuple[ErpMapping | None, list[Fault]]:
    """The mapping, or None and every fault. `stem` is the file's name without `.yaml`."""
    if not isinstance(tree, dict):
        return None, [Fault((), "must be a mapping that begins with `erp:`")]
    faults: list[Fault] = []
    mapping = None
    try:
        mapping = ErpMapping.model_validate(tree)
    except ValidationError as error:
        faults += _shape_faults(error.errors(include_url=False, include_context=True), tree)
    known = {fault.place for fault in faults}
    for fault in meaning_faults(tree, stem):
        if fault.place not in known:
            faults.append(fault)
    return (None if faults else mapping), faults


def _shape_faults(errors: list[ErrorDetails], tree: Tree) -> list[Fault]:
    faults: dict[Place, str] = {}
    for error in errors:
        place, value = _place(error, tree)
        branch = str(error["loc"][-1])
        if branch in _WORDS and not isinstance(value, str):
            continue
        if error["type"] == "model_type" and isinstance(value, str):
            continue
        faults.setdefault(place, _says(error, place, value, tree))
    return [Fault(place, says) for place, says in faults.items()]


def _place(error: ErrorDetails, tree: Tree) -> tuple[Place, Tree | None]:
    """Where in the file an error is: pydantic's location without the names of union branches."""
    place: Place = ()
    here: Tree | None = tree
    for index, word in enumerate(error["loc"]):
        if isinstance(here, dict) and word in here:
            here = here[str(word)]
        elif isinstance(here, list) and isinstance(word, int) and word < len(here):
            here = here[word]
        elif error["type"] == "missing" and index == len(error["loc"]) - 1:
            here = None
        else:
            continue
        place = (*place, word)
    return place, here


def _says(error: ErrorDetails, place: Place, value: Tree | None, tree: Tree) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        known = _words(place[:-1], tree)
        nearest = near(str(place[-1]), known)
        return f"unknown word{nearest} Correct the word or remove the line."
    if kind == "missing":
        return f"missing. Write `{place[-1]}:` and its value."
    if str(error["loc"][-1]) in _WORDS:
        return f"{value!r} {_WORDS[str(error['loc'][-1])]}"
    if kind in ("literal_error", "union_tag_invalid"):
        expected = str(context.get("expected") or context.get("expected_tags"))
        given = context.get("tag", value)
        nearest = near(str(given), re.findall(r"'(\w+)'", expected))
        return f"must be {expected}, not {str(given)!r}{nearest}"
    if kind == "union_tag_not_found":
        word = str(context.get("discriminator", "protocol")).strip("'")
        return f"says no `{word}`. Write `{word}:` first: the other words depend on it."
    if kind in ("tuple_type", "list_type"):
        return "must be a list, as [strip, upper]."
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return "must be a mapping of words to values."
    said = error["msg"][0].lower() + error["msg"][1:]
    return f"{said}, not {value!r}." if isinstance(value, str) else f"{said}."


def _words(place: Place, tree: Tree) -> list[str]:
    """The words that may stand in the mapping at `place`."""
    model: type[BaseModel] | None = ErpMapping if not place else None
    last = str(place[-1]) if place else ""
    above = str(place[-2]) if len(place) > 1 else ""
    if place and place[0] in _OUTWARD:
        model = _outward(place, tree)
    elif above in _LISTED:
        model = _LISTED[above]
    elif last in ("source", "format", "page"):
        here = _at(place, tree)
        tags = ("protocol", "kind", "by")
        tag = next((here[t] for t in tags if t in here), None) if isinstance(here, dict) else None
        model = {**_SOURCES, **_FORMATS, **_PAGING}.get(str(tag)) or _NESTED.get(last)
    elif place:
        model = _NESTED.get(last)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _outward(place: Place, tree: Tree) -> type[BaseModel] | None:
    """The model of a mapping's place within what it says about messages out."""
    last = str(place[-1])
    if len(place) > 1 and place[-2] == "fields":
        return FieldMapping if "answer" in place else OutField
    if last in ("target", "find"):
        above = _at(place if last == "target" else place[:-1], tree)
        protocol = str(above.get("protocol")) if isinstance(above, dict) else ""
        models = _TARGETS.get(protocol)
        return None if models is None else models[last == "find"]
    return None if "answer" in place[1:-1] else _OUTWARD.get(last)


def _at(place: Place, tree: Tree) -> Tree | None:
    for word in place:
        if isinstance(tree, dict):
            tree = tree.get(str(word), "")
        elif isinstance(tree, list) and isinstance(word, int):
            tree = tree[word]
    return tree
