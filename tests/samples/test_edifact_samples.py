"""The airline messages among the samples: no feed of ours, but every release character counts."""

from __future__ import annotations

import io

import pytest

from connectors.formats import read_page
from connectors.formats.edifact_envelope import interchanges
from connectors.formats.raw import Broken, RawChunk, ReadPlan
from mappings.sources.formats import EdifactFormat
from mappings.sources.sftp import SftpSource
from tests.samples.test_samples import SAMPLES

FORM = EdifactFormat(kind="edifact", message="PAORES", encoding="ascii")
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the sample documents are not here")


def test_release_characters_and_a_wrong_count() -> None:
    data = (SAMPLES / "edifact" / "example_release_character.edi").read_bytes()
    (one,) = interchanges(data, FORM)
    (message,) = one.messages
    texts = [segment.elements[1:] for p in message.pieces if (segment := p.segment).tag == "IFT"]
    assert texts[1:] == [
        (("NO MORE FLIGHTS 1",),),
        (("NO MORE FLIGHTS 2?",),),
        (("NO MORE ' FLIGHTS 3",),),
        (("NO MORE ? FLIGHTS 3",),),
        (("NO MORE ?' FLIGHTS 3",),),
        (("FIELD 1",), ("FIELD 2",)),
        (("FIELD 1?",), ("FIELD 2",)),
        (("FIELD 1?+FIELD 2",),),
        (("FIELD 1.1", "FIELD 1.2"),),
        (("FIELD 1.1?", "FIELD 1.2"),),
        (("FIELD 1.1?:FIELD 1.2",),),
    ]
    assert [fault.says for fault in message.faults] == ["UNT declares '14' segments, 23 came"]


@pytest.mark.parametrize(
    ("name", "broken"), [("example_wrapped", []), ("example_release_character", ["segment_count"])]
)
def test_read_as_records(name: str, broken: list[str]) -> None:
    source = SftpSource(protocol="sftp", files="x", format=FORM)
    plan = ReadPlan("price", source, ("MSG/1.2", "APD[EM2]/1.2"))
    content = io.BytesIO((SAMPLES / "edifact" / f"{name}.edi").read_bytes())
    items = list(read_page(content, plan, 1, {}))
    assert [one.code for one in items if isinstance(one, Broken)] == broken
    rows = [row for one in items if isinstance(one, RawChunk) for row in one.columns.to_pylist()]
    assert rows == ([] if broken else [{"MSG/1.2": "45", "APD[EM2]/1.2": "0"}])
