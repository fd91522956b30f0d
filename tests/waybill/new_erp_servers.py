"""A server on loopback that hands out documents: a page of plain JSON, an OpenAPI description."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

DEALERS = [
    {
        "id": f"D{n}",
        "companyName": f"Händler {n}",
        "status": "ACTIVE" if n else "PARKED",
        "currency": "EUR",
        "vat": f"DE{n:09}",
        "contact": {"email": f"person{n}@example.com", "phone": f"+49 30 {n:05}"},
        "addresses": [
            {"id": f"A{n}", "type": "main", "street": f"Weg {n}", "city": "Wien", "country": "AT"}
        ],
    }
    for n in range(6)
]


def openapi() -> dict[str, Any]:
    """The description of the same list."""
    text = {"type": "string"}
    dealer = {
        "type": "object",
        "properties": {
            "id": text,
            "companyName": text,
            "status": text,
            "currency": text,
            "openedOn": {"type": "string", "format": "date"},
        },
    }
    answer = {"type": "object", "properties": {"data": {"type": "array", "items": {"$ref": "#/components/schemas/Dealer"}}}}  # fmt: skip  # noqa: E501  one tree
    content = {"application/json": {"schema": answer}}
    return {
        "openapi": "3.0.3",
        "servers": [{"url": "/api"}],
        "paths": {
            "/dealers": {"get": {"responses": {"200": {"content": content}}}},
            "/dealers/{id}": {"get": {"responses": {"200": {"content": content}}}},
        },
        "components": {"schemas": {"Dealer": dealer}},
    }


class Documents:
    """Serves `/api/dealers` and `/openapi.json`."""

    def __init__(self) -> None:
        bodies = {
            "/api/dealers": {"data": DEALERS, "total": len(DEALERS)},
            "/openapi.json": openapi(),
            "/api/": {"value": []},
        }

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = bodies.get(self.path.partition("?")[0])
                body = json.dumps(found or {}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
