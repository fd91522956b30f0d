"""Sources by protocol; a new protocol is one more model here and one connector. Declares only."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mappings.sources.odata import ODataSource
from mappings.sources.rest import RestSource
from mappings.sources.sftp import SftpSource
from mappings.sources.soap import SoapSource

Source = Annotated[
    SoapSource | ODataSource | RestSource | SftpSource, Field(discriminator="protocol")
]

__all__ = ["ODataSource", "RestSource", "SftpSource", "SoapSource", "Source"]
