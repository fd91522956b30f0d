"""XML-RPC calls: a question in JSON as the body of a request, credentials put in front.

An ERP that is asked so wants database, user and password as the first parameters of every call; the
mapping writes the others. Must not send anything and must not read an answer's records.
"""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

from connectors.formats.json_walk import Literal

_PARAMS = b"<params>"


def call(body: dict[str, Any]) -> bytes:
    """`{"method": …, "params": […]}` as the XML of a call; numbers must be Literal or int.

    Raises ValueError where it has no method, or parameters that are no list.
    """
    method, params = body.get("method"), body.get("params", [])
    if not isinstance(method, str) or not isinstance(params, list):
        message = "no `method`, or `params` that are no list"
        raise ValueError(message)  # noqa: TRY004  whoever asks catches one kind
    inner = "".join(map(_param, params))
    text = f"<methodCall><methodName>{escape(method)}</methodName><params>{inner}</params>"
    return f'<?xml version="1.0" encoding="UTF-8"?>{text}</methodCall>'.encode()


def question(text: str) -> dict[str, Any]:
    """JSON text of a call, its numbers as they are written."""
    found: dict[str, Any] = json.loads(text, parse_float=Literal, parse_int=Literal)
    return found


def with_credentials(content: bytes, *values: str | Literal) -> bytes:
    """A call with these as its first parameters."""
    head, mark, rest = content.partition(_PARAMS)
    return head + mark + "".join(map(_param, values)).encode() + rest


def _param(value: Any) -> str:  # noqa: ANN401  any JSON
    return f"<param>{_value(value)}</param>"


def _value(value: Any) -> str:  # noqa: ANN401  any JSON
    if value is None:
        inner = "<nil/>"
    elif isinstance(value, bool):
        inner = f"<boolean>{int(value)}</boolean>"
    elif isinstance(value, int):
        inner = f"<int>{value}</int>"
    elif isinstance(value, Literal):
        kind = "int" if value.lstrip("-").isdecimal() else "double"
        inner = f"<{kind}>{value}</{kind}>"
    elif isinstance(value, dict):
        members = (
            f"<member><name>{escape(n)}</name>{_value(v)}</member>" for n, v in value.items()
        )
        inner = f"<struct>{''.join(members)}</struct>"
    elif isinstance(value, list):
        inner = f"<array><data>{''.join(map(_value, value))}</data></array>"
    else:
        inner = f"<string>{escape(str(value))}</string>"
    return f"<value>{inner}</value>"
