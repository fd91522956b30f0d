"""References inside a SOAP answer: each in its place, or a named refusal. No file, no wire."""

from __future__ import annotations

import io
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from connectors.formats import xml_references
from connectors.formats.xml_references import in_place
from mappings.errors import BatchRefused

SOAP_12 = "http://www.w3.org/2003/05/soap-encoding"


def placed(text: str) -> etree._Element:
    return etree.fromstring(in_place(io.BytesIO(text.encode())).read())


def refused(text: str) -> str:
    with pytest.raises(BatchRefused) as told:
        in_place(io.BytesIO(text.encode()))
    return told.value.code


def test_of_any_depth_and_order_and_shared() -> None:
    root = placed(
        '<B><R><i href="#a"/><i href="#b"/></R><m id="c"><v>7</v></m>'
        '<m id="a"><k>1</k><x href="#c"/></m><m id="b"><k>2</k><x href="#c"/></m></B>'
    )
    assert root.xpath("R/i/k/text()") == ["1", "2"]
    assert root.xpath("R/i/x/v/text()") == ["7", "7"]
    assert root.xpath("R/i/@href") == ["#a", "#b"], "the pointer stays, as the place of evidence"


def test_of_a_text_and_its_attributes() -> None:
    xsi = "http://www.w3.org/2001/XMLSchema-instance"
    behind = '<m id="a" x:nil="true"/><i href="#b"/><m id="b">t</m>'
    root = placed(f'<B xmlns:x="{xsi}"><i href="#a"/>tail{behind}</B>')
    assert root[0].get(f"{{{xsi}}}nil") == "true"
    assert root[0].tail == "tail"
    assert root[2].text == "t"


def test_of_soap_1_2() -> None:
    root = placed(f'<B xmlns:e="{SOAP_12}"><i e:ref="a"/><m e:id="a"><k>1</k></m></B>')
    assert root.xpath("i/k/text()") == ["1"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('<B><i href="#nobody"/></B>', "reference"),
        ('<B><i href="#a"/><m id="a"><x href="#a"/></m></B>', "reference"),
        (
            '<B><i href="#a"/><m id="a"><x href="#b"/></m><m id="b"><x href="#a"/></m></B>',
            "reference",
        ),
        ('<B><i href="#a"/><m id="a">1</m><m id="a">2</m></B>', "reference"),
        ('<!DOCTYPE B [<!ENTITY e "x">]><B><i href="#a"/><m id="a">&e;</m></B>', "doctype"),
        ('<B><i href="#a"/><m id="a">', "truncated"),
        ("<B><i></B>", "malformed"),
    ],
)
def test_what_leads_nowhere_is_refused_by_name(text: str, code: str) -> None:
    assert refused(text) == code


def test_references_that_double_at_each_step_are_refused_before_memory_ends() -> None:
    steps = "".join(
        f'<m id="n{n}"><x href="#n{n + 1}"/><x href="#n{n + 1}"/></m>' for n in range(60)
    )
    assert refused(f'<B><i href="#n0"/>{steps}<m id="n60"><v>1</v></m></B>') == "too_large"


def test_a_page_over_the_limit_is_refused() -> None:
    many = io.BytesIO(b"<B>" + b" " * xml_references.LARGEST + b"</B>")
    with pytest.raises(BatchRefused, match="page by page"):
        in_place(many)


def test_what_nobody_points_at_may_be_broken() -> None:
    assert placed('<B><i>1</i><m id="a"/><m id="a"/></B>').findtext("i") == "1"


TREES = st.recursive(
    st.text("abc", max_size=3),
    lambda inner: st.lists(st.tuples(st.sampled_from("xyz"), st.booleans(), inner), max_size=4),
    max_leaves=20,
)


@given(TREES)
def test_apart_and_in_place_again_reads_the_same(tree: object) -> None:
    """Whichever elements are taken out and referred to, every text is found where it was."""
    whole, apart = etree.Element("B"), etree.Element("B")
    behind: list[etree._Element] = []

    def build(plain: etree._Element, holder: etree._Element, what: object) -> None:
        if isinstance(what, str):
            plain.text = holder.text = what or None
            return
        for name, moved, inner in what:  # type: ignore[attr-defined]
            one = etree.SubElement(plain, name)
            other = etree.SubElement(holder, name)
            if moved:
                other.set("href", f"#id{len(behind)}")
                other = etree.Element("multiRef", {"id": f"id{len(behind)}"})
                behind.append(other)
            build(one, other, inner)

    build(etree.SubElement(whole, "R"), etree.SubElement(apart, "R"), tree)
    apart.extend(behind)
    root = placed(etree.tostring(apart, encoding="unicode"))
    result = deepcopy(root[0])
    etree.strip_attributes(result, "href")
    assert etree.tostring(result) == etree.tostring(whole[0])
