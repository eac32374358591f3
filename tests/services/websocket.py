"""As much of WebSocket (RFC 6455) as an echo needs."""

import base64
import hashlib
from collections.abc import Callable
from typing import Final

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
TEXT_AND_LAST: Final = 0x81
MASKED: Final = 0x80
SWITCHING: Final = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


def handshake_answer(key: str) -> bytes:
    """Return the head of the answer to a handshake with this key (§4.2.2)."""
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
    return SWITCHING + b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"


def frame(text: bytes, *, masked: bool) -> bytes:
    """Return a short text as one frame; a client masks it (§5.2)."""
    if not masked:
        return bytes([TEXT_AND_LAST, len(text)]) + text
    mask = b"mask"
    return bytes([TEXT_AND_LAST, MASKED | len(text)]) + mask + _mask(text, mask)


def echo(key: str, read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
    """Accept a handshake with this key and send one frame back, if one comes."""
    write(handshake_answer(key))
    if text := read_frame(read):
        write(frame(text, masked=False))


def read_frame(read: Callable[[int], bytes]) -> bytes:
    """Read one short frame, empty at the end; `read` returns as many bytes as it is told."""
    start = read(2)
    if not start:
        return b""
    length = start[1]
    mask = read(4) if length & MASKED else bytes(4)
    return _mask(read(length & ~MASKED), mask)


def _mask(text: bytes, mask: bytes) -> bytes:
    return bytes(byte ^ mask[place % 4] for place, byte in enumerate(text))
