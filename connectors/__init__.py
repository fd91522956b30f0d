"""Wire: one connector a protocol, each importing its own wire library only when it is asked for.

`open_connector` is the one way in, `open_sender` the one way out. This room translates failures of
the wire into the classes of `mappings.errors`; it must not parse values, know a feed, or reach a
database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.budget import UNLIMITED
from mappings.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.budget import Budget
    from connectors.odata_subscriptions import ODataSubscriptions
    from connectors.protocol import Connector, Sender
    from mappings.connection import Connection
    from mappings.targets import Target

PROTOCOLS = ("soap", "odata", "rest", "sftp", "files")


def open_connector(
    connection: Connection,
    protocol: str,
    erp: str,
    *,
    cache: Path | None = None,
    budget: Budget = UNLIMITED,
    within: float | None = None,
) -> Connector:
    """The connector of a protocol for one ERP, not yet signed in; use it as a context manager.

    `cache`: a folder where a connector may pin what describes the ERP (a WSDL), kept over runs.
    `budget`: asked before every request that leaves. `within`: somebody waits: seconds for a
    connection and for each answer, and one try; None is what suits a night.
    Raises Misconfigured (code `protocol`) for a protocol that there is no connector for.
    """
    if protocol == "soap":
        from connectors.soap import SoapConnector  # noqa: PLC0415  wire libraries load when needed

        if within is not None:
            return SoapConnector(
                connection,
                erp,
                cache=cache,
                budget=budget,
                tries=1,
                timeout=within,
                connect_timeout=within,
            )
        return SoapConnector(connection, erp, cache=cache, budget=budget)
    if protocol == "odata":
        from connectors.odata import ODataConnector  # noqa: PLC0415  wire libraries load when needed

        if within is not None:
            return ODataConnector(
                connection,
                erp,
                budget=budget,
                tries=1,
                deadline=within,
                request_timeout=within,
                connect_timeout=within,
            )
        return ODataConnector(connection, erp, budget=budget)
    if protocol == "rest":
        from connectors.rest import RestConnector  # noqa: PLC0415  wire libraries load when needed

        if within is not None:
            return RestConnector(
                connection,
                erp,
                budget=budget,
                tries=1,
                deadline=within,
                request_timeout=within,
                connect_timeout=within,
            )
        return RestConnector(connection, erp, budget=budget)
    if protocol == "sftp":
        from connectors.sftp import SftpConnector  # noqa: PLC0415  wire libraries load when needed

        return SftpConnector(connection, erp, budget=budget)
    if protocol == "files":
        from connectors.folder import FolderConnector  # noqa: PLC0415  as above

        return FolderConnector(connection, erp)
    raise Misconfigured(
        f"there is no connector for the protocol {protocol!r}",
        erp=erp,
        code="protocol",
        remedy=f"Use one of {', '.join(PROTOCOLS)} in the mapping.",
    )


def open_sender(
    connection: Connection,
    protocol: str,
    erp: str,
    target: Target,
    *,
    cache: Path | None = None,
    budget: Budget = UNLIMITED,
) -> Sender:
    """The sender of a protocol for one target of one ERP; use it as a context manager.

    `cache` as for `open_connector`; `budget`: asked before every request that leaves.
    Raises Misconfigured (code `protocol`) where the target speaks another protocol or none sends.
    """
    from mappings.targets import ODataTarget, SftpTarget, SoapTarget  # noqa: PLC0415  light, but like the others

    if protocol == "soap" and isinstance(target, SoapTarget):
        from connectors.soap_send import SoapSender  # noqa: PLC0415  wire libraries load when needed

        return SoapSender(connection, erp, target, cache=cache, budget=budget)
    if protocol == "odata" and isinstance(target, ODataTarget):
        from connectors.odata_send import ODataSender  # noqa: PLC0415  as above

        return ODataSender(connection, erp, target, budget=budget)
    if protocol == "sftp" and isinstance(target, SftpTarget):
        from connectors.sftp_send import SftpSender  # noqa: PLC0415  as above

        return SftpSender(connection, erp, target, budget=budget)
    raise Misconfigured(
        f"nothing sends by the protocol {protocol!r}",
        erp=erp,
        code="protocol",
        remedy=f"Use one of {', '.join(PROTOCOLS)} as `target` in the mapping.",
    )


def open_subscriptions(
    connection: Connection, erp: str, entity: str, *, budget: Budget = UNLIMITED
) -> ODataSubscriptions:
    """The webhook subscriptions of an OData service; use it as a context manager.

    `entity`: the entity set that holds them.
    """
    from connectors.odata_subscriptions import ODataSubscriptions  # noqa: PLC0415  as above

    return ODataSubscriptions(connection, erp, entity, budget=budget)
