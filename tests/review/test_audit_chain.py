"""AUD-1 and AUD-2: whatever is done to the record of what people did is found, by anybody."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.errors import Misconfigured
from mappings.private_files import change_connections, make_home
from mappings.settings import Settings
from portal_db.audit import head, record, seal
from review.proof import check_database, read_anchors
from review.verifier import GENESIS, Anchor, Entry, check_chain, link
from sync.anchoring import seal_and_anchor
from sync.context import Context
from sync.mail import MAIL
from tests.conftest import fresh_database
from tests.sync.mailbox import Mailbox

ACTIONS = ("release", "refuse", "discard", "replay")


def write(ctx: Context, count: int, start: int = 0) -> None:
    """Lines of the audit, as acting people leave them."""
    with ctx.connection() as connection, connection.transaction():
        for n in range(start, start + count):
            record(connection, f"op{n % 3}", ACTIONS[n % 4], f"run {n}", {"reason": f"ğ{n}"})


@contextmanager
def tampering(url: str) -> Iterator[Callable[[LiteralString], object]]:
    """Somebody who owns the database: no trigger stands in the way."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection.execute


@pytest.fixture
def ctx(settings: Settings) -> Any:
    """An installation that anchors into its home."""
    with Context.open(settings) as opened:
        yield opened


def codes(ctx: Context) -> set[str]:
    return {f.code for f in check_database(ctx).chain.findings}


def test_AUD_1_an_untouched_audit_is_proven_up_to_its_last_anchor(ctx: Context) -> None:
    write(ctx, 30)
    done = seal_and_anchor(ctx)
    assert done.sealed == 30
    assert [str(p) for p in done.places] == list(ctx.settings.audit_anchors)
    write(ctx, 5, start=30)
    proof = check_database(ctx)
    assert proof.good
    assert (proof.chain.last, proof.chain.anchored, proof.unsealed) == (30, 30, 5)
    assert seal_and_anchor(ctx).sealed == 5
    assert check_database(ctx).chain.anchored == 35
    assert seal_and_anchor(ctx).places == (), "a head that did not move is not anchored again"


def test_AUD_1_an_anchor_that_was_mailed_finds_a_forged_chain(
    settings: Settings, database: str
) -> None:
    """The auditor keeps the mail; the file in it is an anchor like any other."""
    mailbox = Mailbox()
    mailbox.start()
    make_home(settings)
    extra = {"from": "w@example.org", "tls": "none"}
    server = {"conn_type": "smtp", "host": "127.0.0.1", "port": mailbox.port, "extra": extra}
    change_connections(settings, {MAIL: server})
    mailed = replace(settings, audit_anchors=("mailto:auditor@example.org",))
    try:
        with Context.open(mailed) as ctx:
            write(ctx, 30)
            assert seal_and_anchor(ctx).places == mailed.audit_anchors
            assert seal_and_anchor(ctx).places == (), "mailed once"
            mailbox.refuse = True
            write(ctx, 1, start=30)
            with pytest.raises(Misconfigured, match="451"):
                seal_and_anchor(ctx)
            (mail,) = mailbox.mails
            assert mail["To"] == "auditor@example.org"
            (file,) = mail.iter_attachments()
            told = json.loads(file.get_content())
            anchor = Anchor(told["position"], bytes.fromhex(told["chain_sha256"]), "the mail")
            assert check_database(ctx, (anchor,)).good
            with tampering(database) as execute:
                execute(
                    "DELETE FROM sync.audit WHERE id IN "
                    "(SELECT audit_id FROM sync.audit_link WHERE position > 25)"
                )
                execute("DELETE FROM sync.audit_link WHERE position > 25")
            found = check_database(ctx, (anchor,)).chain.findings
            assert {f.code for f in found} == {"cut"}
    finally:
        mailbox.stop()


def test_AUD_1_nobody_changes_a_line_through_the_front_door(ctx: Context, database: str) -> None:
    write(ctx, 2)
    seal_and_anchor(ctx)
    statements = (
        "UPDATE sync.audit SET actor = 'x'",
        "DELETE FROM sync.audit",
        "TRUNCATE sync.audit",
        "UPDATE sync.audit_link SET position = 9",
        "DELETE FROM sync.audit_link",
    )
    with psycopg.connect(database, autocommit=True) as owner:
        for statement in statements:
            with pytest.raises(psycopg.errors.RestrictViolation):
                owner.execute(statement)
        owner.execute("SET ROLE waybill_sync")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute("INSERT INTO sync.audit_link VALUES (9, 9, '', '', now())")


def test_AUD_1_a_line_cannot_be_dated_back(ctx: Context) -> None:
    with ctx.connection() as connection:
        connection.execute(
            "INSERT INTO sync.audit (at, actor, action, subject, db_user, content, content_sha256) "
            "VALUES ('2001-01-01', 'me', 'release', 'run 1', 'other', 'lie', 'lie')"
        )
        row = connection.execute(
            "SELECT at > now() - interval '1 hour', db_user = session_user, content <> 'lie' "
            "FROM sync.audit"
        ).fetchone()
    assert row == (True, True, True)


TAMPERINGS: dict[str, tuple[LiteralString, str]] = {
    "a column": ("UPDATE sync.audit SET actor = 'somebody' WHERE id = 7", "changed"),
    "the time": ("UPDATE sync.audit SET at = at + interval '1 us' WHERE id = 7", "changed"),
    "the content": ("UPDATE sync.audit SET content = content || ' ' WHERE id = 7", "changed"),
    "content and its hash": (
        """UPDATE sync.audit SET actor = 'x' WHERE id = 7;
        UPDATE sync.audit SET content = sync.audit_content(audit) WHERE id = 7;
        UPDATE sync.audit SET content_sha256 = sha256(convert_to(content, 'UTF8')) WHERE id = 7""",
        "changed",
    ),
    "a line": ("DELETE FROM sync.audit WHERE id = 7", "removed"),
    "a line with its link": (
        """DELETE FROM sync.audit WHERE id = 7;
        DELETE FROM sync.audit_link WHERE audit_id = 7""",
        "removed",
    ),
    "an order": (
        """UPDATE sync.audit_link SET position = -position WHERE position IN (7, 8);
        UPDATE sync.audit_link SET position = 15 + position WHERE position < 0""",
        "broken",
    ),
    "the newest lines": (
        """DELETE FROM sync.audit WHERE id > 15;
        DELETE FROM sync.audit_link WHERE audit_id > 15""",
        "cut",
    ),
    "everything": ("TRUNCATE sync.audit, sync.audit_link", "cut"),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_AUD_1_a_change_of_the_sealed_record_is_found(
    ctx: Context, database: str, what: str
) -> None:
    statement, code = TAMPERINGS[what]
    write(ctx, 20)
    seal_and_anchor(ctx)
    assert codes(ctx) == set()
    with tampering(database) as do:
        do(statement)
    assert code in codes(ctx)


def test_AUD_1_a_chain_forged_as_a_whole_is_found_by_the_anchor_alone(
    ctx: Context, database: str
) -> None:
    """Somebody with the database and our code writes a new history that fits together."""
    write(ctx, 20)
    seal_and_anchor(ctx)
    with tampering(database) as do:
        do("UPDATE sync.audit SET actor = 'innocent' WHERE id = 7")
        do("UPDATE sync.audit SET content = sync.audit_content(audit)")
        do("UPDATE sync.audit SET content_sha256 = sha256(convert_to(content, 'UTF8'))")
        do("TRUNCATE sync.audit_link")
    with ctx.connection() as connection:
        assert seal(connection, everything=True) == 20
    assert codes(ctx) == {"rewritten"}
    proof = check_chain_without_anchors(ctx)
    assert proof == [], "without an anchor it cannot be told, and verify says so"


def check_chain_without_anchors(ctx: Context) -> list[Any]:
    folder = Path(ctx.settings.audit_anchors[0])
    kept = [(p, p.read_bytes()) for p in folder.iterdir()]
    for path, _ in kept:
        path.unlink()
    proof = check_database(ctx)
    assert proof.chain.anchored == 0
    for path, content in kept:
        path.write_bytes(content)
    return proof.chain.findings


def test_AUD_1_a_line_not_sealed_yet_still_has_its_hash(ctx: Context, database: str) -> None:
    write(ctx, 3)
    with tampering(database) as do:
        do("UPDATE sync.audit SET subject = 'run 9' WHERE id = 2")
    assert codes(ctx) == {"changed"}


def test_AUD_2_fifty_writers_at_once_neither_fork_nor_wait(ctx: Context, database: str) -> None:
    """Writers hold their transactions open while others are sealed: nobody waits for anybody."""
    open_one = psycopg.connect(database)
    record(open_one, "slow", "release", "run 0")  # drew the lowest id, commits last

    def one(n: int) -> None:
        with psycopg.connect(database) as connection:
            for k in range(4):
                record(connection, f"op{n}", "release", f"run {n}-{k}")
                connection.commit()

    def sealing(_: int) -> int:
        with psycopg.connect(database, autocommit=True) as connection:
            return seal(connection)

    with ThreadPoolExecutor(54) as pool:
        writers = [pool.submit(one, n) for n in range(50)]
        sealers = [pool.submit(sealing, n) for n in range(4)]
        for future in [*writers, *sealers]:
            future.result(timeout=60)
    open_one.commit()
    open_one.close()
    seal_and_anchor(ctx)
    proof = check_database(ctx)
    assert proof.good
    assert (proof.chain.last, proof.unsealed) == (201, 0)


def test_an_anchor_that_cannot_be_written_is_said_and_the_others_are(
    ctx: Context, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    settings = Settings.read(
        {"WAYBILL_AUDIT_ANCHORS": f"{tmp_path / 'file'} {tmp_path / 'good'}"},
        home=ctx.settings.home,
        database_url=ctx.settings.database_url,
    )
    write(ctx, 1)
    with Context.open(settings) as two:
        with pytest.raises(Misconfigured, match="WAYBILL_AUDIT_ANCHORS"):
            seal_and_anchor(two)
        assert [a.position for a in read_anchors((str(tmp_path / "good"),))] == [1]


def test_lines_from_before_the_chain_are_hashed_as_they_stand(
    postgres: str, template_database: str
) -> None:
    """The migration gives every old line its hash; here the same statements on one line."""
    with fresh_database(postgres, template_database) as url:
        with tampering(url) as do:
            do(
                "INSERT INTO sync.audit (actor, action, subject, db_user, content, content_sha256) "
                "VALUES ('a', 'b', 'c', 'before the chain', '', '')"
            )
            do("UPDATE sync.audit SET content = sync.audit_content(audit)")
            do("UPDATE sync.audit SET content_sha256 = sha256(convert_to(content, 'UTF8'))")
        settings = Settings.read({}, home="/nonexistent", database_url=url)
        with Context.open(settings) as ctx:
            with ctx.connection() as connection:
                assert seal(connection) == 1
                assert head(connection)
            assert check_database(ctx).good


# -- the walk itself, without a database -----------------------------------------------------------


def chain(count: int) -> list[Entry]:
    previous, made = GENESIS, []
    for position in range(1, count + 1):
        content = f'{{"id": {position * 3}, "actor": "op{position}"}}'
        hashed = _sha(content)
        previous = link(previous, position, position * 3, hashed)
        made.append(Entry(position, position * 3, content, hashed, previous))
    return made


def _sha(content: str) -> bytes:
    return hashlib.sha256(content.encode()).digest()


def tampered(entries: list[Entry], how: str, rng: random.Random) -> list[Entry]:
    made = list(entries)
    at = rng.randrange(len(made))
    if how == "edit":
        field = rng.choice(["content", "content_sha256", "chain_sha256", "audit_id"])
        old = getattr(made[at], field)
        if isinstance(old, str):
            place = rng.randrange(len(old))
            new: Any = old[:place] + chr(ord(old[place]) ^ 1) + old[place + 1 :]
        elif isinstance(old, bytes):
            place = rng.randrange(len(old))
            new = old[:place] + bytes([old[place] ^ 1]) + old[place + 1 :]
        else:
            new = old + 1
        made[at] = made[at]._replace(**{field: new})
    elif how == "remove":
        del made[at]
    elif how == "reorder":
        other = (at + rng.randrange(1, len(made))) % len(made)
        made[at], made[other] = made[other], made[at]
    elif how == "double":
        made.insert(at, made[at])
    else:
        del made[at:]
    return made


@given(
    st.integers(2, 40),
    st.sampled_from(["edit", "remove", "reorder", "double", "cut"]),
    st.randoms(use_true_random=False),
)
def test_AUD_1_any_edit_removal_reorder_or_cut_is_found(
    count: int, how: str, rng: random.Random
) -> None:
    entries = chain(count)
    anchors = [Anchor(count, entries[-1].chain_sha256, "outside")]
    assert check_chain(entries, anchors).findings == []
    assert check_chain(tampered(entries, how, rng), anchors).findings != []


def test_a_part_of_the_chain_is_proven_from_its_start() -> None:
    entries = chain(10)
    before = entries[3].chain_sha256
    report = check_chain(entries[4:], [Anchor(4, before, "outside")], first=5, before=before)
    assert (report.findings, report.anchored) == ([], 4)
    other = Anchor(4, b"x" * 32, "outside")
    found = check_chain(entries[4:], [other], first=5, before=before).findings
    assert [f.code for f in found] == ["rewritten"]
