"""EDIFACT as text: service characters, envelopes, character sets (EDI-1 to 7, 9, 11, 12)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.formats.edifact_write import Letter, Partner
from connectors.formats.edifact_write import interchange as written
from mappings.errors import BatchRefused, Misconfigured
from mappings.vocabulary import Field
from tests.conformance.edi import UNB, Read, interchange, lines, message
from transforms.column import column_of
from transforms.registry import StepContext

COMMA = "UNA:+,? '"


def prices(read: Read) -> list[Any]:
    """The numbers as a mapping reads them: with the mark that the interchange names."""
    import pyarrow as pa  # noqa: PLC0415

    columns = [pa.array([row[i] for row in read.rows.values()], pa.string()) for i in (1, 2)]
    field = Field("unit_price", "price", "-", "x")
    found = column_of(field, columns, ("decimal_marked",), None, StepContext())
    return found.values.to_pylist()


def test_EDI_1_the_decimal_mark_of_una_is_used_and_no_other() -> None:
    comma = Read(interchange(message(1, *lines("13,75", "13.75", "1375")), una=COMMA))
    assert prices(comma) == [Decimal("13.75"), None, Decimal(1375)]
    point = Read(interchange(message(1, *lines("13,75", "13.75", "1375")), una="UNA:+.? '"))
    assert prices(point) == [None, Decimal("13.75"), Decimal(1375)]
    other = interchange(message(1, *lines("1"))).translate(str.maketrans("+:'", "|^~"))
    assert Read("UNA^|,? ~" + other).rows == {1: ("A1", "1", ",")}


def test_EDI_2_without_una_the_partners_profile_decides() -> None:
    data = interchange(message(1, *lines("13,75", "13.75")))
    assert prices(Read(data)) == [None, Decimal("13.75")]
    assert prices(Read(data, decimal="comma")) == [Decimal("13.75"), None]
    # and what UNA says is stronger than the profile
    assert prices(Read("UNA:+.? '" + data, decimal="comma")) == [None, Decimal("13.75")]


def test_EDI_3_each_interchange_of_a_file_has_its_own_service_characters() -> None:
    first = interchange(message(1, *lines("1,5")), una=COMMA, control="C1")
    second = interchange(message(1, *lines("2.5")), una="UNA:+.? '", control="C2")
    third = interchange(message(1, *lines("3,5")), control="C3")
    fourth = interchange(message(1, *lines("4,5")), control="C4").replace("'", "~")
    read = Read(f"{first}\r\n{second}{third}\nUNA:+,? ~{fourth}", decimal="comma")
    assert read.controls == [f"S R C{n}" for n in (1, 2, 3, 4)]
    assert [(row[1], row[2]) for row in read.rows.values()] == [
        ("1,5", ","), ("2.5", "."), ("3,5", ","), ("4,5", ","),
    ]  # fmt: skip


def test_EDI_4_release_characters_are_honoured_everywhere_in_the_envelope_too() -> None:
    text = "IMD+F++:::5?+5?: it?'s 100 ??"
    data = interchange(message(1, "LIN+1++A?+1:EN", text), control="C?'1")
    read = Read(data, ("LIN/3.1", "IMD/3.4"))
    assert read.rows == {1: ("A+1", "5+5: it's 100 ?")}
    assert read.controls == ["S R C'1"]
    none = interchange(message(1, "LIN+1++A?:EN"), una="UNA:+.  '")  # a blank: there is none
    assert Read(none, ("LIN/3.1",)).rows == {1: ("A?",)}


@pytest.mark.parametrize("text", ["UNA1234", "UNA?+", "UNB?+UNOC?:3", "UNZ", "UNH"])
def test_EDI_5_a_header_inside_data_or_references_is_data(text: str) -> None:
    plain = text.replace("?", "")
    data = interchange(message("UNH7", f"LIN+1++{text}:EN", f"FTX+AAI+++{text}"), control=text)
    read = Read(data, ("LIN/3.1", "FTX/4.1"))
    assert read.rows == {1: (plain, plain)}
    assert read.controls == [f"S R {plain}"]
    with pytest.raises(BatchRefused) as junk:  # and where one has to stand nothing else will do
        Read("UNA1234" + data)
    assert junk.value.code in {"service_string", "envelope"}


def test_EDI_6_counts_and_references_of_messages_and_interchanges_are_verified() -> None:
    good = message(1, *lines("1"))
    for wrong, code in (
        (message(1, *lines("1"), count=17), "segment_count"),
        (good.replace("UNT+4+1", "UNT+4+2"), "message_reference"),
        (good.replace("UNT+4+1'", ""), "no_unt"),
    ):
        read = Read(interchange(wrong))
        assert (read.rows, [b.code for b in read.broken]) == ({}, [code])
    for data in (
        interchange(good, count=4),  # segments counted instead of messages
        interchange(good).replace("UNZ+1+C1", "UNZ+1+C2"),
    ):
        with pytest.raises(BatchRefused) as held:
            Read(data)
        assert held.value.code == "trailer"
    with pytest.raises(BatchRefused) as cut:
        Read(interchange(good)[:-9])
    assert cut.value.code == "truncated"
    groups = f"UNG+PRICAT+S+R+261121:0530+1+UN+D:96A'{good}UNE+1+1'"
    assert len(Read(f"{UNB}C1'{groups}UNZ+1+C1'").rows) == 1


def test_EDI_6_what_we_write_counts_messages_and_reads_back() -> None:
    letters = [Letter("PRICAT:D:96A:UN", (("LIN", "1", "", ("A1", "EN")),))] * 17
    data = written(
        Partner("S"),
        Partner("R"),
        "C1",
        letters,
        at=datetime(2026, 11, 21, 5, 30),  # noqa: DTZ001
    )
    assert data.endswith(b"UNZ+17+C1'")
    read = Read(data, ("LIN/3.1",))
    assert list(read.rows.values()) == [("A1",)] * 17
    assert read.broken == []


@pytest.mark.parametrize(
    ("syntax", "encoding", "text"),
    [
        ("UNOC", "iso-8859-1", "Küche é"),
        ("UNOD", "iso-8859-2", "Łódź"),
        ("UNOE", "iso-8859-5", "Ключ"),
        ("UNOK", "iso-8859-9", "ğış İ"),
        ("UNOY", "utf-8", "Ключ Łódź ğ 漢"),
    ],
)
def test_EDI_7_the_character_set_is_the_one_that_unb_names(
    syntax: str, encoding: str, text: str
) -> None:
    data = interchange(message(1, "LIN+1++A:EN", f"IMD+F++:::{text}")).replace("UNOC", syntax)
    assert Read(data, ("IMD/3.4",), written_in=encoding).rows == {1: (text,)}


def test_EDI_7_a_character_outside_of_it_is_quarantined_with_its_place_never_stripped() -> None:
    data = interchange(
        message(1, "LIN+1++A1:EN", "IMD+F++:::éà", "LIN+2++A2:EN", "IMD+F++:::plain")
    ).replace("UNOC", "UNOA")
    read = Read(data, ("LIN/3.1", "IMD/3.4"))
    assert read.rows == {2: ("A2", "plain")}
    (broken,) = read.broken
    assert (broken.record_no, broken.code) == (1, "encoding")
    place = data.index("é")
    assert f"byte 0xe9 at offset {place} does not exist in ascii" in broken.says
    control = Read(interchange(message(1, "LIN+1++A\x911:EN")), ("LIN/3.1",))
    assert "U+0091" in control.broken[0].says
    with pytest.raises(BatchRefused) as unknown:
        Read(interchange(message(1)).replace("UNOC", "IATB"))
    assert unknown.value.code == "charset"
    assert Read(interchange(message(1)).replace("UNOC", "IATB"), encoding="ascii").rows == {}
    with pytest.raises(Misconfigured):
        Read(interchange(message(1)), encoding="no such")
    with pytest.raises(Misconfigured):
        Read(interchange(message(1)), records="../LIN")


def test_EDI_9_what_a_profile_tolerates_is_read_and_reported_the_rest_is_refused() -> None:
    good = interchange(message(1, *lines("1")))
    wrapped = good.replace("'", "'\r\n")
    assert len(Read(wrapped).rows) == 1  # line ends between segments mean nothing
    cases = {
        "missing_terminator": (good[:-1], "truncated"),
        "leading_text": ('"' + COMMA + good, "envelope"),
        "long_una": ("UNA:+,? *'" + good, "service_string"),
    }
    for word, (data, code) in cases.items():
        with pytest.raises(BatchRefused) as refused:
            Read(data)
        assert refused.value.code == code
        read = Read(data, tolerate=(word,))
        assert len(read.rows) == 1
        assert read.remarks == [word]


def test_EDI_11_one_bad_message_does_not_lose_the_others() -> None:
    bad = message(2, *lines("5", "6"), count=99)
    data = interchange(message(1, *lines("1", "2")), bad, message(3, *lines("3")))
    read = Read(data)
    assert [row[1] for row in read.rows.values()] == ["1", "2", "3"]
    assert [(b.record_no, b.code) for b in read.broken] == [
        (3, "segment_count"), (4, "segment_count"),
    ]  # fmt: skip
    assert list(read.rows) == [1, 2, 5]
    other = interchange(message(1, *lines("1")), message(2, kind="INVRPT"))
    assert Read(other).remarks == ["other_message"]


def test_EDI_12_a_space_as_repetition_separator_is_none() -> None:
    spaced = interchange(message(1, "LIN+1++A B*C:EN"), una="UNA:+.? '")
    assert Read(spaced, ("LIN/3.1",)).rows == {1: ("A B*C",)}
    starred = interchange(message(1, "LIN+1++A B*C:EN"), una="UNA:+.?*'")
    assert Read(starred, ("LIN/3.1",)).rows == {1: ("A B\x1fC",)}


TEXT = st.text(st.sampled_from("aÄé ?'+:*.,\"UNAZ1"), max_size=12)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=5), TEXT)
def test_EDI_4_whatever_is_written_is_read_back(
    texts: list[tuple[str, str, str]], control: str
) -> None:
    rows = tuple(("LIN", "1", a, ("x", b, c)) for a, b, c in texts)
    data = written(
        Partner("S"),
        Partner("R"),
        control,
        [Letter("PRICAT:D:96A:UN", rows)],
        at=datetime(2026, 1, 1),  # noqa: DTZ001
    )
    read = Read(data, ("LIN/2", "LIN/3.2", "LIN/3.3"))
    assert [tuple(t or "" for t in row) for row in read.rows.values()] == texts
    assert read.controls == [f"S R {control}"]
