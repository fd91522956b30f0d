"""The WSDL (document/literal, SOAP 1.1) of the practice ERP, made from its dialect.

Its address is an internal host, as ERPs behind a proxy publish it: callers have to be told the
real one. Must not serve anything.
"""

from collections.abc import Iterable

from sandbox.soap import intake
from sandbox.soap.dialect import OPERATIONS, Record
from sandbox.soap.live import ASKED, PICKED, PRICE, PRICE_ANSWER, PRICE_REQUEST

NAMESPACE = "urn:practice:erp:portal"
INTERNAL = "http://erp-internal.invalid:8000/soap"

_REQUEST = """<xsd:element name="{name}"><xsd:complexType><xsd:sequence>
<xsd:element name="MAXROWS" type="xsd:int" minOccurs="0"/>
<xsd:element name="NEXT" type="xsd:string" minOccurs="0"/>
<xsd:element name="AENDERUNGEN_SEIT" type="xsd:string" minOccurs="0"/>
</xsd:sequence></xsd:complexType></xsd:element>"""

_ANSWER = """<xsd:element name="{name}Response"><xsd:complexType><xsd:sequence>
<xsd:element name="TOTALCOUNT" type="xsd:int" minOccurs="0"/>
<xsd:element name="RETURN" type="tns:RETURN"/>
<xsd:element name="{list}" minOccurs="0"><xsd:complexType><xsd:sequence>
<xsd:element name="item" minOccurs="0" maxOccurs="unbounded"><xsd:complexType><xsd:sequence>
{elements}
</xsd:sequence></xsd:complexType></xsd:element></xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="NEXT" type="xsd:string" minOccurs="0"/>
</xsd:sequence></xsd:complexType></xsd:element>"""

_OTHERS = """<xsd:element name="Ping"><xsd:complexType/></xsd:element>
<xsd:element name="PingResponse"><xsd:complexType><xsd:sequence>
<xsd:element name="RETURN" type="tns:RETURN"/></xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="GetDocument"><xsd:complexType><xsd:sequence>
<xsd:element name="PFAD" type="xsd:string"/></xsd:sequence></xsd:complexType></xsd:element>
<xsd:element name="GetDocumentResponse"><xsd:complexType><xsd:sequence>
<xsd:element name="RETURN" type="tns:RETURN"/>
<xsd:element name="CONTENT" type="xsd:base64Binary" minOccurs="0"/>
</xsd:sequence></xsd:complexType></xsd:element>"""

_RETURN = """<xsd:complexType name="RETURN"><xsd:sequence>
<xsd:element name="TYPE" type="xsd:string"/>
<xsd:element name="MESSAGE" type="xsd:string" minOccurs="0"/>
</xsd:sequence></xsd:complexType>"""


def wsdl() -> bytes:
    """The document served at `?wsdl`."""
    names = [*OPERATIONS, *ASKED, "Ping", "GetDocument", *intake.TAKES]
    lists, asks = map(_schema, OPERATIONS), map(_asked, ASKED)
    schema = "\n".join([_RETURN, *lists, *asks, _OTHERS, intake.schema()])
    messages = "".join(
        f'<message name="{name}"><part name="parameters" element="tns:{name}"/></message>'
        for one in names
        for name in (one, f"{one}Response")
    )
    port = "".join(
        f'<operation name="{n}"><input message="tns:{n}"/>'
        f'<output message="tns:{n}Response"/></operation>'
        for n in names
    )
    literal = '<soap:body use="literal"/>'
    binding = "".join(
        f'<operation name="{n}"><soap:operation soapAction="{NAMESPACE}/{n}"/>'
        f"<input>{literal}</input><output>{literal}</output></operation>"
        for n in names
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" name="Portal"
 xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"
 xmlns:tns="{NAMESPACE}" targetNamespace="{NAMESPACE}">
<types><xsd:schema xmlns:tns="{NAMESPACE}" targetNamespace="{NAMESPACE}"
 elementFormDefault="qualified">
{schema}
</xsd:schema></types>
{messages}
<portType name="Portal">{port}</portType>
<binding name="Portal" type="tns:Portal">
<soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>{binding}</binding>
<service name="Portal"><port name="Portal" binding="tns:Portal">
<soap:address location="{INTERNAL}"/></port></service>
</definitions>""".encode()


def _schema(name: str) -> str:
    element, record = OPERATIONS[name]
    return _REQUEST.format(name=name) + _ANSWER.format(
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
