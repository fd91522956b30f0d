"""A sender's session at a SOAP ERP: opened before a message leaves, ended by a log-out.

Knows how a session is opened and kept among the account's places; what a fault means is the
sender's business. Must not send a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Protocol

from lxml import etree

from connectors.budget import Budget
from connectors.replies import elements_at
from connectors.soap_faults import SessionExpiredError, Wording
from connectors.soap_sign_in import SessionWords
from mappings.connection import Connection
from mappings.errors import WaybillError


class Ask(Protocol):
    """Calls an operation that changes nothing, with a session's token or none."""

    def __call__(
        self, operation: str, request: Mapping[str, str], token: str | None
    ) -> etree._Element:
        """The answer's root."""
        ...


class SenderSession:
    """One log-in at a time. `token` is what the ERP gave, None while there is none."""

    def __init__(
        self, words: SessionWords, connection: Connection, wording: Wording, budget: Budget
    ) -> None:
        self.token: str | None = None
        self.secrets: tuple[str, ...] = ()
        """Every token so far: none is ever shown or kept."""
        self._words = words
        self._connection = connection
        self._wording = wording
        self._budget = budget
        self._place = ExitStack()  # among the account's sessions, as long as ours is open

    def open(self, ask: Ask) -> bool:
        """Log in unless we are; True where it was done now. Nothing of a message has left.

        Raises Misconfigured (`auth`), RateLimited, Transient.
        """
        if self.token is not None:
            return False
        self._place.close()
        with ExitStack() as place:
            place.enter_context(self._budget.request("session"))
            token = self._logged_in(ask)
            self._place = place.pop_all()
        self._wording.hide(token)
        self.secrets = (*self.secrets, token)
        self.token = token
        return True

    def _logged_in(self, ask: Ask) -> str:
        words = self._words
        account = {
            words.user: self._connection.login or "",
            words.password: self._connection.password or "",
        }
        found = elements_at(ask(words.login, account, None), words.token)
        token = (found[0].text or "").strip() if found else ""
        if not token:
            raise self._wording.sign_in(f"{words.login} gave no {words.token}")
        return token

    def forget(self) -> None:
        """The ERP knows it no more."""
        self.token = None

    def close(self, ask: Ask) -> None:
        """Log out; one that fails is left to the ERP's own time-out."""
        token, self.token = self.token, None
        if token is not None and self._words.logout is not None:
            with suppress(WaybillError, SessionExpiredError):
                ask(self._words.logout, {}, token)
        self._place.close()
