"""`POST /webhooks/{erp}`: an ERP's handshake, or a call about what changed.

Answers 2xx or 5xx and nothing else: on a 4xx an ERP may end its subscription for good. Writes the
call down and answers; what follows is `gateway/rounds.py`. Must not pull or wake anything.
"""

from __future__ import annotations

import logging
import re

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from gateway.metrics import Metrics
from gateway.rounds import Rounds
from mappings.errors import Misconfigured
from portal_db.alerts import Alert
from sync import alerts
from sync.context import Context
from sync.webhooks import NotProved, Unreadable, take_call

log = logging.getLogger(__name__)

_LARGEST = 5_000_000
_TOKEN = re.compile(r"[\x20-\x7e]{1,1000}")


class WebhooksIn:
    """Takes calls; `rounds` does what follows."""

    def __init__(self, ctx: Context, metrics: Metrics, rounds: Rounds) -> None:
        self._ctx = ctx
        self._metrics = metrics
        self._rounds = rounds

    async def post(self, request: Request) -> Response:
        """202 taken, 200 handshake; 503 for what cannot be taken now or is not proved."""
        erp = str(request.path_params["erp"])
        known = self._ctx.mappings.mappings.get(erp)
        if known is None or known.webhooks is None:
            return self._answer("unknown", "unknown", 503)
        token = request.query_params.get("validationToken")
        if token is not None:
            return self._handshake(erp, token)
        try:
            body = await request.body()
            if len(body) > _LARGEST:
                return self._answer(erp, "too_large", 503)
            headers = {name.lower(): value for name, value in request.headers.items()}
            came, new = await anyio.to_thread.run_sync(take_call, self._ctx, erp, headers, body)
        except NotProved:
            await anyio.to_thread.run_sync(self._unproved, erp)
            return self._answer(erp, "not_proved", 503)
        except Unreadable:
            # Proved, and nobody will ever understand it: what changed is found by looking.
            self._rounds.sweep(erp, "a call that nobody understands")
            return self._answer(erp, "unreadable", 202)
        except Misconfigured as error:
            log.warning("%s", error, extra={"erp": erp})
            return self._answer(erp, "misconfigured", 503)
        except Exception:
            log.exception("a call of %s was not taken", erp, extra={"erp": erp})
            return self._answer(erp, "failed", 503)
        if new:
            self._rounds.wake_up()
        self._metrics.webhooks.labels(erp, "replayed").inc(came - new)
        return self._answer(erp, "taken" if new else "nothing_new", 202)

    def _handshake(self, erp: str, token: str) -> Response:
        """The token back, as text and as nothing else, whoever asks."""
        if not _TOKEN.fullmatch(token):
            return self._answer(erp, "bad_token", 503)
        self._metrics.webhooks.labels(erp, "handshake").inc()
        return PlainTextResponse(token, headers={"X-Content-Type-Options": "nosniff"})

    def _unproved(self, erp: str) -> None:
        alerts.raised(
            self._ctx,
            Alert(
                f"webhook_not_proved/{erp}",
                "webhook",
                f"calls to /webhooks/{erp} do not prove that they come from {erp}",
                erp=erp,
                remedy="If they are the ERP's: compare `webhook_secret` of the connection with "
                "the ERP's, or let the subscription be made again. It repeats its calls.",
            ),
        )

    def _answer(self, erp: str, result: str, status: int) -> Response:
        self._metrics.webhooks.labels(erp, result).inc()
        return Response(status_code=status)
