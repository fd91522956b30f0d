"""Wire: one connector a protocol, each importing its own wire library only when it is asked for.

`open_connector` is the one way in. This room translates failures of the wire into the classes of
`mappings.errors`; it must not parse values, know a feed, or reach a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mappings.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.protocol import Connector
    from mappings.connection import Connection

PROTOCOLS = ("soap", "odata", "sftp", "files")


def open_connector(
    connection: Connection, protocol: str, erp: str, *, cache: Path | None = None
) -> Connector:
    """The connector of a protocol for one ERP, not yet signed in; use it as a context manager.

    `cache`: a folder where a connector may pin what describes the ERP (a WSDL), kept over runs.
    Raises Misconfigured (code `protocol`) for a protocol that there is no connector for.
    """
    if protocol == "soap":
        from connectors.soap import SoapConnector  # noqa: PLC0415  wire libraries load when needed

        return SoapConnector(connection, erp, cache=cache)
    if protocol == "odata":
        from connectors.odata import ODataConnector  # noqa: PLC0415  wire libraries load when needed

        return ODataConnector(connection, erp)
    if protocol == "sftp":
        from connectors.sftp import SftpConnector  # noqa: PLC0415  wire libraries load when needed

        return SftpConnector(connection, erp)
    if protocol == "files":
        from connectors.folder import FolderConnector  # noqa: PLC0415  as above

        return FolderConnector(connection, erp)
    raise Misconfigured(
        f"there is no connector for the protocol {protocol!r}",
        erp=erp,
        code="protocol",
        remedy=f"Use one of {', '.join(PROTOCOLS)} in the mapping.",
    )
