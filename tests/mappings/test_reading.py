"""A mapping file is read as text, or refused with every fault at its line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.errors import Misconfigured
from mappings.feeds import FEEDS
from mappings.lines import NotYaml, read_lines
from mappings.reading import parse_mapping, plans, read_mapping, read_mappings
from mappings.schedule import cron_fault, window_fault, zone_fault

HEAD = """\
erp: acme
connection: acme
time_zone: Europe/Berlin
catalogue: open
lookups:
  level: {LST: list, NO: customer, 01: scale}
feeds:
"""
CREDIT = """\
  credit:
    mode: snapshot
    source: {protocol: odata, entity: Credit, page_size: 500, count: no}
    fields:
      account_key: {from: Konto, through: [strip]}
      currency: {const: EUR}
      limit_amount: {from: Limit, through: [decimal_comma]}
      unlimited: {from: Ohne, through: [x_flag]}
      soft_limit: absent
      limit_valid_to: {from: Bis, through: [yyyymmdd, date_end_inclusive]}
      open_balance: {from: [Soll, Haben], through: [difference]}
      pending: absent
      pending_refs: absent
      overdue: absent
      oldest_due_on: absent
      unapplied: absent
      on_hold: {const: 'false'}
      hold_reason: absent
      risk_class: absent
      avg_days_late: absent
      last_paid_on: absent
      last_paid_amount: absent
      calculated_at: {from: Stand}
"""
ACME = Path("erps/acme.yaml")


def part_fields(feed: str, part: str) -> dict[str, Any]:
    constants = {
        "date": "2026-01-01",
        "instant": "2026-01-01T00:00:00Z",
        "bool": "true",
        "ccy": "EUR",
    }
    fields: dict[str, Any] = {}
    for field in FEEDS[feed].part(part).mapped_fields:
        if field.need == "R" and field.absent is None:
            value = field.codes[0] if field.codes else constants.get(field.type, "1")
            fields[field.name] = {"const": value} if field.codes else {"from": field.name.upper()}
        else:
            fields[field.name] = "absent"
    return fields


def faults(text: str) -> list[str]:
    with pytest.raises(Misconfigured) as refused:
        parse_mapping(text, ACME)
    assert refused.value.code == "mapping"
    return refused.value.what.split("\n")


def test_every_scalar_stays_text() -> None:
    mapping = parse_mapping(HEAD + CREDIT, ACME)
    assert mapping.lookups["level"] == {"LST": "list", "NO": "customer", "01": "scale"}
    assert mapping.feeds["credit"].source.protocol == "odata"
    assert mapping.feeds["credit"].source.count is False


@pytest.mark.parametrize(
    ("wrong", "right", "expected"),
    [
        (
            "soft_limit: absent",
            "soft_limitt: absent",
            [
                (
                    "11: feeds.credit.fields.soft_limit: not mentioned (warn above it). "
                    "Map it, or write `soft_limit: absent`."
                ),
                (
                    "16: feeds.credit.fields.soft_limitt: unknown field; did you mean soft_limit? "
                    "Correct the word or remove the line."
                ),
            ],
        ),
        (
            "{from: Stand}",
            "{form: Stand}",
            [
                (
                    "30: feeds.credit.fields.calculated_at.form: unknown word; did you mean from? "
                    "Correct the word or remove the line."
                )
            ],
        ),
        (
            "through: [strip]",
            "through: [stripe]",
            [
                (
                    "12: feeds.credit.fields.account_key.through.0: unknown step "
                    "'stripe'; did you mean strip?"
                )
            ],
        ),
        (
            "through: [strip]",
            "through: strip",
            ["12: feeds.credit.fields.account_key.through: must be a list, as [strip, upper]."],
        ),
        (
            "through: [difference]",
            "through: [x_flag]",
            [
                (
                    "18: feeds.credit.fields.open_balance: `from` names 2 paths: "
                    "one step must make one column of them."
                )
            ],
        ),
        (
            "from: Limit, through: [decimal_comma]",
            "from: [A, B, C], through: [difference]",
            [
                (
                    "14: feeds.credit.fields.limit_amount.through.0: difference "
                    "takes 2 paths, `from` names 3."
                )
            ],
        ),
        (
            "through: [x_flag]",
            "through: [yyyymmdd]",
            [
                (
                    "15: feeds.credit.fields.unlimited: the last step gives "
                    "date, this field takes text or bool."
                )
            ],
        ),
        (
            "through: [decimal_comma]",
            "through: [yyyymmdd, negate]",
            [
                (
                    "14: feeds.credit.fields.limit_amount.through.1: negate "
                    "needs a number, what comes before it gives date."
                )
            ],
        ),
        (
            "{const: EUR}",
            "{const: eur}",
            [
                (
                    "13: feeds.credit.fields.currency.const: 'eur' must be three "
                    "capital letters (ISO 4217)."
                )
            ],
        ),
        (
            "{const: EUR}",
            "{const: EUR, from: X}",
            ["13: feeds.credit.fields.currency: needs either `from` or `const`."],
        ),
        (
            "{const: EUR}",
            "{from: W, lookup: levell}",
            [
                (
                    "13: feeds.credit.fields.currency.lookup: no such lookup: "
                    "'levell'; did you mean level?"
                )
            ],
        ),
        (
            "{const: 'false'}",
            "absent",
            [
                (
                    "24: feeds.credit.fields.on_hold: is required and cannot be "
                    "absent (the ERP blocks this account). Map it."
                )
            ],
        ),
        (
            "soft_limit: absent",
            "soft_limit: none",
            [
                (
                    "16: feeds.credit.fields.soft_limit: 'none' is no mapping of "
                    "a field. Write `absent`, {from: PATH} or {const: TEXT}."
                )
            ],
        ),
        (
            "Europe/Berlin",
            "Europe/Berlinn",
            [
                (
                    "3: time_zone: no such time zone: 'Europe/Berlinn'. Write an "
                    "IANA name, as Europe/Berlin."
                )
            ],
        ),
        (
            "erp: acme",
            "erp: acmee",
            ["1: erp: must be the file's name, 'acme'. Rename one of the two."],
        ),
        (
            "mode: snapshot",
            "mode: snapshoot",
            [
                (
                    "9: feeds.credit.mode: must be 'snapshot' or 'delta', not "
                    "'snapshoot'; did you mean snapshot?"
                )
            ],
        ),
        (
            "mode: snapshot",
            "mode: snapshot\n    schedule: 30 2 * * *",
            [
                (
                    "10: feeds.credit.schedule: 02:xx does not exist on "
                    "2026-03-29 in Europe/Berlin, and in another night it may "
                    "happen twice; choose another hour."
                )
            ],
        ),
        (
            "mode: snapshot",
            "mode: snapshot\n    refers: {dealr: acme}",
            ["10: feeds.credit.refers.dealr: unknown part; did you mean dealer?"],
        ),
        (
            "mode: snapshot",
            "mode: snapshot\n    scope: {field: account, days: 5}",
            [
                (
                    "10: feeds.credit.scope.field: credit has no field "
                    "'account'; did you mean account_key?"
                )
            ],
        ),
        (
            "mode: snapshot",
            "mode: snapshot\n    guards: {fall_share: 20}",
            ["10: feeds.credit.guards.fall_share: must be a share between 0 and 1, not 20."],
        ),
        (
            "protocol: odata",
            "protocol: odta",
            [
                (
                    "10: feeds.credit.source: must be 'soap', 'odata', 'rest', 'sftp', 'files', "
                    "not 'odta'; did you mean odata?"
                )
            ],
        ),
        (
            "entity: Credit",
            "entitty: Credit",
            [
                (
                    "10: feeds.credit.source.entitty: unknown word; did you mean "
                    "entity? Correct the word or remove the line."
                ),
                "10: feeds.credit.source.entity: missing. Write `entity:` and its value.",
            ],
        ),
        (
            "  credit:",
            "  credits:",
            ["8: feeds.credits: unknown feed; did you mean credit? Correct the word or remove it."],
        ),
        (
            "connection: acme",
            "connection: acme\nconnection: b",
            ["3: connection: written twice, first on line 2. Remove one."],
        ),
    ],
)
def test_a_wrong_word_is_named_with_its_line(wrong: str, right: str, expected: list[str]) -> None:
    assert (HEAD + CREDIT).count(wrong)
    got = faults((HEAD + CREDIT).replace(wrong, right, 1))
    assert [line.removeprefix("erps/acme.yaml:") for line in got] == expected


def test_lines_are_those_of_the_file() -> None:
    text = HEAD + CREDIT.replace("{const: EUR}", "{const: eur}").replace("[strip]", "[stripe]")
    lines = text.splitlines()
    for fault in faults(text):
        number = int(fault.split(":")[1])
        word = fault.split(": ")[1].split(".")[3]
        assert lines[number - 1].strip().startswith(word), fault


def test_all_faults_come_at_once() -> None:
    text = (HEAD + CREDIT).replace("{const: EUR}", "{const: eur}").replace("[x_flag]", "[x_flg]")
    text = text.replace("mode: snapshot", "mode: snap").replace("Europe/Berlin", "Berlin")
    assert len(faults(text)) == 4


def nested(parts: dict[str, Any]) -> str:
    feed = {
        "mode": "snapshot",
        "source": {"protocol": "soap", "operation": "Get", "records": "Items/Item"},
        "fields": part_fields("customers", "dealer"),
        "parts": {
            "dealer_group": "absent",
            "dealer_address": "absent",
            "dealer_contact": "absent",
            **parts,
        },
    }
    return HEAD + yaml.safe_dump({"customers": feed}).replace("\n", "\n  ").join(["  ", ""])


def test_parts_children_and_roots() -> None:
    group: dict[str, Any] = {
        "records": "Groups/Group",
        "fields": part_fields("customers", "dealer_group"),
    }
    assert parse_mapping(nested({"dealer_group": group}), ACME)
    lost = {"fields": group["fields"]}
    (fault,) = faults(nested({"dealer_group": lost}))
    assert "needs either `records` (inside the record of dealer)" in fault
    (fault,) = faults(nested({"dealer_groop": "absent"}))
    assert "unknown part; did you mean dealer_group?" in fault
    (fault,) = faults(nested({"dealer": lost}))
    assert "is the feed's main part" in fault
    forgotten = nested({}).replace("dealer_contact: absent", "")
    assert any("parts.dealer_contact: not mentioned" in line for line in faults(forgotten))
    filled = {**group, "fields": {**group["fields"], "account_key": "absent"}}
    (fault,) = faults(nested({"dealer_group": filled}))
    assert "account_key: is filled by Waybill itself" in fault


def test_plans_name_each_source_once_with_all_paths() -> None:
    contact = {
        "source": {
            "protocol": "sftp",
            "files": "c*.csv",
            "format": {"kind": "csv", "trailer": {"starts_with": "TRL", "total_of": "SUM"}},
        },
        "parent": {"from": "KUNNR", "through": ["strip"]},
        "deleted": "DEL",
        "version": {"from": "TS"},
        "fields": part_fields("customers", "dealer_contact"),
    }
    group = {"records": "Groups/Group", "fields": part_fields("customers", "dealer_group")}
    mapping = parse_mapping(nested({"dealer_contact": contact, "dealer_group": group}), ACME)
    main, own = plans(FEEDS["customers"], mapping.feeds["customers"])
    assert (main.part, own.part) == ("dealer", "dealer_contact")
    assert [(part, records) for part, records, _ in main.children] == [
        ("dealer_group", "Groups/Group")
    ]
    assert set(main.paths) == {"KEY", "NAME", "ACCOUNT_KEY", "CURRENCY"}
    assert main.children[0][2] == ("GROUP_KEY",)
    assert set(own.paths) == {"KEY", "NAME", "KUNNR", "DEL", "TS", "SUM"}
    assert own.parent is not None


def test_anchors_and_merge_keys() -> None:
    text = HEAD.replace(
        "lookups:", "lookups:\n  base: &base {A: list, B: scale}\n  more: {<<: *base, B: customer}"
    )
    mapping = parse_mapping(text + CREDIT, ACME)
    assert mapping.lookups["more"] == {"A": "list", "B": "customer"}
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(8)
    )
    with pytest.raises(NotYaml, match="grows without end"):
        read_lines(bomb)
    with pytest.raises(NotYaml, match="grows without end"):
        read_lines("a: &a [*a]")


@pytest.mark.parametrize(
    "text", ["", "a: [", "\t- x", "a: b: c", "- 1", "x", "a: *nothing", "\x00", "{{a: 1}: 2}"]
)
def test_what_is_no_mapping_is_refused(text: str) -> None:
    assert re.match(r"erps/acme\.yaml:[12]: ", faults(text)[0])


@settings(max_examples=60, deadline=None)
@given(
    at=st.integers(0, len(HEAD + CREDIT)),
    cut=st.integers(0, 12),
    put=st.text("abc:{}[], \n'\"&*<!|>-\t01", max_size=6),
)
def test_a_spoilt_file_is_read_or_refused_and_nothing_else(at: int, cut: int, put: str) -> None:
    whole = HEAD + CREDIT
    said = ""
    try:
        parse_mapping(whole[:at] + put + whole[at + cut :], ACME)
    except Misconfigured as refused:
        said = refused.what
    assert all(line.startswith("erps/acme.yaml:") for line in said.split("\n") if said)


def test_a_broken_file_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(HEAD + CREDIT)
    (tmp_path / "bad.yaml").write_text("erp: bad\n")
    (tmp_path / "latin.yaml").write_bytes(b"erp: \xff")
    (tmp_path / "far.yaml").write_text(
        (HEAD + CREDIT).replace("erp: acme", "erp: far\nrefers: {dealer: nowhere}")
    )
    (tmp_path / "near.yaml").write_text(
        (HEAD + CREDIT).replace("erp: acme", "erp: near\nrefers: {dealer: bad}")
    )
    found = read_mappings([tmp_path])
    assert sorted(found.mappings) == ["acme", "near"]
    assert sorted(found.broken) == ["bad", "far", "latin"]
    assert "no mapping for nowhere" in str(found.broken["far"])
    with pytest.raises(Misconfigured, match="no such file"):
        read_mapping(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "zone", "right"),
    [
        ("15 3 * * *", "Europe/Berlin", True),
        ("*/5 * * * *", "Europe/Berlin", True),
        ("0 */2 * * *", "Europe/Berlin", True),
        ("0 1-3 * * *", "Europe/Berlin", False),
        ("0 2 * * *", "America/New_York", False),
        ("0 2 * * *", "Europe/Istanbul", True),
        ("0 2 * * *", "UTC", True),
        ("0 1 * * *", "Europe/London", False),
        ("0 6 * * mon-fri", "Europe/Berlin", True),
        ("0 6 1,15 jan *", "Europe/Berlin", True),
        ("60 6 * * *", "UTC", False),
        ("0 24 * * *", "UTC", False),
        ("0 6 0 * *", "UTC", False),
        ("0 6 * * * *", "UTC", False),
        ("@daily", "UTC", False),
        ("a b c d e", "UTC", False),
        ("0 5-3 * * *", "UTC", False),
        ("*/0 * * * *", "UTC", False),
    ],
)
def test_schedules(text: str, zone: str, right: bool) -> None:  # noqa: FBT001  a table's column
    assert (cron_fault(text, zone) is None) == right


def test_windows_and_zones() -> None:
    assert window_fault("02:00-02:30") is None
    assert window_fault("22:00-04:00") is None
    for wrong in ("2:00-3:00", "02:00", "25:00-26:00", "02:00-02:00"):
        assert window_fault(wrong)
    assert zone_fault("Europe/Istanbul") is None
    for wrong in ("", "Berlin", "../etc/passwd", "europe berlin"):
        assert zone_fault(wrong)


def test_reading_imports_nothing_heavy() -> None:
    code = (
        "import sys, mappings.reading, mappings.fingerprint\n"
        "heavy = {'pyarrow', 'pandas', 'numpy', 'sqlalchemy', 'zeep', 'httpx', 'paramiko', 'lxml',"
        " 'airflow', 'psycopg', 'great_expectations'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
