"""How the practice ERP writes: SOAP version, style, attachments, texts within texts.

Must not know operations.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lxml import etree

from sandbox.soap.habits import Habits
from sandbox.soap.security import WSSE

_XOP = "http://www.w3.org/2004/08/xop/include"
_BOUNDARY = "uuid-practice-0001"
_LISTS = 2
"""Depth of a list below the answer by rpc: answer, result, list."""
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{envelope}" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
)


@dataclass(frozen=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: bytes
    media_type: str = "text/xml; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class Writing:
    """Envelopes by one ERP's habits."""

    def __init__(self, habits: Habits) -> None:
        self._habits = habits
        self._head = _HEAD.format(envelope=habits.envelope)

    def records(self, name: str, element: str, items: list[str], told: Mapping[str, str]) -> Reply:
        """A page of records; `told` is what it says of itself, in body or header."""
        said = [f"<{word}>{text}</{word}>" for word, text in told.items()]
        done = "<RETURN><TYPE>S</TYPE></RETURN>"
        if self._habits.answer in ("cdata", "escaped"):
            inner = f"<LIST>{''.join(items)}</LIST>"
            text = f"<![CDATA[{inner}]]>" if self._habits.answer == "cdata" else escape(inner)
            items = [text]
        listed = (f"<{element}>", *items, f"</{element}>")
        if self._habits.header:
            uri = self._habits.namespace
            paging = f'<Paging xmlns="{uri}">{"".join(said)}</Paging>'
            return self.ok(name, done, *listed, header=paging)
        return self.ok(name, said[0], done, *listed, *said[1:])

    def document(self, content: bytes) -> Reply:
        """A binary: base64, or an attachment that the envelope points at."""
        done = "<RETURN><TYPE>S</TYPE></RETURN>"
        if self._habits.answer != "mtom":
            text = base64.b64encode(content).decode()
            return self.ok("GetDocument", f"{done}<CONTENT>{text}</CONTENT>")
        include = f'<xop:Include xmlns:xop="{_XOP}" href="cid:document%40practice"/>'
        return self.ok("GetDocument", f"{done}<CONTENT>{include}</CONTENT>", attached=content)

    def ok(self, name: str, *inside: str, header: str = "", attached: bytes | None = None) -> Reply:
        """An answer, its elements in the ERP's namespace, or in none by rpc."""
        uri = self._habits.namespace
        opened = f'<{name}Response xmlns="{uri}">'
        closed = f"</{name}Response>"
        if self._habits.style == "rpc":
            opened = f'<r:{name}Response xmlns:r="{uri}"><RESULT xsi:type="r:Result">'
            closed = f"</RESULT></r:{name}Response>"
        head = f"{self._head}<soap:Header>{header}</soap:Header><soap:Body>{opened}"
        text = "".join((head, *inside, f"{closed}</soap:Body></soap:Envelope>"))
        if self._habits.references:
            text = _apart(text)
        if self._habits.answer == "mtom":
            return self._multipart(text.encode(), attached)
        return Reply(200, text.encode(), self._habits.media_type)

    def fault(self, code: str, says: str) -> Reply:
        """A fault, with HTTP 500."""
        if ":" not in code:
            code = f"soap:{code}"
        if self._habits.version == "1.2":
            theirs = code.replace("soap:Client", "soap:Sender").replace(
                "soap:Server", "soap:Receiver"
            )
            inside = (
                f"<soap:Code><soap:Value>{theirs}</soap:Value></soap:Code>"
                f'<soap:Reason><soap:Text xml:lang="en">{escape(says)}</soap:Text></soap:Reason>'
            )
        else:
            inside = f"<faultcode>{code}</faultcode><faultstring>{escape(says)}</faultstring>"
        body = (
            f'{self._head}<soap:Body><soap:Fault xmlns:wsse="{WSSE}">{inside}</soap:Fault>'
            "</soap:Body></soap:Envelope>"
        )
        return Reply(500, body.encode(), self._habits.media_type)

    def _multipart(self, root: bytes, attached: bytes | None) -> Reply:
        kind = "application/soap+xml" if self._habits.version == "1.2" else "text/xml"
        parts = [(f'application/xop+xml; charset=UTF-8; type="{kind}"', "root@practice", root)]
        if attached is not None:
            parts.append(("application/pdf", "document@practice", attached))
        lines = [
            b"--%b\r\nContent-Type: %b\r\nContent-Transfer-Encoding: binary\r\n"
            b"Content-ID: <%b>\r\n\r\n%b\r\n"
            % (_BOUNDARY.encode(), media.encode(), name.encode(), content)
            for media, name, content in parts
        ]
        media_type = (
            f'multipart/related; boundary="{_BOUNDARY}"; type="application/xop+xml"; '
            f'start="<root@practice>"; start-info="{kind}"'
        )
        return Reply(200, b"".join((*lines, b"--%b--\r\n" % _BOUNDARY.encode())), media_type)


def _apart(text: str) -> str:
    """The records, and what has children in them, behind the answer; an `href` in their place."""
    root = etree.fromstring(text.encode())
    body = root[-1]
    answer = body[0]
    inner = [one for one in answer.iter() if len(one) and _depth(one, answer) > _LISTS]
    for number, one in enumerate(reversed(inner)):  # the innermost first
        moved = etree.SubElement(body, "multiRef", {"id": f"id{number}"})
        moved.text = one.text
        moved.extend(list(one))
        one.text = None
        one.set("href", f"#id{number}")
    return etree.tostring(root, encoding="unicode")


def _depth(one: etree._Element, top: etree._Element) -> int:
    return next(n for n, above in enumerate((one, *one.iterancestors())) if above is top)
