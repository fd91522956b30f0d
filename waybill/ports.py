"""TCP ports on loopback: the wanted one, or the next that is free.

Must not: listen. Between the answer and the use a stranger may take the port; whoever starts a
server on it sees that server fail. Two installations starting at once are kept apart: each
reserves its ports.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Collection, Iterator

from mappings.errors import Misconfigured

LOOPBACK = "127.0.0.1"
_TRIES = 200


def free_port(wanted: int, *, taken: Collection[int] = ()) -> int:
    """The first port from `wanted` upwards that nobody listens on and that is not in `taken`.

    Raises Misconfigured where 200 in a row are busy.
    """
    for port in range(wanted, min(wanted + _TRIES, 65536)):
        if port not in taken and _is_free(port):
            return port
    raise Misconfigured(
        f"no free port from {wanted} upwards", remedy="Stop what listens there, or name another."
    )


@contextlib.contextmanager
def reserved_port(wanted: int) -> Iterator[int]:
    """As `free_port`, and no other reservation on this machine gets it while the block lasts.

    A reservation is a name among Linux's abstract sockets: no file, and gone with its process.
    """
    taken: set[int] = set()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reservation:
        while True:
            port = free_port(wanted, taken=taken)
            try:
                reservation.bind(f"\0waybill-port-{port}")
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                taken.add(port)
            else:
                break
        yield port


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a former server that are still closing are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True
