"""What an SSH server offers, read from the first packet that it sends, before anything is agreed.

For the message to people when nothing can be agreed on. Must not sign in or send a secret.
"""

from __future__ import annotations

import socket
import struct

_KEXINIT = 20
_LISTS = ("key exchange", "host keys", "ciphers", "MACs")
_PLACES = (0, 1, 3, 5)
"""Which of the packet's ten lists are told: those towards us."""

_MOST = 64 * 1024
_HEAD = 22
"""Type and cookie of the packet, and the length of padding, before the first list."""


def said(host: str, port: int, seconds: float) -> str:
    """`It offers key exchange a, b; host keys c; …`, or that it did not say."""
    try:
        with socket.create_connection((host, port), timeout=seconds) as line:
            line.settimeout(seconds)
            offered = _offered(line)
    except (OSError, ValueError, struct.error):
        return "What it offers could not be read"
    told = "; ".join(
        f"{name} {', '.join(offered[at])}" for name, at in zip(_LISTS, _PLACES, strict=True)
    )
    return f"It offers {told}"


def _offered(line: socket.socket) -> list[list[str]]:
    line.sendall(b"SSH-2.0-waybill\r\n")
    data = b""
    while True:
        head, end, rest = data.partition(b"\n")
        if end and head.startswith(b"SSH-"):
            break
        data = rest if end else data + _more(line, data)
    while len(rest) < 4:  # noqa: PLR2004  the length of a packet
        rest += _more(line, rest)
    length = struct.unpack(">I", rest[:4])[0]
    if length > _MOST:
        text = "no SSH packet"
        raise ValueError(text)
    while len(rest) < 4 + length:
        rest += _more(line, rest)
    packet = rest[4 : 4 + length]
    if packet[1] != _KEXINIT:
        text = "not the packet that begins a key exchange"
        raise ValueError(text)
    at = _HEAD - 4
    found: list[list[str]] = []
    for _ in range(10):
        size = struct.unpack(">I", packet[at : at + 4])[0]
        found.append(packet[at + 4 : at + 4 + size].decode("ascii", "replace").split(","))
        at += 4 + size
    return found


def _more(line: socket.socket, data: bytes) -> bytes:
    piece = line.recv(4096)
    if not piece or len(data) > 2 * _MOST:
        text = "the server said nothing more"
        raise ValueError(text)
    return piece
