"""What is wrong with what a mapping says about messages out: fields, out-steps, lookups, answers.

Works on the tree of text, as `meaning.py` does for feeds. Must not read files.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mappings.lines import Place, Tree
from mappings.messages import ANSWER, ANSWER_LINES, KINDS, MessageKind
from mappings.out_steps import OUT_STEPS
from mappings.schedule import window_fault
from mappings.vocabulary import Field


@dataclass(frozen=True, slots=True)
class AnswerField:
    """One field of an answer, to be judged with the words of a feed."""

    field: Field
    given: Tree
    place: Place


def outbound_faults(
    tree: Mapping[str, Tree], lookups: Mapping[str, Tree]
) -> Iterator[tuple[Place, str] | AnswerField]:
    """(place, what is wrong) of every kind that is mapped; answers are handed back to be judged."""
    for kind in KINDS.values():
        raw = tree.get(kind.word)
        if isinstance(raw, dict):
            yield from _kind(kind, raw, (kind.word,), lookups)
    if "order_cancels" in tree and "orders" not in tree:
        yield ("order_cancels",), "there are no `orders` to cancel. Map them or remove it."


def _kind(
    kind: MessageKind, raw: dict[str, Tree], place: Place, lookups: Mapping[str, Tree]
) -> Iterator[tuple[Place, str] | AnswerField]:
    yield from _fields(kind.fields, raw, place, lookups)
    lines = raw.get("lines")
    if kind.lines:
        if lines is None:
            yield (*place, "lines"), "not mentioned. Say how the ERP wants the lines."
        elif isinstance(lines, dict):
            yield from _fields(kind.lines, lines, (*place, "lines"), lookups)
    elif lines is not None:
        yield (*place, "lines"), f"a {kind.noun} has no lines. Remove it."
    for index, window in enumerate(_list(raw.get("windows"))):
        if isinstance(window, str) and (said := window_fault(window)):
            yield (*place, "windows", index), f"{said}."
    yield from _target(raw, place)
    yield from _answer(raw.get("answer"), (*place, "answer"))


def _answer(answer: Tree | None, place: Place) -> Iterator[tuple[Place, str] | AnswerField]:
    if isinstance(answer, dict):
        for word, known in (("fields", ANSWER), ("lines", ANSWER_LINES)):
            for name, given in _dict(answer.get(word)).items():
                here = (*place, word, name)
                if name in known:
                    yield AnswerField(known[name], given, here)
                else:
                    yield here, f"unknown field{_near(name, known)} Correct the word or remove it."
        if answer.get("lines") and "line_no" not in _dict(answer.get("lines")):
            yield (*place, "lines", "line_no"), "not mentioned: which line is it? Map it."


def _target(raw: dict[str, Tree], place: Place) -> Iterator[tuple[Place, str]]:
    target = _dict(raw.get("target"))
    key = target.get("native_key")
    if isinstance(key, dict) and ("header" in key) == ("field" in key):
        yield (*place, "target", "native_key"), "needs either `header` or `field`."
    if isinstance(key, dict) and "header" in key and target.get("protocol") != "odata":
        yield (*place, "target", "native_key", "header"), "only HTTP has headers of ours."
    retry = _dict(raw.get("retry"))
    for word in ("tries", "hours"):
        if isinstance(retry.get(word), str) and str(retry[word]).strip().startswith("-"):
            yield (*place, "retry", word), "must be greater than 0."


def _fields(
    known: tuple[Field, ...], raw: dict[str, Tree], place: Place, lookups: Mapping[str, Tree]
) -> Iterator[tuple[Place, str]]:
    given = raw.get("fields")
    if not isinstance(given, dict):
        return
    wanted = {one.name: one for one in known}
    taken: dict[str, str] = dict.fromkeys(_dict(raw.get("constants")), "constants")
    for name, one in given.items():
        here = (*place, "fields", name)
        if name not in wanted:
            yield here, f"unknown field{_near(name, wanted)} Correct the word or remove the line."
        elif isinstance(one, dict):
            yield from _field(wanted[name], one, here, lookups)
            to = one.get("to")
            if isinstance(to, str):
                if to in taken:
                    yield (*here, "to"), f"{to} is already filled by {taken[to]}."
                taken.setdefault(to, name)
        elif one == "unsent" and wanted[name].need == "R":
            yield here, f"is required and cannot be unsent ({wanted[name].meaning}). Map it."
    for name, field in wanted.items():
        if name not in given:
            remedy = "Map it." if field.need == "R" else f"Map it, or write `{name}: unsent`."
            yield (*place, "fields", name), f"not mentioned ({field.meaning}). {remedy}"


def _field(
    field: Field, given: dict[str, Tree], place: Place, lookups: Mapping[str, Tree]
) -> Iterator[tuple[Place, str]]:
    name = given.get("lookup")
    if isinstance(name, str):
        if name not in lookups:
            yield (*place, "lookup"), f"no such lookup: {name!r}{_near(name, lookups)}"
        else:
            yield from _turned_round(name, _dict(lookups[name]), (*place, "lookup"))
    steps = given.get("through")
    for index, step in enumerate(_list(steps)):
        here = (*place, "through", index)
        if not isinstance(step, str) or step not in OUT_STEPS:
            yield here, f"unknown out-step {step!r}{_near(str(step), OUT_STEPS)}"
        elif index == 0 and name is None and field.type not in OUT_STEPS[step].needs:
            needs = ", ".join(OUT_STEPS[step].needs)
            yield here, f"{step} writes {needs}; {field.name} is {field.type}."


def _turned_round(
    name: str, table: Mapping[str, Tree], place: Place
) -> Iterator[tuple[Place, str]]:
    """A lookup is read from right to left: each of our codes must have one of theirs."""
    seen: dict[Tree, str] = {}
    for theirs, ours in table.items():
        if not isinstance(ours, str):
            continue
        if ours in seen:
            says = f"{name} cannot be turned round: {ours} is {seen[ours]} and {theirs}."
            yield place, f"{says} Write a lookup of its own for what goes out."
        seen.setdefault(ours, theirs)


def _near(word: str, words: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else "."


def _dict(tree: Tree | None) -> dict[str, Tree]:
    return tree if isinstance(tree, dict) else {}


def _list(tree: Tree | None) -> list[Tree]:
    return tree if isinstance(tree, list) else []
