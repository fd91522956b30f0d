"""What is wrong with a mapping, all of it at once, each fault at its place in the file.

Two passes: the shape, by the models of `mappings/spec.py`, and the meaning, by the declared feeds
and steps. Both look at the text as written, so that one fault hides no other. Must not read files.
"""

from __future__ import annotations

import re

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mappings.lines import Place, Tree
from mappings.meaning import Fault, meaning_faults, near
from mappings.pricing import Pricing
from mappings.sources import ODataSource, SftpSource, SoapSource
from mappings.sources.sftp import CsvFormat, Trailer, XmlFormat
from mappings.sources.soap import SoapPaging
from mappings.spec import ErpMapping, FeedMapping, FieldMapping, GuardsOverride, PartMapping, Scope

_SOURCES: dict[str, type[BaseModel]] = {
    "soap": SoapSource,
    "odata": ODataSource,
    "sftp": SftpSource,
}
_FORMATS: dict[str, type[BaseModel]] = {"csv": CsvFormat, "xml": XmlFormat}
_NESTED: dict[str, type[BaseModel]] = {
    "version": FieldMapping,
    "parent": FieldMapping,
    "scope": Scope,
    "guards": GuardsOverride,
    "page": SoapPaging,
    "trailer": Trailer,
    "pricing": Pricing,
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
        if branch == "literal['absent']" and not isinstance(value, str):
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
    if str(error["loc"][-1]) == "literal['absent']":
        ways = "Write `absent`, {from: PATH} or {const: TEXT}."
        return f"{value!r} is no mapping of a field. {ways}"
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
    if above in ("fields", "feeds", "parts"):
        model = {"fields": FieldMapping, "feeds": FeedMapping, "parts": PartMapping}[above]
    elif last in ("source", "format"):
        here = _at(place, tree)
        tag = here.get("protocol", here.get("kind")) if isinstance(here, dict) else None
        model = {**_SOURCES, **_FORMATS}.get(str(tag))
    elif place:
        model = _NESTED.get(last)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _at(place: Place, tree: Tree) -> Tree | None:
    for word in place:
        if isinstance(tree, dict):
            tree = tree.get(str(word), "")
        elif isinstance(tree, list) and isinstance(word, int):
            tree = tree[word]
    return tree
