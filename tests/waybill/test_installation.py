"""A command meets a database that an older or a newer Waybill left behind."""

from __future__ import annotations

import psycopg
import pytest

from mappings.errors import Misconfigured
from mappings.settings import Settings
from portal_db import versions
from waybill.installation import opened


def at(settings: Settings, version: str) -> None:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("UPDATE sync.alembic_version SET version_num = %s", (version,))


def test_a_migrated_database_is_as_new_as_the_migrations(settings: Settings) -> None:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url) as connection:
        assert versions.current(connection) == versions.newest()


@pytest.mark.parametrize(("version", "says"), [("0001", "waybill migrate"), ("9999", "newer")])
def test_a_customers_server_of_another_version_is_not_touched(
    settings: Settings, version: str, says: str
) -> None:
    at(settings, version)
    with pytest.raises(Misconfigured, match=says), opened(settings):
        pass
