"""Small valid documents of every file format, written here, to begin with. Must not spoil them."""

from __future__ import annotations

import gzip
import io
import zipfile

from connectors.formats.raw import ChildPlan, ReadPlan
from mappings.sources import ODataSource, RestSource
from mappings.sources.sftp import SftpSource

CSV = (
    'KOD;AD;FİYAT\r\n1;"Öz;türk ""A""";13,75\r\n2;"iki\r\nsatır";1.234,50\r\n3;ğüşı;0,01\r\n'
    "TRL;3;1.248,26\r\n"
)
FIXED = "01ARTIKEL1  0000012345\r\n01ARTIKEL2  0000000099\r\n99000002    0000012444\r\n"
JSONL = (
    '{"key":"A","price":13.75,"lines":[{"no":1,"x":{"y":"ü"}},{"no":2}]}\n'
    '{"key":"B","price":1e-7,"lines":[]}\n{"key":"\\u00e9\\ud83d\\ude00","price":null}\n'
)
ODATA = (
    '{"@odata.context":"x","@odata.count":3,"value":[{"key":"A","price":13.75,"at":"2026-01-01T00:'
    '00:00.1234567Z","lines":[{"no":1,"x":{"y":"ü"}}]},{"key":"B","price":-0,"at":null},{"key":'
    '"\\u00e9\\ud83d\\ude00","price":1e-7,"at":"/Date(1767225600000+60)/","lines":[]}],'
    '"@odata.nextLink":"Prices?$skiptoken=3"}'
)
REST = (
    '{"meta":{"total":2,"next":"t2"},"error":null,"items":[{"key":1,"price":"1.0","at":7,'
    '"lines":{"no":1}},{"key":[1,{"a":2}],"price":{},"lines":[{"no":"x"},{"no":null}]}]}'
)
XML_RPC = (
    '<?xml version="1.0"?>\n<methodResponse><params><param><value><array><data><value><struct>'
    "<member><name>key</name><value><string>A</string></value></member><member><name>price</name>"
    "<value><double>13.75</double></value></member><member><name>lines</name><value><array><data>"
    "<value><struct><member><name>no</name><value><int>1</int></value></member></struct></value>"
    "</data></array></value></member></struct></value><value><struct><member><name>key</name>"
    "<value>B</value></member><member><name>price</name><value><nil/></value></member></struct>"
    "</value></data></array></value></param></params></methodResponse>"
)
EDIFACT = (
    "UNA:+,? '\nUNB+UNOC:3+4012345000009:14+4098765000016:14+261121:0530+PC1'\n"
    "UNH+1+PRICAT:D:96A:UN:EAN008'\nBGM+9+P-1+9'\nDTM+137:20261121:102'\nCUX+2:EUR:8'\n"
    "LIN+1++4012345678901:EN'\nPIA+1+NW-1:SA'\nIMD+F++:::Hammer ?+ Koffer ?'Profi?':PRO'\n"
    "PRI+AAA:149,90:::1:PCE'\nRNG+4+PCE:10:49'\nLIN+2++4012345678918:EN'\nIMD+F++:::Auslauf'\n"
    "UNT+12+1'\nUNH+2+PRICAT:D:96A:UN:EAN008'\nLIN+1++1:EN'\nPRI+AAA:1'\nUNT+4+2'\nUNZ+2+PC1'\n"
)
DATANORM = (
    "V;050;A;20261121;EUR;;;;;;;;;;;\r\nA;N;2TOP;Dachbahn;330 m;MTK;2;1;894;001;Dac;;;;;;;;;;\r\n"
    "Z;N;2TOP;01;1;Staffel;45;1;+;2;1;626;;1;45;899;\r\nA;N;X-1;Stück;;Stk;2;1;99;;;;;\r\n"
    "E;3;\r\n\x1a"
)


def source(form: dict[str, object], **more: object) -> SftpSource:
    """A file source of one format."""
    return SftpSource.model_validate({"protocol": "sftp", "files": "x", "format": form, **more})


def plan(form: dict[str, object], *paths: str, **more: object) -> ReadPlan:
    """What to take out of it."""
    return ReadPlan("price", source(form, **more), paths)


def csv_plan(**form: object) -> ReadPlan:
    """The CSV document's columns."""
    return plan({"kind": "csv", **form}, "KOD", "FİYAT")


JSONL_PLAN = ReadPlan(
    "price",
    source({"kind": "jsonl"}),
    ("key", "price"),
    (ChildPlan("line", "lines", ("no", "x/y")),),
)


JSONL_DEEP_PLAN = ReadPlan(
    "price",
    source({"kind": "jsonl"}),
    ("key", "lines[]", "lines/x/y", "price/z", "lines/no[]"),
)
"""Paths that structs cannot hold (one above another), and some that are not there."""

_LINES = (ChildPlan("line", "lines", ("no", "x/y")),)
_PAGING = {"by": "cursor", "cursor": "after", "next": "meta/next"}
_CALL = '{"method": "m", "params": []}'
JSON_PLANS = [
    (ReadPlan("price", made, ("key", "price", "at", *more), lines), [text.encode()])
    for text, made in (
        (ODATA, ODataSource(protocol="odata", entity="Prices", cursor="at")),
        (
            REST,
            RestSource.model_validate(
                {"protocol": "rest", "path": "p", "records": "items", "page": _PAGING}
                | {"cursor": "at", "count": "meta/total", "errors": {}}
            ),
        ),
        (
            XML_RPC,
            RestSource.model_validate(
                {"protocol": "rest", "path": "p", "records": "result", "speaks": "xml_rpc"}
                | {"method": "POST", "body": _CALL}
            ),
        ),
    )
    for more, lines in (((), _LINES), (("lines[]", "lines/no"), ()))
]


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip of files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def gzipped(content: bytes) -> bytes:
    """A gzip of one file, with no time in it."""
    return gzip.compress(content, mtime=0)
