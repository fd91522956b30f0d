"""The XML reader: three kinds of nothing, namespaces, children, refusals, places."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.formats import locate, read_page
from connectors.formats.raw import ChildPlan, RawChunk, ReadPlan
from connectors.formats.xml import RECORD_BYTES
from mappings.errors import BatchRefused, Misconfigured
from mappings.sources import SftpSource, SoapSource
from mappings.sources.sftp import XmlFormat

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


def file_plan(
    records: str, *paths: str, children: tuple[ChildPlan, ...] = (), **uris: str
) -> ReadPlan:
    source = SftpSource(
        protocol="sftp",
        files="x.xml",
        format=XmlFormat(kind="xml", records=records, namespaces=uris),
    )
    return ReadPlan("thing", source, paths, children)


def soap_plan(records: str, *paths: str, children: tuple[ChildPlan, ...] = ()) -> ReadPlan:
    return ReadPlan(
        "thing",
        SoapSource.model_validate({"protocol": "soap", "operation": "Get", "records": records}),
        paths,
        children,
    )


def chunks(
    text: str | bytes, plan: ReadPlan, first: dict[str, int] | None = None
) -> list[RawChunk]:
    content = text.encode() if isinstance(text, str) else text
    found = read_page(io.BytesIO(content), plan, 1, {} if first is None else first)
    return [chunk for chunk in found if isinstance(chunk, RawChunk)]


def rows(text: str | bytes, plan: ReadPlan) -> list[tuple[str | None, ...]]:
    return [
        tuple(row.values())
        for c in chunks(text, plan)
        if c.part == plan.part
        for row in c.columns.to_pylist()
    ]


def refusal(text: str | bytes, plan: ReadPlan) -> str | None:
    with pytest.raises(BatchRefused) as caught:
        chunks(text, plan)
    return caught.value.code


def test_XML_7_nil_and_absent_are_null_and_empty_is_empty() -> None:
    cells = ['<a xsi:nil="true"/>', "<a/>", "", "<a></a>", '<a xsi:nil="false"/>', "<a> </a>"]
    text = f"<L {XSI}>{''.join(f'<I>{cell}</I>' for cell in cells)}</L>"
    assert rows(text, file_plan("I", "a")) == [(None,), ("",), (None,), ("",), ("",), (" ",)]


def test_first_match_wins_even_when_it_is_nil() -> None:
    text = f'<L {XSI}><I><a>1</a><a>2</a></I><I><a xsi:nil="true"/><a>2</a></I></L>'
    assert rows(text, file_plan("I", "a")) == [("1",), (None,)]


def test_all_matches_attributes_own_text_and_depth() -> None:
    text = (
        '<L><I id="7"><b><c cur="EUR">x</c></b><b><c cur="USD">y</c><c/></b></I>'
        "<I>own<d/></I><I><b/></I></L>"
    )
    plan = file_plan("I", "@id", "b/c", "b/c[]", "b/c/@cur", "b/c/@cur[]", ".")
    assert rows(text, plan) == [
        ("7", "x", "x\x1fy\x1f", "EUR", "EUR\x1fUSD", ""),
        (None, None, None, None, None, "own"),
        (None, None, None, None, None, ""),
    ]


def test_XML_3_prefix_does_not_matter_the_uri_does() -> None:
    plan = file_plan("p:I", "p:a", "a", p="urn:one")
    assert rows('<q:L xmlns:q="urn:one"><q:I><q:a>1</q:a></q:I></q:L>', plan) == [("1", "1")]
    assert rows('<L xmlns="urn:one"><I><a xmlns="urn:two">2</a><a>1</a></I></L>', plan) == [
        ("1", "2")
    ]
    assert rows('<L xmlns="urn:two"><I><a>1</a></I></L>', plan) == []


def test_undeclared_prefix_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"'cbc'.*does not declare"):
        rows("<L/>", file_plan("I", "cbc:ID"))


def test_XML_9_children_are_numbered_and_know_their_root() -> None:
    lines = ChildPlan("line", "Ls/Ln", ("n", "@k"))
    plan = file_plan("I", "id", children=(lines, ChildPlan("self", ".", ("id",))))
    text = (
        '<L><I><id>A</id><Ls><Ln k="1"><n>1</n></Ln><Ln><n>2</n></Ln></Ls></I>'
        "<I><id>B</id></I><I><id>C</id><Ls><Ln><n/></Ln></Ls></I></L>"
    )
    first = {"thing": 10}
    root, line, itself = chunks(text, plan, first)
    assert root.columns.column("id").to_pylist() == ["A", "B", "C"]
    assert root.record_no.to_pylist() == [10, 11, 12]
    assert (line.part, line.record_no.to_pylist()) == ("line", [1, 2, 3])
    assert line.root_no is not None
    assert line.root_no.to_pylist() == [10, 10, 12]
    assert line.columns.to_pylist() == [
        {"n": "1", "@k": "1"},
        {"n": "2", "@k": None},
        {"n": "", "@k": None},
    ]
    assert itself.columns.column("id").to_pylist() == ["A", "B", "C"]
    assert first == {"thing": 13, "line": 4, "self": 4}


def test_records_of_the_same_name_inside_a_record_are_not_records() -> None:
    text = "<L><I><a>1</a><Is><I><a>inner</a></I></Is></I><I><a>2</a></I></L>"
    assert rows(text, file_plan("I", "a", "Is/I/a")) == [("1", "inner"), ("2", None)]


def test_the_root_itself_is_the_record() -> None:
    plan = file_plan(
        ".", "u:ID", "u:Line/u:ID[]", children=(ChildPlan("line", "u:Line", ("u:ID",)),), u="urn:u"
    )
    text = (
        '<Invoice xmlns="urn:u"><ID>9</ID><Line><ID>1</ID></Line><Line><ID>2</ID></Line></Invoice>'
    )
    root, line = chunks(text, plan)
    assert root.columns.to_pylist() == [{"u:ID": "9", "u:Line/u:ID[]": "1\x1f2"}]
    assert line.columns.column(0).to_pylist() == ["1", "2"]


def test_a_soap_answer_is_read_below_its_body() -> None:
    text = (
        '<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Header/><S:Body>'
        '<R xmlns="urn:r"><IT><item><A>1</A></item></IT><OTHER><item><A>no</A></item></OTHER>'
        "</R></S:Body></S:Envelope>"
    )
    assert rows(text, soap_plan("IT/item", "A")) == [("1",)]
    assert rows(text, soap_plan(".", "IT/item/A")) == [("1",)]


def test_comments_cdata_and_character_references_keep_the_whole_text() -> None:
    text = "<L><I><a>12<!-- cut -->3<![CDATA[4<]]>5&#46;&amp;<?pi x?>6</a></I></L>"
    assert rows(text, file_plan("I", "a")) == [("1234<5.&6",)]


def test_XML_2_a_doctype_is_refused_and_nothing_is_expanded() -> None:
    bomb = '<!DOCTYPE L [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><L><I><a>&b;</a></I></L>'
    assert refusal(bomb, file_plan("I", "a")) == "doctype"
    assert (
        refusal('<!DOCTYPE L SYSTEM "file:///etc/hostname"><L/>', file_plan("I", "a")) == "doctype"
    )
    assert refusal("<!DOCTYPE L><L/>", file_plan(".", "a")) == "doctype"


def test_XML_5_truncated_anywhere_is_refused() -> None:
    text = (
        '<?xml version="1.0"?><L x="1"><!-- c --><I><a>1 &amp; 2</a></I>\n'
        "<I><a><![CDATA[2]]></a></I></L>"
    )
    for end in range(1, len(text) - 1):
        assert refusal(text[:end], file_plan("I", "a")) == "truncated", text[:end]


def test_nothing_at_all_is_truncated() -> None:
    assert refusal(b"", file_plan("I", "a")) == "truncated"


def test_XML_1_other_bytes_than_declared_are_refused() -> None:
    text = '<?xml version="1.0" encoding="UTF-8"?><L><I><a>Çağ</a></I></L>'
    assert refusal(text.encode("cp1254"), file_plan("I", "a")) == "encoding"
    honest = text.replace("UTF-8", "windows-1254").encode("cp1254")
    assert rows(honest, file_plan("I", "a")) == [("Çağ",)]


@pytest.mark.parametrize("bad", ["<a>&#x1F;</a>", "<a>A & B</a>", "<a></b>"])
def test_XML_6_malformed_is_refused_with_its_place(bad: str) -> None:
    with pytest.raises(BatchRefused, match="line 2, column") as caught:
        chunks(f"<L>\n<I>{bad}</I></L>", file_plan("I", "a"))
    assert caught.value.code == "malformed"


def test_SOAP_3_an_endless_record_is_too_large() -> None:
    long_text = "x" * (RECORD_BYTES + 100_000)
    assert refusal(f"<L><I><a>{long_text}</a></I></L>", file_plan("I", "a")) == "too_large"


def test_SOAP_3_a_long_text_comes_whole() -> None:
    long_text = "0123456789" * 1_200_000
    assert rows(f"<L><I><a>{long_text}</a></I></L>", file_plan("I", "a")) == [(long_text,)]


def test_places_hold_the_record_and_nothing_else() -> None:
    plan = file_plan("I", "a", children=(ChildPlan("line", "Ln", ("a",)),))
    text = (
        '<?xml version="1.0"?>\n<L> <I><a>ü</a><Ln/></I>\n<I/>  <I x="1"><Ln><a>ö</a></Ln></I></L>'
    ).encode()

    def piece(part: str, number: int) -> str:
        start, end = locate(io.BytesIO(text), plan, part, number)
        return text[start:end].decode()

    assert [piece("thing", n) for n in (1, 2, 3)] == [
        "<I><a>ü</a><Ln/></I>",
        "<I/>",
        '<I x="1"><Ln><a>ö</a></Ln></I>',
    ]
    assert [piece("line", n) for n in (1, 2)] == ["<Ln/>", "<Ln><a>ö</a></Ln>"]
    with pytest.raises(LookupError):
        piece("thing", 4)
    whole = file_plan(".", "a")
    assert locate(io.BytesIO(text), whole, "thing", 1) == (22, len(text))


@given(
    st.lists(
        st.lists(
            st.none()
            | st.text(
                st.characters(
                    codec="utf-8",
                    exclude_categories=["Cc", "Cs"],
                    exclude_characters="\ufffe\uffff",
                )
            ),
            min_size=3,
            max_size=3,
        ),
        max_size=8,
    )
)
def test_every_text_comes_as_it_was_sent(table: list[list[str | None]]) -> None:
    def cell(name: str, text: str | None) -> str:
        if text is None:
            return ""
        safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"<{name}>{safe}</{name}>"

    body = "".join(
        f"<I>{''.join(cell(n, t) for n, t in zip('abc', row, strict=True))}</I>" for row in table
    )
    assert rows(f"<L>{body}</L>", file_plan("I", "a", "b", "c")) == [tuple(row) for row in table]
