"""Messages owed to the ERPs that need a person: dead ones, uncertain ones, and their lanes.

Every deed is a verb of `sync.dead_letters`: nothing is sent from here, and what may be in the ERP
is looked up first. Must not send.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from mappings.errors import Misconfigured, WaybillError
from portal_db import desk, desk_matters, desk_runs
from review.web import asked, forms
from review.web.database import reading
from review.web.desk import desk_of
from review.web.gate import Page, user_of
from review.web.render import counted, go, page, url
from sync import groups
from sync.dead_letters import close_message, resume, retry_message, settle_message

PAGE = 50
MOST_AT_ONCE = 200


def _messages(request: Request) -> Response:
    query = request.query_params
    chosen = {name: query.get(name) or None for name in ("erp", "state", "code")}
    after = int(query["after"]) if query.get("after", "").isdecimal() else None
    with reading(request) as connection:
        found = desk_runs.messages(connection, **chosen, after=after, limit=PAGE + 1)
        lanes = desk_matters.lanes(connection)
        kinds = desk_matters.message_groups(connection)
    following = None
    if len(found) > PAGE:
        found = found[:PAGE]
        following = url(request, "/messages", **chosen, after=found[-1]["id"])
    return page(
        request, "messages.html", messages=found, lanes=lanes, kinds=kinds, chosen=chosen,
        following=following, most=MOST_AT_ONCE,
        first=url(request, "/messages", **chosen) if after else None,
    )  # fmt: skip


def _message(request: Request) -> Response:
    number = request.path_params["message"]
    with reading(request) as connection:
        found = desk_runs.message(connection, int(number)) if number.isdecimal() else None
        notes = desk.notes(connection, f"message {number}")
    if found is None:
        raise Misconfigured(f"there is no message {number}", code="not_found")
    veil = asked.veil(request)
    for one in found["payloads"]:
        one["payload"] = veil.payload(one["payload"])
        one["text"] = json.dumps(one["payload"], ensure_ascii=False, indent=2)
    if not veil.clear:  # what went over the wire holds names and addresses in the ERP's own words
        for one in found["attempts_made"]:
            one["request"] = one["answer"] = None
    return page(request, "message.html", message=found, notes=notes, masked=not veil.clear)


def _do(request: Request) -> Response:
    number = int(request.path_params["message"])
    context, actor = desk_of(request).context(), user_of(request).name
    to, reason = forms.field(request, "to"), forms.field(request, "reason")
    if not reason:
        raise Misconfigured("a reason is needed", code="reason", remedy="Say why.")
    if to == "retry":
        state = retry_message(context, number, actor=actor, reason=reason)
    elif to == "edit":
        state = retry_message(
            context, number, actor=actor, reason=reason, payload=_payload(request),
            seen=int(forms.field(request, "seen") or 0),
        )  # fmt: skip
    elif to in ("there", "not_there"):
        state = settle_message(
            context, number, there=to == "there", actor=actor, reason=reason,
            number=forms.field(request, "number") or None,
        )  # fmt: skip
    elif to == "close":
        state = close_message(context, number, actor=actor, reason=reason)
    else:
        raise Misconfigured(f"a message cannot be {to!r}", code="form", remedy="Use its buttons.")
    return go(request, f"/messages/{number}", said=f"The message is {state} now.")


def _retry_all(request: Request) -> Response:
    """Every message of one cause: each is let go on its own, and its lane's budget paces them."""
    context, actor = desk_of(request).context(), user_of(request).name
    reason = forms.field(request, "reason")
    if not reason:
        raise Misconfigured("a reason is needed", code="reason", remedy="Say why.")
    erp, code = forms.field(request, "erp"), forms.field(request, "code")
    with reading(request) as connection:
        found = desk_runs.messages(
            connection, state="dead", erp=erp, code=code or None, limit=MOST_AT_ONCE
        )
    went, stayed = 0, 0
    for one in found:
        try:
            state = retry_message(context, one["id"], actor=actor, reason=reason)
        except WaybillError:
            state = "dead"  # somebody else was quicker
        went, stayed = went + (state != "dead"), stayed + (state == "dead")
    verb = "goes" if went == 1 else "go"
    said = f"{counted(went, 'message')} {verb} again, at their lane's pace."
    if stayed:
        said += f" {stayed} stayed: a person must look for them in the ERP first."
    return go(request, "/messages", said=said, erp=erp, code=code)


def _resume(request: Request) -> Response:
    erp = forms.field(request, "erp")
    done = resume(desk_of(request).context(), erp, actor=user_of(request).name)
    said = f"{erp} is tried now, with one message first." if done else f"Nothing holds {erp} back."
    return go(request, "/messages", erp=erp, said=said)


def _note(request: Request) -> Response:
    number = int(request.path_params["message"])
    says = forms.field(request, "says")
    context = desk_of(request).context()
    groups.note(context, f"message {number}", says, actor=user_of(request).name)
    return go(request, f"/messages/{number}", said="Noted.")


def _payload(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(forms.field(request, "payload"))
    except ValueError as error:
        raise Misconfigured(
            f"the payload is no JSON: {error}",
            code="payload",
            remedy="Nothing was changed. Go back and correct it.",
        ) from None
    if not isinstance(found, dict):
        raise Misconfigured("the payload is no object", code="payload", remedy="Go back.")
    return found


ROUTES = (
    Page("/messages", _messages, nav="Messages"),
    Page("/messages/retry", _retry_all, methods=("POST",)),
    Page("/messages/resume", _resume, methods=("POST",)),
    Page("/messages/{message}", _message),
    Page("/messages/{message}/do", _do, methods=("POST",)),
    Page("/messages/{message}/note", _note, methods=("POST",)),
)
