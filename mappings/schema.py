"""The JSON schema of a mapping file, for completion and checks in editors.

`python -m mappings.schema` writes `mappings/erp.schema.json`; a test compares. A mapping names it
in its first line: `# yaml-language-server: $schema=../erp.schema.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mappings.asks import ASKS
from mappings.feeds import FEEDS, PARTS
from mappings.messages import KINDS
from mappings.out_steps import OUT_STEPS
from mappings.spec import ErpMapping
from mappings.steps import ANY, STEPS
from mappings.vocabulary import Feed, Field, Part

PATH = Path(__file__).with_name("erp.schema.json")

_FIELD = {"anyOf": [{"$ref": "#/$defs/FieldMapping"}, {"const": "absent"}]}


def schema() -> dict[str, Any]:
    """The models of the language, with our feeds, parts, fields and steps as words to choose."""
    whole = ErpMapping.model_json_schema(by_alias=True)
    words = whole["$defs"]
    words["FieldMapping"]["properties"]["through"]["items"] = {"$ref": "#/$defs/Step"}
    words["Step"] = {
        "oneOf": [
            {"const": one.name, "description": f"{_columns(one.takes)}. {one.says}"}
            for one in STEPS.values()
        ]
    }
    for part in PARTS.values():
        words[f"fields of {part.name}"] = _fields(part)
    plain_feed, plain_part = words.pop("FeedMapping"), words.pop("PartMapping")
    plain_ask = words.pop("LiveAsk")
    for feed in FEEDS.values():
        words[f"feed {feed.name}"] = _feed(feed, plain_feed)
        for part in feed.parts:
            if part.name != feed.main:
                words[f"part {part.name}"] = {
                    **plain_part,
                    "description": part.meaning,
                    "properties": {
                        **plain_part["properties"],
                        "fields": {"$ref": f"#/$defs/fields of {part.name}"},
                    },
                }
    whole["properties"]["feeds"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {name: {"$ref": f"#/$defs/feed {name}"} for name in FEEDS},
    }
    for name, ask in ASKS.items():
        words[f"live {name}"] = {
            **plain_ask,
            "description": ask.part.meaning,
            "properties": {**plain_ask["properties"], "fields": _fields(ask.part)},
        }
    words["Live"]["properties"] = {
        name: {"anyOf": [{"$ref": f"#/$defs/live {name}"}, {"const": "absent"}]} for name in ASKS
    }
    _outbound(whole)
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    whole["title"] = "A Waybill mapping: how one ERP supplies the feeds"
    return _texts_too(whole)


def text() -> str:
    """The schema as it is written to the file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _feed(feed: Feed, plain: dict[str, Any]) -> dict[str, Any]:
    parts = {
        part.name: {"anyOf": [{"$ref": f"#/$defs/part {part.name}"}, {"const": "absent"}]}
        for part in feed.parts
        if part.name != feed.main
    }
    properties = {
        **plain["properties"],
        "fields": {"$ref": f"#/$defs/fields of {feed.main}"},
        "parts": {
            "type": "object",
            "additionalProperties": False,
            "properties": parts,
            "required": sorted(parts),
        },
    }
    required = [*plain["required"], *(["parts"] if parts else [])]
    return {**plain, "description": feed.meaning, "properties": properties, "required": required}


def _fields(part: Part) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field in part.mapped_fields:
        required = field.need == "R" and field.absent is None
        codes = f" One of {', '.join(field.codes)}." if field.codes else ""
        properties[field.name] = {
            **(_FIELD["anyOf"][0] if required else _FIELD),
            "description": f"{field.type}, {field.need}: {field.meaning}.{codes}",
        }
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(properties),
    }


def _outbound(whole: dict[str, Any]) -> None:
    """`orders` and its like: one definition a kind, with its fields and the out-steps to choose."""
    words = whole["$defs"]
    words["OutStep"] = {
        "oneOf": [{"const": one.name, "description": one.says} for one in OUT_STEPS.values()]
    }
    words["OutField"]["properties"]["through"]["items"] = {"$ref": "#/$defs/OutStep"}
    plain, lines = words.pop("Outbound"), words.pop("OutLines")
    for kind in KINDS.values():
        properties = {**plain["properties"], "fields": _out_fields(kind.fields)}
        required = [*plain["required"]]
        properties.pop("lines")
        if kind.lines:
            inner = {**lines["properties"], "fields": _out_fields(kind.lines)}
            properties["lines"] = {**lines, "properties": inner}
            required.append("lines")
        words[f"message {kind.name}"] = {
            **plain,
            "description": kind.meaning,
            "properties": properties,
            "required": required,
        }
        whole["properties"][kind.word] = {"$ref": f"#/$defs/message {kind.name}"}


def _out_fields(fields: tuple[Field, ...]) -> dict[str, Any]:
    field = {"$ref": "#/$defs/OutField"}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            one.name: {
                **(field if one.need == "R" else {"anyOf": [field, {"const": "unsent"}]}),
                "description": f"{one.type}, {one.need}: {one.meaning}.",
            }
            for one in fields
        },
        "required": [one.name for one in fields],
    }


def _columns(takes: int) -> str:
    return (
        "Takes one column or more" if takes == ANY else f"Takes {takes} column{'s' * (takes > 1)}"
    )


def _texts_too(tree: Any) -> Any:  # noqa: ANN401  any JSON
    """Codes such as 10 or NO are read as the text they are, so an editor must allow them."""
    if isinstance(tree, dict):
        found = {name: _texts_too(one) for name, one in tree.items()}
        if found.get("type") == "string" and not {"pattern", "enum", "const"} & found.keys():
            found["type"] = ["string", "number", "boolean", "null"]
        return found
    return [_texts_too(one) for one in tree] if isinstance(tree, list) else tree


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
