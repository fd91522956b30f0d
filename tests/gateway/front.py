"""The gateway served on loopback for a test, and a caller with its token."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import httpx
import uvicorn

from gateway.access import Access
from gateway.app import Parts, application
from gateway.rounds import Rounds
from gateway.server import asking_context
from mappings.private_files import gateway_tokens
from sync.ask import Asker
from sync.pricing import PriceOf
from sync.wake import Wake
from tests.gateway.till import Till


class Front:
    """A running gateway. `woken`: what it started, in order; `call` carries the portal's token."""

    def __init__(
        self, till: Till, parts: Parts, address: str, woken: list[tuple[str, str]]
    ) -> None:
        self.till = till
        self.parts = parts
        self.address = address
        self.woken = woken
        self.tokens = gateway_tokens(till.settings)
        headers = {"Authorization": f"Bearer {self.tokens['portal']}"}
        self.call = httpx.Client(base_url=address, headers=headers, timeout=60)
        self.stranger = httpx.Client(base_url=address, timeout=60)

    def order(self, key: str, amount: str = "100", **more: Any) -> httpx.Response:
        """Post an order of D1 for so much."""
        line = {"product": "P1", "qty": "1", "uom": "PCE", "unit_price": amount}
        body = {"erp": "birch", "dealer": "D1", "currency": "EUR", "lines": [line], **more}
        return self.call.post("/orders", json=body, headers={"Idempotency-Key": key})


@contextmanager
def served(
    till: Till,
    *,
    within: float = 30.0,
    prices: PriceOf | None = None,
    wake: Wake | None = None,
    public: bool = True,
) -> Iterator[Front]:
    """The gateway of a shop. Its rounds are the test's to call, its outbox is not watched."""
    woken: list[tuple[str, str]] = []

    def note(erp: str, feed: str) -> str:
        woken.append((erp, feed))
        return "noted"

    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        asking = stack.enter_context(asking_context(till.ctx))
        asker = stack.enter_context(Asker(asking))
        rounds = Rounds(till.ctx, wake or note, public_url=address if public else None)
        parts = Parts(
            till.ctx,
            asker,
            Access(gateway_tokens(till.settings)),
            rounds,
            prices=prices,
            within=timedelta(seconds=within),
        )
        stack.callback(parts.close)
        config = uvicorn.Config(
            application(parts), lifespan="off", ws="none", log_config=None, access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        front = Front(till, parts, address, woken)
        try:
            yield front
        finally:
            front.call.close()
            front.stranger.close()
            server.should_exit = True
            thread.join(10)
