"""Proves an audit export, or says what was done to it. Needs Python 3.9 or later and nothing else.

This file goes into every export as `verify.py`, so that an auditor needs neither Waybill nor a
network; Waybill itself checks its database with the same functions. Standard library only, and
it must not import anything of ours.

    python verify.py EXPORT.zip --anchor ANCHOR.json … [--key HEX]

An anchor is the head of the chain as it was written down outside at some time. Without one, a
chain that was cut or rewritten as a whole cannot be told from a true one: the report says so.
`--key` is the public key that you were given by another way than with the export.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

GENESIS = hashlib.sha256(b"waybill audit chain, version 1").digest()
AUDIT, MANIFEST, SIGNATURE = "audit.jsonl", "manifest.json", "manifest.sig"
_SHOWN = 20


class Entry(NamedTuple):
    """One link with the line it covers; `content` is None where the line is gone."""

    position: int
    audit_id: int
    content: str | None
    content_sha256: bytes
    chain_sha256: bytes


class Anchor(NamedTuple):
    """The head of the chain as it was written down outside."""

    position: int
    chain_sha256: bytes
    place: str


class Finding(NamedTuple):
    """Something that is not as it was written. `code` names what, `position` where."""

    position: int
    code: str
    says: str


class ChainReport(NamedTuple):
    """What a walk along the chain showed."""

    first: int
    last: int
    entries: int
    anchored: int
    """Highest position that an anchor proves; 0 where none does."""
    findings: list[Finding]


def link(previous: bytes, position: int, audit_id: int, content_sha256: bytes) -> bytes:
    """SHA-256 of a link: the one before it, its place, its line's id and hash."""
    numbers = position.to_bytes(8, "big", signed=True) + audit_id.to_bytes(8, "big", signed=True)
    return hashlib.sha256(previous + numbers + content_sha256).digest()


def check_chain(
    entries: Iterable[Entry],
    anchors: Sequence[Anchor],
    *,
    first: int = 1,
    before: bytes = GENESIS,
) -> ChainReport:
    """Walk the chain from position `first`, whose predecessor's hash is `before`."""
    findings: list[Finding] = []
    previous, expected, count = before, first, 0
    proofs: dict[int, list[Anchor]] = {}
    for anchor in anchors:
        proofs.setdefault(anchor.position, []).append(anchor)
    anchored = 0
    for entry in entries:
        count += 1
        if entry.position != expected:
            findings.append(_out_of_place(entry.position, expected))
        findings.extend(_content(entry))
        if link(previous, entry.position, entry.audit_id, entry.content_sha256) != (
            entry.chain_sha256
        ):
            findings.append(
                Finding(entry.position, "broken", "this link does not follow from the one before")
            )
        for anchor in proofs.pop(entry.position, ()):
            if anchor.chain_sha256 == entry.chain_sha256:
                anchored = max(anchored, entry.position)
            else:
                findings.append(
                    Finding(
                        entry.position,
                        "rewritten",
                        f"{anchor.place} holds another hash for this position",
                    )
                )
        previous, expected = entry.chain_sha256, entry.position + 1
    last = expected - 1
    if any(a.chain_sha256 == before for a in proofs.get(first - 1, ())):
        anchored = max(anchored, first - 1)
    for position in sorted(proofs):
        findings.extend(_unmet(position, proofs[position][0], first, last, before))
    return ChainReport(first, last, count, anchored, findings)


def _unmet(position: int, anchor: Anchor, first: int, last: int, before: bytes) -> list[Finding]:
    """What an anchor says whose position was not walked over."""
    if position > last:
        says = f"{anchor.place} proves {position} entries; the chain ends at {last}"
        return [Finding(position, "cut", says)]
    if position >= first:
        says = f"{anchor.place} proves an entry that is not here"
        return [Finding(position, "removed", says)]
    if position == first - 1 and anchor.chain_sha256 != before:
        says = f"{anchor.place} holds another start of this part"
        return [Finding(position, "rewritten", says)]
    return []


def _out_of_place(position: int, expected: int) -> Finding:
    if position > expected:
        gone = position - expected
        return Finding(expected, "removed", f"{gone} link(s) from {expected} on are not here")
    return Finding(position, "reordered", f"stands where position {expected} belongs")


def _content(entry: Entry) -> Iterator[Finding]:
    if entry.content is None:
        yield Finding(
            entry.position, "removed", f"line {entry.audit_id} was sealed and is not here"
        )
        return
    if hashlib.sha256(entry.content.encode("utf-8")).digest() != entry.content_sha256:
        yield Finding(
            entry.position, "changed", f"line {entry.audit_id} is not what was hashed at insert"
        )
        return
    try:
        told = json.loads(entry.content).get("id")
    except (ValueError, AttributeError):
        told = None
    if told != entry.audit_id:
        yield Finding(entry.position, "changed", f"line {entry.audit_id} holds line {told}")


# -- an export ----------------------------------------------------------------------------------


class Export:
    """The files of an export: a .zip or the folder it was unpacked to."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(f"there is no {path}")
        self._archive = zipfile.ZipFile(path) if path.is_file() else None
        self._folder = path

    def names(self) -> list[str]:
        """Every file, sorted."""
        if self._archive is not None:
            return sorted(n for n in self._archive.namelist() if not n.endswith("/"))
        found = (p for p in self._folder.rglob("*") if p.is_file())
        return sorted(p.relative_to(self._folder).as_posix() for p in found)

    def read(self, name: str) -> bytes:
        """One file's bytes. Raises KeyError or OSError where there is none."""
        if self._archive is not None:
            return self._archive.read(name)
        return (self._folder / name).read_bytes()

    def close(self) -> None:
        """Close the archive."""
        if self._archive is not None:
            self._archive.close()


class ExportReport(NamedTuple):
    """What was found in an export."""

    manifest: Mapping[str, Any]
    key: str
    findings: list[Finding]
    chain: ChainReport | None


def check_export(path: Path, anchors: Sequence[Anchor], key: str | None = None) -> ExportReport:
    """Check signature, every file's hash, and the chain. `key`: the signer's, known otherwise."""
    export = Export(path)
    try:
        return _check_export(export, anchors, key)
    finally:
        export.close()


def _check_export(export: Export, anchors: Sequence[Anchor], key: str | None) -> ExportReport:
    findings: list[Finding] = []
    try:
        raw = export.read(MANIFEST)
        manifest = json.loads(raw)
        files, told, chain = manifest["files"], manifest["public_key"], manifest["audit"]
        before = bytes.fromhex(chain["before"])
        first, last = int(chain["first"]), int(chain["last"])
    except (KeyError, OSError, ValueError, TypeError) as error:
        says = f"the manifest cannot be read ({type(error).__name__})"
        return ExportReport({}, "", [Finding(0, "manifest", says)], None)
    if key is not None and key.lower() != told:
        findings.append(Finding(0, "key", "signed with another key than the one you were given"))
    try:
        good = verify_signature(
            bytes.fromhex(key or told), raw, bytes.fromhex(export.read(SIGNATURE).decode("ascii"))
        )
    except (KeyError, OSError, ValueError):
        good = False
    if not good:
        findings.append(Finding(0, "signature", "the manifest does not carry its signature"))
    names = set(export.names()) - {MANIFEST, SIGNATURE}
    findings += [Finding(0, "removed", f"{n} is not here") for n in sorted(set(files) - names)]
    findings += [Finding(0, "added", f"{n} is not signed") for n in sorted(names - set(files))]
    for name in sorted(names & set(files)):
        if hashlib.sha256(export.read(name)).hexdigest() != files[name]["sha256"]:
            findings.append(Finding(0, "changed", f"{name} is not what was signed"))
    if AUDIT not in names:
        return ExportReport(manifest, told, findings, None)
    try:
        entries = list(read_entries(export.read(AUDIT)))
    except (KeyError, ValueError, TypeError) as error:
        findings.append(Finding(0, "changed", f"{AUDIT} cannot be read ({type(error).__name__})"))
        return ExportReport(manifest, told, findings, None)
    # an anchor past the export's end says nothing about it: the export is a part
    within = [a for a in anchors if a.position <= last]
    report = check_chain(entries, within, first=first, before=before)
    if report.last != last:
        report.findings.append(
            Finding(report.last, "cut", f"the manifest promises entries up to {last}")
        )
    return ExportReport(manifest, told, findings, report)


def read_entries(content: bytes) -> Iterator[Entry]:
    """The lines of an export's chain. Raises ValueError or KeyError for what is not one."""
    for text in content.decode("utf-8").split("\n"):
        if text:
            yield entry_from(json.loads(text))


def entry_from(row: Mapping[str, Any]) -> Entry:
    """One line of an export as an entry."""
    return Entry(
        int(row["position"]),
        int(row["audit_id"]),
        row["content"],
        bytes.fromhex(row["content_sha256"]),
        bytes.fromhex(row["chain_sha256"]),
    )


def read_anchor(path: Path) -> Anchor:
    """An anchor file. Raises ValueError, KeyError or OSError."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return Anchor(int(found["position"]), bytes.fromhex(found["chain_sha256"]), path.name)


# -- Ed25519, verification alone (RFC 8032), so that nothing needs to be installed ---------------

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
_Point = tuple[int, int, int, int]


def _add(a: _Point, b: _Point) -> _Point:
    s = (a[1] - a[0]) * (b[1] - b[0]) % _P
    t = (a[1] + a[0]) * (b[1] + b[0]) % _P
    u = 2 * a[3] * b[3] * _D % _P
    v = 2 * a[2] * b[2] % _P
    e, f, g, h = t - s, v - u, v + u, t + s
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: _Point) -> _Point:
    product: _Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            product = _add(product, point)
        point = _add(point, point)
        scalar >>= 1
    return product


def _point(encoded: bytes) -> _Point:
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if y >= _P or (x * x - square) % _P or (x == 0 and sign):
        raise ValueError("not a point of the curve")
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


_BASE = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))


def verify_signature(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` was made by the holder of `key` (32 bytes)."""
    if len(key) != 32 or len(signature) != 64:  # noqa: PLR2004 - RFC 8032
        return False
    try:
        signer, start = _point(key), _point(signature[:32])
    except ValueError:
        return False
    scalar = int.from_bytes(signature[32:], "little")
    if scalar >= _ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + key + message).digest()
    left = _times(scalar, _BASE)
    right = _add(start, _times(int.from_bytes(digest, "little") % _ORDER, signer))
    return not (
        (left[0] * right[2] - right[0] * left[2]) % _P
        or (left[1] * right[2] - right[1] * left[2]) % _P
    )


# -- the command --------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """0: everything is as it was written. 1: something is not. 2: wrong usage."""
    parser = argparse.ArgumentParser(description="Proves an audit export of Waybill.")
    parser.add_argument("export", type=Path, help="the .zip, or the folder it was unpacked to")
    parser.add_argument(
        "--anchor", type=Path, action="append", default=[], help="an anchor file from outside"
    )
    parser.add_argument("--key", help="the public key, known to you by another way")
    asked = parser.parse_args(arguments)
    try:
        anchors = [read_anchor(path) for path in asked.anchor]
        report = check_export(asked.export, anchors, asked.key)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"cannot be read: {error}\n")
        return 2
    lines = list(describe_export(report, given_key=asked.key is not None))
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if report.findings or (report.chain and report.chain.findings) else 0


def describe_export(report: ExportReport, *, given_key: bool) -> Iterator[str]:
    """The report as lines for a person."""
    yield f"files: {len(report.manifest.get('files', {}))}, signed with key {report.key or '?'}"
    if not given_key:
        yield "key: taken from the export itself; compare it with the one you were given (--key)"
    yield from _describe(report.findings)
    if report.chain is not None:
        yield from describe_chain(report.chain)
    findings = [*report.findings, *(report.chain.findings if report.chain else ())]
    yield "NOT PROVEN" if findings else "proven"


def describe_chain(report: ChainReport) -> Iterator[str]:
    """The walk along the chain as lines for a person."""
    yield f"audit entries: {report.entries}, positions {report.first} to {report.last}"
    if report.anchored:
        yield f"anchored outside up to position {report.anchored}"
    elif report.entries:
        yield "no anchor given: a chain cut or rewritten as a whole would not be noticed"
    yield from _describe(report.findings)


def _describe(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings[:_SHOWN]:
        where = f"position {finding.position}: " if finding.position else ""
        yield f"  {finding.code}: {where}{finding.says}"
    if len(findings) > _SHOWN:
        yield f"  and {len(findings) - _SHOWN} more"


if __name__ == "__main__":
    sys.exit(main())
