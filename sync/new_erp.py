"""A first mapping for a new ERP, out of its own description or a sample, with every guess marked.

Describe → match listings to parts → read a sample of each → match columns to fields → write. What
cannot be guessed says so and is for a person. Must not load anything, and overwrites nothing.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from connectors import open_connector
from connectors.describe import Description, Listing, anonymous, describe
from connectors.formats import read_page
from connectors.formats.raw import ChildPlan, RawChunk, ReadPlan
from mappings.connection import Connection
from mappings.errors import Misconfigured, WaybillError
from mappings.feeds import FEEDS, PARTS
from mappings.reading import parse_mapping
from mappings.settings import Settings
from mappings.sources import ODataSource, SoapSource, Source
from mappings.vocabulary import Feed, Part
from sync.connection import resolve
from sync.guess import Guess, called, guesses, listing_score
from sync.masking import masked_page, personal
from sync.new_mapping import Proposal, ProposedPart, mapping_text

_SOURCE: TypeAdapter[Source] = TypeAdapter(Source)
_LEAST_MAIN = 0.5
_LEAST_PART = 0.62
_SAMPLE_ROWS = 25
_SAMPLE_BYTES = 1_000_000


@dataclass(slots=True)
class NewErp:
    """What was proposed: the mapping's text, the connection's stub, samples by file name."""

    text: str
    stub: Mapping[str, Any]
    feeds: list[str]
    samples: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """(feed, file name) → the page, personal data masked."""
    open_points: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Page:
    """One page of a listing and the texts of its columns, by the part's path ('' = the record)."""

    content: bytes | None = None
    values: dict[str, dict[str, list[str | None]]] = field(default_factory=dict)


def described(settings: Settings, location: str, erp: str, connection: str | None) -> Description:
    """What the location says of itself; signs in with the connection if there is one."""
    return describe(location, erp, _known(settings, connection or erp))


def _known(settings: Settings, connection: str) -> Connection | None:
    try:
        return resolve(settings, connection)
    except Misconfigured:
        return None


def candidates(found: Description) -> dict[str, list[tuple[float, Listing]]]:
    """Feed → listings that could be its main part, the likeliest first."""
    every: dict[str, list[tuple[float, Listing]]] = {}
    for name, feed in FEEDS.items():
        main = feed.part(feed.main)
        scored = [(listing_score(main, one), one) for one in found.listings]
        every[name] = sorted(scored, key=lambda pair: -pair[0])
    return every


def likely(found: Description) -> dict[str, Listing]:
    """Feed → listing, each listing once, where it is likely enough. One sample is one feed's."""
    ranked = sorted(
        (
            (score, feed, listing)
            for feed, scored in candidates(found).items()
            for score, listing in scored
        ),
        key=lambda one: (-one[0], list(FEEDS).index(one[1])),
    )
    chosen: dict[str, Listing] = {}
    alone = len(found.listings) == 1
    for score, feed, listing in ranked:
        taken = any(one is listing for one in chosen.values())
        if feed not in chosen and not taken and (score >= _LEAST_MAIN or (alone and not chosen)):
            chosen[feed] = listing
    return {feed: chosen[feed] for feed in FEEDS if feed in chosen}


def propose(
    settings: Settings,
    found: Description,
    erp: str,
    chosen: Mapping[str, Listing],
    *,
    title: str,
    connection: str,
    time_zone: str,
    schema: str,
) -> NewErp:
    """The mapping's text and samples for the chosen listings.

    Raises Misconfigured where what comes out could not be read as a mapping (a bug of ours).
    """
    reader = _Reader(settings, found, erp, connection)
    proposal = Proposal(erp, title, connection, time_zone, schema)
    made = NewErp("", found.connection, list(chosen), notes=list(found.notes))
    for name, listing in chosen.items():
        feed = FEEDS[name]
        parts = _parts(feed, found, listing, chosen)
        proposal.feeds[name] = _feed(feed, parts, reader, time_zone, made)
        for part, one in proposal.feeds[name].items():
            if one is not None and one.listing is not None:
                _sample(settings, reader, name, part, one.listing, proposal.feeds[name], made)
    made.text = mapping_text(proposal)
    made.notes += reader.notes
    parse_mapping(made.text, Path(f"{erp}.yaml"))
    return made


def _parts(
    feed: Feed, found: Description, main: Listing, chosen: Mapping[str, Listing]
) -> dict[str, Listing]:
    """Root part → its listing: the chosen one, and others that are clearly meant."""
    parts = {feed.main: main}
    taken = [*chosen.values()]
    for root in feed.roots:
        if root.name in parts:
            continue
        scored = [
            (listing_score(root, one), called(root.name, one.name), one)
            for one in found.listings
            if all(one is not other for other in taken)
        ]
        best = max(scored, key=lambda one: one[:2], default=None)
        if best is not None and best[0] >= _LEAST_PART and best[1] > 0:
            parts[root.name] = best[2]
            taken.append(best[2])
    return parts


def _feed(
    feed: Feed, listings: Mapping[str, Listing], reader: _Reader, time_zone: str, made: NewErp
) -> dict[str, ProposedPart | None]:
    proposed: dict[str, ProposedPart | None] = {}
    for root in feed.roots:
        listing = listings.get(root.name)
        if listing is None:
            proposed[root.name] = None
            proposed |= dict.fromkeys((child.name for child in feed.children(root.name)), None)
            continue
        page = reader.page(listing)
        values = page.values.get("", {})
        own = guesses(root, listing.columns, values, time_zone)
        if any(one.missing for one in own.values()) and root.name != feed.main:
            proposed[root.name] = None
            made.notes.append(f"{root.name}: {listing.name} may be it, but required fields are not")
            proposed |= dict.fromkeys((child.name for child in feed.children(root.name)), None)
            continue
        made.open_points += [
            f"{feed.name}/{root.name}.{one.field}: {one.says}"
            for one in own.values()
            if one.missing
        ]
        kept = _children(feed, root, listing, page, time_zone)
        words = dict(listing.words)
        expand = [listing.expand[path] for path, _ in kept.values() if path in listing.expand]
        if expand:
            words["expand"] = expand
        proposed[root.name] = ProposedPart(own, words, None, tuple(listing.columns), listing)
        for child in feed.children(root.name):
            path, fields = kept.get(child.name, ("", {}))
            proposed[child.name] = (
                ProposedPart(fields, None, path, tuple(listing.children[path])) if path else None
            )
    return proposed


def _children(
    feed: Feed, root: Part, listing: Listing, page: _Page, time_zone: str
) -> dict[str, tuple[str, dict[str, Guess]]]:
    """Child part → its path in the record, where the name says so and what it needs is there."""
    kept: dict[str, tuple[str, dict[str, Guess]]] = {}
    for child in feed.children(root.name):
        scored = [
            (max(called(child.name, word) for word in path.split("/")), path)
            for path in listing.children
            if all(path != other for other, _ in kept.values())
        ]
        score, path = max(scored, default=(0.0, ""))
        if score < _LEAST_MAIN:
            continue
        values = page.values.get(path, {})
        fields = guesses(child, listing.children[path], values, time_zone)
        if not any(one.missing for one in fields.values()):
            kept[child.name] = path, fields
    return kept


class _Reader:
    """One page of each listing: the sample's own bytes, or a small page of the ERP."""

    def __init__(self, settings: Settings, found: Description, erp: str, connection: str) -> None:
        self._found = found
        self._erp = erp
        self._connection = _known(settings, connection)
        extra = found.connection.get("extra") or {}
        if (
            self._connection is None
            and found.protocol in {"odata", "rest"}
            and extra.get("service_root")
        ):
            # nobody has to sign in to a server that does not ask for it
            self._connection = replace(
                anonymous(extra["service_root"], erp), extra={"service_root": extra["service_root"]}
            )
        if self._connection is None and found.protocol == "soap" and extra.get("endpoint"):
            stub = {k: v for k, v in extra.items() if v}
            self._connection = Connection(id=erp, type="http", host=extra["endpoint"], extra=stub)
        self._pages: dict[str, _Page] = {}
        self.notes: list[str] = []

    def page(self, listing: Listing) -> _Page:
        """A page and the texts in it; empty where there is none to be had."""
        if listing.name not in self._pages:
            self._pages[listing.name] = self._read(listing)
        return self._pages[listing.name]

    def _read(self, listing: Listing) -> _Page:
        source = _small(_SOURCE.validate_python(_texts(_asking(listing))))
        content = listing.content
        try:
            if content is None:
                content = self._fetched(source)
            return _Page(content, _values(content, source, listing)) if content else _Page()
        except WaybillError as error:
            self.notes.append(f"{listing.name}: no sample was read: {error}")
            return _Page()

    def _fetched(self, source: Source) -> bytes | None:
        if self._connection is None:
            self.notes.append(f"no sample: there is no connection {self._erp!r} yet")
            return None
        with open_connector(self._connection, source.protocol, self._erp) as connector:
            pages = connector.read(source, None)
            try:
                page = next(pages, None)
                return None if page is None else b"".join(page.content)
            finally:
                pages.close()


def _asking(listing: Listing) -> dict[str, Any]:
    """The source with everything it can bring along, for the sample."""
    words = dict(listing.words)
    if listing.expand:
        words["expand"] = list(listing.expand.values())
    return words


def _texts(tree: Any) -> Any:  # noqa: ANN401  any JSON
    """As a mapping file is read: every scalar is text, and null is not written."""
    if isinstance(tree, Mapping):
        return {name: _texts(one) for name, one in tree.items() if one is not None}
    if isinstance(tree, list | tuple):
        return [_texts(one) for one in tree]
    return tree if isinstance(tree, str) else str(tree).lower()


def _small(source: Source) -> Source:
    if isinstance(source, ODataSource) and source.page_size:
        return source.model_copy(update={"page_size": _SAMPLE_ROWS})
    if isinstance(source, SoapSource) and source.page and source.page.size:
        page = source.page.model_copy(update={"size": _SAMPLE_ROWS})
        return source.model_copy(update={"page": page})
    return source


def _values(
    content: bytes, source: Source, listing: Listing
) -> dict[str, dict[str, list[str | None]]]:
    """Path of the part ('' = the record) → column → its texts, in the order of the records."""
    children = tuple(
        ChildPlan(path, path, tuple(columns)) for path, columns in listing.children.items()
    )
    plan = ReadPlan("", source, tuple(listing.columns), children)
    first = dict.fromkeys(("", *listing.children), 1)
    found: dict[str, dict[str, list[str | None]]] = {}
    for piece in read_page(io.BytesIO(content), plan, 1, first):
        if isinstance(piece, RawChunk):
            there = found.setdefault(piece.part, {})
            for name in piece.columns.column_names:
                there.setdefault(name, []).extend(piece.columns.column(name).to_pylist())
    return found


def _sample(
    settings: Settings,
    reader: _Reader,
    feed: str,
    part: str,
    listing: Listing,
    proposed: Mapping[str, ProposedPart | None],
    made: NewErp,
) -> None:
    """Keep the page, with everything masked that speaks about people."""
    page = reader.page(listing)
    if page.content is None:
        return
    if len(page.content) > _SAMPLE_BYTES:
        made.notes.append(f"{listing.name}: its page of {len(page.content)} bytes is no sample")
        return
    told = {
        guess.path
        for name, one in proposed.items()
        if one is not None
        for field_name, guess in one.fields.items()
        if PARTS[name].field(field_name).personal
    }
    values = {
        text
        for columns in page.values.values()
        for path, texts in columns.items()
        if personal(path) or path in told or (part == "dealer" and called_name(path))
        for whole in texts
        if whole is not None
        for text in whole.split("\x1f")
    }
    key = settings.secret("fernet_key").encode()
    source = listing.words
    form = source.get("format") or {}
    kind = form.get("kind") or ("xml" if source["protocol"] == "soap" else "json")
    encoding = str(form.get("encoding") or "utf-8")
    content = masked_page(page.content, values, key, encoding)
    made.samples[feed, f"input.{part}.01.{kind}"] = content


def called_name(path: str) -> bool:
    """A dealer's own name: of a sole trader it is a person's."""
    return called("name", path) > 0 or path.rpartition("/")[2].lower() in {"name", "unvan", "name1"}
