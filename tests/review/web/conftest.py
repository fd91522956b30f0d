"""One office for all tests of a module: each brings its own trouble, and clears it away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import fresh_database
from tests.review.web.office import Office, open_office


@pytest.fixture(scope="module")
def office(
    postgres: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    """A world with a desk in it, and the people at it."""
    with fresh_database(postgres, template_database) as url:
        one = open_office(url, tmp_path_factory.mktemp("office"))
        try:
            yield one
        finally:
            one.stop()
