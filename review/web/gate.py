"""Who asks, and as what: the gate in front of every page, and what a page asks of it.

Two gates exist: our own sign-in (`own_gate`) and Airflow's user (`waybill/airflow_plugin.py`).
Must not know either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from starlette.requests import Request
from starlette.responses import Response

Role = Literal["operator", "auditor"]
Handler = Callable[[Request], Response]

READERS: frozenset[Role] = frozenset({"operator", "auditor"})
OPERATORS: frozenset[Role] = frozenset({"operator"})

_USER = "waybill_user"  # Airflow keeps a `user` of its own in the same place


@dataclass(frozen=True, slots=True)
class User:
    """A signed-in person. An operator acts; an auditor reads, with personal values masked."""

    name: str
    roles: frozenset[Role]

    @property
    def operates(self) -> bool:
        """May this person change something, and see personal values?"""
        return "operator" in self.roles


class Gate(Protocol):
    """What stands in front of the pages."""

    async def user(self, request: Request) -> User | None:
        """Who asks, None for nobody."""
        ...

    def login_url(self, request: Request) -> str:
        """Where nobody is sent, and comes back from to the same page."""
        ...

    def refresh(self, request: Request, response: Response) -> None:
        """Keep the session going, on the way out."""
        ...

    def logout_url(self, request: Request) -> str | None:
        """Where a person signs out by a POST; None where that is not ours to do."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """One route. `roles`: any of them is enough; a POST needs an operator unless `roles` is given.

    `nav` is its name in the menu, None for pages that are reached from others. `public` pages need
    no user: the sign-in and its style sheet, and nothing that shows data.
    """

    path: str
    handler: Handler
    roles: frozenset[Role] | None = None
    methods: tuple[str, ...] = ("GET",)
    nav: str | None = None
    public: bool = False

    def needs(self, method: str) -> frozenset[Role]:
        """The roles of which one is needed for a method."""
        if self.roles is not None:
            return self.roles
        return OPERATORS if method == "POST" else READERS


def admit(request: Request, user: User) -> None:
    """Note who asks, for the handler."""
    setattr(request.state, _USER, user)


def user_of(request: Request) -> User:
    """Who asks. Raises LookupError on a public page, where nobody was asked."""
    found = getattr(request.state, _USER, None)
    if found is None:
        message = "nobody is signed in on a public page"
        raise LookupError(message)
    return found


def user_if_any(request: Request) -> User | None:
    """Who asks, None on a public page."""
    return getattr(request.state, _USER, None)
