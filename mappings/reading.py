"""`erps/<erp>.yaml` → `ErpMapping`, or a refusal that says every fault with file, line and remedy.

The only module that reads mapping files. Must not know connectors, Arrow, a database or Airflow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mappings.checking import check
from mappings.errors import Misconfigured
from mappings.lines import NotYaml, read_lines
from mappings.meaning import dotted
from mappings.plans import SourcePlan, Supply, plans, supplies
from mappings.spec import ErpMapping

__all__ = [
    "MappingSet",
    "SourcePlan",
    "Supply",
    "plans",
    "read_mapping",
    "read_mappings",
    "supplies",
]


@dataclass(frozen=True, slots=True)
class MappingSet:
    """All mappings of some folders. A broken file is in `broken` and leaves the others alone."""

    mappings: dict[str, ErpMapping]
    broken: dict[str, Misconfigured]
    files: dict[str, Path]
    """ERP (the file's name without `.yaml`) → its file, broken ones too."""
    texts: dict[str, str] = field(default_factory=dict)
    """ERP → its mapping's text, where that is not the file's: a mapping of then."""

    def pairs(self) -> list[tuple[str, str]]:
        """(ERP, feed) of everything that is mapped."""
        return [(erp, feed) for erp, one in sorted(self.mappings.items()) for feed in one.feeds]


def read_mapping(path: Path) -> ErpMapping:
    """The mapping in one file.

    Raises Misconfigured (code `mapping`) with all faults, a line each:
    `erps/acme.yaml:14: feeds.prices.fields.unit_prise: unknown field; did you mean unit_price?`
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise _refusal(f"{path}:1: there is no such file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise _refusal(f"{path}:1: cannot be read as UTF-8 text: {error}.") from error
    return parse_mapping(text, path)


def parse_mapping(text: str, path: Path) -> ErpMapping:
    """The mapping in a text that was, or will be, the file `path`. Raises Misconfigured."""
    try:
        lines = read_lines(text)
    except NotYaml as error:
        raise _refusal(f"{path}:{error.line}: not readable as YAML: {error.says}.") from error
    mapping, faults = check(lines.tree, path.stem)
    located = [(line, dotted(place), says) for line, place, says in lines.faults]
    located += [(lines.line(fault.place), dotted(fault.place), fault.says) for fault in faults]
    if mapping is not None and not located:
        return mapping
    raise _refusal(
        "\n".join(
            f"{path}:{line}: {f'{place}: ' if place else ''}{says}"
            for line, place, says in sorted(located)
        )
    )


def read_mappings(folders: Iterable[Path]) -> MappingSet:
    """Every `*.yaml` directly in the folders, by ERP; an ERP that two files claim is broken."""
    found = MappingSet({}, {}, {})
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            erp = path.stem
            if erp in found.files:
                found.mappings.pop(erp, None)
                found.broken[erp] = _refusal(
                    f"{path}:1: {found.files[erp]} maps {erp} too. Remove one."
                )
                continue
            found.files[erp] = path
            try:
                found.mappings[erp] = read_mapping(path)
            except Misconfigured as error:
                found.broken[erp] = error
    for erp, mapping in list(found.mappings.items()):
        unknown = sorted(_referred(mapping) - found.files.keys())
        if unknown:
            del found.mappings[erp]
            found.broken[erp] = _refusal(
                f"{found.files[erp]}:1: refers: no mapping for {', '.join(unknown)}. "
                "Add it or correct the word."
            )
    return found


def _referred(mapping: ErpMapping) -> set[str]:
    every = [mapping.refers, *(feed.refers for feed in mapping.feeds.values())]
    return {erp for refers in every for erp in refers.values()}


def _refusal(what: str) -> Misconfigured:
    return Misconfigured(what, code="mapping")
