"""The words for an ERP that calls us: how a call is proved, what it is about, how to subscribe.

Declares, and finds the feed of a resource; must not read a call or reach an ERP.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from mappings.sources.base import Strict

_WRAPPED = re.compile(r"\(.*\)$")


class Subscribing(Strict):
    """Subscriptions that we make and renew (OData services in the manner of Business Central)."""

    entity: str = Field("subscriptions", description="entity set of the subscriptions")
    hours: int = Field(72, ge=1, description="how long one lives; renewed before half of it")


class Webhooks(Strict):
    """An ERP's calls. A call is a list of events, each about a resource of theirs."""

    proof: Literal["client_state", "hmac_sha256"] = Field(
        description="client_state: a secret of ours in each event; hmac_sha256: a signature of the "
        "body in `header`, made with the connection's extra `webhook_secret`"
    )
    header: str = Field("X-Signature", description="header of the signature, hex or base64")
    event_id: str | None = Field(
        None, description="header or property with the event's id; default: what the event says"
    )
    events: str = Field("value", description="property of the body that lists the events; . = body")
    resource: str = Field("resource", description="property that says what an event is about")
    change: str = Field("changeType", description="property that says what happened to it")
    feeds: dict[str, str] = Field(description="their resource to our feed")
    subscribe: Subscribing | None = None
    retry_hours: int = Field(
        36, ge=1, description="how long the ERP repeats a call that we did not take"
    )

    def feed_of(self, resource: str) -> str | None:
        """Our feed of a resource, as written or by its last segment without key and query."""
        if resource in self.feeds:
            return self.feeds[resource]
        last = resource.partition("?")[0].rstrip("/").rpartition("/")[2]
        return self.feeds.get(_WRAPPED.sub("", last))
