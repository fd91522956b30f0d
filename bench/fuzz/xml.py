"""Fuzzes the readers of XML and SOAP: each input ends as rows, rejections or a named error.

    python -m bench.fuzz.xml --seconds 900 --seed 1

Three questions a case: does a reader end, with rows or a class of `mappings.errors`; does it agree
with itself when the pattern for alike records is never used; does a scan of a SOAP answer count
what the reader reads. Prints the counts; a finding is printed with the seed that makes it again.
"""

from __future__ import annotations

import argparse
import collections
import io
import time
import traceback
from dataclasses import dataclass

import msgspec
from lxml import etree

from bench.fuzz.mutate import one
from connectors.formats import locate, read_page
from connectors.formats.raw import Broken, ChildPlan, RawChunk, ReadPlan
from connectors.formats.xml_feed import DoctypeError, RecordFeed
from connectors.soap_answer import EncodingError, NotWholeError, Scan
from mappings.errors import WaybillError
from mappings.sources import SftpSource, SoapSource

_SLOW = 2.0
"""Seconds of the processor after which a case of some kilobytes counts as hanging."""


class Contradiction(Exception):
    """Two answers about the same bytes differ."""


@dataclass(frozen=True)
class Target:
    """A plan, and valid documents for it."""

    name: str
    plan: ReadPlan
    documents: tuple[bytes, ...]


WORDS = (
    b"<item>", b"</item>", b"<item/>", b"<A>", b"</A>", b"<A/>", b'<A xsi:nil="true"/>', b"<!--",
    b"<item><A>7</A><B>n</B></item>", b"<item><B/><A>8</A></item>", b"<!-- c -->", b"<A>1</A>",
    b"<B>t</B>", b"<![CDATA[c]]>", b"-->", b"<![CDATA[",
    b"]]>", b"<?x?>", b"&amp;", b"&#10;", b"&#x1F;", b"&bomb;", b"\r\n",
    b"\r", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbf\xbf", b"\xc3\x28",
    b'<!DOCTYPE x [<!ENTITY bomb "b">]>', b'<?xml version="1.0" encoding="ISO-8859-9"?>',
    b' xmlns="urn:other"', b' xmlns:n="urn:other"', b"<n:A>", b"</n:A>", b"<C>", b"</C>",
    b"<L><item><A>9</A></item></L>", b' href="#a"', b' href="#b"', b' id="a"',
    b'<m id="b">', b"</m>", b"--", b"\r\n--b\r\n\r\n", b"\r\n--b--\r\n",
)  # fmt: skip


def targets() -> tuple[Target, ...]:
    """Lists as ERPs write them: flat, nested, of several namespaces, in texts, in parts."""
    flat = "".join(
        f"<item><A>{i}</A><B>x &amp; {i}</B>{'<C>ü</C>' if i % 2 else ''}<D/></item>"
        for i in range(6)
    )
    nil = '<item><A>7</A><B xsi:nil="true"/></item>'
    nested = "<item><A>1</A><L><item><A>2</A></item><item><A>3</A></item></L></item>"
    spaced = "\n  <item>\n    <A>1</A>\r\n    <B>t</B>\n  </item>\n" * 3
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><s:Header/><s:Body>'
        '<R xmlns="urn:r"><TOTAL>6</TOTAL>'
    )
    tail = "<NEXT>abc:6</NEXT></R></s:Body></s:Envelope>"
    bodies = (flat, flat + nil + flat, nested, spaced, "", flat + "<!-- c -->" + nested + flat)
    answers = tuple(f"{head}<C>{body}</C>{tail}".encode() for body in bodies)
    fault = (
        f"{head.partition('<R ')[0]}<s:Fault><faultcode>s:Client</faultcode>"
        "<faultstring>no</faultstring></s:Fault></s:Body></s:Envelope>"
    ).encode()
    wire = {"protocol": "soap", "operation": "Get", "count": "TOTAL", "cursor": "A"}
    wire |= {"page": {"request": "NEXT", "response": "NEXT"}}
    soap = SoapSource.model_validate({**wire, "records": "C/item"})
    lines = ChildPlan("line", "L/item", ("A",))
    csv = {"kind": "csv", "encoding": "utf-8"}
    text = SoapSource.model_validate({**wire, "records": "C", "payload": csv, "cursor": None})
    inner = SoapSource.model_validate(
        {**wire, "records": "C", "payload": {"kind": "xml", "records": "item"}, "cursor": None}
    )
    escaped = flat.replace("&", "&amp;").replace("<", "&lt;")
    files = SftpSource.model_validate(
        {
            "protocol": "sftp",
            "files": "x.xml",
            "format": {"kind": "xml", "records": "item", "namespaces": {"n": "urn:n"}},
        }
    )
    named = '<L xmlns:n="urn:n"><item n:k="1"><n:A>1</n:A><A>2</A></item><item><A>3</A></item></L>'
    parts = b"--b\r\nContent-ID: <r>\r\n\r\n%b\r\n--b\r\nContent-ID: <p>\r\n\r\nPDF\r\n--b--\r\n"
    pointing = SoapSource.model_validate({**wire, "records": "C/item", "references": True})
    apart = (
        '<item href="#a"/><item href="#b"/>',
        (
            '</C></R><m id="a"><A>1</A><L href="#l"/></m><m id="b"><A>2</A></m>'
            '<m id="l"><item href="#b"/><item><A>3</A></item></m><R xmlns=""><C>'
        ),
    )
    behind = tuple(f"{head}<C>{flat}{apart[0]}{apart[n]}</C>{tail}".encode() for n in (0, 1))
    paths = ("A", "B", "C", "D", "B[]", "L/item/A")
    return (
        Target("soap", ReadPlan("t", soap, ("A", "B", "C", "D")), (*answers, fault)),
        Target("nested", ReadPlan("t", soap, paths, (lines,)), answers),
        Target(
            "file",
            ReadPlan("t", files, ("A", "n:A", "@n:k", ".")),
            (named.encode(), f"<L>{flat}</L>".encode(), f"<L>{spaced}</L>".encode("utf-16")),
        ),
        Target(
            "payload_csv",
            ReadPlan("t", text, ("A", "B")),
            (f"{head}<C><![CDATA[A;B\r\n1;2\r\n3;4\r\n]]></C>{tail}".encode(),),
        ),
        Target(
            "payload_xml",
            ReadPlan("t", inner, ("A", "B")),
            (f"{head}<C>&lt;L&gt;{escaped}&lt;/L&gt;</C>{tail}".encode(),),
        ),
        Target("references", ReadPlan("t", pointing, paths, (lines,)), behind[1:]),
        Target("parts", ReadPlan("t", soap, ("A", "B")), tuple(parts % a for a in answers[:2])),
    )


def outcome(target: Target, data: bytes, *, pattern: bool = True) -> tuple[str, object]:
    """`rows` with what was read, or the named error; `pattern` False: all by the parser."""
    RecordFeed.patterns = pattern
    try:
        first: dict[str, int] = {}
        rows: list[object] = []
        for found in read_page(io.BytesIO(data), target.plan, 1, first):
            if isinstance(found, RawChunk):
                rows += [(found.part, *row.values()) for row in found.columns.to_pylist()]
            elif isinstance(found, Broken):
                rows.append((found.part, found.code))
    except WaybillError as error:
        return "error", error.code
    finally:
        RecordFeed.patterns = True
    return "rows", sorted(rows, key=repr)


def scanned(target: Target, data: bytes) -> int | None:
    """Records by a scan of the answer; None where it is not whole."""
    if not isinstance(target.plan.source, SoapSource):
        return None
    scan = Scan(target.plan.source)
    try:
        scan.feed(data)
        return scan.close().records
    except (NotWholeError, EncodingError, DoctypeError, WaybillError):
        return None


def judge(target: Target, data: bytes) -> str:
    """How a case ended. Raises Contradiction for an answer that contradicts another."""
    kind, found = outcome(target, data)
    other = outcome(target, data, pattern=False)
    # which of several faults is met first depends on how the bytes were handed over
    if (kind, found) != other and (kind, other[0]) != ("error", "error"):
        message = f"with patterns {kind} {found!r}, without {other!r}"
        raise Contradiction(message)
    if (
        kind == "rows"
        and target.name in ("soap", "nested", "references")
        and isinstance(found, list)
    ):
        count = sum(1 for row in found if row[0] == "t")
        if scanned(target, data) != count:
            message = f"scan {scanned(target, data)}, read {count}"
            raise Contradiction(message)
        if count:
            try:
                start, end = locate(io.BytesIO(data), target.plan, "t", count)
            except WaybillError as error:
                return f"rows, place {error.code}"
            if not 0 <= start < end <= len(data):
                message = f"place {start} to {end} of {len(data)}"
                raise Contradiction(message)
    return kind if kind == "rows" else f"error {found}"


def main() -> None:
    """Run for some seconds and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json")
    told = parser.parse_args()
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    findings = 0
    known = targets()
    for target in known:  # so that no case pays for an import
        outcome(target, target.documents[0])
    end = time.monotonic() + told.seconds
    number = 0
    while time.monotonic() < end:
        target = known[number % len(known)]
        seed = f"{told.seed}-{number}"
        number += 1
        data = one(target.documents, seed, WORDS)
        began = time.process_time()
        try:
            counts[target.name][judge(target, data)] += 1
        except Exception:  # noqa: BLE001  whatever it is, it is a finding
            findings += 1
            print(f"FINDING {target.name} seed {seed}: {data[:2000]!r}\n{traceback.format_exc()}")
        if time.process_time() - began > _SLOW:
            findings += 1
            print(f"SLOW {target.name} seed {seed}: {time.process_time() - began:.1f} s")
    total = {name: dict(counter) for name, counter in counts.items()}
    report = {"cases": number, "findings": findings, "seed": told.seed, "outcomes": total}
    report["cpu_seconds"] = round(time.process_time())
    report["lxml"] = ".".join(map(str, etree.LIBXML_VERSION))
    text = msgspec.json.format(msgspec.json.encode(report), indent=1).decode()
    print(text)
    if told.json:
        with open(told.json, "w", encoding="utf-8") as file:  # noqa: PTH123  a path as given
            file.write(text)


if __name__ == "__main__":
    main()
