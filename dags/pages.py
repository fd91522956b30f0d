"""What an operator reads about one DAG: in Airflow's UI, and in docs/dags.md. Text only.

Follows from the feed and the mapping alone, so that it cannot go out of date.
Must not: import Airflow or anything heavy (every parse loads this), or read a file.
"""

from __future__ import annotations

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

from mappings.errors import WaybillError
from mappings.feeds import FEEDS
from mappings.messages import KINDS
from mappings.sources import ODataSource, RestSource, SftpSource, Source
from mappings.spec import ErpMapping, FeedMapping
from mappings.targets import ODataTarget, SftpTarget, Target
from mappings.trust import MISSES, sweep_schedule
from mappings.vocabulary import Feed, Guards

_REJECTED = "more than {rejected_share} of the records are rejected, and at least {rejected_least}"
_FALL = "a complete extract has {fall_share} fewer rows than the portal"
_CHANGED = "more than {changed_share} of the values change by more than {changed_by}"
_SUSPECT = (
    "more than {suspect_share} of the changed rows look like a misread separator (×10, ×100), and "
    "at least {suspect_least} (fewer are quarantined singly)"
)
_EMPTY = "a complete extract is empty"


def dag_id(erp: str, feed: str) -> str:
    """The one name of a feed's DAG."""
    return f"{erp}__{feed}"


def sweep_dag_id(erp: str, feed: str) -> str:
    """The DAG that reads a delta feed as a whole and compares."""
    return f"{dag_id(erp, feed)}__sweep"


def broken_dag_id(erp: str) -> str:
    """The DAG that stands for a mapping that cannot be read."""
    return f"{erp}__mapping_is_broken"


def delivery_dag_id(erp: str) -> str:
    """The DAG that delivers what is owed to an ERP."""
    return f"{erp}__deliveries"


def delivery_page(erp: ErpMapping) -> str:
    """The page of an ERP's deliveries: what goes out, how often it is tried, what to do."""
    rows = []
    for kind in KINDS.values():
        how = erp.outbound(kind.name)
        if how is None:
            continue
        asked = "cannot be asked" if how.target.find == "cannot" else "is asked by our reference"
        key = "; refuses doubles itself" if how.target.native_key is not None else ""
        rows.append(
            f"| {kind.noun} | {target_line(how.target)} | {how.retry.tries} tries over "
            f"{how.retry.hours.normalize():f} h | {asked}{key} |"
        )
    table = "\n".join(rows)
    return f"""### {erp.title or erp.erp}: deliveries

What is owed to this ERP, every minute; the gateway sends at once, this is the net below it.

| message | goes to | if it does not go out | after a lost answer the ERP … |
|---|---|---|---|
{table}

`waybill outbox --erp {erp.erp}` shows what waits and what needs a person, `waybill outbox lanes`
whether the ERP is reachable. An ERP that is down is tried with one message now and then, and
everything that waited follows by itself, in order. A message that may have arrived is never sent
again before the ERP was asked for it, or `waybill outbox settle` said what a person found there.
"""


def target_line(target: Target) -> str:
    """Where a message goes, in the protocol's own words."""
    if isinstance(target, SftpTarget):
        return f"`{target.inbox}/<reference>{target.suffix}` by SFTP"
    if isinstance(target, ODataTarget):
        return f"entity set `{target.entity}` by OData"
    return f"operation `{target.operation}` by SOAP"


def schedule(feed: Feed, mapping: FeedMapping) -> str:
    """Cron text, in the ERP's time zone: the mapping's own, else the feed's."""
    return mapping.schedule or feed.schedule


def effective_guards(feed: Feed, mapping: FeedMapping) -> Guards:
    """The feed's limits with the mapping's own in their place."""
    own: dict[str, Any] = {
        f.name: value
        for f in fields(Guards)
        if (value := getattr(mapping.guards, f.name)) is not None
    }
    return replace(feed.guards, **own)


def guard_lines(feed: Feed, guards: Guards) -> list[str]:
    """One line a guard: when a batch is held. Change guards only where a field is compared."""
    says = [_REJECTED, _FALL]
    if any(part.changes for part in feed.parts):
        says += [_CHANGED, _SUSPECT]
    if not guards.empty:
        says.append(_EMPTY)
    shown = {
        f.name: _percent(value) if isinstance(value, Decimal) else value
        for f in fields(Guards)
        for value in (getattr(guards, f.name),)
    }
    return [line.format(**shown) for line in says]


def tags(erp: str, feed: str, mapping: FeedMapping) -> list[str]:
    """ERP, feed and protocol: what Airflow's list is filtered by."""
    return [erp, feed, mapping.source.protocol]


def source_line(source: Source) -> str:
    """What is asked for, in the protocol's own words."""
    if isinstance(source, SftpSource):
        return f"`{source.files}` ({source.format.kind}) by SFTP"
    if isinstance(source, ODataSource):
        return f"entity set `{source.entity}` by OData"
    if isinstance(source, RestSource):
        return f"`{source.path}` by REST"
    return f"operation `{source.operation}` by SOAP"


def feed_page(erp: ErpMapping, feed_name: str) -> str:
    """The page of one (ERP, feed): meaning, source, schedule, promise, guards, what to do."""
    feed, mapping = FEEDS[feed_name], erp.feeds[feed_name]
    given = [p.name for p in feed.parts if _is_given(feed, mapping, p.name)]
    missing = [p.name for p in feed.parts if p.name not in given]
    mode = (
        "complete extracts: what is no longer in one is marked deleted"
        if mapping.mode == "snapshot"
        else "changes since the last pull"
    )
    waits = ", ".join(f"{name}" for name in feed.requires) or "nothing"
    guards = "\n".join(f"- {line}" for line in guard_lines(feed, effective_guards(feed, mapping)))
    absent = f"\nNot supplied by this ERP: {', '.join(missing)}.\n" if missing else ""
    return f"""### {erp.title or erp.erp}: {feed_name}

{feed.meaning}

| | |
|---|---|
| Source | {source_line(mapping.source)}; connection `{erp.connection}` |
| Sends | {mode} |
| Schedule | `{schedule(feed, mapping)}` in {erp.time_zone} |
| Sweep | {_sweep_line(erp, feed_name)} |
| Promise | late when nothing was confirmed for {_duration(feed.promise_minutes)} |
| Tables | {", ".join(f"`portal.{name}`" for name in given)} |
| Requires | {waits} |
| Ask | {erp.owner} |
{absent}
**A batch is held when**

{guards}

**When it is held** the portal keeps what it had. `waybill runs --erp {erp.erp} --feed {feed_name}`
names the run; `waybill run RUN` shows why, with figures. Then `waybill release RUN --reason …`
lets it in, `waybill refuse RUN --reason …` throws it out. A later good batch also ends it.

**When it is red** the last line of the failed task's log says what happened and what to do.
`waybill check {erp.erp}` tries the connection and one sample page. What fails for a moment is
tried again by itself; red means that this did not help, or could not.

**When records are in quarantine** (`waybill quarantine {erp.erp} {feed_name}`): correct them in the
ERP and the next batch takes them, or correct the mapping and `waybill replay BATCH`.
"""


def sweep_page(erp: ErpMapping, feed_name: str) -> str:
    """The page of a feed's sweep: why there is one, and where what it finds is shown."""
    mapping = erp.feeds[feed_name]
    lines = [f"- `{miss}`: {MISSES[miss].says}" for miss in mapping.misses]
    why = "\n".join(lines) or "- nothing that the mapping names; it asks for the sweep all the same"
    return f"""### {erp.title or erp.erp}: sweep of {feed_name}

The feed sends changes since a cursor, and a cursor can miss things. This DAG takes the changes
first, then reads everything and compares it with the portal. What then still differs, the deltas
had missed: it is written, and counted.

Its cursor misses:

{why}

| | |
|---|---|
| Source | {source_line(mapping.source)}; connection `{erp.connection}` |
| Schedule | `{sweep_schedule(erp, feed_name)}` in {erp.time_zone} |
| Ask | {erp.owner} |

`waybill feeds {erp.erp}` shows what the last sweep found; `waybill sync {erp.erp} {feed_name}
--sweep` runs one now. The guards are those of the feed: `waybill check {erp.erp}` tries it.

**When it finds much** the cursor is worse than the mapping says: add the word to `misses`, widen
`overlap_minutes`, or read the feed as a snapshot.

**A batch is held when** it would be held on any other day: see `{dag_id(erp.erp, feed_name)}`.
"""


def broken_page(erp: str, error: WaybillError) -> str:
    """The page of a mapping that cannot be read: every fault in it."""
    return f"""### The mapping of {erp} cannot be read

None of its feeds runs until it is corrected; all other ERPs do.

```
{error.what}
```

{error.remedy or ""}

`waybill check {erp}` says the same. Once the file is right, this DAG goes and the feeds come back.
"""


def _sweep_line(erp: ErpMapping, feed_name: str) -> str:
    mapping = erp.feeds[feed_name]
    cron = sweep_schedule(erp, feed_name)
    if cron is None:
        return "none: every pull compares everything" if mapping.mode == "snapshot" else "none"
    return f"`{cron}`; the cursor misses {', '.join(mapping.misses) or 'nothing that is known'}"


def _is_given(feed: Feed, mapping: FeedMapping, part: str) -> bool:
    return part == feed.main or mapping.parts.get(part, "absent") != "absent"


def _duration(minutes: int) -> str:
    return (
        f"{minutes // 60} hours" if minutes >= 120 and minutes % 60 == 0 else f"{minutes} minutes"  # noqa: PLR2004 - said right here
    )


def _percent(share: Decimal) -> str:
    """`0.30` as people write it: `30 %`."""
    return f"{(share * 100).normalize():f} %"
