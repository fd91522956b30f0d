"""What is seen in the bytes of a column is what its texts hold, also of a part of it."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from transforms.parsing import held_bytes, printed, seen, trimmed
from transforms.types import plain_texts

texts = st.lists(
    st.none() | st.text(st.sampled_from("a1.,- \t\u00a0ğ\x7f\x00\x1f’~!"), max_size=4), max_size=6
)


@given(texts, st.integers(0, 3))
def test_bytes_are_those_of_the_texts(values: list[str | None], start: int) -> None:
    """Whether the array begins at its first text or at a later one."""
    part = pa.array(values, pa.string()).slice(start)
    there = [text for text in values[start:] if text is not None]
    assert held_bytes(part).tobytes() == "".join(there).encode()
    assert printed(part) == all("!" <= letter <= "~" for text in there for letter in text)
    for mark in (".", "’", "\x00"):
        assert seen(part, mark, "§") == any(mark in text for text in there)


@given(texts, st.integers(0, 3))
def test_texts_are_trimmed_and_refused_as_before(values: list[str | None], start: int) -> None:
    """The short way for what is plain gives what the long way gives."""
    part = pa.array(values, pa.string()).slice(start)
    stripped = [text if text is None else text.strip(" \t\u00a0\x1f") for text in values[start:]]
    assert trimmed(part).to_pylist() == [text or None for text in stripped]
    found = plain_texts(part)
    kept = [
        None if not short or "\x00" in str(text) else text
        for text, short in zip(values[start:], stripped, strict=True)
    ]
    assert found.values.to_pylist() == kept
