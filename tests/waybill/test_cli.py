from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mappings.private_files import change_connections, read_connections
from mappings.settings import REPOSITORY, Settings
from waybill import cli
from waybill.demo import KEYS, Feed, adds_up
from waybill.logs import log_file

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def waybill(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """The command in this process; returns exit code, stdout and stderr."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = cli.run(list(arguments))
        out = capfd.readouterr()
        return code, out.out, out.err

    yield run
    for handler in [h for h in logging.getLogger().handlers if h.get_name() == "waybill"]:
        logging.getLogger().removeHandler(handler)
        handler.close()


@pytest.mark.slow
def test_sync_then_look(anvil: Any, waybill: Run) -> None:
    del anvil
    code, out, _ = waybill("sync", "anvil", "customers", "--json")
    assert code == cli.OK
    (outcome,) = json.loads(out)
    assert outcome["state"] == "done"
    assert outcome["read"] == outcome["inserted"] > 0

    code, out, _ = waybill("runs", "--json")
    (run,) = json.loads(out)
    assert (code, run["run_id"], run["read"]) == (0, outcome["run_id"], outcome["read"])

    code, out, _ = waybill("run", str(run["run_id"]))
    assert code == 0
    assert "accepted=portal" in out
    assert "GetCustomerList" in out

    code, out, _ = waybill("batches", "--json", "--erp", "anvil")
    assert [batch["state"] for batch in json.loads(out)] == ["applied"]

    code, out, _ = waybill("feeds", "--json")
    ages = {row["feed"]: row["age_seconds"] for row in json.loads(out)}
    assert ages["customers"] is not None
    assert ages["prices"] is None

    code, out, _ = waybill("audit", "verify")
    assert (code, "nothing is sealed yet" in out, "proven\n" in out) == (0, True, False)
    waybill("audit", "list")  # which is on record itself
    waybill("audit", "seal")
    code, out, _ = waybill("audit", "verify")
    assert (code, out.splitlines()[-1]) == (0, "proven")


@pytest.mark.slow
def test_explain_leads_from_a_value_to_the_bytes_that_the_erp_sent(
    anvil: Any, waybill: Run, settings: Settings
) -> None:
    del anvil
    waybill("sync", "anvil", "customers")
    code, out, _ = waybill("explain", "dealer", "anvil", "0000100001", "--json")
    found = json.loads(out)
    assert code == 0
    name = next(f for f in found["mapping"]["fields"] if f["field"] == "name")
    assert (name["from"], name["raw"]) == (["NAME1"], {"NAME1": name["value"]})
    evidence = found["evidence"]
    assert evidence["state"] == "present"
    assert evidence["text"].startswith("<item><KUNNR>0000100001</KUNNR>")
    assert found["mapping"]["is_todays"] is True

    # a child lives in its root's record, and is found there
    code, out, _ = waybill("explain", "dealer_address", "anvil", "0000100001", "--json")
    child = json.loads(out)
    assert code == 0
    assert child["evidence"]["text"].startswith("<item><ADRNR>")
    assert child["evidence"]["text"] in evidence["text"]

    # evidence that somebody touched is not shown as evidence
    page = Path(evidence["path"])
    page.write_bytes(page.read_bytes()[:-20])
    code, out, _ = waybill("explain", "dealer", "anvil", "0000100001", "--json")
    assert json.loads(out)["evidence"]["state"] != "present"
    page.unlink()
    code, out, _ = waybill("explain", "dealer", "anvil", "0000100001", "--json")
    gone = json.loads(out)["evidence"]
    assert gone["state"] == "gone"
    assert gone["hashes"][0]["sha256"] == evidence["sha256"]
    assert settings.landing in gone["says"]


def test_explain_says_how_to_write_a_key(waybill: Run) -> None:
    code, _, err = waybill("explain", "prise", "anvil", "1")
    assert (code, "Did you mean price?" in err) == (cli.MISCONFIGURED, True)
    code, _, err = waybill("explain", "price", "anvil", "H", "many")
    assert (code, "ERP HEADER_KEY MIN_QTY" in err) == (cli.MISCONFIGURED, True)
    code, _, err = waybill("explain", "price", "anvil", "H", "1")
    assert (code, "has no row anvil H 1" in err) == (cli.MISCONFIGURED, True)


@pytest.mark.slow
def test_a_held_batch_is_red_until_somebody_decides(anvil: Any, waybill: Run) -> None:
    waybill("sync", "anvil", "customers")
    anvil.faults.arm("empty", times=None)
    code, _, err = waybill("sync", "anvil", "customers")
    assert code == cli.RED
    assert "is held by" in err
    code, out, _ = waybill("runs", "--state", "held", "--json")
    (held,) = json.loads(out)
    code, out, _ = waybill("run", str(held["run_id"]))
    assert f"waybill release {held['run_id']} --reason" in out
    code, _, _ = waybill("feeds")
    assert code == cli.RED
    code, out, _ = waybill("refuse", str(held["run_id"]), "--reason", "the export had failed")
    assert (code, "refused" in out) == (0, True)
    code, out, _ = waybill("batches", "--state", "refused", "--json")
    assert len(json.loads(out)) == 1


@pytest.mark.slow
def test_bad_records_are_listed_shown_and_discarded(anvil: Any, waybill: Run) -> None:
    anvil.faults.arm("bad_rows", times=None, where="GetCustomerList")
    code, _, err = waybill("sync", "anvil", "customers")
    assert (code, err) == (cli.OK, "")
    anvil_items = json.loads(waybill("quarantine", "anvil", "--json")[1])
    assert anvil_items
    item = anvil_items[0]
    assert item["says"]
    code, out, _ = waybill("quarantine", "show", str(item["id"]))
    assert code == 0
    assert "The ERP's record" in out
    code, out, _ = waybill("quarantine", "discard", str(item["id"]), "--reason", "a test record")
    assert code == 0
    left = json.loads(waybill("quarantine", "anvil", "--json")[1])
    assert item["id"] not in {one["id"] for one in left}
    discarded = json.loads(waybill("quarantine", "--state", "discarded", "--json")[1])
    assert [one["id"] for one in discarded] == [item["id"]]


def test_check_tries_everything_and_loads_nothing(anvil: Any, waybill: Run) -> None:
    code, out, _ = waybill("check", "anvil", "--json")
    (found,) = json.loads(out)
    assert (code, found["state"]) == (0, "ok")
    assert {source["feed"] for source in found["sources"]} == {
        *("customers", "products", "prices", "stock", "credit", "invoices", "order_status"),
    }
    assert all(source["read"] > 0 for source in found["sources"] if source["part"] != "substitute")
    assert json.loads(waybill("runs", "--json")[1]) == []

    anvil.faults.arm("bad_rows", times=None)
    code, out, _ = waybill("check", "anvil", "--json")
    (found,) = json.loads(out)
    assert (code, found["state"]) == (cli.RED, "rejects")
    reasons = [reason for source in found["sources"] for reason in source["reasons"]]
    assert all(reason["records"] > 0 and reason["says"] for reason in reasons)


def test_check_of_a_feed_shows_records_side_by_side(anvil: Any, waybill: Run) -> None:
    code, out, _ = waybill("check", "anvil", "prices")
    assert code == 0
    assert "price record 1: ok" in out
    assert "KBETR → trailing_minus → decimal_point" in out
    anvil.faults.arm("bad_rows", times=None, where="GetConditionList")
    code, out, _ = waybill("check", "anvil", "prices", "--json", "--records", "5")
    ((source,),) = (one["sources"] for one in json.loads(out))
    assert (code, source["feed"], len(source["records"])) == (cli.RED, "prices", 5)
    first = source["records"][0]
    assert first["state"] == "rejected"
    told = [one for one in first["fields"] if one["reasons"]]
    assert told
    assert all(one["theirs"] and reason["says"] for one in told for reason in one["reasons"])
    good = next(record for record in source["records"] if record["state"] == "ok")
    price = next(one for one in good["fields"] if one["field"] == "unit_price")
    assert price["value"] is None or price["raw"] is not None
    assert json.loads(waybill("runs", "--json")[1]) == json.loads(waybill("batches", "--json")[1])
    assert waybill("check", "anvil", "prises")[0] == cli.MISCONFIGURED


def test_check_refuses_a_delta_that_would_never_see_a_deletion(
    anvil: Any, waybill: Run, settings: Settings
) -> None:
    del anvil
    path = settings.mappings[0] / "anvil.yaml"
    text = path.read_text(encoding="utf-8").replace("deleted: LOEVM\n", "\n")
    path.write_text(text.replace('sweep: "30 5 * * 0"\n', "\n"), encoding="utf-8")
    code, out, _ = waybill("check", "anvil", "order_status")
    assert code == cli.MISCONFIGURED
    assert "`misses: [deletions]`" in out
    path.write_text(text.replace('sweep: "30 5 * * 0"', "misses: [deletions]"), encoding="utf-8")
    assert waybill("check", "anvil", "order_status")[0] == cli.OK


def test_check_says_what_to_do_about_a_wrong_password(
    anvil: Any, waybill: Run, settings: Settings
) -> None:
    known = read_connections(settings)["anvil"]
    assert isinstance(known, dict)
    change_connections(settings, {"anvil": {**known, "password": "forgotten-one"}})
    code, out, err = waybill("check", "anvil")
    assert code == cli.MISCONFIGURED
    assert "assword" in out
    assert "forgotten-one" not in out + err
    change_connections(settings, {"anvil": None})
    code, out, _ = waybill("check", "anvil")
    assert (code, "there is no connection 'anvil'" in out) == (cli.MISCONFIGURED, True)
    del anvil


def test_errors_are_one_line_with_a_remedy_and_the_trace_is_in_the_log(
    waybill: Run, settings: Settings
) -> None:
    code, out, err = waybill("sync", "anwil")
    assert code == cli.MISCONFIGURED
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    lines = [json.loads(line) for line in log_file(settings).read_text().splitlines()]
    assert any("Traceback" in line.get("trace", "") for line in lines)
    assert waybill("syncc")[0] == cli.USAGE
    assert waybill("runs", "--state", "open")[0] == cli.USAGE
    assert waybill("release", "1")[0] == cli.USAGE
    code, _, err = waybill("run", "999")
    assert (code, "no run 999" in err) == (cli.MISCONFIGURED, True)


def test_help_is_quick_because_it_loads_nothing_heavy() -> None:
    program = "import sys; from waybill import cli; cli.run(['--help']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    heavy = {"pandas", "pyarrow", "sqlalchemy", "psycopg", "zeep", "airflow", "rich", "pydantic"}
    assert loaded & heavy == set()
    for name in cli._PLACES:
        assert f"\n  {name} " in done.stdout


@pytest.mark.parametrize("name", list(cli._PLACES))
def test_every_command_has_help(name: str, waybill: Run) -> None:
    if name == "airflow":  # its help is Airflow's own
        return
    code, out, _ = waybill(name, "--help")
    assert code == 0
    assert "Usage: waybill" in out


def test_the_demos_table_has_the_promised_keys_and_adds_up() -> None:
    feed = Feed("acme", "prices", [])
    feed.counts = {"read": 10, "inserted": 4, "unchanged": 3, "quarantined": 2, "deferred": 1}
    row = feed.row()
    assert list(row) == list(KEYS)
    assert adds_up(row)
    assert not adds_up({**row, "read": 11})
    assert not adds_up({**row, "deleted": 1, "unchanged": 2})


def test_the_readme_and_the_help_name_the_same_first_commands() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    assert "make demo" in readme
    assert "waybill check" in readme
