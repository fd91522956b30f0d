"""Airflow's permissions as the desk's roles, whatever auth manager says them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from waybill.airflow_gate import roles_of


@dataclass
class Manager:
    """Stands for an auth manager of Airflow's: the methods that a user may use."""

    methods: frozenset[str]

    def is_authorized_dag(self, *, method: str, user: Any, access_entity: Any = None) -> bool:
        del user, access_entity
        return method in self.methods


@pytest.mark.parametrize(
    ("methods", "roles"),
    [({"GET", "PUT"}, {"operator", "auditor"}), ({"GET"}, {"auditor"}), (set[str](), set[str]())],
    ids=["may start runs", "may look", "may do nothing"],
)
def test_a_user_is_at_the_desk_what_airflow_lets_him_do(methods: set[str], roles: set[str]) -> None:
    assert roles_of(Manager(frozenset(methods)), object()) == roles
