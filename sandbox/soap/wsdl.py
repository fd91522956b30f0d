"""The WSDL of the practice ERP, made from its dialect and its habits.

Its address is an internal host, as ERPs behind a proxy publish it: callers have to be told the
real one. Must not serve anything.
"""

from collections.abc import Iterable

from sandbox.soap import intake
from sandbox.soap.dialect import OPERATIONS, Record
from sandbox.soap.habits import Habits
from sandbox.soap.live import ASKED, PICKED, PRICE, PRICE_ANSWER, PRICE_REQUEST

INTERNAL = "http://erp-internal.invalid:8000/soap"

_REQUEST = """<xsd:element name="{name}"><xsd:complexType><xsd:sequence>
<xsd:element name="MAXROWS" type="xsd:int" minOccurs="0"/>
<xsd:element name="NEXT" type="xsd:string" minOccurs="0"/>
<xsd:element name="AENDERUNGEN_SEIT" type="xsd:string" minOccurs="0"/>
<xsd:element name="ACCESS" type="tns:ACCESS" minOccurs="0"/>
</xsd:sequence></xsd:complexType></xsd:element>"""

_ANSWER = """<xsd:element name="{name}Response"><xsd:complexType><xsd:sequence>
<xsd:element name="TOTALCOUNT" type="xsd:int" minOccurs="0"/>
<xsd:element name="RETURN" type="tns:RETURN"/>
<xsd:element name="{list}" minOccurs="0"><xsd:complexType><xsd:sequence>
<xsd:element name="item" minOccurs="0" maxOccurs="unbounded"><xsd:complexType><xsd:sequence>
{elements}
</xsd:sequence></xsd:complexType></xsd:element></xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="NEXT" type="xsd:string" minOccurs="0"/>
<xsd:element name="SEARCHID" type="xsd:string" minOccurs="0"/>
<xsd:element name="PAGES" type="xsd:int" minOccurs="0"/>
</xsd:sequence></xsd:complexType></xsd:element>"""

_ANY = """<xsd:element name="{name}"><xsd:complexType><xsd:sequence>
<xsd:any minOccurs="0" maxOccurs="unbounded" processContents="lax"/>
</xsd:sequence></xsd:complexType></xsd:element>"""

_OTHERS = """<xsd:element name="Ping"><xsd:complexType><xsd:sequence>
<xsd:element name="ACCESS" type="tns:ACCESS" minOccurs="0"/>
</xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="PingResponse"><xsd:complexType><xsd:sequence>
<xsd:element name="RETURN" type="tns:RETURN"/></xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="GetDocument"><xsd:complexType><xsd:sequence>
<xsd:element name="PFAD" type="xsd:string"/>
<xsd:element name="ACCESS" type="tns:ACCESS" minOccurs="0"/>
</xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="GetDocumentResponse"><xsd:complexType><xsd:sequence>
<xsd:element name="RETURN" type="tns:RETURN"/>
<xsd:element name="CONTENT" type="xsd:base64Binary" minOccurs="0"/>
</xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="Login"><xsd:complexType><xsd:sequence>
<xsd:element name="USER" type="xsd:string"/><xsd:element name="PASSWORD" type="xsd:string"/>
</xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="LoginResponse"><xsd:complexType><xsd:sequence>
<xsd:element name="RETURN" type="tns:RETURN"/><xsd:element name="TOKEN" type="xsd:string"/>
</xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="Logout"><xsd:complexType/></xsd:element>
<xsd:element name="LogoutResponse"><xsd:complexType><xsd:sequence>
<xsd:element name="RETURN" type="tns:RETURN"/></xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="SearchMore"><xsd:complexType><xsd:sequence>
<xsd:element name="SEARCHID" type="xsd:string"/><xsd:element name="PAGE" type="xsd:int"/>
</xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="SearchMoreResponse"><xsd:complexType><xsd:sequence>
<xsd:any minOccurs="0" maxOccurs="unbounded" processContents="lax"/>
</xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="tokenPassport"><xsd:complexType><xsd:sequence>
<xsd:element name="account" type="xsd:string"/><xsd:element name="consumerKey" type="xsd:string"/>
<xsd:element name="token" type="xsd:string"/><xsd:element name="nonce" type="xsd:string"/>
<xsd:element name="timestamp" type="xsd:long"/><xsd:element name="signature"><xsd:complexType>
<xsd:simpleContent><xsd:extension base="xsd:string"><xsd:attribute name="algorithm"
 type="xsd:string"/></xsd:extension></xsd:simpleContent></xsd:complexType></xsd:element>
</xsd:sequence></xsd:complexType></xsd:element>"""

_RETURN = """<xsd:complexType name="RETURN"><xsd:sequence>
<xsd:element name="TYPE" type="xsd:string"/>
<xsd:element name="MESSAGE" type="xsd:string" minOccurs="0"/>
</xsd:sequence></xsd:complexType>
<xsd:complexType name="ACCESS"><xsd:sequence>
<xsd:element name="USER" type="xsd:string"/><xsd:element name="PASSWORD" type="xsd:string"/>
</xsd:sequence></xsd:complexType>"""
_OTHER_NAMES = ("Ping", "GetDocument", "Login", "Logout", "SearchMore")
_SOAP = {
    "1.1": "http://schemas.xmlsoap.org/wsdl/soap/",
    "1.2": "http://schemas.xmlsoap.org/wsdl/soap12/",
}


def wsdl(habits: Habits | None = None) -> bytes:
    """The document served at `?wsdl`."""
    habits = habits or Habits()
    names = [*OPERATIONS, *ASKED, *_OTHER_NAMES, *intake.TAKES]
    rpc = habits.style == "rpc"
    asked = _ANY if habits.any_request else _REQUEST
    lists = [_schema(name, asked) for name in OPERATIONS]
    schema = "\n".join([_RETURN, *lists, *map(_asked, ASKED), _OTHERS, intake.schema()])
    messages = "".join(_messages(name, rpc=rpc) for name in names)
    port = "".join(
        f'<operation name="{n}"><input message="tns:{n}"/>'
        f'<output message="tns:{n}Response"/></operation>'
        for n in names
    )
    body = '<soap:body use="literal"/>'
    if rpc:
        body = (
            f'<soap:body use="encoded" namespace="{habits.namespace}" '
            'encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"/>'
        )
    binding = "".join(
        f'<operation name="{n}"><soap:operation soapAction="{habits.namespace}/{n}"/>'
        f"<input>{body}</input><output>{body}</output></operation>"
        for n in names
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" name="Portal"
 xmlns:soap="{_SOAP[habits.version]}" xmlns:xsd="http://www.w3.org/2001/XMLSchema"
 xmlns:tns="{habits.namespace}" targetNamespace="{habits.namespace}">
<types><xsd:schema xmlns:tns="{habits.namespace}" targetNamespace="{habits.namespace}"
 elementFormDefault="qualified">
{schema}
</xsd:schema></types>
{messages}
<portType name="Portal">{port}</portType>
<binding name="Portal" type="tns:Portal"><soap:binding style="{habits.style}"
 transport="http://schemas.xmlsoap.org/soap/http"/>{binding}</binding>
<service name="Portal"><port name="Portal" binding="tns:Portal">
<soap:address location="{INTERNAL}"/></port></service>
</definitions>""".encode()


def _messages(name: str, *, rpc: bool) -> str:
    """What an operation takes and gives; by rpc each part has a type, none is an element."""
    if not rpc:
        return "".join(
            f'<message name="{one}"><part name="parameters" element="tns:{one}"/></message>'
            for one in (name, f"{name}Response")
        )
    parts = ("MAXROWS", "NEXT") if name in OPERATIONS else ()
    asked = "".join(f'<part name="{part}" type="xsd:string"/>' for part in parts)
    return (
        f'<message name="{name}">{asked}</message><message name="{name}Response">'
        '<part name="RESULT" type="xsd:anyType"/></message>'
    )


def _schema(name: str, asked: str) -> str:
    element, record = OPERATIONS[name]
    return asked.format(name=name) + _ANSWER.format(
        name=name, list=element, elements=_elements(record)
    )


def _asked(name: str) -> str:
    """An operation that answers at once: what it is asked by, and items as its list has them."""
    if name == PRICE:
        return _asking(name, PRICE_REQUEST) + _ANSWER.format(
            name=name, list="PRICES", elements="\n".join(map(_leaf, PRICE_ANSWER))
        )
    listed, elements = PICKED[name]
    element, record = OPERATIONS[listed]
    return _asking(name, elements) + _ANSWER.format(
        name=name, list=element, elements=_elements(record)
    )


def _asking(name: str, elements: Iterable[str]) -> str:
    leaves = "".join(map(_leaf, elements))
    return (
        f'<xsd:element name="{name}"><xsd:complexType><xsd:sequence>{leaves}</xsd:sequence>'
        "</xsd:complexType></xsd:element>"
    )


def _elements(record: Record) -> str:
    lines = [_leaf(line) for line in record.elements.split()]
    if record.delta:
        lines.append(_leaf("LOEVM="))
    for element, (_, _, inside) in record.inside.items():
        inner = "\n".join(map(_leaf, inside.split()))
        lines.append(
            f'<xsd:element name="{element}" minOccurs="0"><xsd:complexType><xsd:sequence>'
            '<xsd:element name="item" minOccurs="0" maxOccurs="unbounded"><xsd:complexType>'
            f"<xsd:sequence>{inner}</xsd:sequence></xsd:complexType></xsd:element>"
            "</xsd:sequence></xsd:complexType></xsd:element>"
        )
    return "\n".join(lines)


def _leaf(line: str) -> str:
    name, _, rest = line.partition("=")
    many = ' maxOccurs="unbounded"' if rest.endswith(":list") else ""
    return f'<xsd:element name="{name}" type="xsd:string" minOccurs="0" nillable="true"{many}/>'
