"""XML-RPC as Odoo's external interface has it: `authenticate`, then `execute_kw` with who asks."""

import xmlrpc.client
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.rest.doors import PASSWORD, USER, Doors
from sandbox.rest.pages import Record, searched
from sandbox.rest.server import Reply, Request

DATABASE, USER_ID = "practice", 7
_XML = [("Content-Type", "text/xml; charset=utf-8")]


def fault_of(code: int, text: str) -> Reply:
    """A refusal; HTTP says nothing of it."""
    body = xmlrpc.client.dumps(xmlrpc.client.Fault(code, text), methodresponse=True)
    return Reply(200, body.encode(), _XML)


def logged_in(doors: Doors, request: Request) -> Reply:
    """The user's number, or false."""
    params, method = xmlrpc.client.loads(request.body)
    if method != "authenticate":
        return fault_of(1, f"no method {method}")
    doors.logins += 1
    right = params[:3] == (DATABASE, USER, PASSWORD)
    return _result(USER_ID if right else False)


def called(request: Request, records: Mapping[str, Sequence[Record]], largest: int) -> Reply:
    """`search_read` on a model: [database, user, password, model, method, args, kwargs]."""
    found, method = xmlrpc.client.loads(request.body)
    if method != "execute_kw":
        return fault_of(1, f"no method {method}")
    params: tuple[Any, ...] = found
    database, user, password, model, action, args, words = params
    if (database, user, password) != (DATABASE, USER_ID, PASSWORD):
        return fault_of(3, "Access Denied")
    if model == "res.groups":
        return fault_of(4, "You are not allowed to access 'Groups' (res.groups) records.")
    if model not in records or action != "search_read":
        return fault_of(2, f"Object {model} doesn't exist")
    asked = {**words, "domain": args[0] if args else []}
    return _result([_told(one) for one in searched(records[model], asked, largest)["records"]])


def _told(value: Any) -> Any:  # noqa: ANN401  any value of a record
    """An empty field is false."""
    if isinstance(value, dict):
        return {name: _told(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_told(one) for one in value]
    return False if value is None else value


def _result(value: Any) -> Reply:  # noqa: ANN401  any value
    return Reply(200, xmlrpc.client.dumps((value,), methodresponse=True).encode(), _XML)
